"""The module's plain functions, and `ModelConfig`. Sections 2.12, 2.13 and 3."""

from __future__ import annotations

import json

import pytest

from tests.conformance.lab import Lab, check, table

_KINDS = {
    "BOOL": (1, "bool"), "UINT8": (2, "uint8"), "UINT16": (3, "uint16"), "UINT32": (4, "uint32"), "UINT64": (5, "uint64"),
    "INT8": (6, "int8"), "INT16": (7, "int16"), "INT32": (8, "int32"), "INT64": (9, "int64"), "FP16": (10, "float16"),
    "FP32": (11, "float32"), "FP64": (12, "float64"), "STRING": (13, "object"),
}  # fmt: skip


def test_datatypes(lab: Lab) -> None:
    """Number, configuration name and NumPy type of every datatype, in both directions."""
    code = """
        result = {
            name: (np.dtype(pb_utils.triton_string_to_numpy(f"TYPE_{name}")).name,
                   np.dtype(pb_utils.triton_to_numpy_type(number)).name,
                   pb_utils.numpy_to_triton_type(pb_utils.triton_to_numpy_type(number)))
            for name, number in %r.items()
        }
    """ % {name: number for name, (number, _) in _KINDS.items()}
    expected = {name: (kind, kind, number) for name, (number, kind) in _KINDS.items()}
    assert lab.run(code) == repr(expected)


@table(
    ("bool", "pb_utils.triton_string_to_numpy('TYPE_BOOL') is bool", "True"),
    ("wire-name", "pb_utils.triton_string_to_numpy('FP32')", "KeyError: 'FP32'"),
    ("bf16", "pb_utils.triton_string_to_numpy('TYPE_BF16')", "KeyError: 'TYPE_BF16'"),
    ("unknown-number", "pb_utils.triton_to_numpy_type(99)", "None"),
    ("unknown-type", "pb_utils.numpy_to_triton_type(np.complex64)", "None"),
    ("input-by-name", "pb_utils.get_input_tensor_by_name(request, 'CODE') is request.inputs()[0]", "True"),
    ("input-by-other-name", "pb_utils.get_input_tensor_by_name(request, 'NOPE')", "None"),
    ("output-by-name", "pb_utils.get_output_tensor_by_name(pb_utils.InferenceResponse([said('x')]), 'RESULT').name()",
     "'RESULT'"),
    ("output-by-other-name", "pb_utils.get_output_tensor_by_name(pb_utils.InferenceResponse([said('x')]), 'N')", "None"),
    ("input-config", "pb_utils.get_input_config_by_name(self.config, 'X')['data_type']", "'TYPE_FP32'"),
    ("input-config-none", "pb_utils.get_input_config_by_name(self.config, 'N')", "None"),
    ("input-config-absent", "pb_utils.get_input_config_by_name({}, 'N')", "None"),
    ("output-config", "pb_utils.get_output_config_by_name(self.config, 'OUT')['dims']", "[-1]"),
    ("output-config-absent", "pb_utils.get_output_config_by_name({}, 'N')", "None"),
    ("decoupled-absent", "pb_utils.using_decoupled_model_transaction_policy({})", "False"),
    ("decoupled-false", "pb_utils.using_decoupled_model_transaction_policy(self.config)", "False"),
    ("decoupled-true", "pb_utils.using_decoupled_model_transaction_policy({'model_transaction_policy': {'decoupled': True}})",
     "True"),
    ("serialize", "pb_utils.serialize_byte_tensor(np.array([b'a', 'é'], dtype=object))",
     r"b'\x01\x00\x00\x00a\x02\x00\x00\x00\xc3\xa9'"),
    ("serialize-S", "pb_utils.serialize_byte_tensor(np.array([b'ab']))", r"b'\x02\x00\x00\x00ab'"),
    ("serialize-empty", "pb_utils.serialize_byte_tensor(np.array([], dtype=object))", "()"),
    ("serialize-other", "pb_utils.serialize_byte_tensor(np.zeros(2))", "None"),
    ("deserialize", r"pb_utils.deserialize_bytes_tensor(b'\x01\x00\x00\x00a\x00\x00\x00\x00').tolist()", "[b'a', b'']"),
    ("deserialize-short", r"pb_utils.deserialize_bytes_tensor(b'\x09\x00\x00\x00a')", "error: …"),
)  # fmt: skip
def test_function(lab: Lab, code: str, expected: str) -> None:
    check(lab, code, expected)


