"""The plain-Python part of ``triton_python_backend_utils``: values, and every error text."""

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pb_utils import load_module, pb_utils

FLOAT_A = {"name": "A", "data_type": "TYPE_FP32", "dims": [4]}


def config(**fields: Any) -> Any:
    return pb_utils.ModelConfig(json.dumps({"name": "M", **fields}))


class Named:
    def __init__(self, name: str, value: int = 0) -> None:
        self._name, self.value = name, value

    def name(self) -> str:
        return self._name


class Message:
    """Stands where a request or a response stands: only the two lists are asked for."""

    def __init__(self, *tensors: Named) -> None:
        self._tensors = list(tensors)

    def inputs(self) -> list[Named]:
        return self._tensors

    output_tensors = inputs


# --- names


def test_constants() -> None:
    assert pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START == 1
    assert pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_END == 2
    assert pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL == 1
    assert pb_utils.TRITONSERVER_REQUEST_RELEASE_ALL == 1
    assert pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE == 2


def test_names_that_models_reach_by_accident() -> None:
    assert pb_utils.np is np
    assert pb_utils.json is json
    assert pb_utils.struct is struct


@pytest.mark.parametrize("name", ["Tensor", "InferenceRequest", "TritonError", "get_model_dir", "load_model"])
def test_a_name_of_the_stub_says_where_it_exists(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"no attribute '{name}' outside a running model\nhint: "):
        getattr(pb_utils, name)


def test_a_name_of_the_stub_can_be_put_on_the_module() -> None:
    module = load_module()
    assert not hasattr(module, "Tensor")
    module.Tensor = Named
    assert module.Tensor is Named


def test_an_unknown_name_is_an_ordinary_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module '\w+' has no attribute 'Tensro'$"):
        _ = pb_utils.Tensro


# --- datatypes

DATATYPES = [
    ("TYPE_BOOL", 1, np.bool_),
    ("TYPE_UINT8", 2, np.uint8),
    ("TYPE_UINT16", 3, np.uint16),
    ("TYPE_UINT32", 4, np.uint32),
    ("TYPE_UINT64", 5, np.uint64),
    ("TYPE_INT8", 6, np.int8),
    ("TYPE_INT16", 7, np.int16),
    ("TYPE_INT32", 8, np.int32),
    ("TYPE_INT64", 9, np.int64),
    ("TYPE_FP16", 10, np.float16),
    ("TYPE_FP32", 11, np.float32),
    ("TYPE_FP64", 12, np.float64),
    ("TYPE_STRING", 13, np.object_),
]


@pytest.mark.parametrize(("name", "number", "kind"), DATATYPES)
def test_datatype(name: str, number: int, kind: Any) -> None:
    assert pb_utils.triton_string_to_numpy(name) is (bool if kind is np.bool_ else kind)
    assert pb_utils.TRITON_STRING_TO_NUMPY[name] is pb_utils.triton_string_to_numpy(name)
    assert pb_utils.triton_to_numpy_type(number) is kind
    assert pb_utils.numpy_to_triton_type(kind) == number
    assert pb_utils.numpy_to_triton_type(np.dtype(kind)) == number


def test_there_are_no_other_datatypes() -> None:
    assert list(pb_utils.TRITON_STRING_TO_NUMPY) == [name for name, _, _ in DATATYPES]


