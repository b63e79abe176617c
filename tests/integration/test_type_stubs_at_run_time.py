"""The type stubs promise what a model finds at run time, under NVIDIA's stub and under ours."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http

from tests.support.models import write_model
from tests.support.servers import with_our_backend
from workbench.server_install import ServerInstall
from workbench.targets.process_server import ServerProcess

TYPINGS = Path(__file__).parents[2] / "typings"

CONFIG = """
backend: "python"
output { name: "NAMES" data_type: TYPE_STRING dims: [ 1 ] }
input { name: "IN" data_type: TYPE_FP32 dims: [ 1 ] }
instance_group { kind: KIND_CPU }
"""

SOURCE = """
import inspect
import json

import c_python_backend_utils as compiled
import numpy as np
import triton_python_backend_utils as pb_utils


def members(value):
    if not inspect.isclass(value):
        return []
    return sorted(name for name in vars(value) if not name.startswith("_"))


def public(module):
    return {name: members(value) for name, value in vars(module).items() if not name.startswith("_")}


class TritonPythonModel:
    def execute(self, requests):
        names = {"pb_utils": public(pb_utils), "compiled": public(compiled), "file": pb_utils.__file__}
        tensor = pb_utils.Tensor("NAMES", np.array([json.dumps(names)], dtype=object))
        return [pb_utils.InferenceResponse([tensor]) for _ in requests]
"""

#: Names that are there by accident of imports, and that the type stubs keep from being used.
ACCIDENTAL = {"json", "np", "struct"}
#: pybind11 gives every enumeration these.
OF_ENUMERATIONS = {"name", "value"}
#: Later than release 24.10; our stub offers what the release it speaks to can do.
LATER = {("ResponseIterator", "cancel"), ("InferenceResponse", "parameters")}


def promised() -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Public names of pb_utils with their members; the same of types that only the compiled module names."""
    tree = ast.parse((TYPINGS / "triton_python_backend_utils-stubs" / "__init__.pyi").read_text())
    public: dict[str, set[str]] = {}
    hidden: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found = set()
            for member in node.body:
                if isinstance(member, ast.FunctionDef | ast.ClassDef):
                    found.add(member.name)
                elif isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
                    found.add(member.target.id)
            found = {name for name in found if not name.startswith("_")}
            if node.name.startswith("_"):
                hidden[node.name.removeprefix("_")] = found
            else:
                public[node.name] = found
        elif isinstance(node, ast.FunctionDef):
            public[node.name] = set()
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            public[node.target.id] = set()
    public.pop("_MaybeNone")
    public.pop("_Parameters")
    return public, hidden


@pytest.mark.server
@pytest.mark.parametrize("stub", ["nvidia", "own"])
def test_names_and_members(stub: str, triton_2410: ServerInstall, tmp_path: Path) -> None:
    install = triton_2410 if stub == "nvidia" else with_our_backend(triton_2410, tmp_path / "backends")
    write_model(tmp_path / "models", "names", SOURCE, CONFIG)
    with ServerProcess(
        tmp_path / "models",
        install,
        python_env=Path(sys.prefix) if stub == "own" else None,
        env={"TRITON_WORKBENCH_PYTHON": sys.executable},
    ) as server:
        server.load("names")
        tensor = tritonclient.http.InferInput("IN", [1], "FP32")
        tensor.set_data_from_numpy(np.zeros(1, np.float32))
        with server.http() as client:
            text = client.infer("names", [tensor]).as_numpy("NAMES")[0]
    found = json.loads(text)
    assert found["file"] == str(install.backends / "python" / "triton_python_backend_utils.py")

    public, hidden = promised()
    assert set(found["pb_utils"]) - ACCIDENTAL == set(public)
    for name, members in public.items():
        check(name, members, found["pb_utils"][name])
    for name in (
        "InferenceResponseSender",
        "InferenceTrace",
        "MemoryType",
        "Metric",
        "MetricKind",
        "ResponseIterator",
    ):
        check(name, hidden[name], found["compiled"][name])


def check(name: str, promised: set[str], present: list[str]) -> None:
    promised = {member for member in promised if (name, member) not in LATER}
    assert set(present) - OF_ENUMERATIONS == promised - OF_ENUMERATIONS, name
