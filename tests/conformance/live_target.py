"""Our host in this process as a conformance target, with our stub or NVIDIA's.

Models are loaded through the session as users load them. Requests go past its conveniences (checks, conversions, errors
rewritten for people), so that texts and codes are compared as they cross the protocol.
"""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.targets import (
    PATIENCE,
    Answer,
    LoadError,
    LogLine,
    Pending,
    Target,
    Value,
    datatype_of,
)
from workbench import _host, datatypes
from workbench.errors import WorkbenchError
from workbench.session.ensemble import EnsembleRevision
from workbench.session.failures import ERROR_CODES
from workbench.session.logs import LogRecord
from workbench.session.settings import Settings
from workbench.session.ticket import Ticket
from workbench.session.workbench import Workbench
from workbench.targets.live import LiveTarget as Live

_LETTERS = {"info": "I", "verbose": "I", "warning": "W", "error": "E"}


def _number(name: str) -> int:
    return datatypes.find(name).number


def _answer(response: Any) -> Answer:
    if response.error is not None:
        code, text = response.error
        return Answer(error=text, code=ERROR_CODES[code])
    # Copies: an answer outlives the model's region.
    outputs = {tensor.name: tensor.numpy().copy() for tensor in response.outputs}
    kinds = {tensor.name: datatypes.by_number(tensor.datatype).name for tensor in response.outputs}
    return Answer(outputs, kinds, parameters=json.loads(response.parameters or "{}"))


class _Call(Pending):
    """Runs a request in a thread, as the session does."""

    def __init__(self, host: Any, revision: Any, ticket: Ticket) -> None:
        self._request = ticket.request
        self._revision = revision
        self._host = host
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(ticket,), daemon=True)
        self._thread.start()

    def _run(self, ticket: Ticket) -> None:
        try:
            with self._revision.awaiting():
                self._host.requests.execute(self._revision, ticket, None)
        except BaseException as error:  # shown by whoever waits
            self._failure = error

    def _next(self, timeout: float) -> Answer | None:
        for _ in range(max(1, round(timeout / 0.05))):
            if self._failure is not None:
                return Answer(error=_wire_text(self._failure), code="INTERNAL")
            try:
                response = self._request.next_response(0.05)
            except TimeoutError:
                continue
            except _host.StubNotHealthy as error:
                self._thread.join(10)
                return Answer(error=_wire_text(self._failure or error), code="INTERNAL")
            if response is not None:
                return _answer(response)
            if self._request.abandoned:
                return Answer(error="the model gave up the request without ending it", code="INTERNAL")
            return None
        raise TimeoutError(f"no response within {timeout:g} s")

    def responses(self, timeout: float = PATIENCE) -> list[Answer]:
        found: list[Answer] = []
        while True:
            answer = self._next(timeout)
            if answer is None:
                return found
            found.append(answer)
            if self._failure is not None or (
                self._request.complete and answer.error and self._request.abandoned
            ):
                return found

    def result(self, timeout: float = PATIENCE) -> Answer:
        return self._next(timeout) or Answer(
            error="the request was completed without a response", code="INTERNAL"
        )

    def cancel(self) -> None:
        self._request.cancel()