@pytest.mark.parametrize("name", ["FP32", "TYPE_BF16", "TYPE_INVALID"])
def test_unknown_datatype_name(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        pb_utils.triton_string_to_numpy(name)


@pytest.mark.parametrize("number", [0, 14, 15, -1])
def test_unknown_datatype_number(number: int) -> None:
    assert pb_utils.triton_to_numpy_type(number) is None


@pytest.mark.parametrize(
    "kind",
    [None, str, "U3", complex, "M8[s]", ">f4", "nonsense", [("a", "f4")]],
    ids=repr,
)
def test_numpy_type_without_a_datatype(kind: Any) -> None:
    assert pb_utils.numpy_to_triton_type(kind) is None


@pytest.mark.parametrize(
    ("kind", "number"),
    [(bool, 1), (np.longlong, 9), (np.bytes_, 13), ("S5", 13), (np.dtype("S5"), 13), (object, 13)],
    ids=repr,
)
def test_other_spellings_of_a_numpy_type(kind: Any, number: int) -> None:
    assert pb_utils.numpy_to_triton_type(kind) == number


# --- BYTES


def wire(*elements: bytes) -> bytes:
    return b"".join(len(element).to_bytes(4, "little") + element for element in elements)


def objects(*elements: object) -> Any:
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array


def test_serialize_objects() -> None:
    array = objects(b"\x00a\x00", "ä", None, 3.5, np.bytes_(b"q"), "")
    expected = wire(b"\x00a\x00", "ä".encode(), b"None", b"3.5", b"q", b"")
    assert pb_utils.serialize_byte_tensor(array) == expected


def test_serialize_goes_in_c_order() -> None:
    array = objects(b"a", b"b", b"c", b"d").reshape(2, 2)
    assert pb_utils.serialize_byte_tensor(array.T) == wire(b"a", b"c", b"b", b"d")
    fixed = np.array([[b"a", b"bb"], [b"ccc", b""]])
    assert pb_utils.serialize_byte_tensor(fixed.T) == wire(b"a", b"ccc", b"bb", b"")
    assert pb_utils.serialize_byte_tensor(np.asfortranarray(fixed)) == wire(b"a", b"bb", b"ccc", b"")


def test_serialize_a_scalar_array() -> None:
    assert pb_utils.serialize_byte_tensor(np.array(b"xy")) == wire(b"xy")
    assert pb_utils.serialize_byte_tensor(np.array("xy", dtype=object)) == wire(b"xy")


def test_serialize_fixed_width_drops_padding_only() -> None:
    array = np.array([b"a\x00b", b"c\x00\x00"], dtype="S5")
    assert pb_utils.serialize_byte_tensor(array) == wire(b"a\x00b", b"c")


@pytest.mark.parametrize("dtype", ["O", "S3", "f4", "U2"])
def test_serialize_an_empty_array(dtype: str) -> None:
    assert pb_utils.serialize_byte_tensor(np.empty((0, 2), dtype=dtype)) == ()


@pytest.mark.parametrize("dtype", ["f4", "U2", "?"])
def test_serialize_something_else(dtype: str) -> None:
    assert pb_utils.serialize_byte_tensor(np.zeros(2, dtype=dtype)) is None


def test_serialize_text_that_is_not_unicode() -> None:
    with pytest.raises(UnicodeEncodeError):
        pb_utils.serialize_byte_tensor(objects("\ud800"))


@pytest.mark.parametrize(
    "elements", [(), (b"",), (b"", b""), (b"ab", b"cd"), (b"a\x00", b"b"), (b"", b"abc")]
)
@pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview])
def test_deserialize(elements: tuple[bytes, ...], buffer: Any) -> None:
    result = pb_utils.deserialize_bytes_tensor(buffer(wire(*elements)))
    assert result.dtype == object
    assert result.shape == (len(elements),)
    assert result.tolist() == list(elements)
    assert all(type(element) is bytes for element in result)


def test_deserialize_an_array_of_bytes() -> None:
    data = np.frombuffer(wire(b"one", b"three"), dtype=np.uint8)
    assert pb_utils.deserialize_bytes_tensor(data).tolist() == [b"one", b"three"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x01\x00\x00", "incomplete length of element 0 at byte 0: 3 of 4 bytes"),
        (wire(b"abc") + b"\x01", "incomplete length of element 1 at byte 7: 1 of 4 bytes"),
        (wire(b"a", b"abcd")[:-2], "element 1 at byte 9 has 4 bytes, but only 2 are left"),
        (b"\xff\xff\xff\xff", "element 0 at byte 4 has 4294967295 bytes, but only 0 are left"),
    ],
)
def test_deserialize_a_truncated_tensor(data: bytes, text: str) -> None:
    with pytest.raises(struct.error) as caught:
        pb_utils.deserialize_bytes_tensor(data)
    assert str(caught.value) == text


@given(st.lists(st.binary(max_size=5), max_size=6))
def test_bytes_round_trip(elements: list[bytes]) -> None:
    encoded = pb_utils.serialize_byte_tensor(objects(*elements))
    assert bytes(encoded) == wire(*elements)
    assert pb_utils.deserialize_bytes_tensor(bytes(encoded)).tolist() == elements


@given(st.lists(st.binary(min_size=1, max_size=5), min_size=1, max_size=6))
def test_fixed_width_is_encoded_as_numpy_reads_it(elements: list[bytes]) -> None:
    array = np.array(elements, dtype="S5")
    assert pb_utils.serialize_byte_tensor(array) == wire(*array.tolist())


# --- finding by name


def test_tensor_by_name_is_the_first_of_that_name() -> None:
    first, second, other = Named("A", 1), Named("A", 2), Named("B")
    assert pb_utils.get_input_tensor_by_name(Message(other, first, second), "A") is first
    assert pb_utils.get_output_tensor_by_name(Message(other, first, second), "A") is first


