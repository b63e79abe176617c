"""What a server's core checks of a request before a model sees it, in its words (pb_utils contract §4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench import _host, datatypes
from workbench.tensor_spec import TensorSpec, format_shape

if TYPE_CHECKING:
    from workbench.session.ensemble import EnsembleRevision
    from workbench.session.revision import Revision

__all__ = ["CoreRefusal", "check_request"]


class CoreRefusal(Exception):  # noqa: N818 - carries an answer
    """The request does not fit the model."""


def check_request(
    target: Revision | EnsembleRevision,
    inputs: Sequence[_host.TensorTuple],
    requested: Sequence[str],
    request_id: str,
) -> tuple[list[_host.TensorTuple], list[str]]:
    """The tensors in the shapes the model sees, and the outputs to produce.

    Raises:
        CoreRefusal: with the text a server answers with.
    """
    config, name = target.config, target.config.name
    head = f"[request id: {request_id or '<id_unknown>'}] "
    specs = target.encoder.specs
    given = {each[0]: each for each in inputs}
    missing = [spec.name for spec in config.inputs if not spec.optional and spec.name not in given]
    if missing or len(given) > len(specs):
        wanted = len(specs) if not any(spec.optional for spec in config.inputs) else len(specs) - len(missing)
        quoted = ",".join(f"'{each}'" for each in given)
        lacking = ",".join(f"'{each}'" for each in missing)
        raise CoreRefusal(
            f"{head}expected {wanted} inputs but got {len(given)} inputs for model '{name}'. "
            f"Got input(s) [{quoted}], but missing required input(s) [{lacking}]. "
            "Please provide all required input(s)."
        )
    checked = []
    for tensor in given.values():
        spec = specs.get(tensor[0])
        if spec is None:
            raise CoreRefusal(f"{head}unexpected inference input '{tensor[0]}' for model '{name}'")
        checked.append(_check_tensor(head, name, config.max_batch_size, spec, tensor))
    for each in requested:
        if each not in target.output_names:
            raise CoreRefusal(f"unexpected inference output '{each}' for model '{name}'")
    return checked, list(requested) or list(target.output_names)


def _check_tensor(
    head: str, model: str, max_batch_size: int, spec: TensorSpec, tensor: _host.TensorTuple
) -> _host.TensorTuple:
    name, number, given, data = tensor
    if number != spec.datatype.number:
        got = datatypes.by_number(number).name
        raise CoreRefusal(
            f"{head}inference input '{name}' data-type is '{got}', but model '{model}' expects "
            f"'{spec.datatype.name}'"
        )
    shape, dims = tuple(given), spec.dims
    if max_batch_size:
        if shape and shape[0] > max_batch_size:
            raise CoreRefusal(f"{head}inference request batch-size must be <= {max_batch_size} for '{model}'")
        dims = (-1, *dims)
    if len(shape) != len(dims) or any(d not in (-1, s) for d, s in zip(dims, shape, strict=True)):
        raise CoreRefusal(
            f"{head}unexpected shape for input '{name}' for model '{model}'. "
            f"Expected {format_shape(dims)}, got {format_shape(shape)}."
        )
    lead = shape[:1] if max_batch_size else ()
    return (name, number, (*lead, *spec.reshaped(shape[len(lead) :])), data)
