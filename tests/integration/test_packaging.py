"""What `make package` makes installs, and works, where there is no compiler, for every Python at hand."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OLDEST = (3, 10)

pytestmark = [
    pytest.mark.skipif(not os.environ.get("WORKBENCH_SLOW"), reason="builds a wheel: make slow"),
    pytest.mark.timeout(1800),
]

#: What a user does first, in a process that has nothing but the wheel.
FIRST_STEPS = """
import pathlib, sys
import numpy as np
import workbench as wb

folder = pathlib.Path(sys.argv[1])
source = '''
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        x = [pb_utils.get_input_tensor_by_name(each, "X").as_numpy() for each in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", each * 2)]) for each in x]
'''
model = wb.define("double", source=source, inputs=["X:FP32[2]"], outputs=["Y:FP32[2]"])
print(model.infer(X=[1, 2])["Y"].tolist())
model.export(folder)
print(sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()))
wb.current().close()
"""


def interpreters() -> list[Path]:
    """One of each minor version that can be built for: headers are needed."""
    found: dict[tuple[int, int], Path] = {}
    beside = Path(sys.base_prefix).parent.glob("*/bin/python3")
    for python in [
        Path(sys.base_prefix) / "bin" / "python3",
        *beside,
        *Path("/usr/bin").glob("python3.[0-9]*"),
    ]:
        code = (
            "import os,sys,sysconfig as s;"
            "print(*sys.version_info[:2], os.path.exists(os.path.join(s.get_path('include'), 'Python.h')))"
        )
        done = subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True)
        if done.returncode == 0 and done.stdout.endswith("True\n"):
            major, minor, _ = done.stdout.split()
            found.setdefault((int(major), int(minor)), python)
    return [python for version, python in sorted(found.items()) if version >= OLDEST]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By tag of the interpreter, as cp311."""
    pythons = " ".join(map(str, interpreters()))
    subprocess.run(["make", "-C", str(ROOT), "package", f"PYTHONS={pythons}"], check=True, timeout=1700)
    return {each.name.split("-")[2]: each for each in (ROOT / "dist").glob("*.whl")}


@pytest.mark.parametrize("python", interpreters(), ids=lambda each: each.parent.parent.name)
def test_a_wheel_needs_no_compiler(python: Path, wheels: dict[str, Path], tmp_path: Path) -> None:
    home = tmp_path / "venv"
    subprocess.run([str(python), "-m", "venv", str(home)], check=True, timeout=120)
    inside = home / "bin" / "python"
    tag = subprocess.run(
        [str(inside), "-c", "import sys; print('cp%d%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    # No PATH but the environment's own: neither compiler nor Node.js can be found.
    clean = {**os.environ, "PATH": str(home / "bin"), "CC": "false", "CXX": "false"}
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "CMAKE_CXX_COMPILER_LAUNCHER"):
        clean.pop(name, None)
    subprocess.run(
        [str(inside), "-m", "pip", "install", "-q", "--only-binary", ":all:", str(wheels[tag])],
        check=True,
        timeout=600,
        env=clean,
    )
    done = subprocess.run(
        [str(inside), "-c", FIRST_STEPS, str(tmp_path / "repository")],
        capture_output=True,
        text=True,
        env=clean,
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[2.0, 4.0]", "['double/1/model.py', 'double/config.pbtxt']"]
    version = subprocess.run(
        [str(home / "bin" / "workbench"), "--version"], capture_output=True, text=True, env=clean, check=True
    ).stdout
    assert version.split()[-1] == wheels[tag].name.split("-")[1]


def test_what_is_in_them(wheels: dict[str, Path]) -> None:
    for wheel in wheels.values():
        assert "manylinux" in wheel.name
        names = zipfile.ZipFile(wheel).namelist()
        licences = {
            Path(name).name for name in names if ".dist-info/licenses/" in name and not name.endswith("/")
        }
        assert licences == {"LICENSE", "boost.txt", "pybind11.txt"}
        assert any(name.endswith("/static/third-party-licenses.json") for name in names)
        assert not any(name.startswith("workbench/bin/") for name in names)  # tied to one machine's Python
    with tarfile.open(next((ROOT / "dist").glob("*.tar.gz"))) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "stub/licenses/boost.txt", "labextension/dist/package.json"} <= inside
    assert not any("node_modules" in name or name.startswith("build/") for name in inside)
