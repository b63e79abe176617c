"""Two answers to one request, two configurations of one model: what differs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.messages import InferResult, Tensor
from workbench.model_config import ModelConfig
from workbench.session.replay import inputs_of
from workbench.targets.pushed import MARK
from workbench.tensor_spec import format_shape

if TYPE_CHECKING:
    from workbench.session.model_host import ModelHost
    from workbench.session.recorder import RecordedRequest
    from workbench.targets.remote import ServerTarget

__all__ = ["config_difference", "difference", "smoke_checks"]

_SMOKE = 3  # recorded requests sent after a push


def difference(
    here: InferResult, there: InferResult, *, rtol: float = 0.0, atol: float = 0.0, parameters: bool = True
) -> str:
    """The first difference of two answers to one request, "" if there is none.

    Args:
        here: One answer.
        there: The other; empty responses of either count for nothing, as transports drop or keep them.
        rtol: Relative difference that counts as equal, for floating-point outputs; NaN equals NaN.
        atol: The same, absolute.
        parameters: Compare response parameters and final flags too.
    """
    first = [each for each in here.responses if each]
    second = [each for each in there.responses if each]
    if len(first) != len(second):
        return f"has {len(first)} responses here and {len(second)} there"
    for number, (one, other) in enumerate(zip(first, second, strict=True)):
        place = f" in response {number}" if len(first) > 1 else ""
        if sorted(one) != sorted(other):
            return f"has outputs {', '.join(sorted(one))} here and {', '.join(sorted(other))} there{place}"
        for name in one:
            found = _tensor_difference(one[name], other[name], rtol, atol)
            if found:
                return f"differs in {name}{place}: {found}"
        if parameters and one.parameters != other.parameters:
            return f"differs in its parameters{place}: {one.parameters} here, {other.parameters} there"
        flags = [getattr(each.raw, "is_last", None) for each in (one, other)]
        if parameters and None not in flags and flags[0] != flags[1]:
            with_flag = "here" if flags[0] else "there"
            return f"differs in its flags{place}: it is the last response {with_flag} only"
    return ""


def _tensor_difference(one: Tensor, other: Tensor, rtol: float, atol: float) -> str:
    if one.type_text != other.type_text:
        return f"{one.type_text} here, {other.type_text} there"
    here, there = one.numpy(), other.numpy()
    if here.dtype.kind == "f":
        same = np.isclose(here, there, rtol=rtol, atol=atol, equal_nan=True)
    else:
        same = np.asarray(here == there)
    if same.all():
        return ""
    where = tuple(int(each) for each in np.argwhere(~same)[0])
    return f"{here[where]!s} here, {there[where]!s} there at {format_shape(where)}"


def smoke_checks(host: ModelHost) -> list[Any]:
    """The last recorded requests that went well, to be sent to what was pushed and to the live model."""
    chosen = [each for each in host.recorder.requests if each.error is None][-_SMOKE:]

    def check(record: RecordedRequest) -> Any:
        def run(target: ServerTarget) -> str:
            # A server drops response parameters in releases before 25.02: they are parity's matter.
            inputs = inputs_of(record)
            with host.recorder.paused():
                here = host.infer(inputs, timeout=30.0, **record.options)
            there = target.infer(host.name, inputs, **record.options)
            return difference(here, there, parameters=False)

        return run

    return [check(each) for each in chosen]


def config_difference(here: ModelConfig, there: ModelConfig) -> str:
    """The first difference of two configurations in effect, "" if there is none. Our mark is left out."""
    found = _first_difference(_plain(here), _plain(there), "")
    return f"its configuration differs in {found}" if found else ""


def _plain(config: ModelConfig) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(config.to_json())
    fields.get("parameters", {}).pop(MARK, None)
    return fields


def _first_difference(one: Any, other: Any, path: str) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            found = _first_difference(one.get(key), other.get(key), f"{path}.{key}" if path else key)
            if found:
                return found
        return ""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return next(filter(None, (_first_difference(*each, f"{path}[{i}]") for i, each in pairs)), "")
    return "" if one == other else f"{path}: {_shown(one)} here, {_shown(other)} there"


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, sort_keys=True)
