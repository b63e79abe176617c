"""Models that are a function in the notebook: they answer live models, ensembles and the user."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from workbench import _host, datatypes, preview
from workbench.errors import InputError, WorkbenchError
from workbench.messages import InferResult
from workbench.model_config import ModelConfig
from workbench.session.inputs import InputEncoder, split_options
from workbench.tensor_spec import TensorSpec

__all__ = ["Mock", "MockModel", "PlainResponse", "answer", "to_array"]

Mock = Callable[[dict[str, np.ndarray]], Mapping[str, Any]]


class PlainOutput:
    """An output that lies in this process. ``data`` is what `_host` takes for a tensor."""

    __slots__ = ("data", "datatype", "name", "shape")

    def __init__(self, name: str, datatype: int, shape: Sequence[int], data: Any) -> None:
        self.name = name
        self.datatype = datatype
        self.shape = tuple(shape)
        self.data = data

    def numpy(self) -> np.ndarray:
        return to_array((self.name, self.datatype, self.shape, self.data), raw_bf16=True)


class PlainResponse:
    """A response made in this process."""

    __slots__ = ("error", "outputs", "parameters")

    def __init__(self, outputs: Sequence[PlainOutput], parameters: str = "") -> None:
        self.outputs = list(outputs)
        self.error: tuple[int, str] | None = None
        self.parameters = parameters


class MockModel:
    """A mock with a signature: what it is given is checked, what it gives is cast to what it declares.

    Args:
        name: The model it stands for.
        function: From inputs by name (NumPy arrays; ``bytes`` objects for STRING) to outputs by name.
        inputs: Specs such as ``X:FP32[4]``; none: anything is taken.
        outputs: The same for outputs.
    """

    target = "mock"

    def __init__(
        self,
        name: str,
        function: Mock,
        inputs: Sequence[str | TensorSpec] = (),
        outputs: Sequence[str | TensorSpec] = (),
    ) -> None:
        self.name = name
        self.function = function
        self.config = ModelConfig.from_specs(name, inputs, outputs)
        self._inputs = InputEncoder(self.config)
        as_inputs = [TensorSpec(each.name, each.datatype, each.dims) for each in self.config.outputs]
        self._outputs = InputEncoder(ModelConfig.from_specs(name, as_inputs)) if as_inputs else None

    def __call__(self, inputs: dict[str, np.ndarray]) -> Mapping[str, Any]:
        """Call the function with checked inputs. Raises InputError, and whatever it raises."""
        if self.config.inputs:
            self._inputs.encode(inputs)
        given = self.function(inputs)
        if not isinstance(given, Mapping):
            raise WorkbenchError(
                f"infer of mock {self.name} gave {type(given).__name__}, not a dict of outputs",
                hint='return {"Y": ...}',
            )
        return given

    def encode(self, outputs: Mapping[str, Any]) -> list[_host.TensorTuple]:
        """The outputs as tensors of the declared datatypes and shapes. Raises InputError."""
        if self._outputs is None:
            return [_tensor(name, value) for name, value in outputs.items()]
        return self._outputs.encode(outputs)

    def infer(self, inputs: Mapping[str, Any] | None = None, /, **tensors: Any) -> InferResult:
        """Ask it as a model is asked. Options of a request (``timeout``, ``parameters`` ...) are ignored."""
        given, _ = split_options(inputs, tensors)
        if self.config.inputs:
            arrays = {each[0]: to_array(each) for each in self._inputs.encode(given)}
        else:
            arrays = {name: np.asarray(value) for name, value in given.items()}
        outputs = [PlainOutput(*each) for each in answer(self.name, self, arrays, ())]
        return InferResult(self.name, [PlainResponse(outputs)], declared=self.config.outputs)

    def summary(self) -> list[str]:
        """Cells of a table of models."""
        inputs = ", ".join(map(str, self.config.inputs)) or "any"
        outputs = ", ".join(map(str, self.config.outputs)) or "any"
        return [self.name, "READY", self.target, "-", f"in: {inputs}  out: {outputs}"]

    def __repr__(self) -> str:
        return "Mock " + "  ".join(cell for cell in self.summary() if cell != "-")

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self))


def answer(
    name: str, mock: Mock, inputs: dict[str, np.ndarray], wanted: Sequence[str]
) -> list[_host.TensorTuple]:
    """Ask a mock.

    Args:
        name: What it stands for, for error texts.
        mock: The function, or a `MockModel`.
        inputs: Arrays by name.
        wanted: Outputs to give; all if empty.

    Raises:
        WorkbenchError: it failed, or gave something that is no tensor.
    """
    try:
        outputs = mock(inputs)
        if isinstance(mock, MockModel):
            tensors = mock.encode(outputs)
        else:
            tensors = [_tensor(each, value) for each, value in outputs.items()]
    except WorkbenchError as error:
        raise WorkbenchError(f"mock {name}: {error}", hint=error.hint) from None
    except Exception as error:
        raise WorkbenchError(f"mock {name}: {type(error).__name__}: {error}") from error
    return [each for each in tensors if not wanted or each[0] in wanted]


def to_array(tensor: _host.TensorTuple, *, raw_bf16: bool = False) -> np.ndarray:
    """The values of an encoded tensor: ``bytes`` for STRING, float32 for BF16 unless raw is asked for."""
    _, number, shape, data = tensor
    if hasattr(data, "numpy"):
        array: np.ndarray = data.numpy()
    elif number == datatypes.BYTES.number:
        array = _host.decode_bytes(data, int(np.prod(shape, dtype=np.int64)))
    else:
        array = np.asarray(data)
    if number == datatypes.BF16.number and array.dtype == np.uint16 and not raw_bf16:
        array = datatypes.bf16_to_float32(array)
    return array.reshape(tuple(shape))


def _tensor(name: str, value: Any) -> _host.TensorTuple:
    """An output of undeclared type: as NumPy sees it."""
    array = np.asarray(value)
    datatype = datatypes.of_numpy(array.dtype)
    if datatype is None:
        raise InputError(f"output {name} has dtype {array.dtype}, which Triton has not")
    if datatype is not datatypes.BYTES:
        return (name, datatype.number, array.shape, np.ascontiguousarray(array))
    flat = np.empty(array.size, dtype=np.object_)
    flat[:] = [each.encode() if isinstance(each, str) else bytes(each) for each in array.reshape(-1)]
    return (name, datatype.number, array.shape, _host.encode_bytes(flat))
