"""The way of a request through a revision: run, its responses taken, its end judged."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from workbench import _host
from workbench.errors import InferTimeout, InputError, ModelExecutionError, RequestInfo, ShmExhausted
from workbench.messages import InferResponse, InferResult, RawResponse
from workbench.session import failures
from workbench.session.asynchronous import Cancellation
from workbench.session.calls import refuse_reschedule
from workbench.session.instance import Instance
from workbench.session.revision import Revision
from workbench.session.running import run_batch
from workbench.session.shm import exhausted, is_exhaustion
from workbench.session.ticket import SEQUENCE_END, SEQUENCE_START, Ticket

if TYPE_CHECKING:
    from workbench.session.ensemble import EnsembleRevision

__all__ = ["RequestRunner", "SequenceMark", "request_options"]

_FINAL_HINT = "end with sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)"
_RETURN_HINT = "return a response, or answer through request.get_response_sender()"

SequenceMark = tuple[int | str, bool, bool]  # correlation id, start, end


class RequestRunner:
    """Sends requests of one model to a revision of it.

    Args:
        name: The model's name.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def stream(
        self,
        revision: Revision,
        inputs: Mapping[str, Any],
        timeout: float | None,
        cancellation: Cancellation,
        *,
        parameters: Mapping[str, bool | int | str] | None = None,
        request_id: str = "",
        sequence: SequenceMark | None = None,
    ) -> Iterator[InferResult]:
        """Send one request and give each response as it comes: see `ModelHost.stream`.

        Raises:
            Retired: the revision takes no more requests; nothing came of this one.
        """
        tuples = revision.encoder.encode(inputs)
        ticket = self.ticket(revision, tuples, parameters, request_id, sequence)
        request = ticket.request
        cancellation.attach(request)
        # execute returns only when the model's execute has: a thread runs it while responses are taken here.
        outcome: list[BaseException] = []
        context = copy_context()

        def run() -> None:
            try:
                context.run(self.execute, revision, ticket, timeout)
            except BaseException as error:  # handed over to the iterator
                outcome.append(error)
                request.cancel()

        worker = threading.Thread(target=run, name=f"workbench-stream-{self._name}", daemon=True)
        finished = False
        count = 0
        with revision.awaiting():
            worker.start()
            try:
                while True:
                    response = self._next(revision, request, count, timeout, outcome, worker, cancellation)
                    if response is None:
                        finished = True
                        if request.abandoned:
                            raise self._no_final_flag(revision, tuples, count)
                        return
                    if response.error is not None:
                        raise self.error(revision, tuples, response)
                    count += 1
                    yield self.result(revision, [response], request_id)
            finally:
                if not finished:
                    request.cancel()
                worker.join(1.0)
                outcome.clear()  # an error's traceback leads back here

    def result(
        self,
        revision: Revision | EnsembleRevision,
        responses: Sequence[RawResponse],
        request_id: str,
        notes: Sequence[str] = (),
    ) -> InferResult:
        """Responses as users see them."""
        return InferResult(
            self._name,
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
        count: int,
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
                    raise self._no_final(revision, request, count, timeout) from None
                continue
            except _host.StubNotHealthy:
                worker.join(1.0)
                if outcome:
                    raise outcome[0] from None
                raise
            if response is None and outcome:
                raise outcome[0]
            return response

    def ticket(
        self,
        revision: Revision,
        tuples: list[_host.TensorTuple],
        parameters: Mapping[str, bool | int | str] | None,
        request_id: str,
        sequence: SequenceMark | None,
        span: int = 0,
    ) -> Ticket:
        """A request, not sent yet. Raises InputError for a parameter of another type."""
        if parameters is None and sequence is None:
            return Ticket(revision, tuples, revision.output_names, request_id=request_id, parent=span)
        more: dict[str, Any] = request_options(parameters, sequence)
        return Ticket(revision, tuples, revision.output_names, request_id=request_id, parent=span, **more)

    def run(
        self,
        revision: Revision,
        ticket: Ticket,
        tuples: list[_host.TensorTuple],
        timeout: float | None,
    ) -> list[_host.Response]:
        """Send a request and wait for all its responses. Errors as of `ModelHost.infer`."""
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
        instance = self.execute(revision, ticket, timeout)
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
                raise self.error(revision, tuples, response, responses)
            responses.append(response)
            if not decoupled:
                break
        if instance is not None and decoupled:
            instance.catch_up()
        if request.abandoned or not (responses or decoupled):
            raise self._no_final_flag(revision, tuples, len(responses), responses)
        return responses

    def execute(self, revision: Revision, ticket: Ticket, timeout: float | None) -> Instance | None:
        """Run the request; gives the instance that did, or None where a scheduler chose it."""
        if revision.queue is not None:
            revision.queue.run(ticket, timeout)
            return None
        instance = self.execute_together(revision, [ticket], timeout)
        if ticket.request.rescheduled:
            refuse_reschedule(revision, ticket.request)
        return instance

    def execute_together(
        self, revision: Revision, tickets: Sequence[Ticket], timeout: float | None
    ) -> Instance:
        """Run requests as one batch on the next instance that is free, which is given back."""
        instance = None  # Ctrl-C may come at any step: one that was taken is given back
        try:
            instance = revision.take(timeout)
            instance.route.context = copy_context()
            run_batch(revision, instance, [each.request for each in tickets], timeout)
        finally:
            if instance is not None and not instance.lost:
                if not revision.decoupled:
                    instance.catch_up()
                revision.give(instance)
        return instance

    def error(
        self,
        revision: Revision,
        tuples: list[_host.TensorTuple],
        response: _host.Response,
        before: Sequence[_host.Response] = (),
        place: tuple[int, int] = (1, 1),
    ) -> ModelExecutionError | ShmExhausted:
        """An error response as the exception that it becomes.

        Args:
            revision: What answered.
            tuples: What was sent.
            response: The error.
            before: Responses that came before it.
            place: Which request of how many it was, counted from 1.
        """
        assert response.error is not None
        code, text = response.error
        if is_exhaustion(text):
            return exhausted(self._name, text, max(each.channel.capacity for each in revision.instances))
        return failures.execution_error(
            revision.plan.entry,
            code,
            text,
            RequestInfo(self._name, revision.encoder.describe(tuples), *place),
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
        return InferTimeout(f"{self._name} {answered} {limit}", hint=hint)

    def _no_final_flag(
        self,
        revision: Revision,
        tuples: list[_host.TensorTuple],
        count: int,
        responses: Sequence[_host.Response] = (),
    ) -> ModelExecutionError:
        """The model let go of the request without ending it: a client of a server waits for ever."""
        entry = revision.plan.entry
        line = entry.source.line_of("TritonPythonModel.execute")
        sent = (
            f"sent {count} response{'' if count == 1 else 's'} but no final flag"
            if count
            else "sent no response"
        )
        return ModelExecutionError(
            f"{self._name} {sent}, and gave up the request",
            frames=failures.make_frames(entry, [(str(entry.code_file), line, "execute")]) if line else [],
            where=f"{self._name}.execute, request 1 of 1",
            request=RequestInfo(self._name, revision.encoder.describe(tuples)),
            responses=[InferResponse(each) for each in responses],
            hint=_FINAL_HINT if revision.decoupled else _RETURN_HINT,
        )


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
