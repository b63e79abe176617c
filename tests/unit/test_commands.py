"""The command line: what belongs to no single verb."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from workbench import __version__, commands, doctor
from workbench.errors import InputError, WorkbenchUsageError
from workbench.session import regions
from workbench.targets.client import ServerClient


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"workbench {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["server"], ["server", "install", "--release", "1.0"]]
)
def test_usage_errors_end_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: workbench")


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("ask for B", "workbench: error: no input A\nhint: ask for B\n"),
        ("", "workbench: error: no input A\n"),
    ],
)
def test_errors_become_a_message_and_a_code(
    hint: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(options: argparse.Namespace) -> int:
        raise InputError("no input A", hint=hint)

    parser = argparse.ArgumentParser()
    parser.set_defaults(run=fail)
    monkeypatch.setattr(commands, "parser", lambda: parser)

    assert commands.main([]) == 1
    assert capsys.readouterr().err == said


def test_installed_command_runs() -> None:
    program = Path(sys.executable).parent / "workbench"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"workbench {__version__}\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = [sys.executable, "-m", "workbench.commands", "shm", "--all", "--json", "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_doctor_and_a_region_that_goes_meanwhile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(regions, "orphans", lambda: [tmp_path / "wb_live_gone"])
    [found] = [each for each in doctor.examine().checks if each.name == "regions"]
    assert (found.status, found.detail) == ("note", "1 without an owner, 0 B")


@pytest.mark.parametrize("url", ["http://[::1", "ftp://host", "http://host:99999", "http://me:secret@host"])
def test_an_address_that_cannot_be_read(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["rollback", "m", "--on", url]) == 2
    said = capsys.readouterr().err
    assert "cannot read the address" in said
    assert "secret" not in said
    with pytest.raises(WorkbenchUsageError, match="cannot read the address") as caught:
        ServerClient(url.removeprefix("http://") if "@" in url else url)
    assert "secret" not in str(caught.value)


def test_a_folder_for_servers_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert commands.main(["server", "install", "--dir", str(tmp_path / "file")]) == 3
    assert "cannot make the folder file: File exists" in capsys.readouterr().err


def test_a_signal_ends_what_serves_at_whatever_line_it_comes() -> None:
    """One came while the waiting thread held the lock that the handler took: the command stayed for ever."""
    command = [sys.executable, "-m", "tests.support.ended_commands"]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60)
    assert ended.stdout.endswith("ended\n"), ended.stderr
