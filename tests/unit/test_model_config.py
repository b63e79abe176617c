"""Signatures and config.pbtxt."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from workbench.errors import ModelConfigError
from workbench.model_config import ModelConfig
from workbench.session.inputs import InputEncoder
from workbench.tensor_spec import parse_spec

# pb_utils contract §7.1: keys of args["model_config"] that are always there.
ALWAYS = {
    "name",
    "platform",
    "backend",
    "runtime",
    "version_policy",
    "max_batch_size",
    "input",
    "output",
    "batch_input",
    "batch_output",
    "optimization",
    "instance_group",
    "default_model_filename",
    "cc_model_filenames",
    "metric_tags",
    "parameters",
    "model_warmup",
}


@pytest.mark.parametrize(
    ("text", "name", "shown", "optional"),
    [
        ("INPUT0:FP32[4]", "INPUT0", "FP32[4]", False),
        ("MASK?:BOOL[-1]", "MASK", "BOOL[-1]", True),
        ("T:STRING[2,-1]", "T", "STRING[2,-1]", False),
        ("T:BYTES[1]", "T", "STRING[1]", False),
        ("a.b/c:float32[1, 2]", "a.b/c", "FP32[1,2]", False),
        ("X:INT64", "X", "INT64[1]", False),
    ],
)
def test_specs(text: str, name: str, shown: str, optional: bool) -> None:
    spec = parse_spec(text)
    assert (spec.name, spec.type_text, spec.optional) == (name, shown, optional)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("INPUT0", "cannot read the tensor spec 'INPUT0'"),
        ("A:FP31[4]", "unknown datatype 'FP31' in 'A:FP31[4]' (did you mean FP32?)"),
        ("A:FP32[x]", "cannot read the dimensions of 'A:FP32[x]'"),
        ("A:FP32[]", "cannot read the dimensions of 'A:FP32[]'"),
        ("A:FP32[0]", "dimension 0 in 'A:FP32[0]': a dimension is an integer >= 1, or -1 for any size"),
        ("A:FP32[4", "cannot read the tensor spec 'A:FP32[4'"),
    ],
)
def test_bad_specs(text: str, message: str) -> None:
    with pytest.raises(ModelConfigError) as caught:
        parse_spec(text)
    assert str(caught.value) == message
    assert caught.value.hint


def test_the_json_a_model_sees_has_every_key() -> None:
    config = ModelConfig.from_specs("m", ["A:FP32[4]", "B?:STRING[-1]"], ["C:FP32[4]"], max_batch_size=8)
    data = json.loads(config.to_json())
    assert set(data) == ALWAYS
    assert data["backend"] == "python"
    assert data["platform"] == ""
    assert data["default_model_filename"] == "model.py"
    assert data["version_policy"] == {"latest": {"num_versions": 1}}
    assert data["input"][0] == {
        "name": "A",
        "data_type": "TYPE_FP32",
        "format": "FORMAT_NONE",
        "dims": [4],
        "is_shape_tensor": False,
        "allow_ragged_batch": False,
        "optional": False,
        "is_non_linear_format_io": False,
    }
    assert data["input"][1]["dims"] == [-1]  # numbers, not protobuf's strings
    assert data["output"][0] == {
        "name": "C",
        "data_type": "TYPE_FP32",
        "dims": [4],
        "label_filename": "",
        "is_shape_tensor": False,
        "is_non_linear_format_io": False,
    }


def test_64_bit_numbers_are_numbers_everywhere() -> None:
    config = ModelConfig.from_text(
        """max_batch_size: 4
        dynamic_batching { max_queue_delay_microseconds: 100 priority_queue_policy { key: 1 value {
        max_queue_size: 2 default_timeout_microseconds: 7 } } }
        model_warmup { name: "w" batch_size: 1 inputs { key: "A" value { data_type: TYPE_FP32 dims: 4 } }
        }""",
        name="m",
    )
    data = config.to_dict()
    assert data["dynamic_batching"]["max_queue_delay_microseconds"] == 100
    assert data["dynamic_batching"]["priority_queue_policy"]["1"]["default_timeout_microseconds"] == 7
    assert data["dynamic_batching"]["preferred_batch_size"] == [4]
    assert data["model_warmup"][0]["inputs"]["A"]["dims"] == [4]


def test_text_and_json_bring_back_the_same_configuration() -> None:
    config = ModelConfig.from_specs(
        "m", ["A:FP32[4]"], ["B:BF16[1]"], instances=2, decoupled=True, gpu_inputs=True, parameters={"k": "v"}
    )
    assert ModelConfig.from_text(config.to_text()) == config
    assert ModelConfig.from_json(config.to_json()) == config
    assert config.completed_by(config.to_json()) == config
    assert config.parameters == {"FORCE_CPU_ONLY_INPUT_TENSORS": "no", "k": "v"}


@pytest.mark.parametrize(
    "changes",
    [
        {"instances": 3},
        {"device": "gpu:1"},
        {"instances": 2, "decoupled": True},
        {"max_batch_size": 4},
        {"gpu_inputs": True, "parameters": {"k": "v"}},
        {"inputs": ["A:INT32[2]", "C?:FP32[1]"]},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_a_change_leaves_the_rest(changes: dict[str, Any]) -> None:
    given: dict[str, Any] = {"inputs": ["A:FP32[4]"], "outputs": ["B:FP32[1]"]}
    changed = ModelConfig.from_specs("m", **given).with_signature(**changes)
    assert changed == ModelConfig.from_specs("m", **{**given, **changes})


def test_a_change_of_one_of_several_instance_groups_is_refused() -> None:
    two = ModelConfig.from_text("instance_group [{ count: 2 kind: KIND_CPU }, { kind: KIND_CPU }]", name="m")
    with pytest.raises(ModelConfigError, match="m has 2 instance groups"):
        two.with_signature(instances=3)
    assert two.with_signature(decoupled=True).instances == two.instances


def test_instances_are_named_as_on_a_server() -> None:
    assert [each.name for each in ModelConfig.from_specs("m", ["A:FP32[1]"]).instances] == ["m_0"]
    two = ModelConfig.from_text("instance_group [{ count: 2 kind: KIND_CPU }, { kind: KIND_CPU }]", name="m")
    assert [each.name for each in two.instances] == ["m_0_0", "m_0_1", "m_1_0"]
    named = ModelConfig.from_text('instance_group { name: "g" count: 2 kind: KIND_CPU }', name="m")
    assert [each.name for each in named.instances] == ["g_0", "g_1"]
    gpu = ModelConfig.from_specs("m", ["A:FP32[1]"], device="gpu:1").instances
    assert gpu == (("m_0_0", "GPU", 1),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inputs { }", 'config.pbtxt line 2: a model configuration has no field named "inputs".'),
        ('name: "b"', "the configuration of m says name: 'b'"),
        ("max_batch_size: -1", "m: max_batch_size must not be negative, got -1"),
        ('input { name: "A" dims: 1 }', "m: input A has no data_type"),
        ('input { name: "A" data_type: TYPE_FP32 }', "m: input A has no dims"),
        ("output { data_type: TYPE_FP32 dims: 1 }", "m: an output has no name"),
        ('default_model_filename: "m.txt"', "m: Model name must end with '.py'. Model name is \"m.txt\"."),
        ('platform: "onnx"', "m: platform 'onnx' is not a Python model"),
        (
            'parameters { key: "FORCE_CPU_ONLY_INPUT_TENSORS" value { string_value: "maybe" } }',
            "m: Incorrect value for FORCE_CPU_ONLY_INPUT_TENSORS: 'maybe'",
        ),
        (
            "max_batch_size: 2 dynamic_batching { preferred_batch_size: 4 }",
            "m: dynamic batching preferred size 4 is larger than max_batch_size 2",
        ),
    ],
)
def test_what_a_server_refuses(text: str, message: str) -> None:
    with pytest.raises(ModelConfigError) as caught:
        ModelConfig.from_text(f"# first line\n{text}", name="m")
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../a", "-a", ".a", "a;b", "a$b", "a'b"])
def test_illegal_names(name: str) -> None:
    with pytest.raises(ModelConfigError, match="illegal model name"):
        ModelConfig.from_specs(name, ["A:FP32[1]"])


RESHAPED = """
name: "m"
input {{ name: "X" data_type: TYPE_FP32 dims: {dims} reshape: {{ shape: {shape} }} }}
output {{ name: "Y" data_type: TYPE_FP32 dims: [ -1 ] }}
"""


@pytest.mark.parametrize(
    ("dims", "shape", "said"),
    [
        ("[ 4 ]", "[ 2, 3 ]", "has different size for dims and reshape"),
        ("[ 4 ]", "[ -1, 2 ]", "has different size for dims and reshape"),
        ("[ -1, 2 ]", "[ 2, -1 ]", "has different size for dims and reshape"),
        ("[ 2, -1 ]", "[ -1 ]", "has different size for dims and reshape"),
        ("[ -1 ]", "[ -1, -1 ]", "has different number of variable-size dimensions for dims and reshape"),
        ("[ 4 ]", "[ 0, 4 ]", "reshape dimensions must be integer >= 1, or -1 to indicate"),
    ],
)
def test_shapes_that_a_server_refuses(dims: str, shape: str, said: str) -> None:
    with pytest.raises(ModelConfigError, match=f"model input 'X' {said}"):
        ModelConfig.from_text(RESHAPED.format(dims=dims, shape=shape))


@pytest.mark.parametrize(
    ("dims", "shape", "given", "seen"),
    [
        ("[ 4 ]", "[ 2, 2 ]", (4,), (2, 2)),
        ("[ 1 ]", "[ ]", (1,), ()),
        ("[ -1, 4 ]", "[ -1, 2, 2 ]", (3, 4), (3, 2, 2)),
        ("[ -1, 4, -1 ]", "[ -1, 2, 2, -1 ]", (3, 4, 5), (3, 2, 2, 5)),
    ],
)
def test_the_shape_a_model_sees(dims: str, shape: str, given: tuple[int, ...], seen: tuple[int, ...]) -> None:
    config = ModelConfig.from_text(RESHAPED.format(dims=dims, shape=shape))
    [(_, _, encoded, _)] = InputEncoder(config).encode({"X": np.zeros(given, np.float32)})
    assert encoded == seen