def test_model_dir(lab: Lab) -> None:
    model = lab.model()
    assert lab.value("pb_utils.get_model_dir()") == repr(f"{model.directory}/1")


_CONFIG = {
    "name": "M",
    "max_batch_size": 0,
    "input": [
        {"name": "A", "data_type": "TYPE_FP32", "dims": [4]},
        {"name": "B", "data_type": "TYPE_INVALID", "dims": []},
    ],
    "output": [{"name": "O", "data_type": "TYPE_FP32", "dims": [4]}],
}
_F = "in auto-complete-config function for model 'M'"
_A = "{'name': 'A', 'data_type': 'TYPE_FP32', 'dims': [4]}"


def _model_config(call: str, result: str = "None", **changes: object) -> str:
    text = json.dumps({**_CONFIG, **changes})
    return f"c = pb_utils.ModelConfig({text!r})\n{call}\nresult = {result}\n"


@table(
    ("as-dict", _model_config("", "c.as_dict() is c._model_config"), "True"),
    ("max-batch", _model_config("c.set_max_batch_size(8)", "c.as_dict()['max_batch_size']"), "8"),
    ("max-batch-smaller", _model_config("c.set_max_batch_size(4)", max_batch_size=8),
     "ValueError: configuration specified max_batch_size 8, but in auto-complete-config function for model 'M'"
     " specified max_batch_size 4"),
    ("dynamic-batching", _model_config("c.set_dynamic_batching()", "c.as_dict()['dynamic_batching']"), "{}"),
    ("dynamic-batching-kept", _model_config("c.set_dynamic_batching()", "c.as_dict()['dynamic_batching']",
                                            dynamic_batching={"max_queue_delay_microseconds": 5}),
     "{'max_queue_delay_microseconds': 5}"),
    ("dynamic-and-sequence", _model_config("c.set_dynamic_batching()", sequence_batching={}),
     "ValueError: Configuration specified scheduling_choice as 'sequence_batching', but auto-complete-config function for"
     " model 'M' tries to set scheduling_choice as 'dynamic_batching'"),
    ("input-new", _model_config("c.add_input({'name': 'N', 'data_type': 'TYPE_INT8', 'dims': [2], 'optional': True})",
                                "c.as_dict()['input'][-1]"),
     "{'name': 'N', 'data_type': 'TYPE_INT8', 'dims': [2], 'optional': True}"),
    ("input-same", _model_config(f"c.add_input({_A})", "len(c.as_dict()['input'])"), "2"),
    ("input-filled", _model_config("c.add_input({'name': 'B', 'data_type': 'TYPE_INT8', 'dims': [2]})",
                                   "c.as_dict()['input'][1]"), "{'name': 'B', 'data_type': 'TYPE_INT8', 'dims': [2]}"),
    ("input-extra", _model_config("c.add_input({'name': 'N', 'data_type': 'TYPE_INT8', 'dims': [2], 'x': 1})"),
     f"ValueError: input 'N' {_F} contains property other than 'name', 'data_type', 'dims' and 'optional'."),
    ("input-no-name", _model_config("c.add_input({'data_type': 'TYPE_INT8', 'dims': [2]})"),
     f"ValueError: input {_F} is missing 'name' property."),
    ("input-no-type", _model_config("c.add_input({'name': 'N', 'dims': [2]})"),
     f"ValueError: input 'N' {_F} is missing 'data_type' property."),
    ("input-no-dims", _model_config("c.add_input({'name': 'N', 'data_type': 'TYPE_INT8'})"),
     f"ValueError: input 'N' {_F} is missing 'dims' property."),
    ("input-other-type", _model_config("c.add_input({'name': 'A', 'data_type': 'TYPE_INT8', 'dims': [4]})"),
     "ValueError: unable to load model 'M', configuration expects datatype TYPE_FP32 for input 'A',"
     " model provides TYPE_INT8"),
    ("input-other-dims", _model_config("c.add_input({'name': 'A', 'data_type': 'TYPE_FP32', 'dims': [2, 2]})"),
     "ValueError: model 'M', tensor 'A': the model expects dims [2, 2] but the model configuration specifies dims [4]"),
    ("output-new", _model_config("c.add_output({'name': 'N', 'data_type': 'TYPE_INT8', 'dims': [2]})",
                                 "c.as_dict()['output'][-1]['name']"), "'N'"),
    ("output-same", _model_config(f"c.add_output({_A.replace('A', 'O', 1)})", "len(c.as_dict()['output'])"), "1"),
    ("output-extra", _model_config("c.add_output({'name': 'N', 'data_type': 'TYPE_INT8', 'dims': [2], 'optional': True})"),
     f"ValueError: output 'N' {_F} contains property other than 'name', 'data_type' and 'dims'."),
    ("output-no-name", _model_config("c.add_output({'data_type': 'TYPE_INT8', 'dims': [2]})"),
     f"ValueError: output {_F} is missing 'name' property."),
    ("output-no-type", _model_config("c.add_output({'name': 'N', 'dims': [2]})"),
     f"ValueError: output 'N' {_F} is missing 'data_type' property."),
    ("output-no-dims", _model_config("c.add_output({'name': 'N', 'data_type': 'TYPE_INT8'})"),
     f"ValueError: output 'N' {_F} is missing 'dims' property."),
    ("output-other-type", _model_config("c.add_output({'name': 'O', 'data_type': 'TYPE_INT8', 'dims': [4]})"),
     "ValueError: unable to load model 'M', configuration expects datatype TYPE_FP32 for output 'O',"
     " model provides TYPE_INT8"),
    ("output-other-dims", _model_config("c.add_output({'name': 'O', 'data_type': 'TYPE_FP32', 'dims': [2]})"),
     "ValueError: model 'M', tensor 'O': the model expects dims [2] but the model configuration specifies dims [4]"),
    ("policy", _model_config("c.set_model_transaction_policy({'decoupled': True})",
                             "c.as_dict()['model_transaction_policy']"), "{'decoupled': True}"),
    ("policy-other", _model_config("c.set_model_transaction_policy({'x': True})"),
     "ValueError: model transaction property in auto-complete-config function for model 'M' contains property"
     " other than 'decoupled'."),
    ("policy-changed", _model_config("c.set_model_transaction_policy({'decoupled': True})",
                                     model_transaction_policy={"decoupled": False}),
     "ValueError: trying to change decoupled property in auto-complete-config for model 'M', which is already set to 'False'."),
)  # fmt: skip
def test_model_config(lab: Lab, code: str, expected: str) -> None:
    check(lab, code, expected)


@pytest.mark.parametrize("given, configured", [(True, False), (False, True)])
def test_model_config_optional(lab: Lab, given: bool, configured: bool) -> None:
    inputs = [{"name": "A", "data_type": "TYPE_FP32", "dims": [4], "optional": configured}]
    call = f"c.add_input({{'name': 'A', 'data_type': 'TYPE_FP32', 'dims': [4], 'optional': {given}}})"
    expected = (
        f"ValueError: model 'M', tensor 'A': the model expects optional {given}"
        f" but the model configuration specifies optional {configured}"
    )
    check(lab, _model_config(call, input=inputs), expected)
