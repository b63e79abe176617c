"""Exports that fail: each with a clear error, and nothing half-written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.live import ECHO, define, source
from tests.support.models import contents, write_model
from tests.support.notebook import CELL, Notebook
from workbench.commands import main
from workbench.repository import open_entry
from workbench.repository.export import export
from workbench.repository.live_export import export_live
from workbench.server_errors import ExportError
from workbench.session.replay import load_requests
from workbench.targets.live import LiveTarget


def test_a_patched_model(live: LiveTarget, tmp_path: Path) -> None:
    model = define(live, ECHO)
    model.reload(source(ECHO + "  # edited"), patch=True)
    assert model.is_patched
    with pytest.raises(ExportError, match="m is patched") as refused:
        export_live(live.workbench, ["m"], tmp_path / "repo")
    assert "--patch" in refused.value.hint
    assert not (tmp_path / "repo").exists()
    model.reload()
    export_live(live.workbench, ["m"], tmp_path / "repo")


def test_from_the_model_itself(live: LiveTarget, tmp_path: Path) -> None:
    model = define(live, "return [reply(r, take(r)) for r in requests]")
    report = model.export(tmp_path / "repo", release="25.08")
    assert [name for name, _ in report.files] == ["m/config.pbtxt", "m/1/model.py"]
    with pytest.raises(ExportError, match="is there already"):
        model.export(str(tmp_path / "repo"))


def test_one_name_twice(tmp_path: Path) -> None:
    entries = [open_entry(write_model(tmp_path / folder, "echo")) for folder in ("one", "two")]
    with pytest.raises(ExportError, match="echo is given twice"):
        export(entries, tmp_path / "repo")
    assert not (tmp_path / "repo").exists()


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """A limit on the size of files stands for it. What was there before is there afterwards."""
    folder = write_model(tmp_path / "from", "echo")
    repo = tmp_path / "repo"
    export([open_entry(folder)], repo)
    before = contents(repo)
    (folder / "1/weights.bin").write_bytes(os.urandom(2 << 20))
    program = (
        "import resource, signal, sys; from workbench.commands import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "raise SystemExit(main(sys.argv[1:]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "export", folder, "-o", repo, "--force"],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("workbench: error: cannot write repo: ")
    assert "File too large" in done.stderr
    assert contents(repo) == before
    assert [each.name for each in repo.iterdir()] == ["echo"]


def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_model(tmp_path / "from", "echo")
    # Whoever runs the tests: nobody makes folders here.
    assert main(["export", str(folder), "-o", "/proc/sys/repo"]) == 1
    assert "cannot write repo: repo: " in capsys.readouterr().err
    (tmp_path / "file").write_text("no folder")
    assert main(["export", str(folder), "-o", str(tmp_path / "file")]) == 1
    assert "cannot write file: file: File exists" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "no folder"


def test_a_folder_of_another_user(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    folder = write_model(tmp_path / "from", "echo")
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(ExportError, match=r"cannot write repo: repo: Permission denied"):
        export([open_entry(folder)], tmp_path / "locked/repo")


def test_with_requests(notebook: Notebook, tmp_path: Path) -> None:
    notebook.run(CELL)
    notebook.run("%triton infer add_sub INPUT0=[1,2,3,4] INPUT1=[1,1,1,1]")
    report = notebook.run(f"%triton export add_sub {tmp_path}/repo --with-requests")
    assert ("add_sub/requests.npz", "1 request, for verify") in report.files
    assert [*load_requests(tmp_path / "repo/add_sub/requests.npz")] == ["add_sub"]
    again = notebook.run(f"%triton export add_sub {tmp_path}/again --with-requests")
    assert again.files == report.files
    assert contents(tmp_path / "again") == contents(tmp_path / "repo")


def test_ctrl_c_while_files_are_moved_puts_back_what_was_there(
    live: LiveTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = define(live, ECHO)
    define(live, ECHO, name="n")
    export_live(live.workbench, ["m"], tmp_path / "repo")
    before = contents(tmp_path / "repo")
    model.reload(source(ECHO + "  # edited"))
    rename = Path.rename
    for moment in ("m", "n"):  # the old one put aside; one in its place already

        def interrupted(path: Path, target: Path, moment: str = moment) -> Path:
            if path.name == moment and ".export-" in str(path):
                raise KeyboardInterrupt
            return rename(path, target)

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(Path, "rename", interrupted)
            export_live(live.workbench, ["m", "n"], tmp_path / "repo", force=True)
        assert contents(tmp_path / "repo") == before
