"""Warm starts: stubs are what they are when started cold, and nothing is left of them."""

from __future__ import annotations

import json
import os
import signal
import site
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from tests.support.live import define
from tests.support.notebook import Notebook
from workbench import _host
from workbench._stub_boot import STACK_SIGNAL
from workbench.errors import WorkbenchUsageError
from workbench.launch import Launcher, StubProcess, WarmLauncher, cold_launcher, own_launcher
from workbench.launch.warm_server import Report, WarmServer
from workbench.targets.live import LiveTarget

RELEASE = _host.RELEASES[-1].name
SECONDS = 60.0


@dataclass
class Loaded:
    """A model in a stub, initialized."""

    channel: _host.Channel
    process: StubProcess

    def lines(self) -> list[str]:
        self.process.output.drain()
        return self.process.output.tail(200)

    def said(self) -> Any:
        """What the model printed as JSON, last."""
        return json.loads(self.lines()[-1])

    def finish(self) -> int | None:
        self.channel.finalize(SECONDS)
        return self.process.wait(SECONDS)


@pytest.fixture
def warm() -> Iterator[WarmLauncher]:
    launcher = own_launcher()
    try:
        launcher.preload()
        assert launcher.wait_ready(SECONDS)
        yield launcher
    finally:
        launcher.close()


def spare_of(launcher: WarmLauncher) -> psutil.Process:
    """The child that the warm process has ready for the next start."""
    assert launcher._server is not None
    server = psutil.Process(launcher._server.pid)
    end = time.monotonic() + SECONDS
    while len(children := server.children()) != 1:
        assert time.monotonic() < end, "no child was made ahead of its request"
        time.sleep(0.01)
    (child,) = children
    return child


@pytest.fixture(params=["cold", "forked", "spare"])
def launcher(request: pytest.FixtureRequest) -> Iterator[Launcher]:
    if request.param == "cold":
        yield cold_launcher()
        return
    launcher: WarmLauncher = request.getfixturevalue("warm")
    if request.param == "spare":
        spare_of(launcher)
    yield launcher
    assert (launcher.warm_starts, launcher.cold_starts) == (1, 0)


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(initialize: str = "pass", *, top: str = "", folder: str = "m") -> Path:
        file = tmp_path / folder / "1" / "model.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        body = textwrap.indent(textwrap.dedent(initialize), " " * 8)
        file.write_text(
            f"import json, os, signal, sys, threading\n{textwrap.dedent(top)}\n"
            f"class TritonPythonModel:\n    def initialize(self, args):\n{body}\n"
        )
        return file

    return write


@contextmanager
def load(launcher: Launcher, file: Path, **options: Any) -> Iterator[Loaded]:
    channel = _host.Channel(
        name="m_0_0", release=RELEASE, region_name=f"wb_{uuid.uuid4()}", shm_default_byte_size=1 << 20
    )
    process = None
    try:
        arguments = channel.arguments(str(file), launcher.python_lib)
        env = {"TRITON_WORKBENCH_RELEASE": RELEASE, **options.pop("env", {})}
        process = launcher.start(arguments, env=env, **options)
        channel.attach(process.pid)
        channel.wait_started(SECONDS)
        channel.initialize({"model_name": "m"}, SECONDS)
        yield Loaded(channel, process)
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            assert process.wait(SECONDS) is not None
        channel.close()
        if process is not None:
            process.close()


# -- the same as cold ----------------------------------------------------------------------------------------

LOOK = """
import faulthandler, gc, random, re, resource, numpy
def kind(link):
    try: return re.sub(r"[0-9a-f]{4,}|[0-9]+", "N", os.readlink(link))
    except OSError: return "gone"
print(json.dumps({
    "argv": sys.argv, "path": sys.path, "orig_argv": sys.orig_argv[:3], "flags": str(sys.flags),
    "cwd": os.getcwd(), "env": dict(os.environ), "main": __import__("__main__").__name__,
    "threads": [t.name for t in threading.enumerate()], "main_thread": threading.current_thread().name,
    "leader": os.getsid(0) == os.getpid() == os.getpgid(0),
    "signals": {n: str(signal.getsignal(n)) for n in range(1, 32)},
    "mask": list(signal.pthread_sigmask(0, [])),
    "buffering": [s.line_buffering for s in (sys.stdout, sys.stderr)],
    "streams": [[s.encoding, s.errors, s.isatty(), s.seekable()]
                for s in (sys.stdin, sys.stdout, sys.stderr)],
    "files": sorted(kind(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")),
    "dumps": faulthandler.is_enabled(), "gc": [gc.isenabled(), gc.get_threshold()],
    "umask": os.umask(0o77), "files_allowed": resource.getrlimit(resource.RLIMIT_NOFILE),
    "meta_path": [str(getattr(f, "__name__", type(f))) for f in sys.meta_path],
}))
"""


