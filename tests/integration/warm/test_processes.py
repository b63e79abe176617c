"""Warm starts: the warm process and the child it has ready; what makes a start cold."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.integration.warm.stubs import SECONDS, Write, load, spare_of
from workbench.launch import WarmLauncher, own_launcher
from workbench.launch.warm_server import Report, WarmServer


def test_the_first_start_does_not_wait(write: Write) -> None:
    launcher = own_launcher()
    try:
        assert launcher.status.state == "off"
        with load(launcher, write()):
            assert launcher.cold_starts == 1
        assert launcher.wait_ready(SECONDS)
        with load(launcher, write()):
            assert launcher.warm_starts == 1
    finally:
        launcher.close()


def test_ready_is_waited_for_before_the_work_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    build, begun = WarmLauncher._build, threading.Event()

    def late(self: WarmLauncher) -> None:
        begun.set()
        time.sleep(0.3)  # a thread may get the processor so late
        build(self)

    monkeypatch.setattr(WarmLauncher, "_build", late)
    launcher = own_launcher()
    try:
        launcher.preload()
        assert begun.wait(SECONDS)
        assert launcher.wait_ready(SECONDS)
    finally:
        launcher.close()


def test_a_users_module_goes_before_an_installed_one(
    warm: WarmLauncher, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm.preload("psutil")
    assert warm.wait_ready(SECONDS)
    file = write("print(json.dumps(psutil.__file__))", top="import psutil")
    monkeypatch.chdir(tmp_path)
    with load(warm, file) as stub:
        assert stub.said() == psutil.__file__
    (tmp_path / "psutil.py").write_text("")
    with load(warm, file) as stub:
        assert stub.said() == str(tmp_path / "psutil.py")
    (tmp_path / "psutil.py").unlink()
    with load(warm, file) as stub:
        assert stub.said() == psutil.__file__
    assert (warm.warm_starts, warm.cold_starts) == (2, 1)


def test_a_variable_for_one_stub(warm: WarmLauncher, write: Write) -> None:
    file = write("print(json.dumps(os.environ.get('WORKBENCH_ONE')))")
    with load(warm, file, env={"WORKBENCH_ONE": "1"}) as stub:
        assert stub.said() == "1"
    with load(warm, file) as stub:
        assert stub.said() is None
    assert (warm.warm_starts, warm.cold_starts) == (1, 1)


def test_the_warm_process_killed(warm: WarmLauncher, write: Write) -> None:
    file = write("print(json.dumps(os.getppid()))")
    with load(warm, file) as first:
        server = first.said()
        assert server != os.getpid()
        os.kill(server, signal.SIGKILL)
        assert first.process.wait(0.05) is None  # the stub lives on
        with load(warm, file) as second:
            assert second.said() == os.getpid()
            assert second.finish() == 0
        assert first.finish() is not None  # which code, nobody knows
    assert warm.wait_ready(SECONDS)
    with load(warm, file) as third:
        assert third.said() not in (server, os.getpid())
    assert (warm.warm_starts, warm.cold_starts) == (2, 1)


def test_a_child_waits_for_the_next_request(warm: WarmLauncher, write: Write) -> None:
    file = write("print(json.dumps([os.getpid(), os.getsid(0), len(os.listdir('/proc/self/fd'))]))")
    waiting = spare_of(warm)
    with load(warm, file) as first:
        pid, session, descriptors = first.said()
        assert pid == session == waiting.pid == first.process.pid
        with load(warm, file) as second:  # at once: nobody waits yet
            assert second.said()[2] == descriptors
            assert second.finish() == 0
        assert first.finish() == 0
    assert spare_of(warm).pid != waiting.pid


def test_the_waiting_child_killed(warm: WarmLauncher, write: Write) -> None:
    file = write("print(json.dumps(os.getpid()))")
    killed = spare_of(warm)
    killed.kill()
    assert psutil.wait_procs([killed], SECONDS)[1] == []
    with load(warm, file) as stub:
        assert stub.said() != killed.pid
        assert stub.finish() == 0
    assert spare_of(warm).pid != killed.pid
    assert (warm.warm_starts, warm.cold_starts) == (1, 0)


def test_the_waiting_child_ends_with_the_warm_process(warm: WarmLauncher) -> None:
    waiting = spare_of(warm)
    assert warm._server is not None
    os.kill(warm._server.pid, signal.SIGKILL)
    assert psutil.wait_procs([waiting], SECONDS)[1] == []


def test_pages_are_copied_ahead() -> None:
    code = """if True:
        import mmap, os, resource
        from workbench import _stub
        def faults():
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        data = mmap.mmap(-1, 64 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for at in range(0, 8 << 20, mmap.PAGESIZE):
            data[at] = 1
        if os.fork() == 0:
            few = _stub.take_own_pages(1 << 20)
            taken = _stub.take_own_pages(1 << 30)
            before = faults()
            for at in range(0, 8 << 20, mmap.PAGESIZE):
                data[at] = 2
            print(few <= 1 << 20, taken >= 8 << 20, taken < 64 << 20, faults() - before < 100, flush=True)
            os._exit(0)
        os.wait()
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True True True True\n"


def test_the_warm_process_stopped(warm: WarmLauncher, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("print(json.dumps(os.getppid()))")
    with load(warm, file) as first:
        server = first.said()
        assert server != os.getpid()
        os.kill(server, signal.SIGSTOP)
        monkeypatch.setattr("workbench.launch.warm_server._ANSWER_SECONDS", 0.2)
        with load(warm, file) as second:
            assert second.said() == os.getpid()
        assert not psutil.pid_exists(server)


@pytest.mark.parametrize("moment", [0, 0.03, 0.1])
def test_closing_while_a_warm_process_is_made(moment: float) -> None:
    others = set(psutil.Process().children())  # tests of the same run may share a process
    launcher = own_launcher()
    launcher.preload()
    time.sleep(moment)
    launcher.close()
    assert not set(psutil.Process().children()) - others  # reaped, too


def test_closing_at_the_moment_a_warm_process_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    others = set(psutil.Process().children())
    launcher = own_launcher()
    ready = threading.Event()
    wait_ready = WarmServer.wait_ready

    def wait_longer(server: WarmServer, timeout: float) -> Report:
        report = wait_ready(server, timeout)
        ready.set()
        while not launcher._closed:
            time.sleep(0.001)
        return report

    monkeypatch.setattr(WarmServer, "wait_ready", wait_longer)
    launcher.preload()
    assert ready.wait(SECONDS)
    launcher.close()
    assert not set(psutil.Process().children()) - others
