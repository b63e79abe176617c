"""One declared input or output: ``NAME[?]:DTYPE[dims]``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from workbench import datatypes
from workbench.datatypes import Datatype
from workbench.errors import ModelConfigError
from workbench.suggest import did_you_mean

__all__ = ["TensorSpec", "format_shape", "parse_spec"]

_SPEC = re.compile(
    r"(?P<name>[^:\[\]?\s]+)(?P<optional>\?)?:(?P<dtype>[A-Za-z0-9_]+)(?:\[(?P<dims>[^\[\]]*)\])?"
)
_FORM = "write NAME:DTYPE[dims], for example INPUT0:FP32[4] or MASK?:BOOL[-1]"


@dataclass(frozen=True)
class TensorSpec:
    """What config.pbtxt says of one tensor. ``dims`` excludes the batch dimension; -1 is any size.

    ``reshape`` is the shape the model sees instead of ``dims``, or None.
    """

    name: str
    datatype: Datatype
    dims: tuple[int, ...]
    optional: bool = False
    reshape: tuple[int, ...] | None = None
    ragged: bool = False

    def reshaped(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape in which the model sees a tensor of this shape, batch dimension excluded. It must fit
        ``dims``; a server pairs the dimensions that are open on either side in their order.
        """
        if self.reshape is None:
            return tuple(shape)
        free = iter([size for dim, size in zip(self.dims, shape, strict=True) if dim == -1])
        return tuple(next(free) if dim == -1 else dim for dim in self.reshape)

    @property
    def type_text(self) -> str:
        """``FP32[4]``."""
        return f"{self.datatype.label}{format_shape(self.dims)}"

    def __str__(self) -> str:
        return f"{self.name}{'?' if self.optional else ''} {self.type_text}"


def format_shape(dims: Sequence[int]) -> str:
    """``[2,-1]``."""
    return "[" + ",".join(str(dim) for dim in dims) + "]"


def parse_spec(text: str | TensorSpec, *, output: bool = False) -> TensorSpec:
    """Read a spec such as ``INPUT0:FP32[4]``; no brackets means one element, ``[1]``.

    Raises:
        ModelConfigError: the text has another form, an unknown datatype or a dimension that is neither -1 nor
        >= 1.
    """
    if isinstance(text, TensorSpec):
        return text
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        raise ModelConfigError(f"cannot read the tensor spec {text!r}", hint=_FORM)
    try:
        datatype = datatypes.find(match["dtype"])
    except KeyError:
        guess = did_you_mean(match["dtype"], datatypes.names())
        raise ModelConfigError(
            f"unknown datatype {match['dtype']!r} in {text!r}{guess}",
            hint="datatypes: " + " ".join(row.label for row in datatypes.DATATYPES),
        ) from None
    raw = match["dims"]
    try:
        dims = tuple(int(part) for part in raw.split(",")) if raw is not None else (1,)
    except ValueError:
        raise ModelConfigError(f"cannot read the dimensions of {text!r}", hint=_FORM) from None
    for dim in dims:
        if dim != -1 and dim < 1:
            raise ModelConfigError(
                f"dimension {dim} in {text!r}: a dimension is an integer >= 1, or -1 for any size", hint=_FORM
            )
    if output and match["optional"]:
        raise ModelConfigError(f"{text!r}: only inputs can be optional", hint=_FORM)
    return TensorSpec(match["name"], datatype, dims, optional=bool(match["optional"]))