def test_a_model_finds_what_it_finds_in_a_new_process(
    warm: WarmLauncher, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(LOOK)
    monkeypatch.setenv("WORKBENCH_SOMETHING", "ä")
    with load(cold_launcher(), file) as stub:
        expected = stub.said()
    with load(warm, file):  # the environment has changed: a cold start, and a new warm process
        assert (warm.warm_starts, warm.cold_starts) == (0, 1)
    assert warm.wait_ready(SECONDS)
    with load(warm, file) as stub:
        found = stub.said()
    assert warm.warm_starts == 1
    assert found == expected
    assert found["argv"] == [""]
    assert found["env"]["WORKBENCH_SOMETHING"] == "ä"
    assert found["cwd"] == str(Path.cwd())


def test_little_more_is_imported_than_in_a_new_process(warm: WarmLauncher, write: Write) -> None:
    file = write("print(json.dumps(sorted(sys.modules)))", top="import asyncio, json, numpy")
    with load(cold_launcher(), file) as stub:
        expected = set(stub.said())
    with load(warm, file) as stub:
        found = set(stub.said())
    assert warm.warm_starts == 1
    more = {name for name in found - expected if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name for name in more if not name.startswith("_sysconfigdata")} == {"workbench._warm_server"}
    assert not expected - found


def test_the_working_folder_is_that_of_the_moment(
    warm: WarmLauncher, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write("print(json.dumps([os.getcwd(), sys.path[0]]))")
    monkeypatch.chdir(tmp_path)
    with load(warm, file) as stub:
        assert stub.said() == [str(tmp_path), ""]
    with load(warm, file, cwd="/") as stub:
        assert stub.said() == ["/", ""]
    assert warm.warm_starts == 2


def test_output_comes_by_the_line_and_in_order(launcher: Launcher, write: Write) -> None:
    with load(
        launcher, write("print('one')\nprint('two', file=sys.stderr)\nprint('three')\nos.system('echo four')")
    ) as stub:
        assert stub.lines() == ["one", "two", "three", "four"]
        assert stub.finish() == 0


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("os._exit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV),
    ],
)
def test_exit_codes(launcher: Launcher, write: Write, end: str, code: int) -> None:
    with load(launcher, write(f"threading.Timer(0.05, lambda: exec({end!r})).start()")) as stub:
        assert stub.process.wait(SECONDS) == code
        assert stub.process.poll() == code
        if code == -signal.SIGSEGV:
            stub.process.close()  # reads to the end
            assert any("Segmentation fault" in line for line in stub.lines())


def test_kill_and_signals(launcher: Launcher, write: Write) -> None:
    file = write("threading.Thread(target=self.sleep, daemon=True).start()")
    file.write_text(file.read_text() + "    def sleep(self):\n        import time\n        time.sleep(99)\n")
    with load(launcher, file) as stub:
        assert stub.process.poll() is None
        assert stub.process.wait(0.01) is None
        stub.process.send_signal(STACK_SIGNAL)
        end = time.monotonic() + SECONDS
        while not any("in sleep" in line for line in stub.lines()) and time.monotonic() < end:
            time.sleep(0.01)
        assert any(f'{file}", line' in line and "in sleep" in line for line in stub.lines())
        stub.process.kill()
        assert stub.process.wait(SECONDS) == -signal.SIGKILL
        stub.process.kill()  # nothing happens


def test_chance_begins_anew(warm: WarmLauncher, write: Write) -> None:
    file = write(
        "print(json.dumps([random.random(), numpy.random.rand(), str(uuid.uuid4())]))",
        top="import random, uuid, numpy",
    )
    said = []
    for _ in range(3):
        with load(warm, file) as stub:
            said.append(stub.said())
    assert warm.warm_starts == 3
    for column in zip(*said, strict=True):
        assert len(set(column)) == 3


def test_a_models_own_files_are_always_read_anew(warm: WarmLauncher, write: Write) -> None:
    file = write("print(json.dumps([helper.VALUE, VERSION]))", top="import helper\nVERSION = 1")
    (file.parent / "helper.py").write_text("VALUE = 'old'\n")
    with load(warm, file) as stub:
        assert stub.said() == ["old", 1]
    (file.parent / "helper.py").write_text("VALUE = 'newer'\n")
    file.write_text(file.read_text().replace("VERSION = 1", "VERSION = 22"))
    assert warm.wait_ready(SECONDS)
    with load(warm, file) as stub:
        assert stub.said() == ["newer", 22]
    assert warm.warm_starts == 2


# -- what makes a start cold ---------------------------------------------------------------------------------


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
    monkeypatch.setattr("workbench.launch.warm_server._ANSWER_SECONDS", 0.2)
    file = write("print(json.dumps(os.getppid()))")
    with load(warm, file) as first:
        os.kill(first.said(), signal.SIGSTOP)
        with load(warm, file) as second:
            assert second.said() == os.getpid()
        assert not psutil.pid_exists(first.said())


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


# -- installed modules, good and bad -------------------------------------------------------------------------


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


# -- in a session --------------------------------------------------------------------------------------------


def warmth(live: LiveTarget) -> WarmLauncher:
    launcher = live.workbench._launchers["own", ""]
    assert isinstance(launcher, WarmLauncher)
    return launcher


def test_models_of_a_session_start_warm(live: LiveTarget) -> None:
    live.workbench.preload()
    assert warmth(live).wait_ready(SECONDS)
    for factor in (1, 2):
        model = define(live, f"return [reply(r, take(r) * {factor}) for r in requests]", instances=2)
        assert model.infer(X=[1, 2])["Y"].tolist() == [factor, 2 * factor]
    assert (warmth(live).warm_starts, warmth(live).cold_starts) == (4, 0)


def test_libraries_compute_after_a_fork(live: LiveTarget) -> None:
    """OpenBLAS has stopped its threads for the fork and starts them again."""
    live.workbench.preload()
    assert warmth(live).wait_ready(SECONDS)
    model = define(
        live, "s = np.ones((700, 700)) @ np.ones((700, 700))\nreturn [reply(requests[0], x * s[0, 0])]"
    )
    assert model.infer(X=[1, 2])["Y"].tolist() == [700, 1400]
    assert warmth(live).warm_starts == 1


@pytest.mark.torch
def test_torch_is_there_after_its_first_load(live: LiveTarget, torch: ModuleType) -> None:
    execute = "import torch\ns = float((torch.ones(700, 700) @ torch.ones(700, 700))[0, 0])\n"
    execute += "return [reply(requests[0], x * np.float32(s + ahead))]"
    initialize = "def initialize(self, args):\n    global ahead\n    ahead = 'torch' in sys.modules"
    define(live, execute, more=initialize)
    assert warmth(live).wait_ready(SECONDS)
    assert "torch" in warmth(live).status.modules
    model = define(live, execute, more=initialize)
    assert model.infer(X=[1, 2])["Y"].tolist() == [701, 1402]
    assert warmth(live).warm_starts == 1


def test_preload_in_a_notebook(notebook: Notebook) -> None:
    assert repr(notebook.run("%triton preload psutil")) == "Preload: psutil"
    assert repr(notebook.run("%triton preload json")) == "Preload: psutil, json"
    with pytest.raises(WorkbenchUsageError, match="psutill is not an installed module"):
        notebook.run("%triton preload psutill")


# -- nothing is left -----------------------------------------------------------------------------------------


def test_nothing_grows(warm: WarmLauncher, write: Write) -> None:
    file = write()
    me = psutil.Process()

    def cycle() -> None:
        with load(warm, file) as stub:
            assert stub.finish() == 0

    def size() -> tuple[int, int, int, int]:
        server = warm._server
        assert server is not None
        assert warm.wait_ready(SECONDS)
        there = spare_of(warm).parent()
        assert there is not None
        return me.num_fds(), len(me.children(recursive=True)), there.num_fds(), len(there.children())

    for _ in range(3):
        cycle()
    before = size()
    for _ in range(200):
        cycle()
    end = time.monotonic() + SECONDS  # the server lets go of a stub's pipe after it has told the end
    while (after := size()) != before and time.monotonic() < end:
        time.sleep(0.05)
    assert after == before
    assert warm.cold_starts == 0


KERNEL = """
import os, sys, time
sys.path.insert(0, {root!r})
from tests.integration import test_warm_launch as t
from pathlib import Path
launcher = t.own_launcher()
launcher.preload()
assert launcher.wait_ready(60)
with t.load(launcher, Path({file!r})) as stub:
    print(os.getpid(), stub.process.pid, launcher._server.pid, stub.channel.region_name, flush=True)
    time.sleep(600)
"""


def test_all_ends_with_the_kernel(write: Write) -> None:
    root = Path(__file__).parents[2]
    kernel = subprocess.Popen(
        [sys.executable, "-c", KERNEL.format(root=str(root), file=str(write()))],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    with kernel:
        assert kernel.stdout is not None
        _, stub, server, region = kernel.stdout.readline().split()
        left = [psutil.Process(int(stub)), psutil.Process(int(server))]
        kernel.kill()
        kernel.wait()
    _, alive = psutil.wait_procs(left, timeout=10)
    assert not alive
    assert not Path("/dev/shm", region).exists()


def test_a_fork_of_this_process_leaves_the_warm_process_alone(warm: WarmLauncher, write: Write) -> None:
    file = write()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            before = warm.warm_starts
            process = warm.start(["nothing"], env={})
            process.wait(SECONDS)
            warm.close()
            status = 0 if warm.warm_starts == before else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    with load(warm, file):
        assert warm.warm_starts == 1
