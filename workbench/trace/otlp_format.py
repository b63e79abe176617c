"""OTLP JSON, the file form of the OpenTelemetry protocol: ids are hex digits, 64-bit numbers are texts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from workbench.trace.span import Span
from workbench.trace.trace import Trace

__all__ = ["KEY", "decode", "encode"]

KEY = "resourceSpans"
_INTERNAL, _SERVER, _CLIENT = 1, 2, 3  # SpanKind
_OK, _ERROR = 1, 2  # StatusCode
_DATA = "workbench.span"


def encode(trace: Trace) -> dict[str, Any]:
    """The file's content: one request of ExportTraceServiceRequest's form."""
    spans: list[dict[str, Any]] = []
    _add(trace.root, "", trace, spans)
    return {
        KEY: [
            {
                "resource": {"attributes": [_text("service.name", "triton-workbench")]},
                "scopeSpans": [{"scope": {"name": "workbench.trace"}, "spans": spans}],
            }
        ]
    }


def _add(span: Span, parent: str, trace: Trace, spans: list[dict[str, Any]]) -> None:
    data = span.to_data()
    del data["children"]
    began = trace.started_unix_ns + span.start_ns
    made: dict[str, Any] = {
        "traceId": trace.id,
        "spanId": _span_id(span),
        "name": span.title,
        "kind": {"request": _SERVER, "bls": _CLIENT, "step": _CLIENT}.get(span.kind, _INTERNAL),
        "startTimeUnixNano": str(began),
        "endTimeUnixNano": str(began + span.duration_ns),
        "attributes": [
            _text("triton.model_name", span.model),
            _text("workbench.kind", span.kind),
            _text("workbench.how", span.how_text),
            _text("workbench.tensors", span.signature),
            *([_number("code.lineno", span.line)] if span.line is not None else []),
            *([_text("code.filepath", span.cell)] if span.cell is not None else []),
            _text(_DATA, json.dumps(data, separators=(",", ":"))),
        ],
        "status": {"code": _OK} if span.error is None else {"code": _ERROR, "message": span.error},
    }
    if parent:
        made["parentSpanId"] = parent
    spans.append(made)
    for each in span.children:
        _add(each, made["spanId"], trace, spans)


def decode(data: Mapping[str, Any]) -> tuple[str, int, list[tuple[str, dict[str, Any]]]]:
    """Trace id, start, and (parent's id, data) of every span. Raises KeyError and the like for what is not
    ours.
    """
    spans = data[KEY][0]["scopeSpans"][0]["spans"]
    found = {}
    for span in spans:
        ours = next(each for each in span["attributes"] if each["key"] == _DATA)
        found[span["spanId"]] = json.loads(ours["value"]["stringValue"])
    rows = []
    for span in spans:
        home = found.get(span.get("parentSpanId", ""))
        rows.append((str(home["id"]) if home else "", found[span["spanId"]]))
    root = next(span for span in spans if not span.get("parentSpanId"))
    return str(root["traceId"]), int(root["startTimeUnixNano"]) - int(found[root["spanId"]]["start_ns"]), rows


def _span_id(span: Span) -> str:
    return hashlib.sha256(span.id.encode()).hexdigest()[:16]


def _text(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def _number(key: str, value: int) -> dict[str, Any]:
    return {"key": key, "value": {"intValue": str(value)}}
