"""Models of several files, and functions of other cells."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.notebook import CELL, Notebook, traceback_of
from workbench import api
from workbench.errors import ModelConfigError, ModelExecutionError, ModelLoadError, WorkbenchUsageError

OK = "%triton infer add_sub INPUT0=[1,2,3,4] INPUT1=[1,1,1,1]"
USING = CELL.replace("import triton", "from .utils import combine\nimport triton").replace(
    "a + b", "combine(a, b)"
)
UTILS = "%%triton file utils.py --model add_sub\ndef combine(a, b):\n    return {}\n"
HELPED = CELL.replace("model add_sub", "model add_sub --with combine").replace("a + b", "combine(a, b)")


def test_a_file_beside_the_model(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    kept = notebook.run(UTILS.format("a * 10 + b"))
    assert repr(kept) == "File utils.py of add_sub: kept until the model's cell is run"
    notebook.run(USING)
    assert notebook.run(OK)["SUM"].tolist() == [11, 21, 31, 41]
    # Running the file's cell again loads the model again.
    before = api.model("add_sub").src
    changed = notebook.run("\n" + UTILS.format("a / (1 // int(b[0] - 1))"))
    assert changed.loaded.src == api.model("add_sub").src != before
    number = len(notebook.shell.history_manager.input_hist_raw) - 1
    shown = traceback_of(notebook, capsys, OK, ModelExecutionError)
    assert any(line.endswith("return a / (1 // int(b[0] - 1))") for line in shown)
    assert f"  Cell In[{number}], line 4, in combine" in shown


def test_a_broken_file_keeps_what_serves(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.run(UTILS.format("a + b"))
    src = notebook.run(USING).src
    shown = traceback_of(notebook, capsys, UTILS.format("a +"), ModelLoadError)
    assert shown[0].endswith(f"(add_sub); {src} keeps serving")
    assert any(line.endswith("line 3, in <module>") for line in shown)
    shown = traceback_of(
        notebook, capsys, UTILS.format("a").replace("def", "import nosuch\ndef"), ModelLoadError
    )
    assert "ModuleNotFoundError: No module named 'nosuch'" in shown[0]
    assert any("line 2, in <module>" in line for line in shown)
    assert notebook.run(OK)["SUM"].tolist() == [2, 3, 4, 5]


def test_files_of_data_are_as_they_are_written(notebook: Notebook) -> None:
    notebook.run("%%triton file data/words.txt --model add_sub\nalpha\nbeta\n")
    notebook.run(
        CELL.replace('print("serving")', "import pathlib; p = pathlib.Path(__file__).parent").replace(
            "a + b", "a + len((p / 'data/words.txt').read_text().splitlines())"
        )
    )
    assert notebook.run(OK)["SUM"].tolist() == [3, 4, 5, 6]


def test_names_that_mislead_or_are_taken(notebook: Notebook) -> None:
    noted = notebook.run("%%triton file json.py --model add_sub\nx = 1")
    assert "note: import json finds an installed module" in repr(noted)
    for name in ("model.py", "../up.py", "/tmp/x.py"):
        with pytest.raises(ModelConfigError, match="is no name for a file beside"):
            notebook.run(f"%%triton file {name} --model add_sub\nx = 1")


def test_functions_of_other_cells(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.run("import numpy as np\nfrom math import floor as down\nFACTOR = 3")
    notebook.run("def scale(x):\n    return np.asarray(x, np.float32) * down(FACTOR + 0.5)")
    notebook.run("from dataclasses import dataclass\n@dataclass\nclass Bias:\n    value: float = 0.0")
    notebook.run(
        "class Adder:\n    def add(self, a, b: 'Adder'): return scale(a) + b + Bias().value\n"
        "def combine(a, b):\n    assert b[0] < 2\n    return Adder().add(a, b)"
    )
    model = notebook.run(HELPED)
    assert model.source.splitlines()[0].startswith("from .notebook_helpers import combine  # %%triton model")
    assert notebook.run(OK)["SUM"].tolist() == [4, 7, 10, 13]
    assert notebook.run("%triton lint add_sub --strict")
    # Neither the model's lines nor the helper's get lost.
    bad = OK.replace("1,1,1,1", "2,1,1,1")
    shown = traceback_of(notebook, capsys, bad, ModelExecutionError)
    assert any("line 11, in TritonPythonModel.execute" in line for line in shown)
    assert any(line.strip().endswith("assert b[0] < 2") for line in shown)


def test_helpers_come_after_imports_from_the_future(notebook: Notebook) -> None:
    notebook.run("def combine(a, b):\n    return a - b")
    cell = HELPED.replace("import triton", "from __future__ import annotations\nimport triton")
    model = notebook.run(cell)
    assert model.source.splitlines()[1] == (
        "from __future__ import annotations; from .notebook_helpers import combine"
    )
    assert notebook.run(OK)["SUM"].tolist() == [0, 1, 2, 3]


def test_what_cannot_be_taken_along(notebook: Notebook, tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="the notebook has no 'combine'"):
        notebook.run(HELPED)
    notebook.run("import threading\nlock = threading.Lock()\ndef combine(a, b):\n    with lock: return a")
    with pytest.raises(ModelLoadError, match="combine uses lock, a lock: only the kernel has it"):
        notebook.run(HELPED)
    notebook.run("combine = lambda a, b: a")
    with pytest.raises(ModelLoadError, match="is no plain function"):
        notebook.run(HELPED)
    with pytest.raises(WorkbenchUsageError, match="--with is for models in cells"):
        notebook.run(f"%triton model m --file {tmp_path}/model.py --with combine")
