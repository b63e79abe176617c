"""config.pbtxt as a value: read, check, complete with the server's defaults, print.

The schema and its text form are Triton's own (``tritonclient``'s protobuf); nothing is parsed by hand here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from google.protobuf import json_format, text_format
from google.protobuf.descriptor import FieldDescriptor
from tritonclient.grpc import model_config_pb2 as pb

from workbench import config_checks, datatypes
from workbench.errors import ModelConfigError
from workbench.signature import apply_signature
from workbench.suggest import did_you_mean
from workbench.tensor_spec import TensorSpec

__all__ = ["InstanceSpec", "ModelConfig"]

_INT64 = {
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_SINT64,
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_SFIXED64,
}


class InstanceSpec(NamedTuple):
    """One instance as ``initialize(args)`` names it."""

    name: str  # add_sub_0_0
    kind: str  # CPU GPU MODEL
    device_id: int


class ModelConfig:
    """A complete, valid model configuration. Immutable by convention: `with_…` methods give new ones."""

    def __init__(self, message: Any) -> None:
        """Take a ``ModelConfig`` protobuf message, fill in what a server fills in, and check it.

        Raises:
            ModelConfigError: a server would refuse it.
        """
        self._pb = pb.ModelConfig()
        self._pb.CopyFrom(message)
        config_checks.check(self._pb)
        _complete(self._pb)

    # -- making one ----------------------------------------------------------------------------------------

    @classmethod
    def from_text(cls, text: str, *, name: str = "") -> ModelConfig:
        """Read config.pbtxt.

        Args:
            text: The file's text. Line numbers in errors are lines of this text.
            name: The model's name; the text may leave it out, but not say another one.
        """
        message = pb.ModelConfig()
        try:
            text_format.Parse(text, message)
        except text_format.ParseError as error:
            raise ModelConfigError(_located(str(error)), hint=_field_hint(str(error))) from None
        return cls(_named(message, name))

    @classmethod
    def from_json(cls, text: str | Mapping[str, Any], *, name: str = "") -> ModelConfig:
        """Read the JSON form, for example what auto-complete returned."""
        try:
            data = json.loads(text) if isinstance(text, str) else dict(text)
            message = json_format.ParseDict(data, pb.ModelConfig())
        except (json_format.ParseError, ValueError, TypeError) as error:
            raise ModelConfigError(f"the model configuration is not valid: {error}") from None
        return cls(_named(message, name))

    @classmethod
    def from_specs(
        cls,
        name: str,
        inputs: Sequence[str | TensorSpec] = (),
        outputs: Sequence[str | TensorSpec] = (),
        *,
        max_batch_size: int = 0,
        instances: int = 1,
        device: str = "cpu",
        decoupled: bool = False,
        gpu_inputs: bool = False,
        parameters: Mapping[str, str] | None = None,
    ) -> ModelConfig:
        """Make one from a signature.

        Args:
            name: The model's name.
            inputs: Specs such as ``INPUT0:FP32[4]``.
            outputs: The same for outputs.
            max_batch_size: 0 means the model does not batch.
            instances: Processes serving the model.
            device: ``cpu``, ``gpu`` or ``gpu:N``.
            decoupled: The model answers through response senders.
            gpu_inputs: Leave inputs in GPU memory (``FORCE_CPU_ONLY_INPUT_TENSORS`` = ``no``).
            parameters: Model parameters, strings.
        """
        message = pb.ModelConfig(name=name, backend="python")
        usual = instances == 1 and device == "cpu"  # of which a configuration need not speak
        apply_signature(
            message,
            inputs=inputs,
            outputs=outputs,
            max_batch_size=max_batch_size,
            instances=None if usual else instances,
            device=None if usual else device,
            decoupled=decoupled or None,
            gpu_inputs=gpu_inputs or None,
            parameters=parameters,
        )
        return cls(message)

    def with_signature(self, **options: Any) -> ModelConfig:
        """The same with what is given changed, and nothing else.

        Args:
            **options: As of `from_specs`. Inputs that are given are all there are, and outputs too.

        Raises:
            ModelConfigError: something given is wrong, or the change is to one of several instance groups.
        """
        message = pb.ModelConfig()
        message.CopyFrom(self._pb)
        apply_signature(message, **options)
        return ModelConfig(message)

    def completed_by(self, auto_completed: str) -> ModelConfig:
        """The configuration an ``auto_complete_config`` returned, as JSON, in place of this one.

        Raises:
            ModelConfigError: the returned configuration is not valid, or renames the model.
        """
        return ModelConfig.from_json(auto_completed, name=self.name)

    def named(self, name: str) -> ModelConfig:
        """The same for a model of that name. Raises ModelConfigError if it says another."""
        _named(self._pb, name)
        return self

    # -- reading it ----------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return str(self._pb.name)

    @property
    def backend(self) -> str:
        return str(self._pb.backend)

    @property
    def filename(self) -> str:
        """The model's file in its version folder, ``model.py`` by default."""
        return str(self._pb.default_model_filename)

    @property
    def max_batch_size(self) -> int:
        return int(self._pb.max_batch_size)

    @property
    def decoupled(self) -> bool:
        return bool(self._pb.model_transaction_policy.decoupled)

    @property
    def dynamic_batching(self) -> Any:
        """The ``dynamic_batching`` message, or None if the config has none."""
        return self._pb.dynamic_batching if self._pb.HasField("dynamic_batching") else None

    @property
    def sequence_batching(self) -> Any:
        """The ``sequence_batching`` message, or None if the config has none."""
        return self._pb.sequence_batching if self._pb.HasField("sequence_batching") else None

    @property
    def is_ensemble(self) -> bool:
        return str(self._pb.platform) == "ensemble"

    @property
    def ensemble_scheduling(self) -> Any:
        """The ``ensemble_scheduling`` message, or None if the config has none."""
        return self._pb.ensemble_scheduling if self._pb.HasField("ensemble_scheduling") else None

    @property
    def warmups(self) -> Sequence[Any]:
        """The ``model_warmup`` messages."""
        return list(self._pb.model_warmup)

    @property
    def version_policy(self) -> Any:
        """The ``version_policy`` message: ``latest``, ``all`` or ``specific``."""
        return self._pb.version_policy

    @cached_property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return tuple(_spec(each) for each in self._pb.input)

    @cached_property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return tuple(_spec(each) for each in self._pb.output)

    @property
    def parameters(self) -> dict[str, str]:
        return {key: value.string_value for key, value in sorted(self._pb.parameters.items())}

    @cached_property
    def instances(self) -> tuple[InstanceSpec, ...]:
        """Every process to start: ``<group name>_<n>``, as a server numbers them."""
        found = []
        for group in self._pb.instance_group:
            kind = pb.ModelInstanceGroup.Kind.Name(group.kind).removeprefix("KIND_")
            for device in list(group.gpus) if kind == "GPU" else [0]:
                found += [InstanceSpec(f"{group.name}_{n}", kind, device) for n in range(group.count)]
        return tuple(found)

    @property
    def declares_nothing(self) -> bool:
        return not self._pb.input and not self._pb.output

    # -- printing it ---------------------------------------------------------------------------------------

    def to_text(self) -> str:
        """config.pbtxt. Comments of a text it was read from are lost; equal configs give equal text."""
        return str(text_format.MessageToString(self._pb))

    def to_dict(self) -> dict[str, Any]:
        """What ``json.loads(args["model_config"])`` is in a model: every plain field present, 64-bit numbers
        as int.
        """
        data = json_format.MessageToDict(
            self._pb, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        numbers = _numbers(self._pb.DESCRIPTOR, data)
        return dict(numbers)

    def to_json(self, *, indent: int | None = None) -> str:
        return json.dumps(self.to_dict(), indent=indent, separators=None if indent else (",", ":"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelConfig) and bool(self._pb == other._pb)

    def __hash__(self) -> int:
        return hash(self.to_text())

    def __repr__(self) -> str:
        return self.to_text().rstrip("\n")


def _spec(message: Any) -> TensorSpec:
    return TensorSpec(
        message.name,
        datatypes.find(pb.DataType.Name(message.data_type)),
        tuple(message.dims),
        optional=bool(getattr(message, "optional", False)),
        reshape=tuple(message.reshape.shape) if message.HasField("reshape") else None,
        ragged=bool(getattr(message, "allow_ragged_batch", False)),
    )


def _named(message: Any, name: str) -> Any:
    if name and not message.name:
        message.name = name
    if name and message.name != name:
        raise ModelConfigError(
            f"the configuration of {name} says name: {message.name!r}",
            hint=f"leave name out, or write name: {name!r}",
        )
    return message


def _complete(message: Any) -> None:
    """Defaults a server writes into a configuration before a model sees it (pb_utils contract §1.4, §7.1)."""
    if not message.HasField("version_policy"):
        message.version_policy.latest.num_versions = 1
    if message.platform == "ensemble":
        return
    message.backend = message.backend or "python"
    message.default_model_filename = message.default_model_filename or "model.py"
    message.optimization.input_pinned_memory.enable = _default_true(message, "input_pinned_memory")
    message.optimization.output_pinned_memory.enable = _default_true(message, "output_pinned_memory")
    if not message.instance_group:
        message.instance_group.add(name=message.name, kind="KIND_CPU", count=1)
    for index, group in enumerate(message.instance_group):
        group.name = group.name or f"{message.name}_{index}"
        group.count = group.count or 1
        if group.kind == pb.ModelInstanceGroup.KIND_AUTO:
            group.kind = pb.ModelInstanceGroup.KIND_GPU if group.gpus else pb.ModelInstanceGroup.KIND_CPU
        if group.kind == pb.ModelInstanceGroup.KIND_GPU and not group.gpus:
            group.gpus.append(0)
    if message.HasField("dynamic_batching") and message.max_batch_size:
        preferred = message.dynamic_batching.preferred_batch_size
        if not preferred:
            preferred.append(message.max_batch_size)


def _default_true(message: Any, field: str) -> bool:
    optimization = message.optimization
    return bool(getattr(optimization, field).enable) if optimization.HasField(field) else True


def _numbers(descriptor: Any, data: Any) -> Any:
    """protobuf's JSON has 64-bit integers as strings; a server hands them to the model as numbers."""
    for field in descriptor.fields:
        if field.name not in data:
            continue
        value = data[field.name]
        many = isinstance(value, list)
        if field.type in _INT64:
            data[field.name] = [int(each) for each in value] if many else int(value)
        elif field.message_type is not None:
            options = field.message_type.GetOptions()
            if options.map_entry:
                target = field.message_type.fields_by_name["value"].message_type
                if target is not None:
                    for each in value.values():
                        _numbers(target, each)
            else:
                for each in value if many else [value]:
                    _numbers(field.message_type, each)
    return data


def _located(text: str) -> str:
    """``8:1 : Message type …`` → ``config.pbtxt line 8: Message type …``."""
    match = re.match(r"(\d+):(\d+) : (.*)", text, re.DOTALL)
    if match is None:
        return f"config.pbtxt: {text}"
    # Some errors quote the whole line first: `line text': reason`.
    reason = (
        match[3]
        .rsplit("': ", 1)[-1]
        .strip()
        .strip("'")
        .replace('Message type "inference.ModelConfig"', "a model configuration")
    )
    return f"config.pbtxt line {match[1]}: {reason}"


def _field_hint(text: str) -> str:
    if "has no field named" in text:
        word = text.split("has no field named")[1].split('"')[1]
        near = did_you_mean(word, [field.name for field in pb.ModelConfig.DESCRIPTOR.fields])
        return f"{word} is not a field{near}"
    if "Enum type" in text:
        return "datatypes are TYPE_FP32, TYPE_INT64, TYPE_STRING …; kinds are KIND_CPU, KIND_GPU"
    return "text form of protobuf: field: value, message { … }, list: [ … ]"
