"""Tracing on a server that this process starts: how the server is told to, and one traced request."""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from workbench import datatypes
from workbench.datatypes import Datatype
from workbench.errors import ModelExecutionError, WorkbenchError
from workbench.messages import InferResult
from workbench.session.failures import cause_of
from workbench.targets.server_request import Prepared
from workbench.targets.server_tree import Record, ServerTree, context_ids
from workbench.targets.span_collector import ServerSpan, SpanCollector
from workbench.trace.span import TensorInfo
from workbench.trace.trace import Trace

__all__ = ["ServerTracing"]

_SPAN_SECONDS = 20.0  # how long a server may take to send what it saw


class ServerTracing:
    """A collector, and a folder for our stubs' records.

    The server is started ready to trace, and traces nothing: a model's requests are traced only while `trace`
    sends one.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="wb-trace-"))
        self._collector = SpanCollector()
        self._read: dict[Path, int] = {}  # how far each stub's file was read

    @property
    def arguments(self) -> list[str]:
        """For the server."""
        return [
            "--trace-config=mode=opentelemetry",
            f"--trace-config=opentelemetry,url={self._collector.url}",
            "--trace-config=opentelemetry,bsp_schedule_delay=50",
            "--trace-config=level=OFF",
            "--trace-config=rate=1",
        ]

    @property
    def environment(self) -> dict[str, str]:
        """For the server, whose stubs inherit it."""
        return {"TRITON_WORKBENCH_TRACE": str(self._folder)}

    def close(self) -> None:
        self._collector.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def trace(
        self,
        request: Prepared,
        send: Callable[[Mapping[str, str]], InferResult],
        switch: Callable[[str], None],
        label: Callable[[str], str],
    ) -> Trace:
        """Trace one request.

        Args:
            request: What is sent.
            send: Sends it with more headers.
            switch: Sets the trace level of the model: ``TIMESTAMPS`` or ``OFF``.
            label: From a model's name to what its source is called, or "".

        Raises:
            WorkbenchError: the server said nothing about it.
        """
        trace, parent = secrets.token_hex(16), secrets.token_hex(8)
        result: InferResult | None = None
        failure: ModelExecutionError | None = None
        switch("TIMESTAMPS")
        try:
            result = send({"traceparent": f"00-{trace}-{parent}-01"})
        except ModelExecutionError as error:
            failure = error
        finally:
            switch("OFF")

        def complete(spans: list[ServerSpan]) -> bool:
            # Children end, and are sent, before what they belong to.
            return any(each.parent == parent for each in spans)

        spans = self._collector.wait(trace, complete, _SPAN_SECONDS)
        tree = ServerTree(spans, self._records(trace), label)
        root = tree.root()
        if root is None:
            if failure is not None:
                raise failure
            name = request.config.name
            raise WorkbenchError(
                f"the server sent no span of this request to {name}",
                hint="requests to a decoupled model are not traced there: trace the live one"
                if request.config.decoupled
                else f"try again; %triton trace {name} without --on traces the live model",
            )
        root.inputs = [_info(name, datatypes.find(each), array) for name, each, _, array in request.encoded]
        if failure is not None:
            root.error = cause_of(failure.cause)
        if result is not None:
            # As a live model's trace has it: the outputs of the first response that has any.
            full = [each for each in result.responses if each]
            first = full[0].values() if full else ()
            root.outputs = [_info(each.name, each.datatype, each.numpy()) for each in first]
            root.responses = len(full)
        unseen = any(each.kind == "bls" and each.how is None for each in root.walk())
        notes = ("the stub does not say how and where its model makes calls",) if unseen else ()
        return Trace(root, id=trace, started_unix_ns=tree.started, notes=notes)

    def _records(self, trace: str) -> list[Record]:
        found = []
        for path in sorted(self._folder.glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                for line in file:
                    if not line.endswith(b"\n"):
                        break  # being written
                    self._read[path] = self._read.get(path, 0) + len(line)
                    record = json.loads(line)
                    requests = record.get("requests", [record])
                    if any(context_ids(each["context"])[0] == trace for each in requests):
                        found.append(record)
        return found


def _info(name: str, datatype: Datatype, array: np.ndarray) -> TensorInfo:
    size = datatype.size * array.size
    if not datatype.size:  # in the wire form, each text has its length in front
        size = sum(4 + len(each) for each in array.reshape(-1))
    return TensorInfo(name, datatype.label, array.shape, size)
