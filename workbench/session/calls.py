"""One call to a model on behalf of another: who waits for whom, and the way to an instance."""

from __future__ import annotations

import time
from contextvars import Context
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from workbench.errors import BlsDeadlockError, InferTimeout, ModelExecutionError, WorkbenchError
from workbench.session.deadlock import find_cycle
from workbench.session.running import run_batch

if TYPE_CHECKING:
    from workbench import _host
    from workbench.session.instance import Instance, StartPlan
    from workbench.session.revision import Revision
    from workbench.session.ticket import Ticket

__all__ = ["SLICE", "Caller", "PendingCall", "execute", "execute_alone", "refuse_reschedule", "refused"]

SLICE = 0.1  # how often a wait looks whether it still makes sense
_CYCLE_SECONDS = 0.3  # a circle of waits this old does not open by itself


class Caller(Protocol):
    """Who waits for answers: an instance whose model makes calls, or a run of an ensemble."""

    plan: StartPlan
    pending: dict[object, tuple[Revision, Instance | None]]
    lost: bool


class PendingCall:
    """A call as `deadlock` sees it: pending from entering the context until leaving it.

    ``context`` is where what the model prints belongs to; None: to no cell.
    """

    def __init__(self, caller: Caller, target: Revision, context: Context | None = None) -> None:
        self.context = context
        self._caller = caller
        self._target = target
        self.instance: Instance | None = None
        self._key = object()
        self._since: float | None = None

    def __enter__(self) -> PendingCall:
        self._caller.pending[self._key] = (self._target, None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._caller.pending.pop(self._key, None)

    def taken(self, instance: Instance) -> None:
        """From now on it waits for this instance."""
        self.instance = instance
        self._caller.pending[self._key] = (self._target, instance)

    def check(self) -> None:
        """Raise if waiting on makes no sense any more.

        Raises:
            BlsDeadlockError: the wait is part of a circle; the message names it.
            WorkbenchError: nobody waits for the answer.
        """
        if self._caller.lost:
            raise WorkbenchError("An error occurred while performing BLS request.")
        if self.instance is not None:
            return  # the instance that works on it may be in a circle, and finds that out itself
        cycle = find_cycle(self._caller, self._target)
        now = time.monotonic()
        self._since = (self._since or now) if cycle else None
        # Once seen is not enough: a pending call of another thread may just be ending.
        if self._since is not None and now - self._since >= _CYCLE_SECONDS:
            raise BlsDeadlockError(" -> ".join(cycle))

    def take(self, timeout: float | None) -> Instance:
        """A free instance of the target; an error instead of a wait that nothing can end."""
        instance = self._target.try_take()
        end = None if timeout is None else time.monotonic() + timeout
        place = self._target.place()
        try:
            while instance is None:
                instance = self._target.take_within(SLICE, place)
                if instance is None:
                    self.check()
                    if end is not None and time.monotonic() > end:
                        raise InferTimeout(f"{self._target.config.name} did not get to the request in time")
        finally:
            place.leave()
        self.taken(instance)
        return instance


def execute(ticket: Ticket, target: Revision, call: PendingCall, timeout: float | None = None) -> None:
    """Execute a request the way the target's configuration asks for.

    Args:
        ticket: The request.
        target: The revision it was made for.
        call: Entered; what is known of the caller.
        timeout: Seconds; a model stuck in ``execute`` is restarted when they are over.

    Raises:
        Retired: the revision does not serve any more.
        WorkbenchError: see `run_batch`.
    """
    if target.queue is not None:
        target.queue.run(ticket, timeout, call)
    else:
        execute_alone(ticket.request, target, call, timeout)


def execute_alone(
    request: _host.Request, target: Revision, call: PendingCall, timeout: float | None = None
) -> None:
    """Execute a request as a batch of its own; the target has no queue. Otherwise as `execute`."""
    instance = call.take(timeout)
    instance.route.context = call.context
    try:
        run_batch(target, instance, [request], timeout)
    finally:
        if not instance.lost:
            if call.context is not None and not target.decoupled:
                instance.catch_up()
            target.give(instance)
    refuse_reschedule(target, request)


def refused(model: str, text: str, code: str, hint: str = "") -> ModelExecutionError:
    """What a server's core says instead of handing a request to the model. ``cause`` is its text alone."""
    return ModelExecutionError(
        f"{text} ({model})", cause=text, code=code, where=f"{model} did not get the request", hint=hint
    )


def refuse_reschedule(revision: Revision, request: _host.Request) -> None:
    """Refuse what a model asked back without being configured for it; on a server its client waits for ever.

    Raises:
        ModelExecutionError: it was asked back.
    """
    if request.rescheduled:
        text = (
            "Request is released with TRITONSERVER_REQUEST_RELEASE_RESCHEDULE, while the model is not "
            "configured to handle such a flag."
        )
        name = revision.config.name
        raise ModelExecutionError(
            f"{text} ({name})",
            cause=text,
            where=f"{name}.execute",
            hint="its configuration needs: sequence_batching { iterative_sequence: true }",
        )
