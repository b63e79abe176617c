"""``workbench test``: notebooks run as tests, requirements, stored outputs; and the fixtures for projects."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output


def notebook(path: Path, *cells: tuple[str, str]) -> Path:
    """A notebook of cells (source, text it printed)."""
    made = []
    for source, text in cells:
        outputs = [new_output("stream", name="stdout", text=text)] if text else []
        made.append(new_code_cell(source, outputs=outputs, execution_count=1))
    nbformat.write(new_notebook(cells=made), path)
    return path


def run(*words: str | Path, cwd: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "workbench.commands", "test", *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=110,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_changed_output_fails(tmp_path: Path) -> None:
    notebook(tmp_path / "good.ipynb", ("print(1 + 1)", "2\n"))
    notebook(tmp_path / "bad.ipynb", ("print(1 + 1)", "3\n"))
    (tmp_path / ".ipynb_checkpoints").mkdir()
    notebook(tmp_path / ".ipynb_checkpoints" / "bad-checkpoint.ipynb", ("print(1)", "3\n"))
    assert run("good.ipynb", cwd=tmp_path)[0] == 0
    status, said = run(".", cwd=tmp_path)
    assert status == 1
    assert "1 failed, 1 passed" in said


def test_lax_counts_errors_only(tmp_path: Path) -> None:
    notebook(tmp_path / "other.ipynb", ("print(1 + 1)", "3\n"))
    notebook(tmp_path / "error.ipynb", ("1 / 0", ""))
    assert run("other.ipynb", "--lax", cwd=tmp_path)[0] == 0
    assert run("error.ipynb", "--lax", cwd=tmp_path)[0] == 1


def test_what_the_machine_lacks(tmp_path: Path) -> None:
    cells = [("print(1)", "1\n"), ("%load_ext workbench\n%triton require 'nosuch>=2'", ""), ("1 / 0", "")]
    notebook(tmp_path / "needs.ipynb", *cells)
    status, said = run("needs.ipynb", cwd=tmp_path)
    assert status == 3
    assert "needs nosuch>=2: no package nosuch" in said
    status, said = run("needs.ipynb", "--skip-missing", cwd=tmp_path)
    assert status == 0
    assert "1 passed, 2 skipped" in said


def test_update_stores_outputs_once(tmp_path: Path) -> None:
    path = notebook(tmp_path / "old.ipynb", ("print(1 + 1)", "3\n"))
    assert "updated" in run("old.ipynb", "--update", cwd=tmp_path)[1]
    stored = path.read_bytes()
    assert run("old.ipynb", cwd=tmp_path)[0] == 0
    assert "unchanged" in run("old.ipynb", "--update", cwd=tmp_path)[1]
    assert path.read_bytes() == stored


def test_update_keeps_what_was_stored_if_a_cell_fails(tmp_path: Path) -> None:
    path = notebook(tmp_path / "fails.ipynb", ("print(1)", "2\n"), ("1 / 0", ""))
    before = path.read_bytes()
    status, said = run("fails.ipynb", "--update", cwd=tmp_path)
    assert status == 1
    assert "ZeroDivisionError" in said
    assert path.read_bytes() == before


def test_outputs_that_hold_what_differs_are_named(tmp_path: Path) -> None:
    notebook(tmp_path / "address.ipynb", ("print('<x at 0x7f01>')", "<x at 0x1234>\n"))
    status, said = run("address.ipynb", cwd=tmp_path)
    assert status == 0
    assert "hold what differs from run to run: address" in said


def test_no_notebook_is_a_usage_error(tmp_path: Path) -> None:
    assert run("nothing.ipynb", cwd=tmp_path)[0] == 2
    assert run(".", cwd=tmp_path)[0] == 2


PROJECT_TEST = """
def test_folder(triton_model):
    model = triton_model("models/double")
    assert model.infer(X=[1.5])["Y"].tolist() == [3.0]

def test_every_test_starts_without_models(live_host):
    assert len(live_host.workbench.models) == 0
    model = live_host.define("double", open("models/double/1/model.py").read(), ["X:FP32[1]"], ["Y:FP32[1]"])
    assert model.infer(X=[2.0])["Y"].tolist() == [4.0]

def test_missing(triton_model):
    triton_model("models/nosuch")
"""
DOUBLE = """import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        tensors = [pb_utils.get_input_tensor_by_name(each, "X").as_numpy() for each in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", each * 2)]) for each in tensors]
"""
DOUBLE_CONFIG = """backend: "python"
input { name: "X" data_type: TYPE_FP32 dims: 1 }
output { name: "Y" data_type: TYPE_FP32 dims: 1 }
"""


def test_fixtures_of_a_users_project(tmp_path: Path) -> None:
    (tmp_path / "models/double/1").mkdir(parents=True)
    (tmp_path / "models/double/1/model.py").write_text(DOUBLE)
    (tmp_path / "models/double/config.pbtxt").write_text(DOUBLE_CONFIG)
    (tmp_path / "test_double.py").write_text(PROJECT_TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path],
        cwd=tmp_path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert "1 failed, 2 passed" in done.stdout
    assert "there is no model folder models/nosuch" in done.stdout


@pytest.mark.parametrize(
    ("words", "reasons"),
    [
        (["numpy"], []),
        (["numpy>=1"], []),
        (["nosuch"], ["no package nosuch"]),
        (["numpy<1"], ["numpy {numpy}, not <1"]),
    ],
)
def test_requirements(words: list[str], reasons: list[str]) -> None:
    import numpy

    from workbench.requirements import missing

    assert missing(words) == [each.format(numpy=numpy.__version__) for each in reasons]


def test_a_requirement_that_cannot_be_read_is_left_to_the_cell() -> None:
    from workbench.requirements import requirements_of

    assert requirements_of("%triton require 'numpy>=2\n%triton require gpu") == ["gpu"]


@pytest.mark.parametrize("option", [[], ["--update"]])
@pytest.mark.parametrize("text", ["not json", "[1]", '{"nbformat": 3}'])
def test_a_file_that_is_no_notebook(tmp_path: Path, text: str, option: list[str]) -> None:
    file = tmp_path / "broken.ipynb"
    file.write_text(text)
    code, said = run(file, *option, cwd=tmp_path)
    assert (code, said.startswith("workbench: error: broken.ipynb ")) == (2, True), said
    assert file.read_text() == text
