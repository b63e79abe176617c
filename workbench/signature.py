"""A signature written into a model configuration: tensors, instances, batching, parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.errors import ModelConfigError
from workbench.tensor_spec import TensorSpec, parse_spec

__all__ = ["apply_signature"]


def apply_signature(
    message: Any,
    *,
    inputs: Sequence[str | TensorSpec] | None = None,
    outputs: Sequence[str | TensorSpec] | None = None,
    max_batch_size: int | None = None,
    instances: int | None = None,
    device: str | None = None,
    decoupled: bool | None = None,
    gpu_inputs: bool | None = None,
    parameters: Mapping[str, str] | None = None,
) -> None:
    """Write what is given into a ``ModelConfig`` message; what is None stays as it is there.

    Raises:
        ModelConfigError: something given is wrong, or the change is to one of several instance groups.
    """
    if inputs is not None:
        del message.input[:]
        for text in inputs:
            spec = parse_spec(text)
            message.input.add(
                name=spec.name, data_type=spec.datatype.config, dims=spec.dims, optional=spec.optional
            )
    if outputs is not None:
        del message.output[:]
        for text in outputs:
            spec = parse_spec(text, output=True)
            message.output.add(name=spec.name, data_type=spec.datatype.config, dims=spec.dims)
    if max_batch_size is not None:
        message.max_batch_size = max_batch_size
    if instances is not None or device is not None:
        _apply_instances(message, instances, device)
    if decoupled is not None:
        message.model_transaction_policy.decoupled = decoupled
    given = dict(parameters or {})
    if gpu_inputs is not None:
        given.setdefault("FORCE_CPU_ONLY_INPUT_TENSORS", "no" if gpu_inputs else "yes")
    for key, value in given.items():
        message.parameters[key].string_value = str(value)


def _apply_instances(message: Any, instances: int | None, device: str | None) -> None:
    if len(message.instance_group) > 1:
        raise ModelConfigError(
            f"{message.name} has {len(message.instance_group)} instance groups",
            hint="write in its configuration which of them is to change",
        )
    if instances is not None and instances < 1:
        raise ModelConfigError(f"{message.name}: a model needs at least 1 instance, got {instances}")
    match = re.fullmatch(r"cpu|gpu(?::(\d+))?", device) if device is not None else None
    if device is not None and match is None:
        raise ModelConfigError(f"unknown device {device!r}", hint="write cpu, gpu or gpu:0")
    group = message.instance_group[0] if message.instance_group else message.instance_group.add()
    if group.name == message.name:
        group.name = ""  # so is only the group called that stands for none; one that is written has a number
    if instances is not None:
        group.count = instances
    if match is not None:
        group.ClearField("gpus")
        group.kind = group.KIND_CPU if device == "cpu" else group.KIND_GPU
        if device != "cpu":
            group.gpus.append(int(match[1] or 0))
