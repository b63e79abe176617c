"""--file: the model follows its file."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from tests.support.live import source
from tests.support.notebook import Notebook
from tests.support.waiting import until
from workbench import api
from workbench.errors import ModelLoadError, WorkbenchUsageError

SIGNATURE = "--in X:FP32[2] --out Y:FP32[2]"


def answering(value: int) -> str:
    return source(f"return [reply(r, x * 0 + {value}) for r in requests]")


def answer() -> float:
    return float(api.model("m").infer(X=[1, 1])["Y"][0])


def watchers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("workbench-watch")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(answering(1))
    return path


def test_saving_the_file_loads_it(notebook: Notebook, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.run(f"%triton model m --file {file} {SIGNATURE}")
    assert answer() == 1
    file.write_text(answering(2))
    until(lambda: answer() == 2)
    # As editors do it: a new file moved into its place.
    new = file.with_suffix(".new")
    new.write_text(answering(3))
    new.replace(file)
    until(lambda: answer() == 3)
    until(lambda: "[m] model.py was saved: " in capsys.readouterr().out)
    lines = [str(each) for each in notebook.run("%triton logs m").records]
    assert lines[-1] == f"[m] INFO model.py was saved: {api.model('m').src} serves"


def test_what_is_saved_unchanged_is_not_loaded(notebook: Notebook, file: Path) -> None:
    notebook.run(f"%triton model m --file {file} {SIGNATURE}")
    host = api.current().hosts["m"]
    before = host.current
    file.write_text(answering(1))
    os.utime(file)
    other = file.with_name("other.py")
    other.write_text("")
    time.sleep(1)  # well beyond the moment in which several changes become one
    assert host.current is before
    file.write_text(answering(2))  # a change that is seen, after those that must not be
    until(lambda: host.current is not before)
    until(lambda: [each for each in api.current().logs.records("m") if "was saved" in each.text])
    assert len([each for each in api.current().logs.records("m") if "was saved" in each.text]) == 1
    assert answer() == 2


def test_a_file_that_is_just_being_written_is_waited_for(notebook: Notebook, file: Path) -> None:
    notebook.run(f"%triton model m --file {file} {SIGNATURE}")
    host = api.current().hosts["m"]
    file.write_text("")  # what opening it for writing makes of it
    time.sleep(1)
    file.write_text(answering(2))
    until(lambda: answer() == 2)
    assert not [each for each in api.current().logs.records("m") if "no class" in each.text]
    assert host.failure is None


def test_a_version_that_fails_leaves_the_last_one_serving(
    notebook: Notebook, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = notebook.run(f"%triton model m --file {file} {SIGNATURE}")
    src = model.src
    capsys.readouterr()
    file.write_text("import no_such_module_here\n" + answering(2))
    until(lambda: model.error is not None)
    assert isinstance(model.error, ModelLoadError)
    assert (answer(), model.src) == (1, src)
    shown = ""

    def whole() -> bool:
        nonlocal shown
        shown += capsys.readouterr().out
        return "hint:" in shown

    until(whole, "the error's last line")
    assert (
        f"[m] ModelLoadError: ModuleNotFoundError: No module named 'no_such_module_here' (m); {src}" in shown
    )
    assert "[m]   model.py, line 1, in <module>" in shown
    assert len(notebook.run("%triton logs m --level error")) > 1
    file.write_text(answering(3))
    until(lambda: answer() == 3)
    assert model.error is None


def test_a_first_version_that_fails_is_mended_by_saving(notebook: Notebook, file: Path) -> None:
    file.write_text("class TritonPythonModel:\n    def execute(self, requests)\n")
    with pytest.raises(ModelLoadError):
        notebook.run(f"%triton model m --file {file} {SIGNATURE}")
    file.write_text(answering(4))
    until(lambda: "m" in api.current().ready_names())
    assert answer() == 4


def test_a_model_directory_is_watched_with_its_helpers(notebook: Notebook, tmp_path: Path) -> None:
    version = tmp_path / "m" / "1"
    version.mkdir(parents=True)
    (version / "helper.py").write_text("VALUE = 1\n")
    (version / "model.py").write_text(
        "from . import helper\n" + source("return [reply(r, x * 0 + helper.VALUE) for r in requests]")
    )
    notebook.run(f"%triton model m --file {version.parent} {SIGNATURE}")
    assert answer() == 1
    (version / "helper.py").write_text("VALUE = 22\n")
    until(lambda: answer() == 22)


@pytest.mark.parametrize(
    "end",
    [
        "%triton unload m",
        "%triton reset",
        "%triton model m --file {file} --no-watch " + SIGNATURE,
        "%unload_ext workbench",
    ],
)
def test_watching_ends_with_the_model(notebook: Notebook, file: Path, end: str) -> None:
    notebook.run(f"%triton model m --file {file} {SIGNATURE}")
    assert len(watchers()) == 1
    notebook.run(end.format(file=file))
    assert watchers() == []
    if "no-watch" in end:
        file.write_text(answering(5))
        assert answer() == 1
    notebook.run("%load_ext workbench")


def test_a_cell_takes_the_place_of_the_file(notebook: Notebook, file: Path) -> None:
    notebook.run(f"%triton model m --file {file} {SIGNATURE}")
    notebook.run(f"%%triton model m {SIGNATURE}\n{answering(6)}")
    assert watchers() == []
    assert answer() == 6


def test_watching_is_for_files(notebook: Notebook) -> None:
    with pytest.raises(WorkbenchUsageError, match="--watch is for --file"):
        notebook.run(f"%%triton model m --watch {SIGNATURE}\n{answering(1)}")
