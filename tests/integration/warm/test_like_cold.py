"""Warm starts: a model finds what it finds in a process that is started cold."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from tests.integration.warm.stubs import SECONDS, Write, load
from workbench._stub_boot import STACK_SIGNAL
from workbench.launch import Launcher, WarmLauncher, cold_launcher

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
