"""Spans of what happens in this process alone: an ensemble's request, a mock's answer in one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from workbench import _host

__all__ = ["OpenSpan", "SpanTap"]


class OpenSpan:
    """A span under way."""

    def __init__(self) -> None:
        self.id = _host.next_span()
        self.tensors: list[_host.TapTensor] = []

    def outputs(self, tensors: Sequence[_host.TensorTuple]) -> None:
        """What it will have given, if nothing goes wrong."""
        self.tensors = _described(tensors)


class SpanTap:
    """Tells a tap of spans."""

    def __init__(self, tap: _host.Tap) -> None:
        self._tap = tap

    @contextmanager
    def span(self, model: str, inputs: Sequence[_host.TensorTuple], parent: int) -> Iterator[OpenSpan]:
        """Open while the context is; an exception is its error."""
        span = OpenSpan()
        self._tap.begin(span.id, model, _described(inputs), parent)
        try:
            yield span
        except BaseException as error:
            self._tap.end(span.id, error=str(error) or type(error).__name__)
            raise
        self._tap.end(span.id, span.tensors)


def _described(tensors: Sequence[_host.TensorTuple]) -> list[_host.TapTensor]:
    return [
        (name, number, tuple(int(dim) for dim in shape), memoryview(data).nbytes)
        for name, number, shape, data in tensors
    ]
