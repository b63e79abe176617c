"""Calls a model makes to other models: answered by a live model, a mock, then a connected server.

Error texts are those a model sees on a server (pb_utils contract §4.1).
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING

from workbench import _host
from workbench.errors import BlsDeadlockError, InputError, ModelExecutionError, WorkbenchError
from workbench.session import mocks
from workbench.session.calls import SLICE, PendingCall, execute, execute_alone
from workbench.session.ensemble import EnsembleRevision, RequestMeta
from workbench.session.failures import ERROR_CODES
from workbench.session.logs import LogRecord, LogRing
from workbench.session.mocks import Mock
from workbench.session.request_check import CoreRefusal, check_request
from workbench.session.revision import Retired, Revision
from workbench.session.ticket import Ticket
from workbench.suggest import listing

if TYPE_CHECKING:
    from workbench.session.instance import Instance
    from workbench.session.model_host import ModelHost

__all__ = ["BlsRouter", "Mock"]

INTERNAL = 1
_NONE = ("", "{}")  # no parameters
_MOST_FORMS = 64  # remembered of one model; one with inputs of any length has no end of them


class _Refused(Exception):  # noqa: N818 - carries an answer
    def __init__(self, text: str, code: int = INTERNAL) -> None:
        super().__init__(text)
        self.code = code


class BlsRouter:
    """Finds who answers a call and carries the answer back. Runs in threads of the caller's channel."""

    def __init__(
        self, live: Callable[[str], ModelHost | None], known: Callable[[], list[str]], logs: LogRing
    ) -> None:
        self._live = live
        self._known = known
        self._logs = logs
        self.mocks: dict[str, Mock] = {}
        #: Asked when nothing here has the name; True if it took the call over. For connected servers.
        self.elsewhere: Callable[[_host.BlsCall], bool] | None = None

    def serving(self, name: str) -> Revision | EnsembleRevision | None:
        """What answers under this name now, mocks aside."""
        host = self._live(name)
        return host.current if host is not None else None

    def handle(self, caller: Instance, call: _host.BlsCall) -> None:
        """Answer one call; never raises."""
        try:
            self._route(caller, call)
        except _Refused as refused:
            self._refuse(call, refused.code, str(refused))
        except CoreRefusal as refusal:
            self._refuse(call, INTERNAL, f"{_head(call.model_name)}{refusal}")
        except ModelExecutionError as error:
            # The scheduler's word, or a step's of an ensemble.
            code = ERROR_CODES.index(error.code) if error.code in ERROR_CODES else INTERNAL
            if isinstance(self.serving(call.model_name), EnsembleRevision):
                text = f"in ensemble '{call.model_name}', {error.wire_text or error.cause}"
            else:
                text = error.wire_text or f"{_head(call.model_name)}{error.cause}"
            self._refuse(call, code, text)
        except InputError as error:
            self._refuse(call, INTERNAL, f"{_head(call.model_name)}{error}")
        except WorkbenchError as error:
            text = f"{type(error).__name__}: {error}" if isinstance(error, BlsDeadlockError) else str(error)
            self._refuse(call, INTERNAL, text)
        except Exception as error:
            self._logs.add(LogRecord(call.model_name, "error", f"{type(error).__name__}: {error}"))
            self._refuse(call, INTERNAL, "An error occurred while performing BLS request.")

    def _refuse(self, call: _host.BlsCall, code: int, text: str) -> None:
        # The caller may be dead by now; then nobody waits for this.
        with contextlib.suppress(_host.StubError):
            call.send(error=(code, text), final=True)

    def _route(self, caller: Instance, call: _host.BlsCall) -> None:
        name = call.model_name
        while True:
            target = self.serving(name)
            if target is None:
                break
            try:
                self._call_live(caller, call, target)
                return
            except Retired:
                continue
        mock = self.mocks.get(name)
        if mock is not None:
            self._call_mock(call, mock)
            return
        if self.elsewhere is not None and self.elsewhere(call):
            return
        known = listing({*self._known(), *self.mocks})
        self._logs.add(
            LogRecord(caller.plan.config.name, "error", f"BlsTargetError: {name!r} is not live; {known}")
        )
        raise _not_ready(name)

    # -- a live model --------------------------------------------------------------------------------------

    def _call_live(self, caller: Instance, call: _host.BlsCall, target: Revision | EnsembleRevision) -> None:
        if isinstance(target, Revision) and (outputs := target.checked_calls.get(call.form)) is not None:
            request = call.request_for(target.config.name, target.plan.entry.version, outputs)
            with PendingCall(caller, target) as pending:
                execute_alone(request, target, pending)
                self._answer(call, request, target, pending)
            return
        config = target.config
        if call.model_version not in (-1, target.plan.entry.version):
            raise _not_ready(config.name)
        if target.decoupled and not call.decoupled:
            # The closing quote without an opening one is Triton's.
            raise _Refused(
                f"{_head(config.name)}Model {config.name} is using the "
                "decoupled. The current BLS request call doesn't support models using the decoupled "
                "transaction policy. Please use 'decoupled=True' argument to the 'exec' or 'async_exec' "
                "calls for decoupled models.'"
            )
        inputs, outputs = check_request(
            target,
            [(each.name, each.datatype, each.shape, each) for each in call.inputs],
            call.requested_outputs,
            call.request_id,
        )
        meta = RequestMeta(
            call.request_id,
            call.correlation_id,
            call.flags,
            call.timeout_us,
            _without_blanks(call.parameters),
            call.trace_context,
            call.span,
        )
        if isinstance(target, EnsembleRevision):
            answer = target.run(inputs, outputs, meta, caller)
            call.send([(each.name, each.datatype, each.shape, each.data) for each in answer.outputs])
            return
        ticket = Ticket(target, inputs, outputs, **vars(meta))
        with PendingCall(caller, target) as pending:
            if target.decoupled:
                with target.awaiting():
                    self._stream(call, ticket, target, pending)
            else:
                execute(ticket, target, pending)
                self._answer(call, ticket.request, target, pending)
        self._remember(call, target, outputs)

    @staticmethod
    def _remember(call: _host.BlsCall, target: Revision, outputs: list[str]) -> None:
        """A model calls in a loop: the next call of this form need not be taken apart in Python."""
        plain = target.queue is None and not target.decoupled and call.parameters in _NONE
        reshaped = any(spec.reshape is not None for spec in target.config.inputs)
        if plain and not reshaped and len(target.checked_calls) < _MOST_FORMS:
            target.checked_calls[call.form] = outputs

    def _answer(
        self, call: _host.BlsCall, request: _host.Request, target: Revision, pending: PendingCall
    ) -> None:
        """With the only response of a request that was executed."""
        while True:
            try:
                if call.pass_on(request, SLICE):
                    return
            except TimeoutError:
                pending.check()  # answered later, through a response sender
                continue
            raise _Refused(f"{_head(target.config.name)}the model sent no response")

    def _stream(self, call: _host.BlsCall, ticket: Ticket, target: Revision, pending: PendingCall) -> None:
        failures: SimpleQueue[BaseException] = SimpleQueue()
        request = ticket.request

        def run() -> None:
            try:
                execute(ticket, target, pending)
            except BaseException as error:  # handed over
                failures.put(error)

        worker = threading.Thread(target=run, name=f"workbench-bls-{target.config.name}", daemon=True)
        worker.start()
        final = False
        while not final:
            if call.cancelled:
                request.cancel()
            try:
                response = request.next_response(SLICE)
            except TimeoutError:
                if not failures.empty():
                    raise failures.get() from None
                pending.check()
                continue
            except _host.StubNotHealthy:
                worker.join()
                if not failures.empty():
                    raise failures.get() from None
                assert pending.instance is not None
                raise target.lose(pending.instance, "in execute") from None
            if response is None:
                call.send(final=True)
                break
            # A final flag that comes alone is a response of its own to the caller, as on a server.
            final = response.is_last
            self._pass_on(call, response, final=final)

    @staticmethod
    def _pass_on(call: _host.BlsCall, response: _host.Response, *, final: bool) -> None:
        if response.error is not None:
            call.send(error=response.error, final=final)
        else:
            call.send_response(response, final=final)

    # -- a mock --------------------------------------------------------------------------------------------

    def _call_mock(self, call: _host.BlsCall, mock: Mock) -> None:
        inputs = {
            each.name: mocks.to_array((each.name, each.datatype, each.shape, each)) for each in call.inputs
        }
        call.send(mocks.answer(call.model_name, mock, inputs, call.requested_outputs), final=True)


def _without_blanks(parameters: str) -> str:
    """Parameters in the form in which a server hands them on."""
    return json.dumps(json.loads(parameters), separators=(",", ":")) if parameters not in _NONE else "{}"


def _head(name: str) -> str:
    return f"Model {name} - Error when running inference: "


def _not_ready(name: str) -> _Refused:
    return _Refused(
        f"{_head(name)}Failed for execute the inference request. Model '{name}' is not ready.",
    )
