"""Templates: every one is a notebook that runs, and a folder that loads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.notebook import Notebook
from workbench.commands import main
from workbench.lint import lint
from workbench.repository import open_entry
from workbench.targets.live import LiveTarget
from workbench.templates import TEMPLATES

WITHOUT_GPU = [name for name in TEMPLATES if name != "gpu"]


@pytest.mark.parametrize("template", WITHOUT_GPU)
def test_a_notebook_that_runs(
    template: str, notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "try_it.ipynb"
    assert main(["new", str(path), "--template", template]) == 0
    monkeypatch.chdir(tmp_path)
    results = [notebook.run("".join(cell["source"])) for cell in json.loads(path.read_text())["cells"]]
    assert repr(results[-2]) == "Replay try_it: 1 request, 1 equal"
    assert repr(results[-1]).startswith("Export try_it")
    assert (tmp_path / "repository/try_it/1/model.py").is_file()


@pytest.mark.parametrize("template", WITHOUT_GPU)
def test_a_folder_that_loads(template: str, live: LiveTarget, tmp_path: Path) -> None:
    assert main(["new", str(tmp_path / "models/mine"), "--template", template]) == 0
    for folder in sorted((tmp_path / "models").iterdir(), reverse=True):
        live.define(folder.name, folder)
    assert "mine" in live.workbench.ready_names()


@pytest.mark.parametrize("template", list(TEMPLATES))
def test_nothing_that_a_server_refuses(template: str, tmp_path: Path) -> None:
    main(["new", str(tmp_path / "mine"), "--template", template])
    for folder in tmp_path.iterdir():
        made = open_entry(folder)
        assert not lint(made.name, made.source, made.config, "25.08").findings


def test_the_gpu_template(tmp_path: Path) -> None:
    assert main(["new", str(tmp_path / "mine"), "--template", "gpu"]) == 0
    config = open_entry(tmp_path / "mine").config
    assert config.parameters == {"FORCE_CPU_ONLY_INPUT_TENSORS": "no"}
    assert [each.kind for each in config.instances] == ["GPU"]


@pytest.mark.parametrize("name", ["mine", "mine.ipynb"])
def test_what_is_there_stays(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    assert main(["new", str(path)]) == 0
    assert main(["new", str(path), "--template", "bls"]) == 1
    assert "is there already" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert main(["new", str(path), "--force"]) == 0


@pytest.mark.parametrize("name", ["a b", ".x", "a;b.ipynb"])
def test_names_that_are_no_model(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", str(tmp_path / name)]) == 1
    assert "illegal model name" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_not_written_through(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "target").write_text("dear")
    (tmp_path / "nb.ipynb").symlink_to(tmp_path / "target")
    assert main(["new", str(tmp_path / "nb.ipynb"), "--force"]) == 1
    assert "nb.ipynb is a link" in capsys.readouterr().err
    assert (tmp_path / "target").read_text() == "dear"
