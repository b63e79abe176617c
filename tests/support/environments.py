"""Execution environments, made as a user makes them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

#: A module that no other interpreter on the machine has.
MARKER = "only_in_environment"

MODEL = """\
import os, sys
import numpy as np
import only_in_environment
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.logger = pb_utils.Logger
        assert os.path.realpath(sys.prefix) == os.path.realpath(os.environ["VIRTUAL_ENV"]), sys.prefix
        assert os.environ["LD_LIBRARY_PATH"].count(sys.prefix) <= 1, os.environ["LD_LIBRARY_PATH"]

    def execute(self, requests):
        answers = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "X").as_numpy()
            major = int(np.__version__.split(".")[0])
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("Y", x * np.float32(major))]))
        return answers
"""

CONFIG = """\
backend: "python"
input { name: "X" data_type: TYPE_FP32 dims: [ -1 ] }
output { name: "Y" data_type: TYPE_FP32 dims: [ -1 ] }
instance_group { kind: KIND_CPU }
"""


def make_venv(folder: Path, *packages: str, python: Path | None = None) -> Path:
    """A virtual environment with these packages from the index and the marker module; gives its
    interpreter.

    Tests of the packages themselves are removed, to keep the archive small.
    """
    subprocess.run([python or sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python3"
    if packages:
        uv = shutil.which("uv", path=Path(sys.executable).parent)
        assert uv is not None, "uv comes with `make build`"
        subprocess.run([uv, "pip", "install", "-q", "--python", python, *packages], check=True)
    library = next(folder.glob("lib/python3.*/site-packages"))
    (library / f"{MARKER}.py").write_text("here = True\n")
    for tests in [*library.rglob("tests")]:
        shutil.rmtree(tests, ignore_errors=True)
    return python
