"""The topic of the last requests, as traces."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from workbench.lab.topics import Message, Topic
from workbench.session.workbench import Workbench
from workbench.trace.cut import cut_data

__all__ = ["TracesTopic"]


class TracesTopic(Topic):
    """The last requests as traces, whenever there were new ones."""

    name = "trace"
    is_sampled = True
    shortest_period = 0.5
    _TRACES = 10
    _RING = 128 << 10  # bytes of events looked at
    _BYTES = 200 << 10  # of one message

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench
        self._told = -1

    def open(self, changed: Callable[[], None]) -> None:
        self._told = -1

    def news(self) -> Iterable[Message]:
        recorder = self._workbench.recorder
        position = recorder.tap.position
        if position == self._told:
            return
        self._told = position
        traces = recorder.traces(self._TRACES, most_bytes=self._RING)
        each = self._BYTES // self._TRACES
        cut = [cut_data(trace.to_data(), each) for trace in traces]
        yield "trace", {"traces": cut, "truncated": any(data["more"] for data in cut)}
