"""Ensembles: a request runs through several models of the session; there is no process of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from workbench import _host
from workbench.errors import (
    InferTimeout,
    ModelExecutionError,
    ModelNotFound,
    RequestInfo,
    WorkbenchError,
)
from workbench.session import failures, mocks
from workbench.session.calls import SLICE, Caller, PendingCall, execute
from workbench.session.ensemble_graph import EnsembleGraph, Signature, Step
from workbench.session.inputs import InputEncoder
from workbench.session.mocks import PlainOutput, PlainResponse
from workbench.session.request_check import CoreRefusal, check_request
from workbench.session.shm import exhausted, is_exhaustion
from workbench.session.span_tap import SpanTap
from workbench.session.ticket import Ticket

if TYPE_CHECKING:
    from workbench.session.bls import BlsRouter
    from workbench.session.instance import Instance, StartPlan
    from workbench.session.revision import Revision

__all__ = ["EnsembleRevision", "RequestMeta"]

_INTERNAL = 1


@dataclass(frozen=True)
class RequestMeta:
    """What every step's request carries over from the ensemble's."""

    request_id: str = ""
    correlation_id: int | str = 0
    flags: int = 0
    timeout_us: int = 0
    parameters: str = "{}"
    trace_context: str = ""
    parent: int = 0  # span it is made for


class EnsembleRevision:
    """One loaded revision of an ensemble. To the session it is like a revision with no instances."""

    decoupled = False
    queue = None

    def __init__(self, plan: StartPlan) -> None:
        """Check the steps against the models they name.

        Raises:
            ModelConfigError: they do not fit.
        """
        assert plan.services is not None
        self.plan = plan
        self.config = plan.config
        self.encoder = InputEncoder(plan.config)
        self.output_names = [spec.name for spec in plan.config.outputs]
        self.failure: WorkbenchError | None = None
        #: As of `Revision`; an ensemble has no processes of its own, so nothing is ever told.
        self.on_change: Callable[[WorkbenchError | None], None] = lambda error: None
        self.retired = False
        self.entries = [plan.entry]
        self.instances: list[Instance] = []
        self._models = plan.services.bls
        self._tracing = SpanTap(plan.services.tap)
        self.graph = EnsembleGraph(plan.config, lambda name: _signature(self._models, name))

    @property
    def src(self) -> str:
        return self.plan.entry.source.src

    def retire(self, timeout: float) -> None:
        """Nothing of its own is to be stopped."""
        self.retired = True

    def infer(self, inputs: list[_host.TensorTuple], timeout: float | None, **meta: Any) -> PlainResponse:
        """One request of a user.

        Raises:
            ModelExecutionError: a step failed; the message ends with the model's name.
            InferTimeout, StubCrashedError, ShmExhausted: as of the models.
        """
        run = _Run(self.plan)
        try:
            return self.run(inputs, (), RequestMeta(**meta), run, timeout, copy_context())
        except ModelExecutionError as error:
            step = self._models.serving(error.request.model) if error.request is not None else None
            if step is None or not is_exhaustion(error.wire_text):
                raise
            capacity = max(each.channel.capacity for each in step.instances)
            raise exhausted(step.config.name, error.wire_text, capacity) from None

    def run(
        self,
        inputs: Sequence[_host.TensorTuple],
        requested: Sequence[str],
        meta: RequestMeta,
        caller: Caller,
        timeout: float | None = None,
        context: Context | None = None,
    ) -> PlainResponse:
        """One request.

        Args:
            inputs: Checked tensors.
            requested: Outputs wanted; all if empty. Steps that none of them needs are not run.
            meta: What the steps' requests carry over.
            caller: On whose behalf models are asked.
            timeout: Seconds for all of it.
            context: Where what the models print belongs to.
        """
        outputs = list(requested) or self.output_names
        with self._tracing.span(self.config.name, inputs, meta.parent) as span:
            meta = replace(meta, parent=span.id)
            flow = _Flow(self, {each[0]: each for each in inputs}, meta, caller, timeout, context)
            flow.work(self.graph.needed(outputs))
            found = [(name, *flow.values[name][1:]) for name in outputs if name in flow.values]
            span.outputs(found)
        return PlainResponse([PlainOutput(*each) for each in found])


class _Run:
    """Who asks, where nobody but the user does: see `Caller`."""

    def __init__(self, plan: StartPlan) -> None:
        self.plan = plan
        self.pending: dict[object, tuple[Revision, Instance | None]] = {}
        self.lost = False


class _Flow:
    """One request on its way through the steps. ``values`` are the ensemble tensors so far."""

    def __init__(
        self,
        ensemble: EnsembleRevision,
        values: dict[str, _host.TensorTuple],
        meta: RequestMeta,
        caller: Caller,
        timeout: float | None,
        context: Context | None,
    ) -> None:
        self.values = values
        self._ensemble = ensemble
        self._meta = meta
        self._caller = caller
        self._end = None if timeout is None else time.monotonic() + timeout
        self._context = context
        self._absent = set(ensemble.graph.inputs) - values.keys()  # optional inputs that were not sent
        self._done: SimpleQueue[tuple[Step, BaseException | None]] = SimpleQueue()

    def work(self, steps: list[Step]) -> None:
        """Run the steps, those that can at the same time. Raises the first error once all have stopped."""
        waiting, running = list(steps), 0
        failure: BaseException | None = None
        try:
            while (waiting and failure is None) or running:
                able = [step for step in waiting if failure is None and self._able(step)]
                if len(able) == 1 and not running:
                    waiting.remove(able[0])
                    self._step(able[0])  # in this thread: Ctrl-C ends it as it ends a single model's request
                    continue
                for step in able:
                    waiting.remove(step)
                    running += 1
                    threading.Thread(
                        target=copy_context().run,
                        args=(self._in_thread, step),
                        name=f"workbench-step-{step.model}",
                        daemon=True,
                    ).start()
                _, error = self._done.get()
                running -= 1
                failure = failure or error
        except KeyboardInterrupt:
            self._stop()
            raise
        if failure is not None:
            raise failure

    def _able(self, step: Step) -> bool:
        return all(tensor in self.values or tensor in self._absent for tensor in step.inputs.values())

    def _in_thread(self, step: Step) -> None:
        try:
            self._step(step)
        except BaseException as error:  # handed over
            self._done.put((step, error))
        else:
            self._done.put((step, None))

    def _stop(self) -> None:
        """Take the models from the steps under way, as Ctrl-C does with a single one."""
        self._caller.lost = True
        for revision, instance in list(self._caller.pending.values()):
            if instance is not None:
                revision.lose(instance, "in execute", patience=0, reason="SIGKILL")

    # -- one step ------------------------------------------------------------------------------------------

    def _step(self, step: Step) -> None:
        inputs: list[_host.TensorTuple] = [
            (name, *self.values[tensor][1:]) for name, tensor in step.inputs.items() if tensor in self.values
        ]
        try:
            outputs = self._ask(step, inputs)
        except CoreRefusal as refusal:
            raise self._error(step, "INVALID_ARG", str(refusal)) from None
        except ModelExecutionError as error:
            if error.where and "of ensemble" not in error.where:
                error.where += f", {step} of ensemble {self._ensemble.config.name}"
            raise
        by_name = {each[0]: each for each in outputs}
        for name, tensor in step.outputs.items():
            found = by_name.get(name)
            if found is None:
                raise self._error(
                    step, "INTERNAL", f"{step.model} sent no {name}, which is to become {tensor}"
                )
            self.values[tensor] = (tensor, *found[1:])

    def _ask(self, step: Step, inputs: list[_host.TensorTuple]) -> list[_host.TensorTuple]:
        """Ask the step's model, whatever it is now: it may have been loaded again."""
        from workbench.session.revision import Retired

        router, wanted = self._ensemble._models, list(step.outputs)
        while True:
            target = router.serving(step.model)
            if target is None:
                mock = router.mocks.get(step.model)
                if mock is None:
                    raise ModelNotFound(
                        f"{self._ensemble.config.name} needs {step.model}, which is not loaded",
                        hint="load it again; %triton models lists what is",
                    )
                arrays = {each[0]: mocks.to_array(each) for each in inputs}
                with self._ensemble._tracing.span(step.model, inputs, self._meta.parent) as span:
                    answer = mocks.answer(step.model, mock, arrays, wanted)
                    span.outputs(answer)
                return answer
            if target.failure is not None:
                raise target.failure.alone()
            if step.version not in (-1, target.plan.entry.version):
                raise self._error(step, "UNAVAILABLE", f"Model '{step.model}' is not ready.")
            checked, outputs = check_request(target, inputs, wanted, self._meta.request_id)
            try:
                if isinstance(target, EnsembleRevision):
                    made = target.run(checked, outputs, self._meta, self._caller, self._left(), self._context)
                    return [(each.name, each.datatype, each.shape, each.data) for each in made.outputs]
                return self._run_model(step, target, checked, outputs)
            except Retired:
                continue

    def _run_model(
        self, step: Step, target: Revision, inputs: list[_host.TensorTuple], outputs: list[str]
    ) -> list[_host.TensorTuple]:
        ticket = Ticket(target, inputs, outputs, **vars(self._meta))
        with PendingCall(self._caller, target, self._context) as call, target.awaiting():
            execute(ticket, target, call, self._left())
            responses = self._responses(step, target, ticket)
        if target.decoupled:
            responses = [each for each in responses if each.outputs]
            if len(responses) != 1:
                raise self._error(
                    step,
                    "UNSUPPORTED",
                    f"{step.model} is decoupled and answered {len(responses)} times; a step of an ensemble "
                    "takes exactly one response",
                )
        return [(each.name, each.datatype, each.shape, each) for each in responses[0].outputs]

    def _responses(self, step: Step, target: Revision, ticket: Ticket) -> list[_host.Response]:
        found: list[_host.Response] = []
        while True:
            try:
                response = ticket.request.next_response(SLICE)
            except TimeoutError:
                left = self._left()
                if self._caller.lost or (left is not None and left <= 0):
                    ticket.request.cancel()
                    raise InferTimeout(
                        f"{step.model} did not end its answer in time, {step} of ensemble "
                        f"{self._ensemble.config.name}"
                    ) from None
                continue
            except _host.StubNotHealthy:
                raise WorkbenchError(f"{step.model} died before its last response") from None
            if response is None:
                if not found and not target.decoupled:
                    raise self._error(step, "INTERNAL", f"{step.model} sent no response")
                return found
            if response.error is not None:
                code, text = response.error
                info = RequestInfo(step.model, target.encoder.describe(ticket.inputs))
                error = failures.execution_error(target.plan.entry, code, text, info, lines=target.plan.lines)
                error.wire_text = text
                raise error
            found.append(response)
            if not target.decoupled:
                return found

    def _left(self) -> float | None:
        return None if self._end is None else max(self._end - time.monotonic(), 0.0)

    def _error(self, step: Step, code: str, text: str) -> ModelExecutionError:
        name = self._ensemble.config.name
        return ModelExecutionError(
            f"{text} ({name})", cause=text, code=code, where=f"{step} of ensemble {name}"
        )


def _signature(router: BlsRouter, name: str) -> Signature | None:
    target = router.serving(name)
    if target is not None:
        return Signature(target.config.inputs, target.config.outputs, target.config.max_batch_size)
    mock = router.mocks.get(name)
    if isinstance(mock, mocks.MockModel):
        return Signature(mock.config.inputs, mock.config.outputs)
    return None
