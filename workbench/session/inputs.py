"""From what a user writes to what goes over the wire: casts that change no value, shapes, the batch
dimension.

Python numbers and lists of them have no datatype of their own: floats round to the declared one, integers
must be held exactly. Arrays have one: they are cast only if every value survives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import datatypes
from workbench.datatypes import BF16, BYTES, Datatype
from workbench.errors import InputError
from workbench.messages import Tensor
from workbench.suggest import did_you_mean
from workbench.tensor_spec import TensorSpec, format_shape

if TYPE_CHECKING:
    from workbench._host import TensorTuple
    from workbench.model_config import ModelConfig

__all__ = ["InputEncoder", "split_options"]

# What is given of a request besides its inputs; see `Model.infer`.
_OPTIONS = frozenset({"timeout", "parameters", "request_id", "sequence"})


class InputEncoder:
    """Checks and encodes the inputs of one model revision. Made once, used for every request."""

    def __init__(self, config: ModelConfig) -> None:
        self.model = config.name
        self.specs = {spec.name: spec for spec in config.inputs}
        self.max_batch_size = config.max_batch_size
        self._required = frozenset(spec.name for spec in config.inputs if not spec.optional)
        # What makes an array right as it is: dtype and shape, when no dimension is free. The common case
        # costs a look-up.
        self._exact: dict[str, tuple[int, np.dtype[Any], tuple[int, ...]]] = {
            spec.name: (spec.datatype.number, spec.datatype.numpy, spec.dims)
            for spec in config.inputs
            if not self.max_batch_size
            and spec.datatype not in (BYTES, BF16)
            and min(spec.dims) >= 1
            and spec.reshape is None
        }

    def encode(self, inputs: Mapping[str, Any], notes: list[str] | None = None) -> list[TensorTuple]:
        """Tuples for ``_host.Request``, in the order given.

        Args:
            inputs: Values by input name.
            notes: Takes a line for everything done to the values that the user did not write.

        Raises:
            InputError: a name, datatype, shape or value does not fit.
        """
        encoded: list[TensorTuple] = []
        exact = self._exact
        for name, value in inputs.items():
            fast = exact.get(name)
            if (
                fast is not None
                and type(value) is np.ndarray
                and value.dtype == fast[1]
                and value.shape == fast[2]
                and value.flags.c_contiguous
            ):
                encoded.append((name, fast[0], fast[2], value))
            else:
                encoded.append(self._one(name, value, notes))
        if not self._required <= inputs.keys():
            self._refuse_missing(inputs)
        if self.max_batch_size:
            self._check_batch(encoded)
        return encoded

    def describe(self, encoded: list[TensorTuple]) -> str:
        """``INPUT0 FP32[4], INPUT1 FP32[4]`` of what was sent."""
        return ", ".join(
            f"{name} {datatypes.by_number(number).label}{format_shape(shape)}"
            for name, number, shape, _ in encoded
        )

    def batch_size(self, encoded: list[TensorTuple]) -> int:
        return int(encoded[0][2][0]) if self.max_batch_size and encoded else 1

    def _refuse_missing(self, inputs: Mapping[str, Any]) -> None:
        missing = [spec for spec in self.specs.values() if spec.name in self._required - inputs.keys()]
        names = ", ".join(f"{spec.name} {spec.type_text}" for spec in missing)
        plural = "input" if len(missing) == 1 else "inputs"
        raise InputError(
            f"{self.model} needs {plural} {names}",
            hint="%triton infer "
            + " ".join([self.model, *(f"{spec.name}=..." for spec in self.specs.values())]),
        )

    def _one(self, name: str, value: Any, notes: list[str] | None) -> TensorTuple:
        spec = self.specs.get(name)
        if spec is None:
            known = ", ".join(str(each) for each in self.specs.values())
            raise InputError(
                f"{self.model} has no input {name!r}{did_you_mean(name, self.specs)}",
                hint=f"inputs: {known or 'none declared'}",
            )
        array = _convert(spec, value)
        shape = self._shape(spec, array, notes)
        data: Any
        if spec.datatype is BYTES:
            from workbench import _host

            data = _host.encode_bytes(array)
        elif spec.datatype is BF16:
            data = datatypes.float32_to_bf16(array)
        else:
            data = np.ascontiguousarray(array)
        return (name, spec.datatype.number, shape, data)

    def _shape(self, spec: TensorSpec, array: np.ndarray, notes: list[str] | None) -> tuple[int, ...]:
        shape = array.shape
        if self.max_batch_size and len(shape) == len(spec.dims):
            shape = (1, *shape)
            if notes is not None:
                notes.append(
                    f"batch dimension added: {spec.name} sent as {spec.datatype.label}{format_shape(shape)}"
                )
        want = (-1, *spec.dims) if self.max_batch_size else spec.dims
        if len(shape) != len(want) or any(
            dim not in (-1, size) for dim, size in zip(want, shape, strict=True)
        ):
            got = f"{spec.datatype.label}{format_shape(array.shape)}"
            declared = f"{spec.datatype.label}{format_shape(want)}"
            raise InputError(
                f"{spec.name} is {declared}, got {got}", hint=_shape_hint(spec, array, self.max_batch_size)
            )
        if spec.reshape is not None:
            head = shape[:1] if self.max_batch_size else ()
            shape = (*head, *spec.reshaped(shape[len(head) :]))
        return shape

    def _check_batch(self, encoded: list[TensorTuple]) -> None:
        sizes = {name: shape[0] for name, _, shape, _ in encoded}
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
            raise InputError(
                f"inputs of one request need one batch size, got {listed}",
                hint="the first dimension of every input is the batch",
            )
        size = next(iter(sizes.values()), 1)
        if size > self.max_batch_size:
            raise InputError(
                f"batch size {size} for {self.model}, max allowed is {self.max_batch_size}",
                hint="send fewer at once, or raise --max-batch",
            )
        if size < 1:
            raise InputError(f"batch size {size} for {self.model}: a request needs at least 1")


def split_options(
    inputs: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs, some of which may be given by keyword among the options, and the options proper."""
    proper = {name: value for name, value in options.items() if name in _OPTIONS}
    more = {name: value for name, value in options.items() if name not in _OPTIONS}
    return {**(inputs or {}), **more}, proper


