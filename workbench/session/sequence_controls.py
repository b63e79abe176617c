"""The tensors by which a scheduler tells a model about sequences: START, END, READY, CORRID."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from tritonclient.grpc import model_config_pb2 as pb

from workbench import _host, datatypes
from workbench.errors import InputError, ModelConfigError
from workbench.session.ticket import SEQUENCE_END, SEQUENCE_START, Ticket

if TYPE_CHECKING:
    from workbench.model_config import ModelConfig
    from workbench.session.revision import Revision

__all__ = ["SequenceControls"]

_Kind = pb.ModelSequenceBatching.Control
# The order in which a server puts them in front of a request's inputs.
_ORDER = (
    "CONTROL_SEQUENCE_READY",
    "CONTROL_SEQUENCE_CORRID",
    "CONTROL_SEQUENCE_END",
    "CONTROL_SEQUENCE_START",
)


class _Flag:
    """A control that is one of two values."""

    def __init__(self, name: str, control: Any) -> None:
        self.name = name
        for field, dtype in (
            ("int32_false_true", np.int32),
            ("fp32_false_true", np.float32),
            ("bool_false_true", np.bool_),
        ):
            values = list(getattr(control, field))
            if len(values) == 2:
                self.values = np.array(values, dtype=dtype)
                break
        else:
            raise ModelConfigError(
                f"sequence_batching: control input {name} needs int32_false_true, fp32_false_true or "
                "bool_false_true with two values"
            )
        datatype = datatypes.of_numpy(self.values.dtype)
        assert datatype is not None
        self.number = datatype.number

    def array(self, state: bool, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, self.values[int(state)])


class SequenceControls:
    """The ``control_input`` part of a ``sequence_batching`` section.

    Raises:
        ModelConfigError: a control is described wrongly, or something asked for is not offered to Python
            models.
    """

    def __init__(self, config: ModelConfig) -> None:
        options = config.sequence_batching
        if options.state:
            raise ModelConfigError(
                f"{config.name}: sequence_batching has a state, which Python models do not support",
                hint="keep the state in the model, by request.correlation_id()",
            )
        self.model = config.name
        self._shape = (1, 1) if config.max_batch_size else (1,)
        self._flags: dict[str, _Flag] = {}
        self._identity: tuple[str, datatypes.Datatype] | None = None
        declared = {spec.name for spec in config.inputs}
        for each in options.control_input:
            if each.name in declared:
                raise ModelConfigError(f"{config.name}: control input {each.name} is declared as input too")
            for control in each.control:
                kind = _Kind.Kind.Name(control.kind)
                if kind == "CONTROL_SEQUENCE_CORRID":
                    self._identity = (each.name, datatypes.find(pb.DataType.Name(control.data_type)))
                else:
                    self._flags[kind] = _Flag(each.name, control)

    @property
    def has_ready(self) -> bool:
        return "CONTROL_SEQUENCE_READY" in self._flags

    @property
    def text_identity(self) -> bool:
        """The model wants the correlation id as text."""
        return self._identity is not None and self._identity[1] is datatypes.BYTES

    def tensors(
        self, correlation_id: int | str, flags: int, *, ready: bool = True
    ) -> list[_host.TensorTuple]:
        """What goes in front of a request's inputs.

        Raises:
            InputError: the model takes numbers as correlation id, and this one is text.
        """
        states = {
            "CONTROL_SEQUENCE_READY": ready,
            "CONTROL_SEQUENCE_END": bool(flags & SEQUENCE_END),
            "CONTROL_SEQUENCE_START": bool(flags & SEQUENCE_START),
        }
        found: list[_host.TensorTuple] = []
        for kind in _ORDER:
            flag = self._flags.get(kind)
            if flag is not None:
                found.append((flag.name, flag.number, self._shape, flag.array(states[kind], self._shape)))
            elif kind == "CONTROL_SEQUENCE_CORRID" and self._identity is not None:
                found.append(self._correlation(correlation_id))
        return found

    def clear_start(self, ticket: Ticket) -> None:
        """The request is no longer its sequence's first. Its tensors are read again when it is sent again."""
        flag = self._flags.get("CONTROL_SEQUENCE_START")
        if flag is not None:
            for name, _, _, data in ticket.inputs:
                if name == flag.name:
                    data[...] = flag.values[0]

    def empty_request(self, like: Ticket, revision: Revision) -> _host.Request:
        """What fills a slot without a request: not ready, tensors of zeros."""
        inputs = self.tensors(0, 0, ready=False)
        controls = {name for name, *_ in inputs}
        for name, number, shape, _ in like.inputs:
            if name in controls:
                continue
            row = (1, *shape[1:])
            datatype = datatypes.by_number(number)
            if datatype is datatypes.BYTES:
                data: Any = b"\0\0\0\0" * int(np.prod(row))
            elif datatype is datatypes.BF16:
                data = np.zeros(row, dtype=np.uint16)
            else:
                data = np.zeros(row, dtype=datatype.numpy)
            inputs.append((name, number, row, data))
        return _host.Request(inputs, revision.output_names, model_name=self.model)

    def _correlation(self, correlation_id: int | str) -> _host.TensorTuple:
        assert self._identity is not None
        name, datatype = self._identity
        if datatype is datatypes.BYTES:
            text = np.empty(self._shape, dtype=np.object_)
            text[...] = str(correlation_id or "").encode()
            return (name, datatype.number, self._shape, _host.encode_bytes(text))
        if isinstance(correlation_id, str) and correlation_id:
            raise InputError(
                f"{self.model} takes correlation ids as {datatype.label}, got the text {correlation_id!r}",
                hint="a number, or data_type: TYPE_STRING for the control input",
            )
        value = np.array(
            int(correlation_id or 0) & ((1 << (8 * datatype.numpy.itemsize)) - 1), dtype=np.uint64
        )
        return (name, datatype.number, self._shape, np.full(self._shape, value.astype(datatype.numpy)))
