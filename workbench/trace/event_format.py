"""Trace-event JSON, which Perfetto and chrome://tracing open.

Slices of one track must nest, so a call that may overlap others is a pair of async events (``b`` and ``e``)
in place of a complete one (``X``). Each model has tracks of its own, as many as keep its spans apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.trace.span import CALLS, Span
from workbench.trace.trace import Trace

__all__ = ["KEY", "decode", "encode"]

KEY = "traceEvents"
_PROCESS = 1


class _Tracks:
    """Track numbers, given to models as their spans need them."""

    def __init__(self) -> None:
        self._busy: dict[str, list[tuple[int, int]]] = {}  # model → (track, end of what is on it)
        self.names: dict[int, str] = {}

    def take(self, span: Span) -> int:
        tracks = self._busy.setdefault(span.model, [])
        for index, (track, end) in enumerate(tracks):
            if end <= span.start_ns:
                tracks[index] = (track, span.end_ns)
                return track
        track = len(self.names) + 1
        self.names[track] = span.model if not tracks else f"{span.model} ({len(tracks) + 1})"
        tracks.append((track, span.end_ns))
        return track


def encode(trace: Trace) -> dict[str, Any]:
    """The file's content."""
    tracks = _Tracks()
    events: list[dict[str, Any]] = []
    _add(trace.root, "", tracks.take(trace.root), tracks, events)
    named = [
        {"ph": "M", "pid": _PROCESS, "tid": track, "name": "thread_name", "args": {"name": name}}
        for track, name in tracks.names.items()
    ]
    about = {"ph": "M", "pid": _PROCESS, "name": "process_name", "args": {"name": f"Triton {trace.model}"}}
    return {
        KEY: [about, *named, *events],
        "displayTimeUnit": "ns",
        "otherData": {
            "producer": "triton-workbench",
            "trace_id": trace.id,
            "started_unix_ns": str(trace.started_unix_ns),
        },
    }


def _add(span: Span, parent: str, track: int, tracks: _Tracks, events: list[dict[str, Any]]) -> None:
    data = span.to_data()
    del data["children"]
    event = {
        "name": span.title,
        "cat": span.kind,
        "pid": _PROCESS,
        "tid": track,
        "ts": span.start_ns / 1000,
        "args": {"parent": parent, "span": data},
    }
    if _may_overlap(span):
        pair = {"id": f"0x{_number(span.id):x}", "cat": f"{span.kind},{span.how_text}"}
        events.append({**event, "ph": "b", **pair})
        end = {key: event[key] for key in ("name", "pid", "tid")}
        events.append({**end, "ph": "e", "ts": span.end_ns / 1000, **pair})
    else:
        events.append({**event, "ph": "X", "dur": span.duration_ns / 1000})
    # What the called did is on its own track, and so is a step's.
    below = tracks.take(span) if span.kind in CALLS and span.children else track
    for each in span.children:
        _add(each, span.id, below, tracks, events)


def _may_overlap(span: Span) -> bool:
    return span.kind == "step" or (span.kind == "bls" and (span.how != "exec" or span.decoupled))


def _number(text: str) -> int:
    """A number for an id, the same in every process."""
    return int.from_bytes(text.encode()[-8:], "big")


def decode(data: Mapping[str, Any]) -> tuple[str, int, list[tuple[str, dict[str, Any]]]]:
    """Trace id, start, and (parent's id, data) of every span. Raises KeyError and the like for what is not
    ours.
    """
    about = data["otherData"]
    rows = [
        (str(event["args"]["parent"]), dict(event["args"]["span"]))
        for event in data[KEY]
        if event["ph"] in ("X", "b")
    ]
    return str(about["trace_id"]), int(about["started_unix_ns"]), rows
