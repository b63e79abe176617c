"""Warm starts: installed modules that are imported ahead, good and bad."""

from __future__ import annotations

import os
import signal
import site
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.warm.stubs import SECONDS, Write, load
from workbench.errors import WorkbenchUsageError
from workbench.launch import WarmLauncher, own_launcher


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages, for this process and for those it starts."""
    prefix = tmp_path / "prefix"
    folder = prefix / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    folder.mkdir(parents=True)
    custom = tmp_path / "custom"
    custom.mkdir()
    (custom / "sitecustomize.py").write_text(
        f"import site\nsite.PREFIXES.append({str(prefix)!r})\nsite.addsitedir({str(folder)!r})\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(custom))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(site, "PREFIXES", [*site.PREFIXES, str(prefix)])
    (folder / "wb_good.py").write_text("import threading\nTHREADS = threading.active_count()\n")
    (folder / "wb_threads.py").write_text(
        "import threading, time\n"
        "t = threading.Thread(target=time.sleep, args=(999,), daemon=True)\nt.start()\n"
    )
    (folder / "wb_socket.py").write_text("import socket\npair = socket.socketpair()\n")
    (folder / "wb_starts.py").write_text("import subprocess\np = subprocess.Popen(['cat'], stdin=-1)\n")
    (folder / "wb_raises.py").write_text("raise RuntimeError('not today')\n")
    (folder / "wb_exits.py").write_text("import os\nos._exit(7)\n")
    return folder


@pytest.fixture
def picky(packages: Path) -> Iterator[WarmLauncher]:
    launcher = own_launcher()
    launcher.preload()
    assert launcher.wait_ready(SECONDS)
    yield launcher
    launcher.close()


IMPORTED_AHEAD = "print(json.dumps(ahead))"


def ahead(name: str) -> str:
    return f"ahead = {name!r} in sys.modules\nimport {name}"


def test_what_a_model_imports_is_there_for_the_next(picky: WarmLauncher, write: Write) -> None:
    file = write(IMPORTED_AHEAD, top=ahead("wb_good"))
    with load(picky, file) as stub:
        assert stub.said() is False
    assert picky.wait_ready(SECONDS)
    with load(picky, file) as stub:
        assert stub.said() is True
    assert picky.warm_starts == 2
    assert "wb_good" in picky.status.modules


def test_imports_of_helper_files_count(picky: WarmLauncher, write: Write) -> None:
    file = write(IMPORTED_AHEAD, top="ahead = 'wb_good' in sys.modules\nfrom . import helper")
    (file.parent / "helper.py").write_text("def later():\n    import wb_good\n")
    with load(picky, file):
        pass
    assert picky.wait_ready(SECONDS)
    with load(picky, file) as stub:
        assert stub.said() is True


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("wb_threads", "runs 1 thread"),
        ("wb_socket", "keeps socket open"),
        ("wb_starts", "keeps pipe open"),
        ("wb_raises", "not today"),
        ("wb_exits", "exit code 7"),
    ],
)
def test_a_module_that_cannot_be_imported_ahead_is_left_to_the_model(
    picky: WarmLauncher, write: Write, name: str, why: str
) -> None:
    file = write(IMPORTED_AHEAD, top=f"ahead = {name!r} in sys.modules\nif False:\n    import {name}")
    for _ in range(2):
        with load(picky, file) as stub:
            assert stub.said() is False
        assert picky.wait_ready(SECONDS)
    assert picky.warm_starts == 2
    assert name not in picky.status.modules
    assert any(line.startswith(f"{name}: ") and why in line for line in picky.status.notes)


def test_where_forking_is_unsafe_a_spare_process_becomes_the_stub(picky: WarmLauncher, write: Write) -> None:
    picky.preload("wb_threads")
    file = write(
        "print(json.dumps([ahead, wb_threads.t.is_alive(), os.getppid(), os.getpid()]))",
        top=ahead("wb_threads"),
    )
    pids = set()
    for _ in range(2):
        assert picky.wait_ready(SECONDS)
        assert any("wb_threads runs 1 thread" in line for line in picky.status.notes)
        with load(picky, file) as stub:
            was_ahead, alive, parent, pid = stub.said()
            assert (was_ahead, alive, parent) == (True, True, os.getpid())
            assert stub.process.pid == pid
            pids.add(pid)
            os.kill(pid, signal.SIGTERM)  # ignored, as in any stub
            assert stub.finish() == 0
    assert len(pids) == picky.warm_starts == 2


def test_a_spare_process_is_kept_while_a_users_module_goes_first(
    picky: WarmLauncher, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picky.preload("wb_good", "wb_threads")
    assert picky.wait_ready(SECONDS)
    assert picky._server is not None
    pid = picky._server.pid
    file = write("print(json.dumps(os.getpid()))")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wb_good.py").write_text("")
    with load(picky, file):
        pass
    (tmp_path / "wb_good.py").unlink()
    assert picky.wait_ready(SECONDS)
    with load(picky, file) as stub:
        assert stub.said() == pid
    assert (picky.warm_starts, picky.cold_starts) == (1, 1)


def test_an_installation_is_seen_by_the_next_start(picky: WarmLauncher, write: Write, packages: Path) -> None:
    picky.preload("wb_good")
    assert picky.wait_ready(SECONDS)
    file = write("print(json.dumps(getattr(wb_good, 'VERSION', 1)))", top="import wb_good")
    with load(picky, file) as stub:
        assert stub.said() == 1
    new = packages / "new"
    new.write_text("VERSION = 2\n")
    new.rename(packages / "wb_good.py")
    with load(picky, file) as stub:
        assert stub.said() == 2
    assert picky.wait_ready(SECONDS)
    with load(picky, file) as stub:
        assert stub.said() == 2
    assert (picky.warm_starts, picky.cold_starts) == (2, 1)


def test_only_installed_modules_are_imported_ahead(warm: WarmLauncher) -> None:
    for name in ("tests", "google", "google.nothing", "nothing"):
        with pytest.raises(WorkbenchUsageError, match=f"{name} is not an installed module"):
            warm.preload("psutil", name)
    assert warm.status.modules == ("numpy", "json", "asyncio")
    warm.preload("google.protobuf.message")
    assert warm.wait_ready(SECONDS)
    assert "google.protobuf.message" in warm.status.modules
