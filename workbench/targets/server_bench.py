"""Many requests of one kind to a server, over connections that stay open, as a client program has them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from workbench.session.bench import BenchResult, bench

if TYPE_CHECKING:
    from workbench.session.stages import Sent
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

    def stages(self) -> _ServerStages:
        return _ServerStages(self._server, self.name)


class _ServerStages:
    """From the server's own statistics of the model, before and after: ``queue`` to ``copy out`` are what it
    calls queue, compute input, compute infer and compute output. ``on the way`` is the rest: the request's
    way there, the answer's way back.
    """

    most = sys.maxsize
    _NAMES: ClassVar = {
        "queue": "queue",
        "compute_input": "copy in",
        "compute_infer": "execute",
        "compute_output": "copy out",
    }

    def __init__(self, server: ServerTarget, name: str) -> None:
        self._server = server
        self._name = name
        self._before: dict[str, int] = {}
        self._means: dict[str, float] = {}

    def begin(self) -> None:
        self._before = self._server.durations(self._name)

    def options(self, span: int) -> Mapping[str, Any]:
        return {}

    def end(self, sent: Sequence[Sent]) -> None:
        after = self._server.durations(self._name)
        spent = {key: after[key] - self._before[key] for key in after}
        # Another client's requests are in the statistics too.
        count = max(spent.pop("count"), 1)
        means = {ours: spent[theirs] / count / 1e9 for theirs, ours in self._NAMES.items()}
        latency = sum(each.ended - each.began for each in sent) / len(sent)
        self._means = {"on the way": max(latency - sum(means.values()), 0.0), **means}

    def means(self) -> dict[str, float]:
        return self._means
