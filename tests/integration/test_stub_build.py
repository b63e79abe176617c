"""The stub as one executable: for this interpreter, for another, and where it cannot be built."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.support.live import define
from workbench import stub_build
from workbench.commands import main
from workbench.repository.export import export
from workbench.repository.verify import verify
from workbench.server_errors import StubBuildError
from workbench.server_install import ServerInstall, libpython_dir
from workbench.stub_build import build_stub
from workbench.targets.live import LiveTarget

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
DEBIAN = Path("/usr/bin/python3")

needs_libpython = pytest.mark.skipif(libpython_dir() is None, reason="this Python has no shared library")


def linked(path: Path) -> str:
    return subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout


@needs_libpython
def test_this_interpreters_stub_is_installed() -> None:
    built = build_stub(Path(sys.executable))
    assert (built.python, built.path.parent.name) == (MINOR, "bin")
    assert str(libpython_dir()) in linked(built.path)
    assert built.libpython.parent == (libpython_dir() or Path()).resolve()


@needs_libpython
@pytest.mark.server
def test_one_executable_serves_on_a_real_server(
    live: LiveTarget, tmp_path: Path, triton_2410: ServerInstall
) -> None:
    model = define(live, "return [reply(r, take(r) * 2) for r in requests]")
    model.infer(X=[1, 2])
    host = live.workbench.hosts["m"]
    report = export([host.entry], tmp_path / "repo", release="24.10", stub="elf")
    assert [name for name, _ in report.files] == [
        "m/config.pbtxt",
        "m/1/model.py",
        "m/triton_python_backend_stub",
        "m/triton_release",
    ]
    assert (tmp_path / "repo/m/triton_python_backend_stub").read_bytes()[:4] == b"\x7fELF"
    found = verify(tmp_path / "repo", requests={"m": host.recorder.requests}, install=triton_2410)
    assert found.rows == (("m", "READY", "1 request equal"),)


@needs_libpython
def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stub", "build", "--release", "24.10", "-o", str(tmp_path)]) == 0
    stub = tmp_path / "triton_python_backend_stub"
    assert os.access(stub, os.X_OK)
    assert (tmp_path / "triton_release").read_text() == "24.10\n"
    assert f"{stub}: python {MINOR}, " in capsys.readouterr().out
    assert main(["stub", "build", "-o", str(tmp_path)]) == 0, "again"
    (tmp_path / "link").symlink_to(tmp_path / "triton_release")
    assert main(["stub", "build", "-o", str(tmp_path / "link")]) == 1
    assert "link is a link" in capsys.readouterr().err
    assert (tmp_path / "triton_release").read_text() == "24.10\n"
    assert main(["stub", "build", "-o", "/proc/sys/nosuch/stub"]) == 1
    assert "cannot write stub: " in capsys.readouterr().err
    assert main(["stub", "build", "--release", "24.10"]) == 2
    assert main(["stub", "build", "--release", "1.2", "-o", str(tmp_path)]) == 1


@pytest.mark.skipif(
    not os.environ.get("WORKBENCH_SLOW"), reason="compiles for a minute; WORKBENCH_SLOW=1 runs it"
)
@pytest.mark.timeout(400)
def test_built_for_another_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # A copy: whoever edits a source meanwhile would make it another build.
    sources = shutil.copytree(stub_build._sources(), tmp_path / "stub")
    monkeypatch.setattr(stub_build, "_sources", lambda: sources)
    try:
        stub_build._library(DEBIAN, stub_build._probe(DEBIAN))
    except StubBuildError as error:
        pytest.skip(f"nothing to build for: {error}")
    told: list[str] = []
    built = build_stub(DEBIAN, progress=told.append, prebuilt=False)
    assert str(built.libpython) in {str(Path(each).resolve()) for each in linked(built.path).split()}
    assert len(told) == 1
    assert build_stub(DEBIAN, progress=told.append, prebuilt=False) == built
    assert len(told) == 1, "the second time it is there"
    done = subprocess.run([built.path], capture_output=True, text=True, timeout=60)
    assert (done.returncode, "started without arguments" in done.stderr) == (1, True)


def fake_python(folder: Path, **changes: object) -> Path:
    """A program that answers for an interpreter with other properties."""
    answer = subprocess.run(
        [sys.executable, "-I", "-c", stub_build._PROBE], capture_output=True, text=True, check=True
    )
    facts = json.loads(answer.stdout) | changes
    python = folder / "python3"
    python.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(facts)}\nEND\n")
    python.chmod(0o755)
    return python


def test_interpreters_that_lack_something(tmp_path: Path) -> None:
    with pytest.raises(StubBuildError, match=r"has no headers \(Python\.h\)") as refused:
        build_stub(fake_python(tmp_path, headers=False))
    assert "python3-dev" in refused.value.hint
    assert refused.value.exit_code == 3
    with pytest.raises(StubBuildError, match="has no shared library"):
        build_stub(fake_python(tmp_path, libpython=None))
    with pytest.raises(StubBuildError, match="is pypy"):
        build_stub(fake_python(tmp_path, kind="pypy"))
    with pytest.raises(StubBuildError, match="is no Python interpreter"):
        build_stub(tmp_path / "nosuch")
    with pytest.raises(StubBuildError, match="is no Python interpreter"):
        build_stub(Path("/bin/true"))


@needs_libpython
def test_tools_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda name, path=None: None)
    with pytest.raises(StubBuildError, match="cmake is not installed") as refused:
        build_stub(Path(sys.executable), prebuilt=False)
    assert "triton-workbench[stub]" in refused.value.hint


def test_an_interrupted_build_leaves_no_compiler_running() -> None:
    """Ctrl-C reaches this process alone; what it started, and what that started, has to end with it."""
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        stub_build._run(["/bin/sh", "-c", "sleep 100 & sleep 100; wait"])
    timer.join()
    assert time.monotonic() - started < 60


@needs_libpython
def test_a_build_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    broken = tmp_path / "sources"
    broken.mkdir()
    (broken / "CMakeLists.txt").write_text(
        'cmake_minimum_required(VERSION 3.24)\nmessage(FATAL_ERROR "so it is")\n'
    )
    monkeypatch.setattr(stub_build, "_sources", lambda: broken)
    with pytest.raises(StubBuildError, match="cmake ended with 1") as failed:
        build_stub(Path(sys.executable), prebuilt=False)
    assert any("so it is" in line for line in failed.value.render())
    left = [each.name for each in stub_build.stub_cache().iterdir() if not each.name.endswith(".lock")]
    assert left == []