def _shape_hint(spec: TensorSpec, array: np.ndarray, max_batch_size: int) -> str:
    fixed = int(np.prod([dim for dim in spec.dims if dim > 0], dtype=np.int64))
    if -1 not in spec.dims and not max_batch_size and array.size == fixed:
        return f"same number of values: reshape with .reshape({', '.join(map(str, spec.dims))})"
    return "-1 in a declared shape takes any size"


def _convert(spec: TensorSpec, value: Any) -> np.ndarray:
    if isinstance(value, Tensor):
        value = value.numpy()
    if spec.datatype is BYTES:
        return _strings(spec, value)
    weak = _is_weak(value)
    try:
        if hasattr(value, "__array__") or weak or isinstance(value, (list, tuple)):
            array = np.asarray(value)
        elif hasattr(value, "__dlpack__"):
            array = np.from_dlpack(value)
        else:
            array = np.asarray(value)
    except Exception as error:
        raise InputError(f"{spec.name} is {spec.type_text}, got a value NumPy cannot read: {error}") from None
    if array.size == 0 and weak:
        return array.astype(spec.datatype.numpy)
    given = datatypes.of_numpy(array.dtype)
    if given is None or given is BYTES:
        what = "text" if array.dtype.kind in "SU" else f"{type(value).__name__} of {array.dtype}"
        hint = f"{spec.name} takes numbers"
        if array.dtype == object:
            # NumPy makes objects of rows of different length, and of integers beyond 64 bits.
            hint = "64 bits hold no such integer" if weak else "rows of different length make no tensor"
        raise InputError(f"{spec.name} is {spec.type_text}, got {what}", hint=hint)
    if given is spec.datatype and given is not BF16:
        # Equal but for byte order, perhaps.
        return array if array.dtype == spec.datatype.numpy else array.astype(spec.datatype.numpy)
    return _cast(spec, array, given, weak)


