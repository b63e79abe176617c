"""The mistakes in a model configuration that a server refuses, found before anything is started."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tritonclient.grpc import model_config_pb2 as pb

from workbench.errors import ModelConfigError

__all__ = ["check", "check_model_name"]

# A name becomes a folder, a process argument and part of error texts. Releases from 25.08 on refuse every
# character a shell could act on; a folder name cannot hold a slash; a leading dot or dash is read as
# something else.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@%:,=-]*")

_FORCE_CPU = "FORCE_CPU_ONLY_INPUT_TENSORS"


def check_model_name(name: str) -> str:
    """Give the name back, or raise ModelConfigError if no server would take it."""
    if not _NAME.fullmatch(name) or len(name) > 200:
        suggestion = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")[:200] or "my_model"
        raise ModelConfigError(
            f"illegal model name {name!r}",
            hint=f"letters, digits and _ . - only, not starting with . or -: for example {suggestion}",
        )
    return name


def check(message: Any) -> None:
    """Refuse what a server refuses.

    Raises:
        ModelConfigError: naming the field.
    """
    name = check_model_name(message.name)
    if message.max_batch_size < 0:
        raise ModelConfigError(f"{name}: max_batch_size must not be negative, got {message.max_batch_size}")
    if message.platform and message.platform != "ensemble":
        raise ModelConfigError(
            f"{name}: platform {message.platform!r} is not a Python model",
            hint='remove platform and write backend: "python"',
        )
    if message.default_model_filename and not message.default_model_filename.endswith(".py"):
        raise ModelConfigError(
            f"{name}: Model name must end with '.py'. Model name is \"{message.default_model_filename}\"."
        )
    if "/" in message.default_model_filename:
        raise ModelConfigError(f"{name}: default_model_filename is a file name, not a path")
    _check_tensors(name, "input", message.input)
    _check_tensors(name, "output", message.output)
    _check_groups(name, message)
    _check_batching(name, message)
    if _FORCE_CPU in message.parameters:
        force = message.parameters[_FORCE_CPU].string_value
        if force not in ("yes", "no"):
            raise ModelConfigError(
                f"{name}: Incorrect value for {_FORCE_CPU}: {force!r}",
                hint="write yes (inputs come to the CPU) or no",
            )


def _check_tensors(model: str, what: str, tensors: Any) -> None:
    seen: set[str] = set()
    for tensor in tensors:
        if not tensor.name:
            raise ModelConfigError(f"{model}: an {what} has no name")
        if tensor.name in seen:
            raise ModelConfigError(f"{model} declares {what} {tensor.name!r} twice")
        seen.add(tensor.name)
        if tensor.data_type == pb.TYPE_INVALID:
            raise ModelConfigError(
                f"{model}: {what} {tensor.name} has no data_type", hint="for example data_type: TYPE_FP32"
            )
        if not tensor.dims:
            raise ModelConfigError(
                f"{model}: {what} {tensor.name} has no dims", hint="for example dims: [ 4 ]"
            )
        for dim in tensor.dims:
            if dim != -1 and dim < 1:
                raise ModelConfigError(
                    f"{model}: {what} {tensor.name} has dimension {dim}: an integer >= 1, or -1 for any size"
                )
        if tensor.HasField("reshape"):
            _check_reshape(f"model {what} '{tensor.name}'", model, tensor.dims, tensor.reshape.shape)


def _check_reshape(tensor: str, model: str, dims: Sequence[int], reshape: Sequence[int]) -> None:
    """In a server's words (seen with 24.10)."""
    if any(dim != -1 and dim < 1 for dim in reshape):
        raise ModelConfigError(
            f"{tensor} reshape dimensions must be integer >= 1, or -1 to indicate a variable-size dimension "
            f"for {model}"
        )
    here, there = _fixed_parts(dims), _fixed_parts(reshape)
    if (len(here) == 1) == (len(there) == 1) and len(here) != len(there):
        raise ModelConfigError(
            f"{tensor} has different number of variable-size dimensions for dims and reshape for {model}"
        )
    if here != there:
        raise ModelConfigError(
            f"{tensor} has different size for dims and reshape for {model}",
            hint="before, between and behind dimensions of -1 both hold the same number of values",
        )


def _fixed_parts(dims: Sequence[int]) -> list[int]:
    """Numbers of values in the dimensions around those of -1."""
    parts = [1]
    for dim in dims:
        if dim == -1:
            parts.append(1)
        else:
            parts[-1] *= dim
    return parts


def _check_groups(name: str, message: Any) -> None:
    for group in message.instance_group:
        if group.count < 0:
            raise ModelConfigError(f"{name}: instance_group count must not be negative, got {group.count}")
        if group.kind == pb.ModelInstanceGroup.KIND_CPU and group.gpus:
            raise ModelConfigError(
                f"{name}: an instance_group of KIND_CPU names gpus",
                hint="write kind: KIND_GPU, or leave gpus out",
            )


def _check_batching(name: str, message: Any) -> None:
    ensemble = message.HasField("ensemble_scheduling")
    if ensemble != (message.platform == "ensemble"):
        raise ModelConfigError(
            f'{name}: platform: "ensemble" and ensemble_scheduling belong together',
            hint="a Python model has neither; an ensemble has both",
        )
    if ensemble:
        if message.backend:
            raise ModelConfigError(f"{name} is an ensemble, which has no backend")
        if message.instance_group:
            raise ModelConfigError(
                f"{name} is an ensemble, which has no instance_group", hint="give the models of its steps one"
            )
    if message.HasField("dynamic_batching"):
        for size in message.dynamic_batching.preferred_batch_size:
            if size <= 0:
                raise ModelConfigError(
                    f"{name}: dynamic batching preferred size must be positive, got {size}"
                )
            if size > max(message.max_batch_size, 1):
                raise ModelConfigError(
                    f"{name}: dynamic batching preferred size {size} is larger than "
                    f"max_batch_size {message.max_batch_size}"
                )
    if message.model_transaction_policy.decoupled and message.response_cache.enable:
        raise ModelConfigError(f"{name}: a decoupled model cannot use the response cache")
