"""Many requests of one kind to a server, over connections that stay open, as a client program has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workbench.session.bench import BenchResult, bench

if TYPE_CHECKING:
    from workbench.targets.remote import ServerTarget

__all__ = ["bench_server"]


def bench_server(server: ServerTarget, name: str, inputs: Mapping[str, Any], **options: Any) -> BenchResult:
    """Send the same request many times: see `workbench.session.bench.bench`.

    The inputs are checked and encoded once; what is measured is the way there, the model, and the way back.

    Raises:
        InputError, ModelExecutionError, ModelNotFound, InferTimeout, ServerUnreachable, WorkbenchUsageError.
    """
    made: Any = _AsHost(server, name, inputs)
    server.benches[name] = bench(made, inputs, **options)
    return server.benches[name]


class _AsHost:
    """A server's model as `bench` takes one."""

    def __init__(self, server: ServerTarget, name: str, inputs: Mapping[str, Any]) -> None:
        self.name = name
        self.serving = server.src(name)
        self.recorder = self
        self.last_bench = server.benches.get(name)
        self._server = server
        self._request = server.prepare(name, inputs)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """`bench` enters this once in each thread that sends: the place for the thread's connection."""
        with self._server.client.kept():
            yield

    def infer(self, inputs: Mapping[str, Any], **options: Any) -> Any:
        return self._server.send(self._request, options)