def _cast(spec: TensorSpec, array: np.ndarray, given: Datatype, weak: bool) -> np.ndarray:
    target = spec.datatype.numpy
    rounds = weak and array.dtype.kind == "f" and target.kind == "f"
    with np.errstate(all="ignore"):
        cast = array.astype(target)
        if spec.datatype is BF16:
            if rounds:
                cast = _round_to_bf16(cast)
            back = datatypes.bf16_to_float32(datatypes.float32_to_bf16(cast))
            same = back == array
        else:
            same = cast.astype(array.dtype) == array
            if array.dtype.kind == "b" and target.kind == "b":
                same = np.ones_like(array, dtype=bool)
            if array.dtype.kind in "iu" and target.kind in "iu":
                # -1 and 2**64-1 come back equal from each other's type: the sign must agree too.
                same &= (cast < 0) == (array < 0)
            if array.dtype.kind in "iu" and target.kind == "f":
                # The largest integers round up to a power of two that the way back clips again.
                same &= np.abs(cast.astype(np.float64)) < 2.0 ** (
                    8 * array.dtype.itemsize - (array.dtype.kind == "i")
                )
        if array.dtype.kind == "f":
            same |= np.isnan(array) & np.isnan(cast) if target.kind == "f" else False
        if rounds:
            same |= np.isfinite(cast) | ~np.isfinite(array)
    if not same.all():
        where = tuple(int(i) for i in np.argwhere(~same)[0])
        example = array[where]
        got = f"{given.label}{format_shape(array.shape)}"
        raise InputError(
            f"{spec.name} is {spec.type_text}, got {got} with values {spec.datatype.label} cannot hold: "
            f"{example.item()!r} at {format_shape(where)}",
            hint=f"if the loss is meant: .astype({_astype(spec.datatype)})",
        )
    return np.asarray(cast)


def _astype(datatype: Datatype) -> str:
    return "ml_dtypes.bfloat16" if datatype is BF16 else f'"{datatype.numpy.name}"'


def _round_to_bf16(array: np.ndarray) -> np.ndarray:
    """Nearest BF16 value, ties to even, as float32."""
    bits = np.ascontiguousarray(array, dtype=np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    kept = np.where(np.isnan(array), bits | np.uint32(0x400000), rounded) & np.uint32(0xFFFF0000)
    return np.asarray(kept, dtype=np.uint32).view(np.float32).reshape(array.shape)


def _is_weak(value: Any) -> bool:
    """Python numbers, and lists of nothing else."""
    if isinstance(value, (list, tuple)):
        return all(_is_weak(each) for each in value)
    return isinstance(value, (bool, int, float)) and not isinstance(value, np.generic)


def _strings(spec: TensorSpec, value: Any) -> np.ndarray:
    """Any nesting of str and bytes → object array of bytes; text becomes UTF-8."""
    if isinstance(value, (str, bytes)):
        array = np.empty((), dtype=np.object_)
        array[()] = value
    else:
        try:
            array = np.asarray(value, dtype=np.object_)
        except ValueError:
            raise InputError(
                f"{spec.name} is {spec.type_text}, got rows of different length",
                hint="every row needs one length",
            ) from None
    flat = np.empty(array.size, dtype=np.object_)
    for index, each in enumerate(array.reshape(-1)):
        if isinstance(each, str):
            flat[index] = each.encode()
        elif isinstance(each, (bytes, bytearray, memoryview)):
            flat[index] = bytes(each)
        else:
            raise InputError(
                f"{spec.name} is {spec.type_text}, got {type(each).__name__} {each!r}",
                hint=f"strings or bytes; quote the expression: {spec.name}='[\"text\"]'",
            )
    return flat.reshape(array.shape)