def test_tensor_that_is_not_there() -> None:
    assert pb_utils.get_input_tensor_by_name(Message(Named("A")), "B") is None
    assert pb_utils.get_output_tensor_by_name(Message(), "B") is None


def test_config_by_name() -> None:
    model_config = {"input": [FLOAT_A], "output": [{"name": "Y"}]}
    assert pb_utils.get_input_config_by_name(model_config, "A") is FLOAT_A
    assert pb_utils.get_output_config_by_name(model_config, "Y") == {"name": "Y"}
    assert pb_utils.get_input_config_by_name(model_config, "Y") is None
    assert pb_utils.get_output_config_by_name(model_config, "A") is None
    assert pb_utils.get_input_config_by_name({}, "A") is None
    assert pb_utils.get_output_config_by_name({}, "A") is None


@pytest.mark.parametrize(
    ("model_config", "decoupled"),
    [
        ({}, False),
        ({"model_transaction_policy": {}}, False),
        ({"model_transaction_policy": {"decoupled": False}}, False),
        ({"model_transaction_policy": {"decoupled": True}}, True),
    ],
)
def test_transaction_policy(model_config: dict[str, Any], decoupled: bool) -> None:
    assert pb_utils.using_decoupled_model_transaction_policy(model_config) is decoupled


# --- ModelConfig


def test_as_dict_is_the_live_dictionary() -> None:
    model_config = config()
    model_config.as_dict()["max_batch_size"] = 3
    assert model_config.as_dict() is model_config._model_config
    assert model_config._model_config == {"name": "M", "max_batch_size": 3}


@pytest.mark.parametrize(
    ("specified", "wanted"), [({}, 4), ({"max_batch_size": 0}, 8), ({"max_batch_size": 4}, 4)]
)
def test_max_batch_size(specified: dict[str, int], wanted: int) -> None:
    model_config = config(**specified)
    model_config.set_max_batch_size(wanted)
    assert model_config.as_dict()["max_batch_size"] == wanted


def test_max_batch_size_smaller_than_configured() -> None:
    model_config = config(max_batch_size=8)
    with pytest.raises(ValueError) as caught:
        model_config.set_max_batch_size(4)
    assert str(caught.value) == (
        "configuration specified max_batch_size 8, but in auto-complete-config function for model 'M' "
        "specified max_batch_size 4"
    )
    assert model_config.as_dict()["max_batch_size"] == 8


@pytest.mark.parametrize("present", [{}, {"dynamic_batching": {"max_queue_delay_microseconds": 9}}])
def test_dynamic_batching(present: dict[str, Any]) -> None:
    model_config = config(**present)
    model_config.set_dynamic_batching()
    assert model_config.as_dict()["dynamic_batching"] == present.get("dynamic_batching", {})


@pytest.mark.parametrize("choice", ["sequence_batching", "ensemble_scheduling"])
def test_dynamic_batching_against_another_choice(choice: str) -> None:
    model_config = config(**{choice: {}})
    with pytest.raises(ValueError) as caught:
        model_config.set_dynamic_batching()
    assert str(caught.value) == (
        f"Configuration specified scheduling_choice as '{choice}', but auto-complete-config function for "
        "model 'M' tries to set scheduling_choice as 'dynamic_batching'"
    )
    assert "dynamic_batching" not in model_config.as_dict()


@pytest.mark.parametrize("specified", [{}, {"decoupled": True}])
def test_set_transaction_policy(specified: dict[str, bool]) -> None:
    model_config = config(model_transaction_policy=specified)
    model_config.set_model_transaction_policy({"decoupled": True})
    assert model_config.as_dict()["model_transaction_policy"] == {"decoupled": True}


def test_set_transaction_policy_where_there_is_none() -> None:
    model_config = config()
    model_config.set_model_transaction_policy({"decoupled": False})
    assert model_config.as_dict()["model_transaction_policy"] == {"decoupled": False}


def test_transaction_policy_with_another_property() -> None:
    model_config = config()
    with pytest.raises(ValueError) as caught:
        model_config.set_model_transaction_policy({"decoupled": True, "other": 1})
    assert str(caught.value) == (
        "model transaction property in auto-complete-config function for model 'M' contains property other "
        "than 'decoupled'."
    )
    assert "model_transaction_policy" not in model_config.as_dict()


@pytest.mark.parametrize("specified", [True, False])
def test_transaction_policy_that_contradicts(specified: bool) -> None:
    model_config = config(model_transaction_policy={"decoupled": specified})
    with pytest.raises(ValueError) as caught:
        model_config.set_model_transaction_policy({"decoupled": not specified})
    assert str(caught.value) == (
        "trying to change decoupled property in auto-complete-config for model 'M', which is already set to "
        f"'{specified}'."
    )


