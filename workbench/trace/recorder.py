"""The session's tap, read: the last requests as traces."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

from workbench import _host
from workbench.errors import WorkbenchError
from workbench.trace.trace import Trace
from workbench.trace.tree import Forest

if TYPE_CHECKING:
    from workbench.trace.span import Span

__all__ = ["TraceRecorder"]

_PROCESS = uuid4().hex[:16]  # span numbers are unique in this process only
_HINT = "%triton trace NAME ... sends a request and traces it"


class TraceRecorder:
    """Every request of the session leaves its events in a ring (`Settings.trace_buffer_byte_size`); a trace
    is made of them when somebody asks.

    Args:
        tap: The ring.
        label: From a model's name to what its source is called.
        cause: From an error's text to what people want to read of it.
    """

    def __init__(
        self, tap: _host.Tap, label: Callable[[str], str], cause: Callable[[str], str] = str
    ) -> None:
        self.tap = tap
        self._label = label
        self._cause = cause

    @property
    def enabled(self) -> bool:
        """Whether events are recorded; on unless the ring has no bytes."""
        return self.tap.enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self.tap.enabled = enabled

    def traces(self, limit: int = 10, model: str = "", most_bytes: int | None = None) -> list[Trace]:
        """The last requests, newest last.

        Args:
            limit: How many at most.
            model: Only requests to this model.
            most_bytes: Look at no more than these of the ring, for whoever looks often.
        """
        seen = self.tap.byte_size if most_bytes is None else min(most_bytes, self.tap.byte_size)
        whole = self.tap.position <= seen
        forest = Forest(self.tap.read(most_bytes=most_bytes), self._label, self._cause, whole=whole)
        found = [forest.tree(each) for each in forest.roots()]
        chosen = [each for each in found if model in ("", each[0].model)]
        chosen.sort(key=lambda each: each[1])
        return [self._trace(root, start) for root, start in chosen[-limit:]] if limit > 0 else []

    def last(self, model: str = "") -> Trace:
        """The last request, to one model or to any.

        Raises:
            WorkbenchError: none is recorded.
        """
        found = self.traces(1, model)
        if not found:
            what = f"no request of {model}" if model else "no request"
            raise WorkbenchError(f"{what} is recorded", hint=_HINT)
        return found[-1]

    def capture(self, send: Callable[[int], object], *, error: Callable[[Exception], bool]) -> Trace:
        """Trace what a function sends.

        Args:
            send: Sends one request on behalf of the span it is given.
            error: Whether an exception of it belongs into the trace; any other is raised.

        Raises:
            WorkbenchError: recording is off, or the ring is too small for this one request.
        """
        if not self.enabled:
            raise WorkbenchError(
                "requests are not recorded",
                hint="wb.current().recorder.enabled = True, or trace-buffer-byte-size=4194304",
            )
        span, begin = _host.next_span(), self.tap.position
        failure: Exception | None = None
        try:
            send(span)
        except Exception as caught:
            if not error(caught):
                raise
            failure = caught
        forest = Forest(self.tap.read(begin), self._label, self._cause)
        made = forest.made_for(span)
        if not made:
            if failure is not None:
                raise failure  # it never came to a model
            raise WorkbenchError(
                "the request has more events than are kept",
                hint=f"a larger trace-buffer-byte-size than {self.tap.byte_size}",
            )
        # A request that met a model being replaced is sent again: the last one counts.
        root, start = forest.tree(made[-1])
        if failure is not None and root.error is None:
            root.error = str(failure).splitlines()[0]
        return self._trace(root, start)

    def _trace(self, root: Span, start: int) -> Trace:
        started = start + time.time_ns() - time.monotonic_ns()
        return Trace(root, id=f"{_PROCESS}{int(root.id):016x}", started_unix_ns=started, notes=_notes(root))


def _notes(root: Span) -> tuple[str, ...]:
    unknown = any(each.kind == "bls" and each.how is None for each in root.walk())
    return ("the stub does not say how and where its model makes calls",) if unknown else ()
