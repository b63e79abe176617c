"""Calls a model makes to other models: answered by a live model, a mock, then a connected server.

Error texts are those a model sees on a server (pb_utils contract §4.1).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import _host, datatypes
from workbench.errors import BlsDeadlockError, WorkbenchError
from workbench.session.deadlock import find_cycle
from workbench.session.logs import LogRecord, LogRing
from workbench.session.revision import Retired, Revision
from workbench.session.running import run_batch
from workbench.suggest import listing
from workbench.tensor_spec import format_shape

if TYPE_CHECKING:
    from workbench.session.instance import Instance
    from workbench.session.model_host import ModelHost

__all__ = ["BlsRouter", "Mock"]

INTERNAL, NOT_FOUND, UNAVAILABLE = 1, 2, 4
_SLICE = 0.1  # how often a wait looks whether it still makes sense
_CYCLE_SECONDS = 0.3  # a circle of waits this old does not open by itself

Mock = Callable[[dict[str, np.ndarray]], Mapping[str, Any]]


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

    def handle(self, caller: Instance, call: _host.BlsCall) -> None:
        """Answer one call; never raises."""
        try:
            self._route(caller, call)
        except _Refused as refused:
            self._refuse(call, refused.code, str(refused))
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
            host = self._live(name)
            if host is None or host.current is None:
                break
            try:
                self._call_live(caller, call, host.current)
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

    def _call_live(self, caller: Instance, call: _host.BlsCall, target: Revision) -> None:
        config = target.config
        if call.model_version not in (-1, target.plan.entry.version):
            raise _not_ready(config.name)
        if target.decoupled and not call.decoupled:
            # The closing quote without an opening one is Triton's.
            raise _Refused(
                f"Model {config.name} - Error when running inference: Model {config.name} is using the "
                "decoupled. The current BLS request call doesn't support models using the decoupled "
                "transaction policy. Please use 'decoupled=True' argument to the 'exec' or 'async_exec' "
                "calls for decoupled models.'"
            )
        requested = check_request(target, call)
        request = _host.Request(
            [(each.name, each.datatype, each.shape, each) for each in call.inputs],
            requested,
            request_id=call.request_id,
            correlation_id=call.correlation_id,
            flags=call.flags,
            timeout_us=call.timeout_us,
            parameters=call.parameters or "{}",
            model_name=config.name,
            model_version=target.plan.entry.version,
            trace_context=call.trace_context,
        )
        key = object()
        instance = self._take(caller, target, key)
        caller.pending[key] = (target, instance)
        try:
            if target.decoupled:
                self._stream(call, request, target, instance)
            else:
                self._single(call, request, target, instance)
        finally:
            caller.pending.pop(key, None)

    def _take(self, caller: Instance, target: Revision, key: object) -> Instance:
        """A free instance of the target; an error instead of a wait that nothing can end."""
        instance = target.try_take()
        if instance is not None:
            return instance
        caller.pending[key] = (target, None)
        since: float | None = None
        try:
            while True:
                taken = target.take_within(_SLICE)
                if taken is not None:
                    return taken
                if caller.lost:
                    raise _Refused("An error occurred while performing BLS request.")
                cycle = find_cycle(caller, target)
                now = time.monotonic()
                since = (since or now) if cycle else None
                # Once seen is not enough: a pending call of another thread may just be ending.
                if since is not None and now - since >= _CYCLE_SECONDS:
                    raise BlsDeadlockError(" -> ".join(cycle))
        finally:
            caller.pending.pop(key, None)

    def _run(self, request: _host.Request, target: Revision, instance: Instance) -> None:
        instance.route.context = None
        try:
            run_batch(target, instance, [request], None)
        finally:
            if not instance.lost:
                target.give(instance)

    def _single(
        self, call: _host.BlsCall, request: _host.Request, target: Revision, instance: Instance
    ) -> None:
        self._run(request, target, instance)
        response = request.next_response(None)
        if response is None:
            raise _Refused(
                f"Model {target.config.name} - Error when running inference: the model sent no response"
            )
        if response.error is not None:
            call.send(error=response.error, final=True)
        else:
            call.send_response(response, final=True)

    def _stream(
        self, call: _host.BlsCall, request: _host.Request, target: Revision, instance: Instance
    ) -> None:
        failures: SimpleQueue[BaseException] = SimpleQueue()

        def run() -> None:
            try:
                self._run(request, target, instance)
            except BaseException as error:  # handed over
                failures.put(error)

        worker = threading.Thread(target=run, name=f"workbench-bls-{target.config.name}", daemon=True)
        worker.start()
        final = False
        while not final:
            try:
                response = request.next_response(_SLICE)
            except TimeoutError:
                if call.cancelled:
                    request.cancel()
                if not failures.empty():
                    raise failures.get() from None
                continue
            except _host.StubNotHealthy:
                worker.join()
                raise (
                    failures.get() if not failures.empty() else target.lose(instance, "in execute")
                ) from None
            if response is None:
                call.send(final=True)
                break
            # A response that came with the final flag ends the call; only then is nothing left to wait for.
            following = request.next_response(0) if request.complete else None
            while following is not None:
                self._pass_on(call, response, final=False)
                response, following = following, request.next_response(0)
            final = request.complete
            self._pass_on(call, response, final=final)

    @staticmethod
    def _pass_on(call: _host.BlsCall, response: _host.Response, *, final: bool) -> None:
        if response.error is not None:
            call.send(error=response.error, final=final)
        else:
            call.send_response(response, final=final)

    # -- a mock --------------------------------------------------------------------------------------------

    def _call_mock(self, call: _host.BlsCall, mock: Mock) -> None:
        inputs = {}
        for each in call.inputs:
            array = each.numpy()
            inputs[each.name] = datatypes.bf16_to_float32(array) if each.datatype == 14 else array
        try:
            outputs = mock(inputs)
        except Exception as error:
            raise _Refused(f"mock {call.model_name}: {type(error).__name__}: {error}") from None
        wanted = call.requested_outputs
        tuples: list[_host.TensorTuple] = []
        for name, value in outputs.items():
            if wanted and name not in wanted:
                continue
            array = np.asarray(value)
            datatype = datatypes.of_numpy(array.dtype)
            if datatype is None:
                raise _Refused(
                    f"mock {call.model_name}: output {name} has dtype {array.dtype}, which Triton has not"
                )
            if datatype is datatypes.BYTES:
                plain = [
                    each.encode() if isinstance(each, str) else bytes(each) for each in array.reshape(-1)
                ]
                flat = np.empty(len(plain), dtype=np.object_)
                flat[:] = plain
                tuples.append((name, datatype.number, array.shape, _host.encode_bytes(flat)))
            else:
                tuples.append((name, datatype.number, array.shape, np.ascontiguousarray(array)))
        call.send(tuples, final=True)


def _not_ready(name: str) -> _Refused:
    return _Refused(
        f"Model {name} - Error when running inference: Failed for execute the inference request. "
        f"Model '{name}' is not ready.",
    )


def check_request(target: Revision, call: _host.BlsCall) -> list[str]:
    """What a server's core checks of a request before the model sees it; gives the outputs to produce."""
    config, name = target.config, target.config.name
    prefix = f"Model {name} - Error when running inference: "
    head = f"{prefix}[request id: {call.request_id or '<id_unknown>'}] "
    specs = target.encoder.specs
    given = {each.name: each for each in call.inputs}
    missing = [spec.name for spec in config.inputs if not spec.optional and spec.name not in given]
    if missing or len(given) > len(specs):
        wanted = len(specs) if not any(spec.optional for spec in config.inputs) else len(specs) - len(missing)
        quoted = ",".join(f"'{each}'" for each in given)
        lacking = ",".join(f"'{each}'" for each in missing)
        raise _Refused(
            f"{head}expected {wanted} inputs but got {len(given)} inputs for model '{name}'. "
            f"Got input(s) [{quoted}], but missing required input(s) [{lacking}]. "
            "Please provide all required input(s)."
        )
    for each in given.values():
        spec = specs.get(each.name)
        if spec is None:
            raise _Refused(f"{head}unexpected inference input '{each.name}' for model '{name}'")
        if each.datatype != spec.datatype.number:
            got = datatypes.by_number(each.datatype).name
            raise _Refused(
                f"{head}inference input '{each.name}' data-type is '{got}', "
                f"but model '{name}' expects '{spec.datatype.name}'"
            )
        shape, dims = tuple(each.shape), spec.dims
        if config.max_batch_size:
            if shape and shape[0] > config.max_batch_size:
                raise _Refused(
                    f"{head}inference request batch-size must be <= {config.max_batch_size} for '{name}'"
                )
            dims = (-1, *dims)
        if len(shape) != len(dims) or any(d not in (-1, s) for d, s in zip(dims, shape, strict=True)):
            raise _Refused(
                f"{head}unexpected shape for input '{each.name}' for model '{name}'. "
                f"Expected {format_shape(dims)}, got {format_shape(shape)}."
            )
    for wanted_output in call.requested_outputs:
        if wanted_output not in target.output_names:
            raise _Refused(f"{prefix}unexpected inference output '{wanted_output}' for model '{name}'")
    return list(call.requested_outputs) or target.output_names
