"""A model as users hold it: a name, looked up in the session each time, so that a reload needs no new
handle.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from workbench import preview
from workbench.errors import (
    InferTimeout,
    ModelExecutionError,
    ShmExhausted,
    StubCrashedError,
    WorkbenchError,
)
from workbench.messages import InferResult
from workbench.model_config import ModelConfig
from workbench.session.asynchronous import Cancellation, in_thread, iterate_in_thread
from workbench.session.inputs import split_options
from workbench.session.model_host import ModelHost, not_loaded
from workbench.session.model_table import HEAD, signature

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.session.batch import InferBatch
    from workbench.session.bench import BenchResult
    from workbench.session.log_view import LogView
    from workbench.session.replay import ReplayReport
    from workbench.session.workbench import Workbench
    from workbench.shm_inspect.report import ShmReport
    from workbench.targets.parity import ParityReport
    from workbench.targets.push_report import PushReport, PushReports
    from workbench.trace.trace import Trace

__all__ = ["Model"]

# Ends of a request, as opposed to one that was never sent.
_TRACED = (InferTimeout, ModelExecutionError, ShmExhausted, StubCrashedError)


class Model:
    """A live model. Loading it again under the same name changes what this handle reaches."""

    target = "live"

    def __init__(self, workbench: Workbench, name: str) -> None:
        self._workbench = workbench
        self.name = name

    @property
    def _host(self) -> ModelHost:
        host = self._workbench.hosts.get(self.name)
        if host is None:
            raise not_loaded(self.name)
        return host

    @property
    def state(self) -> str:
        """READY, FAILED or UNAVAILABLE."""
        host = self._workbench.hosts.get(self.name)
        return host.state if host is not None else "UNAVAILABLE"

    def ready(self) -> bool:
        """What a server's ready query says: its processes live, and its own ``is_ready`` agrees.

        That is asked by releases from 26.03 on. Requests are served either way.
        """
        return not self._workbench.why_not_ready(self.name)

    @property
    def config(self) -> ModelConfig:
        """The effective configuration, auto-completed."""
        return self._host.config

    @property
    def source(self) -> str:
        """The text of model.py that serves."""
        return self._host.entry.source.text

    @property
    def src(self) -> str:
        """``src:3f9a1c2``: the first digits of the SHA-256 of the source that serves; "" if none does."""
        host = self._workbench.hosts.get(self.name)
        return host.serving if host is not None else ""

    @property
    def is_patched(self) -> bool:
        """Whether its methods were swapped since ``initialize``; then it is neither exported nor pushed."""
        host = self._workbench.hosts.get(self.name)
        return host is not None and host.patched

    @property
    def error(self) -> WorkbenchError | None:
        """Why the last load failed; None if it went well."""
        host = self._workbench.hosts.get(self.name)
        return host.failure if host is not None else None

    def infer(
        self,
        inputs: Mapping[str, Any] | None = None,
        /,
        *,
        timeout: float | None = 30.0,
        parameters: Mapping[str, bool | int | str] | None = None,
        request_id: str = "",
        sequence: tuple[int | str, bool, bool] | None = None,
        **tensors: Any,
    ) -> InferResult:
        """Send one request.

        Args:
            inputs: Values by input name; numbers, lists, arrays, anything with ``__dlpack__``.
            timeout: Seconds to wait, None for ever. A model stuck in ``execute`` is restarted when they are
                over.
            parameters: Request parameters.
            request_id: What ``request.request_id()`` gives in the model.
            sequence: Correlation id, whether this starts the sequence, whether it ends it.
            **tensors: More inputs, by keyword.

        Raises:
            InputError, ModelExecutionError, InferTimeout, StubCrashedError, ShmExhausted, ModelNotFound.
        """
        given = tensors if inputs is None else {**inputs, **tensors} if tensors else inputs
        debugger = self._workbench.debugger
        if debugger.attached:  # somebody may sit at a prompt: no time limit
            return debugger.attend(
                lambda: self._host.infer(
                    given, timeout=None, parameters=parameters, request_id=request_id, sequence=sequence
                )
            )
        return self._host.infer(
            given, timeout=timeout, parameters=parameters, request_id=request_id, sequence=sequence
        )

    def infer_batch(self, requests: Sequence[Mapping[str, Any]], **options: Any) -> InferBatch:
        """Send several requests so that ``execute`` sees them in one list; options as of `infer`.

        Raises:
            WorkbenchUsageError: the model is an ensemble, or handles sequences.
            InputError, ModelExecutionError, InferTimeout, StubCrashedError, ShmExhausted, ModelNotFound.
        """
        from workbench.session.batch import infer_batch

        debugger = self._workbench.debugger
        if debugger.attached:
            options["timeout"] = None
        return debugger.attend(lambda: infer_batch(self._host, requests, **options))

    async def ainfer(
        self,
        inputs: Mapping[str, Any] | None = None,
        /,
        *,
        timeout: float | None = 30.0,
        parameters: Mapping[str, bool | int | str] | None = None,
        request_id: str = "",
        sequence: tuple[int | str, bool, bool] | None = None,
        **tensors: Any,
    ) -> InferResult:
        """`infer` for coroutines: any number may wait at once. Cancelling the task cancels the request."""
        if self._workbench.debugger.attached:  # an IDE, perhaps: no time limit
            timeout = None
        cancellation = Cancellation()
        work = partial(
            self._host.infer,
            {**(inputs or {}), **tensors},
            timeout=timeout,
            parameters=parameters,
            request_id=request_id,
            sequence=sequence,
            cancellation=cancellation,
        )
        return await in_thread(work, cancellation)

    def stream(
        self,
        inputs: Mapping[str, Any] | None = None,
        /,
        *,
        timeout: float | None = 30.0,
        parameters: Mapping[str, bool | int | str] | None = None,
        request_id: str = "",
        sequence: tuple[int | str, bool, bool] | None = None,
        **tensors: Any,
    ) -> Iterator[InferResult]:
        """Send one request and give each response when it comes. Leaving the loop early cancels the
        request.
        """
        options = {"parameters": parameters, "request_id": request_id, "sequence": sequence}
        return self._stream({**(inputs or {}), **tensors}, timeout, None, options)

    def astream(
        self,
        inputs: Mapping[str, Any] | None = None,
        /,
        *,
        timeout: float | None = 30.0,
        parameters: Mapping[str, bool | int | str] | None = None,
        request_id: str = "",
        sequence: tuple[int | str, bool, bool] | None = None,
        **tensors: Any,
    ) -> AsyncGenerator[InferResult, None]:
        """`stream` for coroutines: ``async for each in model.astream(...)``. Leaving early cancels the
        request when the iterator is closed; `contextlib.aclosing` does that at once.
        """
        options = {"parameters": parameters, "request_id": request_id, "sequence": sequence}
        cancellation = Cancellation()
        responses = self._stream({**(inputs or {}), **tensors}, timeout, cancellation, options)
        return iterate_in_thread(responses, cancellation)

    def _stream(
        self,
        given: Mapping[str, Any],
        timeout: float | None,
        cancellation: Cancellation | None,
        options: Mapping[str, Any],
    ) -> Iterator[InferResult]:
        host = self._host
        serving = host._serving()
        debugger = self._workbench.debugger
        limit = None if debugger.attached else timeout
        responses = host.stream(given, timeout=limit, cancellation=cancellation, **options)
        recorded = host.recorder.following(given, serving.encoder, responses, host.serving, options)
        return debugger.attend_each(recorded) if debugger.attached else recorded

    def replay(self, *, timeout: float | None = 30.0) -> ReplayReport:
        """Send the recorded requests again, and compare the answers with those recorded.

        Raises:
            InputError: a large input array was changed in place since its request.
        """
        from workbench.session.replay import ReplayReport, replay

        host, debugger = self._host, self._workbench.debugger
        limit = None if debugger.attached else timeout
        rows = debugger.attend(lambda: replay(host, host.recorder.requests, timeout=limit))
        return ReplayReport(self.name, rows)

    def trace(self, inputs: Mapping[str, Any] | None = None, /, **options: Any) -> Trace:
        """Send one request and give what it led to; options as of `infer`, tensors too. A failure is part of
        the trace.

        Raises:
            InputError: the inputs do not fit.
            WorkbenchError: recording is off.
        """
        host, recorder, debugger = self._host, self._workbench.recorder, self._workbench.debugger
        given, more = split_options(inputs, options)
        if debugger.attached:
            more["timeout"] = None
        return debugger.attend(
            lambda: recorder.capture(
                lambda span: host.infer(given, span=span, **more),
                error=lambda caught: isinstance(caught, _TRACED),
            )
        )

    def bench(self, inputs: Mapping[str, Any] | None = None, /, **options: Any) -> BenchResult:
        """Send the same request many times: see `workbench.session.bench.bench` for the options."""
        from workbench.session.bench import bench

        return bench(self._host, inputs or {}, **options)

    def shm(self, instance: int = 1) -> ShmReport:
        """What the shared-memory region of an instance holds, and what the model keeps of it.

        Raises:
            WorkbenchUsageError: there is no such instance, or the model is an ensemble.
            ModelNotFound: the model does not serve.
        """
        from workbench.session.shm import report

        return report(self._host, instance)

    def reload(self, source: Any = None, *, patch: bool = False, **options: Any) -> Model:
        """Load again, from another source if one is given. What serves goes on serving until the new one is
        ready.

        Args:
            source: As of `workbench.define`.
            patch: Only swap the methods of the living model: ``initialize`` is not called.
            **options: What else is to change, as of `workbench.define`.

        Raises:
            ModelLoadError: the new source failed.
        """
        if self._workbench.reloader is None:
            raise WorkbenchError("this session cannot make models from sources")
        return self._workbench.reloader(self.name, source, patch=patch, **options)

    def push(self, *servers: str, **options: Any) -> PushReport | PushReports:
        """Bring it onto servers, all or none. Options and errors: see `workbench.targets.delivery.push`."""
        return cast("PushReport | PushReports", self._deliver("push", servers, options))

    def parity(self, against: str = "local", **options: Any) -> ParityReport:
        """Compare it with a server. Options and errors: see `workbench.targets.delivery.compare`."""
        return cast("ParityReport", self._deliver("parity", (against,), options))

    def _deliver(self, verb: str, servers: Sequence[str], options: Mapping[str, Any]) -> Any:
        if self._workbench.courier is None:
            raise WorkbenchError("this session knows no servers")
        return self._workbench.courier(verb, self.name, servers, **options)

    def logs(self, count: int = 50, level: str = "info") -> LogView:
        """The last lines it logged, or printed outside requests; 0: all there are. Levels: verbose, info,
        warning, error.
        """
        from workbench.session.log_view import LogView

        return LogView(self._workbench.logs, self.name, count, level)

    def export(self, directory: str | Path, **options: Any) -> Any:
        """Write the model as a folder that a server loads: ``<directory>/<name>``.

        Args:
            directory: The repository; made if it is not there.
            **options: release, stub, env, python, with_requests, kserve, force: see
                `workbench.repository.export.export`.

        Returns:
            What was written, an `ExportReport`.

        Raises:
            ExportError: it cannot be written; nothing was changed.
            StubBuildError: the stub's executable cannot be built here.
        """
        if self._workbench.exporter is None:
            raise WorkbenchError("this session cannot write models as folders")
        return self._workbench.exporter([self.name], directory, **options)

    def unload(self) -> None:
        """Stop the model: requests under way end, then ``finalize`` is called."""
        self._workbench.unload(self.name)

    def to_data(self) -> dict[str, Any]:
        """The model as JSON: see docs/design/lab_link.md."""
        from workbench.session.model_data import model_data

        data = model_data(self._workbench, self.name)
        if data is None:
            raise not_loaded(self.name)
        return data

    def summary(self) -> list[str]:
        """Name, state, target, source, and the signature or the error."""
        src = f"{self.src}  patched" if self.is_patched else self.src
        row = [self.name, self.state, self.target, src or "-"]
        if self.state != "READY":
            text = str(self.error).splitlines()[0] if self.error else ""
            return [*row, text]
        return [*row, signature(self.config)]

    def __repr__(self) -> str:
        return "Model " + "  ".join(cell for cell in self.summary() if cell)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self), preview.html_table([self.summary()], HEAD, caption="Model"))
