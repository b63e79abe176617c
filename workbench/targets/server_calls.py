"""Calls of live models to a model that only a connected server has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from workbench import _host, datatypes
from workbench.datatypes import BF16, BYTES
from workbench.errors import WorkbenchError
from workbench.session.ticket import SEQUENCE_END, SEQUENCE_START
from workbench.targets.client import ServerRefused
from workbench.targets.remote import ServerTarget
from workbench.targets.wire import Output, WireResponse, client_options, for_client

__all__ = ["ServerCalls"]

# gRPC's status names → TritonError's numbers (pb_utils contract §6.5). Anything else is INTERNAL.
_CODES = {
    "UNKNOWN": 0,
    "INTERNAL": 1,
    "NOT_FOUND": 2,
    "INVALID_ARGUMENT": 3,
    "UNAVAILABLE": 4,
    "UNIMPLEMENTED": 5,
    "ALREADY_EXISTS": 6,
    "CANCELLED": 7,
}
_SECONDS = 60.0


class ServerCalls:
    """Answers a call from one server. Given to `BlsRouter.elsewhere`."""

    def __init__(self, target: ServerTarget) -> None:
        self._target = target

    def __call__(self, call: _host.BlsCall) -> bool:
        """Answer the call; False if the server does not serve that model. Errors are answers, not raised."""
        try:
            if not self._target.ready(call.model_name):
                return False
        except WorkbenchError:
            return False
        try:
            for response in self._responses(call):
                outputs = [_tensor(each) for each in response.outputs if each.name in _wanted(call, response)]
                call.send(outputs, parameters=response.parameters, final=not call.decoupled)
            if call.decoupled:
                call.send(final=True)
        except ServerRefused as refused:
            text = f"Model {call.model_name} on {self._target.name}: {refused}"
            call.send(error=(_CODES.get(refused.status, _CODES["INTERNAL"]), text))
        except WorkbenchError as error:
            call.send(error=(_CODES["INTERNAL"], f"Model {call.model_name} on {self._target.name}: {error}"))
        return True

    def _responses(self, call: _host.BlsCall) -> Iterator[WireResponse]:
        client = self._target.client
        inputs = [
            for_client(
                each.name, each.datatype, each.shape, memoryview(each) if _is_text(each) else each.numpy()
            )
            for each in call.inputs
        ]
        options: dict[str, Any] = {
            "timeout": call.timeout_us / 1e6 if call.timeout_us else _SECONDS,
            "request_id": call.request_id,
            "parameters": json.loads(call.parameters or "{}"),
        }
        if call.correlation_id:
            options["sequence"] = (
                call.correlation_id,
                bool(call.flags & SEQUENCE_START),
                bool(call.flags & SEQUENCE_END),
            )
        given = client_options(options)
        if call.decoupled and not client.is_grpc and self._is_decoupled(call.model_name):
            raise WorkbenchError(
                "it is decoupled, and its responses come over gRPC only: connect with "
                f"%triton connect grpc://HOST:8001 --as {self._target.name} --bls"
            )
        if call.decoupled and client.is_grpc:
            for answer in client.stream(call.model_name, inputs, **given):
                yield WireResponse(answer, True)
        else:
            yield WireResponse(client.infer(call.model_name, inputs, **given), client.is_grpc)

    def _is_decoupled(self, name: str) -> bool:
        policy = self._target.client.config(name).get("model_transaction_policy", {})
        return bool(policy.get("decoupled", False))


def _is_text(tensor: _host.OutputTensor) -> bool:
    return tensor.datatype == BYTES.number


def _wanted(call: _host.BlsCall, response: WireResponse) -> set[str]:
    return set(call.requested_outputs) or {each.name for each in response.outputs}


def _tensor(output: Output) -> _host.TensorTuple:
    array = output.numpy()
    data: Any = np.ascontiguousarray(array)
    if output.datatype == BYTES.number:
        data = _host.encode_bytes(array)
    elif output.datatype == BF16.number:
        data = datatypes.float32_to_bf16(data)
    return output.name, output.datatype, output.shape, data
