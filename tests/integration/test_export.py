"""Exported folders: what is in them, what is not, and that nothing is left half-written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support.live import ECHO, define, source
from tests.support.models import IDENTITY_SOURCE, contents, write_model
from workbench.commands import main
from workbench.errors import ModelConfigError
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry
from workbench.repository import open_entry, write_entry
from workbench.repository.export import export
from workbench.repository.model_files import model_files, required_packages
from workbench.repository.stub_files import minor_of
from workbench.server_errors import ExportError
from workbench.targets.live import LiveTarget

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def entry(tmp_path: Path) -> ModelEntry:
    return open_entry(write_model(tmp_path / "from", "echo"))


def test_a_live_model(live: LiveTarget, tmp_path: Path) -> None:
    model = define(live, ECHO)
    report = export([live.workbench.hosts["m"].entry], tmp_path / "repo", release="25.08")
    assert repr(report) == (
        "Export m -> repo: 2 files\n"
        "    m/config.pbtxt\n"
        "    m/1/model.py\n"
        "  note: the server's machine must have numpy"
    )
    assert (tmp_path / "repo/m/1/model.py").read_text() == model.source
    written = ModelConfig.from_text((tmp_path / "repo/m/config.pbtxt").read_text())
    assert written == model.config
    assert (written.backend, len(written.instances)) == ("python", 1)


def test_auto_completed_configuration_is_written_out(live: LiveTarget, tmp_path: Path) -> None:
    text = source(
        ECHO,
        more="""
        @staticmethod
        def auto_complete_config(config):
            config.add_input({"name": "X", "data_type": "TYPE_FP32", "dims": [2]})
            config.add_output({"name": "Y", "data_type": "TYPE_FP32", "dims": [2]})
            return config
        """,
    )
    live.define("m", text)
    export([live.workbench.hosts["m"].entry], tmp_path / "repo")
    config = ModelConfig.from_text((tmp_path / "repo/m/config.pbtxt").read_text())
    assert [str(each) for each in (*config.inputs, *config.outputs)] == ["X FP32[2]", "Y FP32[2]"]


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    config = ModelConfig.from_specs(
        "m", ["X:FP32[2]"], ["Y:FP32[2]"], parameters={"b": "1", "a": "2", "c": "3"}
    )
    text = open_entry(write_model(tmp_path / "from", "echo")).source
    for number, mask in (("1", 0o077), ("2", 0o000)):
        before = os.umask(mask)
        try:
            (tmp_path / number).mkdir(mode=0o700)
            export(
                [write_entry(tmp_path / number, text, config)],
                tmp_path / number / "repo",
                release="24.10",
                stub="launcher",
            )
        finally:
            os.umask(before)
    first, second = (contents(tmp_path / number / "repo") for number in "12")
    assert first == second
    assert {name for name, (mode, _) in first.items() if mode & 0o111} == {"m/triton_python_backend_stub"}


def test_siblings_come_along_and_litter_does_not(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "from", "echo")
    for name in ("1/weights/part.bin", "labels.txt", "1/helper.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    for name in ("1/__pycache__/model.pyc", ".ipynb_checkpoints/config.pbtxt", "1/model.py~", ".git/HEAD"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("litter")
    (folder / "1/linked.bin").symlink_to(folder / "labels.txt")
    export([open_entry(folder)], tmp_path / "repo")
    assert sorted(contents(tmp_path / "repo")) == [
        "echo/1/helper.py",
        "echo/1/linked.bin",
        "echo/1/model.py",
        "echo/1/weights/part.bin",
        "echo/config.pbtxt",
        "echo/labels.txt",
    ]
    assert (tmp_path / "repo/echo/1/linked.bin").read_text() == "labels.txt"
    assert not (tmp_path / "repo/echo/1/linked.bin").is_symlink()


def test_what_was_loaded_is_written_not_what_the_file_says_by_now(entry: ModelEntry, tmp_path: Path) -> None:
    entry.model_file.write_text("# edited since\n")
    export([entry], tmp_path / "repo")
    assert (tmp_path / "repo/echo/1/model.py").read_text() == IDENTITY_SOURCE


def test_a_folder_that_is_there_is_replaced_by_force_only(entry: ModelEntry, tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    export([entry], repo)
    (repo / "echo/stale.txt").write_text("of the last export")
    before = contents(repo)
    with pytest.raises(ExportError, match=r"repo/echo is there already") as refused:
        export([entry], repo)
    assert "--force" in refused.value.hint
    assert contents(repo) == before
    export([entry], repo, force=True)
    assert sorted(contents(repo)) == ["echo/1/model.py", "echo/config.pbtxt"]
    assert [each.name for each in repo.iterdir()] == ["echo"]


def test_force_does_not_replace_what_is_no_model(entry: ModelEntry, tmp_path: Path) -> None:
    (tmp_path / "repo/echo").mkdir(parents=True)
    (tmp_path / "repo/echo/thesis.txt").write_text("dear")
    with pytest.raises(ExportError, match="no model directory"):
        export([entry], tmp_path / "repo", force=True)
    assert (tmp_path / "repo/echo/thesis.txt").exists()


def test_the_folder_it_is_served_from_is_not_replaced(entry: ModelEntry, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="is where echo is served from"):
        export([entry], tmp_path / "from", force=True)


def test_a_link_in_place_of_the_model_is_refused(entry: ModelEntry, tmp_path: Path) -> None:
    elsewhere = write_model(tmp_path / "elsewhere", "echo")
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/echo").symlink_to(elsewhere)
    with pytest.raises(ExportError, match="is a link"):
        export([entry], tmp_path / "repo", force=True)
    assert (elsewhere / "config.pbtxt").exists()


@pytest.mark.parametrize("name", ["../out", "a/b", ".hidden", "..", ""])
def test_names_that_leave_the_folder(entry: ModelEntry, tmp_path: Path, name: str) -> None:
    bad = ModelEntry(name, entry.path, entry.source, entry.config, owned=False)
    with pytest.raises(ModelConfigError, match="illegal model name"):
        export([bad], tmp_path / "repo")
    assert not (tmp_path / "repo").exists()


def test_all_models_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = open_entry(write_model(tmp_path / "from", "one"))
    two = open_entry(write_model(tmp_path / "from", "two"))
    repo = tmp_path / "repo"
    export([one], repo)
    before = contents(repo)
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if Path(target) == repo / "two":
            raise OSError(28, "No space left on device", str(target))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    (one.path / "new.txt").write_text("new")
    with pytest.raises(ExportError, match="cannot write repo: two: No space left on device"):
        export([one, two], repo, force=True)
    assert contents(repo) == before
    assert [each.name for each in repo.iterdir()] == ["one"]


def test_a_failed_first_export_leaves_no_folder(tmp_path: Path) -> None:
    entry = open_entry(write_model(tmp_path / "from", "echo"))
    os.mkfifo(entry.path / "pipe")
    with pytest.raises(ExportError, match="pipe is neither a file nor a folder"):
        export([entry], tmp_path / "repo")
    assert not (tmp_path / "repo").exists()


def test_a_stub_with_its_markers(entry: ModelEntry, tmp_path: Path) -> None:
    report = export([entry], tmp_path / "repo", release="24.07", stub="launcher", python=sys.executable)
    model = tmp_path / "repo/echo"
    assert (model / "triton_release").read_text() == "24.07\n"
    assert (model / "triton_stub_python").read_text() == f"{sys.executable}\n"
    module = f"_stub{sysconfig.get_config_var('EXT_SUFFIX')}"
    assert (model / module).stat().st_size > 100_000
    text = repr(report)
    assert f"protocol 24.07, python {MINOR}" in text
    assert f"must have python {MINOR} with numpy" in text


def test_the_launcher_needs_nothing_but_its_folder(entry: ModelEntry, tmp_path: Path) -> None:
    """It answers the server's question (no arguments) with an interpreter that has no workbench."""
    export([entry], tmp_path / "repo", stub="launcher", release="24.10")
    environment = {"PATH": str(Path(sys.base_prefix) / "bin") + ":/usr/bin:/bin"}
    script = tmp_path / "repo/echo/triton_python_backend_stub"
    alone = subprocess.run(
        [Path(sys.base_prefix) / "bin/python3", "-c", "import workbench"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
    )
    assert alone.returncode == 1
    done = subprocess.run([script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    # What a stub has to end with when a server asks whether it can be run at all.
    assert (done.returncode, "started without arguments" in done.stderr) == (1, True), done.stderr


def test_an_interpreter_of_another_version_is_refused(entry: ModelEntry, tmp_path: Path) -> None:
    other = tmp_path / "python3"
    other.write_text("#!/bin/sh\necho 3.9\n")
    other.chmod(0o755)
    assert minor_of(other) == "3.9"
    with pytest.raises(ExportError, match=rf"the stub is for Python {MINOR}, .* is 3\.9"):
        export([entry], tmp_path / "repo", stub="launcher", python=str(other))


@pytest.mark.parametrize("release", ["23.01", "2.51.0", "next"])
def test_an_unknown_release_is_refused(entry: ModelEntry, tmp_path: Path, release: str) -> None:
    with pytest.raises(ExportError, match="unknown release"):
        export([entry], tmp_path / "repo", release=release)


def test_a_stub_that_lay_there_gives_way_to_ours(entry: ModelEntry, tmp_path: Path) -> None:
    (entry.path / "triton_python_backend_stub").write_text("another")
    (entry.path / "triton_release").write_text("24.04")
    assert "triton_release" in model_files(entry)
    export([entry], tmp_path / "repo", stub="launcher")
    assert not (tmp_path / "repo/echo/triton_release").exists()
    assert (tmp_path / "repo/echo/triton_python_backend_stub").read_text() != "another"


def test_packages_a_model_needs(tmp_path: Path) -> None:
    text = "import os, numpy as np\nfrom torch.nn import Module\nimport helper, triton_python_backend_utils\n"
    folder = write_model(tmp_path, "m", text)
    (folder / "1/helper.py").write_text("")
    assert required_packages(open_entry(folder)) == ["numpy", "torch"]


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_model(tmp_path / "from", "echo")
    arguments = ["export", str(folder), "-o", str(tmp_path / "repo"), "--for", "24.10"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert said.out.startswith("Export echo -> repo: 2 files\n")
    assert "returns empty outputs under numpy 2" in said.out
    assert main(arguments) == 1
    assert "is there already" in capsys.readouterr().err
    assert main([*arguments, "--force", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["models"], told["files"][0]) == (["echo"], {"path": "echo/config.pbtxt", "about": ""})
    shutil.rmtree(tmp_path / "repo")
    assert main(["export", str(tmp_path / "nosuch"), "-o", str(tmp_path / "repo")]) == 2
