"""One model: which revision serves, how the next takes over, and the way of a request."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import copy_context
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench import _host
from workbench.changes import Changes
from workbench.errors import (
    InferTimeout,
    InputError,
    ModelConfigError,
    ModelExecutionError,
    ModelLoadError,
    ModelNotFound,
    RequestInfo,
    WorkbenchError,
)
from workbench.messages import InferResponse, InferResult, RawResponse
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.session import failures
from workbench.session.asynchronous import Cancellation
from workbench.session.calls import refuse_reschedule
from workbench.session.ensemble import EnsembleRevision
from workbench.session.instance import Instance, StartPlan, auto_complete
from workbench.session.patching import check_patchable, patch
from workbench.session.recorder import Recorder
from workbench.session.revision import Retired, Revision
from workbench.session.running import run_batch
from workbench.session.ticket import SEQUENCE_END, SEQUENCE_START, Ticket
from workbench.session.warmup import warm_up

if TYPE_CHECKING:
    from workbench.session.bench import BenchResult

__all__ = ["ModelHost", "SequenceMark"]

_RETIRE_SECONDS = 60.0
_FINAL_HINT = "end with sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)"
_RETURN_HINT = "return a response, or answer through request.get_response_sender()"

SequenceMark = tuple[int | str, bool, bool]  # correlation id, start, end


class ModelHost:
    """Serves one model by name. The last good revision answers until a newer one is ready."""

    def __init__(self, name: str, changes: Changes | None = None) -> None:
        self.name = name
        self.changes = changes or Changes()
        self.current: Revision | EnsembleRevision | None = None
        self.failure: WorkbenchError | None = None  # of the last load, None if it went well
        self.tried: ModelSource | None = None  # what was loaded last, or could not be
        self.loading = False
        self.last_bench: BenchResult | None = None
        self.reload_ms: float | None = None  # how long the last load took, if it replaced a model that served
        self.successes = 0
        self.failures = 0
        self.recorder = Recorder()
        self._load_lock = threading.Lock()
        self._retiring: list[threading.Thread] = []

    @property
    def state(self) -> str:
        """READY, FAILED (nothing serves, the last load failed) or UNAVAILABLE."""
        if self.current is not None:
            return "READY" if self.current.failure is None else "FAILED"
        return "FAILED" if self.failure is not None else "UNAVAILABLE"

    @property
    def config(self) -> ModelConfig:
        return self._serving().config

    @property
    def entry(self) -> ModelEntry:
        return self._serving().plan.entry

    @property
    def serving(self) -> str:
        """``src:3f9a1c2`` of the revision that answers, or ""."""
        current = self.current
        return current.src if current is not None and current.failure is None else ""

    @property
    def patched(self) -> bool:
        """Whether methods of what serves were swapped since it was initialized."""
        current = self.current
        return current is not None and current.plan.entry.patched

    def counts(self) -> dict[str, int]:
        """Requests since the session began."""
        return {"success": self.successes, "failure": self.failures}

    # -- loading -------------------------------------------------------------------------------------------

    def load(self, plan: StartPlan) -> Revision | EnsembleRevision:
        """Bring up a new revision completely, then let it take over from the current one.

        Raises:
            ModelLoadError: the model failed to load; the current revision goes on serving.
            ModelConfigError: auto-complete gave a bad configuration, or nothing declares inputs and outputs.
        """
        with self._load_lock:
            plan = replace(plan, serving=self.serving)
            self.tried, self.loading = plan.entry.source, True
            self.changes.emit(self.name)
            begun = time.perf_counter()
            try:
                revision = self._start(plan)
            except BaseException as error:
                self.loading = False
                failed = error.alone() if isinstance(error, WorkbenchError) else None
                self.failure = failed or self.failure
                self.changes.emit(self.name, failed)
                raise
            self.loading = False
            revision.on_change = lambda error: self.changes.emit(self.name, error)
            old = self.current
            self.current, self.failure = revision, None
            self.reload_ms = (time.perf_counter() - begun) * 1e3 if old is not None else None
            self.changes.emit(self.name)
            if old is not None:
                self._retire(old)
            return revision

    def refuse(self, source: ModelSource | None, error: WorkbenchError) -> None:
        """A source was found to be no model before it was loaded: the last load failed."""
        self.tried, self.failure = source, error.alone()
        self.changes.emit(self.name, error)

    def patch(self, source: ModelSource, make: Callable[[ModelConfig], ModelEntry]) -> None:
        """Give what serves the methods of another source, without ``initialize``.

        Args:
            source: The source.
            make: Makes its folder, given the effective configuration.

        Raises:
            WorkbenchError: it cannot be patched; see `patching.check_patchable`.
            ModelLoadError: the new source failed. What served goes on serving.
        """
        with self._load_lock:
            revision = check_patchable(self._serving())
            self.tried = source
            begun = time.perf_counter()
            try:
                entry = make(revision.config)
                try:
                    patch(revision, entry, revision.plan.settings.stub_timeout_seconds)
                except BaseException:
                    revision.plan.discard(entry)
                    raise
            except WorkbenchError as error:
                self.failure = error.alone()
                self.changes.emit(self.name, error)
                raise
            self.failure = None
            self.reload_ms = (time.perf_counter() - begun) * 1e3
            self.changes.emit(self.name)

    def _start(self, plan: StartPlan) -> Revision | EnsembleRevision:
        if plan.config.is_ensemble:
            return EnsembleRevision(plan)
        if plan.entry.source.mentions_auto_complete:
            config = auto_complete(replace(plan, services=None), self._finish)
            plan = replace(plan, config=config, entry=replace(plan.entry, config=config))
        if plan.config.declares_nothing:
            raise ModelConfigError(
                f"{self.name} declares no inputs or outputs",
                hint="add --in/--out, a %%triton config cell, or auto_complete_config",
            )
        revision = Revision(plan)
        try:
            warm_up(revision)
        except BaseException:
            revision.retire(_RETIRE_SECONDS)
            raise
        return revision

    def _retire(self, revision: Revision | EnsembleRevision) -> None:
        def run() -> None:
            revision.retire(_RETIRE_SECONDS)
            _discard(revision)

        self._later(run)

    def _finish(self, instance: Instance) -> None:
        self._later(instance.finalize)

    def _later(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=f"workbench-retire-{self.name}", daemon=True)
        thread.start()
        self._retiring = [each for each in self._retiring if each.is_alive()] + [thread]

    def unload(self, timeout: float = _RETIRE_SECONDS) -> None:
        """Stop serving; finalize every instance, waiting for it. Idempotent."""
        with self._load_lock:
            revision = self.current
            self.current, self.failure = None, None
            self.changes.emit(self.name)
            if revision is not None:
                revision.retire(timeout)
                _discard(revision)
        for each in self._retiring:
            each.join(timeout)

    # -- inference -----------------------------------------------------------------------------------------

    def infer(
        self,
        inputs: Mapping[str, Any],
        *,
        timeout: float | None = 30.0,
        parameters: Mapping[str, bool | int | str] | None = None,
        request_id: str = "",
        sequence: SequenceMark | None = None,
        cancellation: Cancellation | None = None,
        span: int = 0,
    ) -> InferResult:
        """Send one request and wait for all its responses. A model that is told of the cancellation may
        answer early. ``span``: on whose behalf, for traces.

        Raises:
            InputError: the inputs do not fit.
            ModelExecutionError: the model raised, or answered with an error.
            InferTimeout: no (last) answer within `timeout` seconds. A model stuck in execute is restarted.
            StubCrashedError: the process died; it is restarted.
            ShmExhausted: the region could not grow.
        """
        while True:
            revision = self._serving()
            notes: list[str] = []
            tuples = revision.encoder.encode(inputs, notes)
            responses: Sequence[RawResponse]
            try:
                if isinstance(revision, EnsembleRevision):
                    options = request_options(parameters, sequence)
                    responses = [
                        revision.infer(tuples, timeout, request_id=request_id, parent=span, **options)
                    ]
                else:
                    ticket = self._ticket(revision, tuples, parameters, request_id, sequence, span)
                    if cancellation is not None:
                        cancellation.attach(ticket.request)
                    responses = self._run(revision, ticket, tuples, timeout)
            except Retired:
                continue
            except WorkbenchError as error:
                self.failures += 1
                self.recorder.keep(inputs, tuples, (), error, revision.src, parameters, request_id, sequence)
                self.changes.emit(self.name, error)
                raise
            self.successes += 1
            self.recorder.keep(
                inputs, tuples, responses, None, revision.src, parameters, request_id, sequence
            )
            self.changes.emit(self.name)
            return self._result(revision, responses, request_id, notes)

    def stream(
        self,
        inputs: Mapping[str, Any],
        *,
        timeout: float | None = 30.0,
        cancellation: Cancellation | None = None,
        **options: Any,
    ) -> Iterator[InferResult]:
        """Send one request and give each response as it comes; an error is raised when its turn comes.

        ``timeout`` is the longest wait for one response. Leaving the iterator early, or the cancellation,
        cancels the request. ``options`` are parameters, request_id and sequence, as of `infer`.
        """
        while True:
            try:
                yield from self._stream(inputs, timeout, cancellation or Cancellation(), **options)
                return
            except Retired:
                continue  # before anything came of it

    def _stream(
        self,
        inputs: Mapping[str, Any],
        timeout: float | None,
        cancellation: Cancellation,
        *,
        parameters: Mapping[str, bool | int | str] | None = None,
        request_id: str = "",
        sequence: SequenceMark | None = None,
    ) -> Iterator[InferResult]:
        revision = self._serving()
        if isinstance(revision, EnsembleRevision):
            yield self.infer(
                inputs,
                timeout=timeout,
                parameters=parameters,
                request_id=request_id,
                sequence=sequence,
            )
            return
        tuples = revision.encoder.encode(inputs)
        ticket = self._ticket(revision, tuples, parameters, request_id, sequence)
        request = ticket.request
        cancellation.attach(request)
        # execute returns only when the model's execute has: a thread runs it while responses are taken here.
        outcome: list[BaseException] = []
        context = copy_context()

        def run() -> None:
            try:
                context.run(self._execute, revision, ticket, timeout)
            except BaseException as error:  # handed over to the iterator
                outcome.append(error)
                request.cancel()

        worker = threading.Thread(target=run, name=f"workbench-stream-{self.name}", daemon=True)
        finished = False
        with revision.awaiting():
            worker.start()
            try:
                while True:
                    response = self._next(revision, request, timeout, outcome, worker, cancellation)
                    if response is None:
                        finished = True
                        if request.abandoned:
                            raise self._no_final_flag(revision, tuples, [])
                        return
                    if response.error is not None:
                        raise self._error(revision, tuples, response, [])
                    yield self._result(revision, [response], request_id)
            finally:
                if not finished:
                    request.cancel()
                worker.join(1.0)
                outcome.clear()  # an error's traceback leads back here

    def _result(
        self,
        revision: Revision | EnsembleRevision,
        responses: Sequence[RawResponse],
        request_id: str,
        notes: Sequence[str] = (),
    ) -> InferResult:
        return InferResult(
            self.name,
            responses,
            declared=revision.config.outputs,
            batched=revision.config.max_batch_size > 0,
            notes=notes,
            request_id=request_id,
        )

    def _next(
        self,
        revision: Revision,
        request: _host.Request,
        timeout: float | None,
        outcome: list[BaseException],
        worker: threading.Thread,
        cancellation: Cancellation,
    ) -> _host.Response | None:
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            if cancellation.cancelled:
                raise GeneratorExit  # as if the iterator had been left
            if outcome:
                raise outcome[0]
            left = 0.1 if end is None else min(0.1, max(end - time.monotonic(), 0.0))
            try:
                response = request.next_response(left)
            except TimeoutError:
                if end is not None and time.monotonic() >= end:
                    raise self._no_final(revision, request, 0, timeout) from None
                continue
            except _host.StubNotHealthy:
                worker.join(1.0)
                if outcome:
                    raise outcome[0] from None
                raise
            if response is None and outcome:
                raise outcome[0]
            return response

    def _ticket(
        self,
        revision: Revision,
        tuples: list[_host.TensorTuple],
        parameters: Mapping[str, bool | int | str] | None,
        request_id: str,
        sequence: SequenceMark | None,
        span: int = 0,
    ) -> Ticket:
        if parameters is None and sequence is None:
            return Ticket(revision, tuples, revision.output_names, request_id=request_id, parent=span)
        more: dict[str, Any] = request_options(parameters, sequence)
        return Ticket(revision, tuples, revision.output_names, request_id=request_id, parent=span, **more)

    def _run(
        self,
        revision: Revision,
        ticket: Ticket,
        tuples: list[_host.TensorTuple],
        timeout: float | None,
    ) -> list[_host.Response]:
        if revision.decoupled:
            with revision.awaiting():
                return self._collect(revision, ticket, tuples, timeout)
        return self._collect(revision, ticket, tuples, timeout)

    def _collect(
        self,
        revision: Revision,
        ticket: Ticket,
        tuples: list[_host.TensorTuple],
        timeout: float | None,
    ) -> list[_host.Response]:
        instance = self._execute(revision, ticket, timeout)
        request = ticket.request
        responses: list[_host.Response] = []
        decoupled = revision.decoupled
        while True:
            try:
                response = request.next_response(timeout)
            except TimeoutError:
                raise self._no_final(revision, request, len(responses), timeout) from None
            except _host.StubNotHealthy:
                if instance is None:
                    raise
                raise revision.lose(instance, "before its last response") from None
            except KeyboardInterrupt:
                request.cancel()
                raise
            if response is None:
                break
            if response.error is not None:
                if instance is not None and decoupled:
                    instance.catch_up()
                raise self._error(revision, tuples, response, responses)
            responses.append(response)
            if not decoupled:
                break
        if instance is not None and decoupled:
            instance.catch_up()
        if request.abandoned or not (responses or decoupled):
            raise self._no_final_flag(revision, tuples, responses)
        return responses

    def _execute(self, revision: Revision, ticket: Ticket, timeout: float | None) -> Instance | None:
        """Run the request; gives the instance that did, or None where a scheduler chose it."""
        if revision.queue is not None:
            revision.queue.run(ticket, timeout)
            return None
        instance = revision.take(timeout)
        instance.route.context = copy_context()
        try:
            run_batch(revision, instance, [ticket.request], timeout)
        finally:
            if not instance.lost:
                if not revision.decoupled:
                    instance.catch_up()
                revision.give(instance)
        if ticket.request.rescheduled:
            refuse_reschedule(revision, ticket.request)
        return instance

    def _error(
        self,
        revision: Revision,
        tuples: list[_host.TensorTuple],
        response: _host.Response,
        before: list[_host.Response],
    ) -> ModelExecutionError:
        assert response.error is not None
        code, text = response.error
        return failures.execution_error(
            revision.plan.entry,
            code,
            text,
            RequestInfo(self.name, revision.encoder.describe(tuples)),
            [InferResponse(each) for each in before],
            revision.plan.lines,
        )

    def _no_final(
        self, revision: Revision, request: _host.Request, count: int, timeout: float | None
    ) -> InferTimeout:
        request.cancel()
        limit = f"within {timeout:g} s" if timeout is not None else "in time"
        if revision.decoupled:
            answered = f"sent {count} response{'' if count == 1 else 's'} but no final flag"
            hint = _FINAL_HINT
        else:
            answered = "returned None from execute and did not answer"
            hint = _RETURN_HINT
        return InferTimeout(f"{self.name} {answered} {limit}", hint=hint)

    def _no_final_flag(
        self, revision: Revision, tuples: list[_host.TensorTuple], responses: list[_host.Response]
    ) -> ModelExecutionError:
        """The model let go of the request without ending it: a client of a server waits for ever."""
        entry, count = revision.plan.entry, len(responses)
        line = entry.source.line_of("TritonPythonModel.execute")
        sent = (
            f"sent {count} response{'' if count == 1 else 's'} but no final flag"
            if count
            else "sent no response"
        )
        return ModelExecutionError(
            f"{self.name} {sent}, and gave up the request",
            frames=failures.make_frames(entry, [(str(entry.code_file), line, "execute")]) if line else [],
            where=f"{self.name}.execute, request 1 of 1",
            request=RequestInfo(self.name, revision.encoder.describe(tuples)),
            responses=[InferResponse(each) for each in responses],
            hint=_FINAL_HINT if revision.decoupled else _RETURN_HINT,
        )

    def _serving(self) -> Revision | EnsembleRevision:
        current = self.current
        if current is not None:
            if current.failure is not None:
                raise current.failure.alone()
            return current
        if self.failure is not None:
            raise ModelLoadError(
                f"{self.name} is not loaded: {self.failure}",
                cause=str(self.failure),
                frames=getattr(self.failure, "frames", ()),
                hint="run its cell again once mended",
            )
        raise ModelNotFound(f"{self.name} is not loaded", hint="run its %%triton model cell")


def _discard(revision: Revision | EnsembleRevision) -> None:
    for entry in revision.entries:
        revision.plan.discard(entry)


def request_options(
    parameters: Mapping[str, bool | int | str] | None, sequence: SequenceMark | None
) -> dict[str, Any]:
    """Parameters and sequence of a request, as keywords of `Ticket`.

    Raises:
        InputError: a parameter is of another type.
    """
    more: dict[str, Any] = {}
    if parameters:
        for key, value in parameters.items():
            if not isinstance(value, (bool, int, str)):
                raise InputError(f"parameter {key} is bool, int or str, got {type(value).__name__}")
        more["parameters"] = json.dumps(dict(parameters), separators=(",", ":"))
    if sequence is not None:
        identity, start, end = sequence
        more["correlation_id"] = identity
        more["flags"] = SEQUENCE_START * start | SEQUENCE_END * end
    return more
