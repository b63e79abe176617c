"""Recorded requests sent to a server, and its answers compared with the recorded ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import _host, datatypes
from workbench.errors import ModelExecutionError, WorkbenchError
from workbench.messages import InferResult
from workbench.server_errors import ServerUnreachable
from workbench.session.replay import Replayed, inputs_of
from workbench.targets.compare import difference
from workbench.targets.wire import Output

if TYPE_CHECKING:
    from workbench.session.recorder import RecordedRequest
    from workbench.targets.remote import ServerTarget

__all__ = ["recorded_difference", "replay_on"]


def replay_on(
    target: ServerTarget, chosen: Mapping[str, Sequence[RecordedRequest]], timeout: float
) -> list[Replayed]:
    """Send recorded requests to a server, model by model; compare with what was recorded."""
    rows = []
    for name, records in sorted(chosen.items()):
        for index, record in enumerate(records, 1):
            found = recorded_difference(target, name, record, timeout)
            outcome = "failed" if found.startswith("fails: ") else "differs" if found else "equal"
            rows.append(Replayed(name, index, outcome, found.removeprefix("fails: ")))
    return rows


def recorded_difference(
    target: ServerTarget, name: str, record: RecordedRequest, timeout: float = 30.0
) -> str:
    """Send a recorded request; gives what differs from the recorded answer, "" if nothing does.

    Of outputs that were too large to be kept, type and shape are compared.
    """
    try:
        there = target.infer(name, inputs_of(record), timeout=timeout, **record.options)
    except ServerUnreachable:
        raise
    except ModelExecutionError as error:
        if record.error is not None and record.error[1].strip() == error.cause.strip():
            return ""
        return f"fails: {error.cause.strip().splitlines()[0]}"
    except WorkbenchError as error:
        return f"fails: {error}"
    if record.error is not None:
        return f"is answered; it failed before: {record.error[1].splitlines()[0]}"
    parts = {
        each[0] for outputs, _ in record.responses for each in outputs if isinstance(each[3], np.ndarray)
    }
    here = InferResult(name, [_Recorded(*answer) for answer in record.responses])
    if parts:
        for one, other in zip(here.responses, there.responses, strict=False):
            for part in parts & one.keys() & other.keys():
                if one[part].type_text != other[part].type_text:
                    return f"differs in {part}: {one[part].type_text} here, {other[part].type_text} there"
        there = InferResult(name, [_Without(each.raw, parts) for each in there.responses])
        here = InferResult(name, [_Without(each.raw, parts) for each in here.responses])
    return difference(here, there, parameters=False)


class _Recorded:
    """A recorded answer as `workbench.messages` takes it."""

    error: tuple[int, str] | None = None

    def __init__(self, outputs: Any, parameters: str) -> None:
        self.outputs = [
            Output(name, datatypes.by_number(number).name, _values(number, shape, data))
            for name, number, shape, data in outputs
        ]
        self.parameters = parameters


class _Without:
    def __init__(self, raw: Any, names: set[str]) -> None:
        self.outputs = [each for each in raw.outputs if each.name not in names]
        self.error = raw.error
        self.parameters = raw.parameters


def _values(number: int, shape: tuple[int, ...], data: bytes | np.ndarray) -> np.ndarray:
    datatype = datatypes.by_number(number)
    if isinstance(data, np.ndarray):  # some bytes only: stands for its type and shape
        return np.empty(shape, datatype.numpy)
    if datatype is datatypes.BYTES:
        return _host.decode_bytes(data, int(np.prod(shape, dtype=np.int64))).reshape(shape)
    if datatype is datatypes.BF16:
        return datatypes.bf16_to_float32(np.frombuffer(data, np.uint16)).reshape(shape)
    return np.frombuffer(data, datatype.numpy).reshape(shape)
