"""The type stubs of ``triton_python_backend_utils``, as installed: found by mypy, true, not importable."""

import ast
import inspect
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.pb_utils import pb_utils

ROOT = Path(__file__).parents[2]

MODEL = """
from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import triton_python_backend_utils as pb_utils

if TYPE_CHECKING:
    from c_python_backend_utils import InferenceResponseSender, Metric


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(auto_complete_model_config: pb_utils.ModelConfig) -> pb_utils.ModelConfig:
        auto_complete_model_config.add_input({"name": "IN", "data_type": "TYPE_FP32", "dims": [-1]})
        auto_complete_model_config.set_max_batch_size(0)
        return auto_complete_model_config

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        output: dict[str, Any] = pb_utils.get_output_config_by_name(config, "OUT")
        self.dtype = pb_utils.triton_string_to_numpy(output["data_type"])
        family = pb_utils.MetricFamily(name="n", description="d", kind=pb_utils.MetricFamily.COUNTER)
        self.metric: Metric = family.Metric(labels={"a": "b"})

    async def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse | None]:
        sender: InferenceResponseSender = requests[0].get_response_sender()
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        array = pb_utils.get_input_tensor_by_name(requests[0], "IN").as_numpy()
        tensor = pb_utils.Tensor("OUT", array.astype(self.dtype))
        shared = pb_utils.Tensor.from_dlpack("OUT", np.zeros(3))
        child = pb_utils.InferenceRequest(
            model_name="child", requested_output_names=["OUT"], inputs=[tensor, shared], parameters={"a": 1}
        )
        answers = await asyncio.gather(child.async_exec(), child.async_exec())
        answer = child.exec()
        for part in child.exec(decoupled=True):
            part.output_tensors()
        if answer.has_error() or answers[0].has_error():
            error = answer.error()
            raise pb_utils.TritonModelException(error.message() if error else "")
        self.metric.increment(1)
        pb_utils.Logger.log("text", pb_utils.Logger.WARNING)
        failed = pb_utils.TritonError("text", pb_utils.TritonError.NOT_FOUND)
        return [pb_utils.InferenceResponse([tensor]), pb_utils.InferenceResponse(error=failed), None]
"""

WRONG = {
    "pb_utils.Tensro": 'Module has no attribute "Tensro"',
    'pb_utils.Tensor("OUT", [1.0])': 'Argument 2 to "Tensor" has incompatible type',
    'pb_utils.Tensor(name="OUT", array=array)': 'Unexpected keyword argument "name" for "Tensor"',
    "pb_utils.InferenceResponse([array])": "incompatible type",
    'pb_utils.InferenceResponse(error="text")': 'Argument "error" to "InferenceResponse" has',
    'pb_utils.InferenceRequest(model_name="child")': "No overload variant",
    'pb_utils.TritonError("text", 1)': 'Argument 2 to "TritonError" has incompatible type',
    "pb_utils.Logger.log_info(1)": 'Argument 1 to "log_info" of "Logger" has incompatible type',
    'pb_utils.is_model_ready("m", 1)': 'Argument 2 to "is_model_ready" has incompatible type',
    "request.exec().next()": '"InferenceResponse" has no attribute "next"',
    "pb_utils.InferenceResponseSender": "Module has no attribute",
    "pb_utils.json": 'Module has no attribute "json"',
    'raise pb_utils.TritonError("text")': "Exception must be derived from BaseException",
}


def mypy(folder: Path, sources: dict[str, str], *options: str) -> str:
    """What mypy says, run where nothing but this interpreter's packages can be found."""
    for name, source in sources.items():
        (folder / name).write_text(source)
    env = {name: value for name, value in os.environ.items() if name not in ("MYPYPATH", "PYTHONPATH")}
    common = ["--no-error-summary", "--cache-dir=cache", "--config-file="]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *common, *options, *sources],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_model_that_is_right(tmp_path: Path) -> None:
    assert mypy(tmp_path, {"model.py": MODEL}, "--strict") == ""


def test_a_model_that_is_wrong(tmp_path: Path) -> None:
    head = textwrap.dedent("""\
        import numpy as np
        import triton_python_backend_utils as pb_utils
        from c_python_backend_utils import InferenceRequest
        array = np.zeros(3)
        request: InferenceRequest
        """).splitlines()
    statements = [f"if array.size: {line}" for line in WRONG]
    said = mypy(tmp_path, {"model.py": "\n".join([*head, *statements])}, "--strict").splitlines()
    for number, (line, text) in enumerate(WRONG.items(), start=len(head) + 1):
        about = [each for each in said if each.startswith(f"model.py:{number}: error: ")]
        assert any(text in each for each in about), f"{line}: {about or 'no error'}"


def test_the_examples_are_right(tmp_path: Path) -> None:
    """Written without annotations, as most models are, they give no false alarm."""
    models = (ROOT / "examples").glob("*/1/model.py")
    sources = {f"{path.parts[-3]}.py": path.read_text() for path in sorted(models)}
    assert "add_sub.py" in sources
    # Reading all of PyTorch takes longer than everything else together.
    (tmp_path / "mypy.ini").write_text("[mypy]\n[mypy-torch.*]\nfollow_imports = skip\n")
    options = ("--config-file=mypy.ini", "--check-untyped-defs", "--ignore-missing-imports")
    assert mypy(tmp_path, sources, *options) == ""


@pytest.mark.parametrize("name", ["triton_python_backend_utils", "c_python_backend_utils"])
def test_the_stubs_cannot_be_imported(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import {name}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"ModuleNotFoundError: No module named '{name}'" in done.stderr


def stub_functions() -> dict[str, ast.FunctionDef]:
    """Functions and ModelConfig's methods of the stub, by dotted name."""
    path = ROOT / "typings" / "triton_python_backend_utils-stubs" / "__init__.pyi"
    found: dict[str, ast.FunctionDef] = {}
    for node in ast.parse(path.read_text()).body:
        members = node.body if isinstance(node, ast.ClassDef) and node.name == "ModelConfig" else [node]
        prefix = "ModelConfig." if isinstance(node, ast.ClassDef) else ""
        found |= {prefix + each.name: each for each in members if isinstance(each, ast.FunctionDef)}
    return found


def test_the_stub_agrees_with_the_python_part() -> None:
    functions = stub_functions()
    ours = {
        name: value
        for name, value in vars(pb_utils).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }
    ours |= {
        f"ModelConfig.{name}": value
        for name, value in vars(pb_utils.ModelConfig).items()
        if inspect.isfunction(value) and (name == "__init__" or not name.startswith("_"))
    }
    assert set(ours) == set(functions) - {"get_model_dir", "is_model_ready", "load_model", "unload_model"}
    for name, value in ours.items():
        assert list(inspect.signature(value).parameters) == [each.arg for each in functions[name].args.args]