class _Ready(Pending):
    """An answer that is there already."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def result(self, timeout: float = PATIENCE) -> Answer:
        return self._answer

    def responses(self, timeout: float = PATIENCE) -> list[Answer]:
        return [self._answer]

    def cancel(self) -> None:
        pass


class LiveTarget(Target):
    """One `Workbench`."""

    host = "live"

    def __init__(
        self,
        folder: Path,
        stub: str,
        *,
        auto_complete: bool = False,  # the live host completes whenever a model can
        backend_config: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        log_verbose: int = 0,
    ) -> None:
        if env:
            pytest.skip("the live host's environment is this process's")
        self.stub = stub
        self._folder = folder
        self._repository = folder / "repository"
        self._repository.mkdir(parents=True)
        self._verbose = log_verbose
        self._prefix = f"wb_live_{uuid.uuid4().hex[:12]}_"
        settings = Settings(stub=stub, shm_region_prefix_name=self._prefix).updated(backend_config or {})
        self.workbench = Workbench(settings)
        self._live = Live(self.workbench)
        self._live.folders.repositories.append(
            self._repository.resolve()
        )  # for models that load others by name
        self._records: list[LogRecord] = []
        self.workbench.logs.subscribe(self._records.append)
        self.release = self.workbench.release
        self._dropping: list[threading.Thread] = []
        self._children = 0

    def write(self, name: str, files: Mapping[str, str | bytes], config: str) -> None:
        folder = self._repository / name
        for path, content in files.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else content.encode())
        if config:
            (folder / "config.pbtxt").write_text(config)

    def load_named(self, name: str, wait: float = PATIENCE) -> None:
        try:
            self._live.define(name, self._repository / name)
        except WorkbenchError as error:
            raise LoadError(_wire_text(error)) from error

    def unload(self, name: str) -> None:
        self._live.unload(name)

    def drop(self, name: str) -> None:
        def run() -> None:
            with contextlib.suppress(WorkbenchError):
                self._live.unload(name)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self._dropping.append(thread)

    def ready(self, name: str) -> bool:
        return self._live.ready(name)

    def send(
        self,
        name: str,
        inputs: Mapping[str, Value],
        *,
        stream: bool = False,
        outputs: Sequence[str] = (),
        request_id: str = "",
        parameters: Mapping[str, bool | int | str | float] | None = None,
        sequence: tuple[int | str, bool, bool] | None = None,
        timeout_us: int = 0,
        priority: int = 0,
    ) -> Pending:
        host = self.workbench.hosts[name]
        tuples: list[Any] = []
        for key, value in inputs.items():
            datatype, array = datatype_of(value)
            data = _host.encode_bytes(array) if datatype == "BYTES" else array.copy(order="C")
            tuples.append((key, _number(datatype), array.shape, data))
        correlation, start, end = sequence or (0, False, False)
        try:
            revision = host._serving()
            if isinstance(revision, EnsembleRevision):
                return _Ready(_answer(revision.infer(tuples, PATIENCE)))
            ticket = Ticket(
                revision,
                tuples,
                list(outputs) or revision.output_names,
                request_id=request_id,
                correlation_id=correlation,
                flags=start * 1 | end * 2,
                timeout_us=timeout_us,
                parameters=json.dumps(dict(parameters or {}), separators=(",", ":")),
            )
        except WorkbenchError as error:
            return _Ready(Answer(error=str(error), code="INTERNAL"))
        return _Call(host, revision, ticket)

    def directory(self, name: str) -> Path:
        return self._repository / name

    def stub_pids(self, name: str) -> list[int]:
        host = self.workbench.find(name)
        instances = getattr(host.current, "instances", ()) if host is not None else ()
        return sorted(
            each.process.pid for each in instances if each.process is not None and each.channel.alive
        )

    def regions(self) -> list[Path]:
        return sorted(Path("/dev/shm").glob(f"{self._prefix}*"))

    def log_mark(self) -> int:
        return len(self._records)

    def log_lines(self, since: int) -> list[LogLine]:
        return [
            LogLine(_LETTERS[each.level], Path(each.file).name, each.line, each.raw or each.text)
            for each in self._records[since:]
            if each.level in _LETTERS and (each.level != "verbose" or self._verbose)
        ]

    def log_text(self, since: int) -> str:
        return "\n".join(each.text for each in self._records[since:])

    def metrics(self) -> str:
        return self.workbench.metrics.dump()

    @contextlib.contextmanager
    def another(self, **options: Any) -> Iterator[LiveTarget]:
        self._children += 1
        other = LiveTarget(self._folder / f"another-{self._children}", self.stub, **options)
        try:
            yield other
        finally:
            other.close()

    def close(self) -> None:
        for each in self._dropping:
            each.join(30)
        self.workbench.close()

    def kill_host(self) -> None:
        raise NotImplementedError("the live host is this process")


def _wire_text(error: BaseException) -> str:
    """What crossed the protocol, before the session made an error for people of it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (_host.ModelError, _host.StubNotHealthy, _host.PoolExhausted)):
            return str(cause.args[0])
        cause = cause.__cause__ or cause.__context__
    return str(error)
