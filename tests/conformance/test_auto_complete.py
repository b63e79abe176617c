"""Configurations that the model completes, and every way in which that fails. Section 1.3."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from tests.conformance.lab import agrees
from tests.conformance.saying import EXECUTE, lines, says
from tests.conformance.targets import LoadError, Target, config

_TEXT_OUT = config([("IN", "INT32", [1])], [("TEXT", "BYTES", [-1])])
_ONE = np.array([1], dtype=np.int32)

_AUTO = '''
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        %s
''' + EXECUTE  # fmt: skip


def test_auto_complete(target: Target, auto_complete: Target) -> None:
    """A configuration of almost nothing, completed by the model; `args` then holds the result."""
    body = """\
pb_utils.Logger.log_info("log from auto_complete " + pb_utils.get_model_dir())
        config.add_input({"name": "IN", "data_type": "TYPE_INT32", "dims": [1]})
        config.add_output({"name": "TEXT", "data_type": "TYPE_STRING", "dims": [-1]})
        config.set_max_batch_size(4)
        config.set_dynamic_batching()
        return config
"""
    source = says("[self.args['model_config']]").replace(
        "class TritonPythonModel:",
        f"class TritonPythonModel:\n    @staticmethod\n    def auto_complete_config(config):\n        {body}",
    )
    mark = auto_complete.log_mark()
    model = auto_complete.load(source, 'backend: "python"\n', name="auto")
    seen = json.loads(lines(model.infer(IN=_ONE.reshape(1, 1)))[0])
    assert seen["max_batch_size"] == 4
    assert "dynamic_batching" in seen
    assert [(each["name"], each["data_type"], each["dims"]) for each in seen["input"]] == [
        ("IN", "TYPE_INT32", [1])
    ]
    assert seen["output"][0]["name"] == "TEXT"
    text = auto_complete.wait_log("log from auto_complete", mark)
    if target.host == "live":  # which has taken the line apart
        said = f"log from auto_complete {model.directory}/1"
        assert [each.file for each in auto_complete.log_lines(mark) if each.text == said] == ["model.py"]
        return
    # Before the message threads run, the stub writes the line itself, unquoted.
    assert re.search(
        rf"^I\d{{4}} [\d:.]+ \d+ model\.py:\d+\]  log from auto_complete {model.directory}/1$",
        text,
        re.MULTILINE,
    ), text


@pytest.mark.parametrize(
    "body, expected",
    [
        ("raise ValueError('not like this')",
         "ValueError: not like this\n\nAt:\n  {D}/1/model.py(7): auto_complete_config\n"),
        ("lorem_ipsum", "NameError: name 'lorem_ipsum' is not defined\n\nAt:\n  {D}/1/model.py(7): auto_complete_config\n"),
        ("return None", "auto_complete_config function in model '{M}' must return a valid pb.ModelConfig object."),
        ("return 5", "auto_complete_config function in model '{M}' must return a valid pb.ModelConfig object."),
        ("pb_utils.InferenceRequest(inputs=[], requested_output_names=['A'], model_name='m').exec()",
         "TritonModelException: BLS is only supported during the 'execute' function.…"),
    ],
    ids=["raises", "name-error", "none", "number", "bls"],
)  # fmt: skip
def test_auto_complete_failure(auto_complete: Target, body: str, expected: str) -> None:
    model = auto_complete.load(_AUTO % body, 'backend: "python"\n', name="auto", loaded=False)
    with pytest.raises(LoadError) as raised:
        auto_complete.load_named(model.name)
    wanted = expected.replace("{D}", str(model.directory)).replace("{M}", model.name)
    assert agrees(raised.value.text, wanted), raised.value.text


def test_auto_complete_without_config_file(auto_complete: Target) -> None:
    """No config.pbtxt at all: the folder's name and the class are enough."""
    body = "config.add_input({'name': 'IN', 'data_type': 'TYPE_INT32', 'dims': [1]})\n        return config"
    model = auto_complete.load(_AUTO % body, "", name="auto_none")
    assert model.infer(IN=_ONE).error is None


def test_no_auto_complete_function(auto_complete: Target) -> None:
    """The configuration stays as it is."""
    model = auto_complete.load(says("['plain']"), _TEXT_OUT, name="auto_plain")
    assert lines(model.infer(IN=_ONE)) == ["plain"]


def test_missing_class_with_auto_complete(auto_complete: Target) -> None:
    model = auto_complete.load("x = 1\n", _TEXT_OUT, name="auto", loaded=False)
    with pytest.raises(LoadError) as raised:
        auto_complete.load_named(model.name)
    assert raised.value.text == "AttributeError: module '1.model' has no attribute 'TritonPythonModel'"
