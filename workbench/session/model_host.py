"""One model: which revision serves, how the next takes over, and what requests came to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.changes import Changes
from workbench.errors import (
    ModelConfigError,
    ModelLoadError,
    ModelNotFound,
    WorkbenchError,
)
from workbench.messages import InferResult, RawResponse
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.session.asynchronous import Cancellation
from workbench.session.ensemble import EnsembleRevision
from workbench.session.instance import Instance, StartPlan, auto_complete
from workbench.session.patching import check_patchable, patch
from workbench.session.recorder import Recorder
from workbench.session.request_runner import RequestRunner, SequenceMark, request_options
from workbench.session.revision import Retired, Revision
from workbench.session.stages import LiveStages
from workbench.session.warmup import warm_up

if TYPE_CHECKING:
    from workbench.session.bench import BenchResult

__all__ = ["ModelHost", "not_loaded", "nothing_declared"]

_RETIRE_SECONDS = 60.0


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
        self.requests = RequestRunner(name)
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
            raise nothing_declared(self.name)
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

    def stages(self) -> LiveStages:
        """A clock for the stages of requests. Raises WorkbenchError if they cannot be told."""
        revision = self._serving()
        if isinstance(revision, EnsembleRevision):
            raise WorkbenchError(
                f"{self.name} is an ensemble: its requests have no stages of their own",
                hint=f"%triton trace {self.name} shows its steps",
            )
        assert revision.plan.services is not None
        return LiveStages(revision.plan.services.tap)

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
                    ticket = self.requests.ticket(revision, tuples, parameters, request_id, sequence, span)
                    if cancellation is not None:
                        cancellation.attach(ticket.request)
                    responses = self.requests.run(revision, ticket, tuples, timeout)
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
            return self.requests.result(revision, responses, request_id, notes)

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
                revision = self._serving()
                if isinstance(revision, EnsembleRevision):
                    yield self.infer(inputs, timeout=timeout, **options)
                else:
                    cancelling = cancellation or Cancellation()
                    yield from self.requests.stream(revision, inputs, timeout, cancelling, **options)
                return
            except Retired:
                continue  # before anything came of it

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
        raise not_loaded(self.name)


def not_loaded(name: str) -> ModelNotFound:
    """The error for a name under which nothing serves."""
    return ModelNotFound(f"{name} is not loaded", hint="run its %%triton model cell")


def nothing_declared(name: str) -> ModelConfigError:
    """The error for a model of which nobody says what it takes and gives."""
    return ModelConfigError(
        f"{name} declares no inputs or outputs",
        hint="add --in/--out, a %%triton config cell, or auto_complete_config",
    )


def _discard(revision: Revision | EnsembleRevision) -> None:
    for entry in revision.entries:
        revision.plan.discard(entry)
