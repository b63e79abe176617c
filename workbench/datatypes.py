"""Triton's datatypes: number on the wire, KServe name, name in config.pbtxt, NumPy dtype.

BYTES is the wire's name of what config.pbtxt calls TYPE_STRING; people see the latter as ``STRING``.

BF16 has no NumPy dtype of its own. Inputs are *values*: float32 (or anything that converts to it exactly)
that BF16 can hold, or an array of ``ml_dtypes.bfloat16``. An array of uint16 is numbers too, never raw bits.
Outputs come back as float32, which holds every BF16 value exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["DATATYPES", "Datatype", "bf16_to_float32", "by_number", "find", "float32_to_bf16", "of_numpy"]


@dataclass(frozen=True)
class Datatype:
    """One datatype. ``size`` is bytes per element, 0 for BYTES."""

    name: str  # KServe: FP32, BYTES
    number: int  # TRITONSERVER_DataType
    config: str  # TYPE_FP32, TYPE_STRING
    numpy: np.dtype[Any]  # what `Tensor.numpy()` gives
    size: int

    @property
    def label(self) -> str:
        """The name people see: that of config.pbtxt without its prefix."""
        return self.config.removeprefix("TYPE_")

    def __str__(self) -> str:
        return self.label


def _row(number: int, name: str, numpy: Any, size: int, config: str = "") -> Datatype:
    return Datatype(name, number, f"TYPE_{config or name}", np.dtype(numpy), size)


# Numbers: pb_utils contract §3 (TRITONSERVER_DataType).
DATATYPES: tuple[Datatype, ...] = (
    _row(1, "BOOL", np.bool_, 1),
    _row(2, "UINT8", np.uint8, 1),
    _row(3, "UINT16", np.uint16, 2),
    _row(4, "UINT32", np.uint32, 4),
    _row(5, "UINT64", np.uint64, 8),
    _row(6, "INT8", np.int8, 1),
    _row(7, "INT16", np.int16, 2),
    _row(8, "INT32", np.int32, 4),
    _row(9, "INT64", np.int64, 8),
    _row(10, "FP16", np.float16, 2),
    _row(11, "FP32", np.float32, 4),
    _row(12, "FP64", np.float64, 8),
    _row(13, "BYTES", np.object_, 0, "STRING"),
    _row(14, "BF16", np.float32, 2),
)

BYTES, BF16 = DATATYPES[12], DATATYPES[13]

_BY_NUMBER = {row.number: row for row in DATATYPES}
_BY_NAME: dict[str, Datatype] = {}
for _each in DATATYPES:
    for _name in (_each.name, _each.label, _each.config):
        _BY_NAME[_name] = _each
    if _each not in (BYTES, BF16):
        _BY_NAME[_each.numpy.name] = _each
_BY_NAME |= {
    "bfloat16": BF16,
    "object": BYTES,
    "bytes": BYTES,
    "str": BYTES,
    "float": DATATYPES[11],
    "int": DATATYPES[8],
}


def by_number(number: int) -> Datatype:
    """Row of a wire number. Raises KeyError for a number that is none."""
    return _BY_NUMBER[number]


def find(name: str) -> Datatype:
    """Row for ``FP32``, ``TYPE_FP32``, ``STRING``, ``BYTES``, ``float32``, ``bfloat16`` …

    Raises:
        KeyError: no such datatype.
    """
    return _BY_NAME[name]


def names() -> list[str]:
    """Every accepted name, for "did you mean"."""
    return sorted(_BY_NAME)


def of_numpy(dtype: np.dtype[Any]) -> Datatype | None:
    """The datatype an array of this dtype would be sent as; None if there is none."""
    if dtype.kind in "OSU":
        return BYTES
    if dtype.name == "bfloat16":  # ml_dtypes
        return BF16
    return _BY_NAME.get(dtype.newbyteorder("=").name) if dtype.kind in "biuf" else None


def float32_to_bf16(array: np.ndarray) -> np.ndarray:
    """float32 → uint16 raw BF16 bits, by dropping the low half. Exact where that half is zero."""
    bits = np.ascontiguousarray(array, dtype=np.float32).view(np.uint32)
    return np.asarray(bits >> np.uint32(16)).astype(np.uint16)


def bf16_to_float32(raw: np.ndarray) -> np.ndarray:
    """uint16 raw BF16 bits → float32, exact."""
    return np.asarray(raw.astype(np.uint32) << np.uint32(16)).view(np.float32)
