"""Between tritonclient's requests and results and ours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tritonclient.utils import deserialize_bytes_tensor

from workbench import datatypes
from workbench.datatypes import BF16, BYTES

__all__ = ["Output", "WireResponse", "client_options", "for_client"]


def client_options(options: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "seconds": options.get("timeout", 30.0),
        "request_id": options.get("request_id", ""),
        "parameters": dict(options.get("parameters") or {}) or None,
    }
    if options.get("sequence"):
        identity, start, end = options["sequence"]
        found |= {"sequence_id": identity, "sequence_start": start, "sequence_end": end}
    if options.get("headers"):
        found["headers"] = dict(options["headers"])
    return found


def for_client(
    name: str, number: int, shape: Sequence[int], data: Any
) -> tuple[str, str, tuple[int, ...], Any]:
    """An encoded input → what tritonclient takes: it wants to encode text and BF16 itself."""
    datatype = datatypes.by_number(number)
    array = data
    if datatype is BYTES:
        array = deserialize_bytes_tensor(bytes(data)) if len(data) else np.array([], dtype=np.object_)
    elif datatype is BF16:
        array = datatypes.bf16_to_float32(np.asarray(data))
    return name, datatype.name, tuple(shape), np.asarray(array).reshape(shape)


class Output:
    """One output as `workbench.messages` takes it."""

    def __init__(self, name: str, datatype: str, array: np.ndarray) -> None:
        self.name = name
        self.datatype = datatypes.find(datatype).number
        self.shape = tuple(array.shape)
        self._array = array

    def numpy(self) -> np.ndarray:
        return self._array


class WireResponse:
    """A tritonclient result as `workbench.messages` takes it."""

    error: tuple[int, str] | None = None

    def __init__(self, answer: Any, is_grpc: bool) -> None:
        response = answer.get_response()
        if is_grpc:
            rows = [(each.name, each.datatype) for each in response.outputs]
            given = {
                key: getattr(value, value.WhichOneof("parameter_choice"))
                for key, value in response.parameters.items()
            }
        else:
            rows = [(each["name"], each["datatype"]) for each in response.get("outputs", [])]
            given = dict(response.get("parameters", {}))
        self.outputs = [Output(name, datatype, answer.as_numpy(name)) for name, datatype in rows]
        #: Whether it came with the final flag; None where the transport does not say.
        self.is_last: bool | None = given.get("triton_final_response") if is_grpc else None
        self.parameters = json.dumps({k: v for k, v in given.items() if not k.startswith("triton_")})