SECTIONS = pytest.mark.parametrize("section", ["input", "output"])


def add(model_config: Any, section: str, entry: dict[str, Any]) -> None:
    getattr(model_config, f"add_{section}")(entry)


def refusal(section: str, present: list[dict[str, Any]], entry: dict[str, Any]) -> str:
    """The error of adding `entry`; also checks that nothing has changed."""
    model_config = config(**{section: present})
    before = json.dumps(model_config.as_dict())
    with pytest.raises(ValueError) as caught:
        add(model_config, section, entry)
    assert json.dumps(model_config.as_dict()) == before
    return str(caught.value)


@SECTIONS
@pytest.mark.parametrize("present", [{}, {"empty": True}])
def test_add_to_nothing(section: str, present: dict[str, bool]) -> None:
    model_config = config(**({section: []} if present else {}))
    add(model_config, section, FLOAT_A)
    assert model_config.as_dict()[section] == [FLOAT_A]


@SECTIONS
def test_add_a_second_tensor(section: str) -> None:
    other = {**FLOAT_A, "name": "B"}
    model_config = config(**{section: [other]})
    add(model_config, section, FLOAT_A)
    assert model_config.as_dict()[section] == [other, FLOAT_A]


@SECTIONS
@pytest.mark.parametrize(
    "present",
    [FLOAT_A, {"name": "A"}, {**FLOAT_A, "data_type": "TYPE_INVALID"}, {**FLOAT_A, "dims": []}],
)
def test_add_completes_what_is_there(section: str, present: dict[str, Any]) -> None:
    model_config = config(**{section: [{**present, "reshape": {"shape": []}}]})
    add(model_config, section, FLOAT_A)
    assert model_config.as_dict()[section] == [{**FLOAT_A, "reshape": {"shape": []}}]


@pytest.mark.parametrize("present", [{}, {"optional": True}])
def test_optional_input(present: dict[str, bool]) -> None:
    model_config = config(input=[{**FLOAT_A, **present}])
    model_config.add_input({**FLOAT_A, "optional": True})
    assert model_config.as_dict()["input"] == [{**FLOAT_A, "optional": True}]


def test_an_input_that_says_nothing_keeps_optional() -> None:
    model_config = config(input=[{**FLOAT_A, "optional": True}])
    model_config.add_input(FLOAT_A)
    assert model_config.as_dict()["input"] == [{**FLOAT_A, "optional": True}]


def test_optional_input_that_contradicts() -> None:
    assert refusal("input", [{**FLOAT_A, "optional": False}], {**FLOAT_A, "optional": True}) == (
        "model 'M', tensor 'A': the model expects optional True but the model configuration specifies "
        "optional False"
    )


def test_unknown_property() -> None:
    assert refusal("input", [], {**FLOAT_A, "shape": [1]}) == (
        "input 'A' in auto-complete-config function for model 'M' contains property other than 'name', "
        "'data_type', 'dims' and 'optional'."
    )
    assert refusal("output", [], {**FLOAT_A, "optional": True}) == (
        "output 'A' in auto-complete-config function for model 'M' contains property other than 'name', "
        "'data_type' and 'dims'."
    )


@SECTIONS
@pytest.mark.parametrize("entry", [{}, {"dims": [1], "other": 2}])
def test_no_name(section: str, entry: dict[str, Any]) -> None:
    assert refusal(section, [], entry) == (
        f"{section} in auto-complete-config function for model 'M' is missing 'name' property."
    )


@SECTIONS
@pytest.mark.parametrize("key", ["data_type", "dims"])
def test_missing_property(section: str, key: str) -> None:
    entry = {name: value for name, value in FLOAT_A.items() if name != key}
    assert refusal(section, [], entry) == (
        f"{section} 'A' in auto-complete-config function for model 'M' is missing '{key}' property."
    )


@SECTIONS
def test_another_datatype(section: str) -> None:
    assert refusal(section, [FLOAT_A], {**FLOAT_A, "data_type": "TYPE_INT8", "dims": [5]}) == (
        f"unable to load model 'M', configuration expects datatype TYPE_FP32 for {section} 'A', model "
        "provides TYPE_INT8"
    )


@SECTIONS
@pytest.mark.parametrize("datatype", ["TYPE_FP32", "TYPE_INVALID"])
def test_other_dims(section: str, datatype: str) -> None:
    assert refusal(section, [{**FLOAT_A, "data_type": datatype}], {**FLOAT_A, "dims": [-1, 5]}) == (
        "model 'M', tensor 'A': the model expects dims [-1, 5] but the model configuration specifies dims [4]"
    )
