"""A stub that dies, stands still or is too slow; and one whose parent has had enough."""

from __future__ import annotations

import _thread
import gc
import os
import signal
import stat
import subprocess
import sys
import threading
import uuid
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.protocol import harness
from tests.protocol.harness import ANSWER_TIMEOUT, Instance, StubKind, make_request
from tests.protocol.models import DECOUPLED, MANY_WAYS
from tests.support.waiting import until
from workbench import _host

FOUR = np.arange(4, dtype=np.float32)
LONG = np.array([60.0], dtype=np.float32)


def test_death_during_execute_is_an_error_at_once(kind: StubKind, tmp_path: Path) -> None:
    with harness.start(kind, tmp_path, MANY_WAYS) as stub:
        request = make_request(FOUR, request_id="die")
        with pytest.raises(_host.StubNotHealthy, match=r"Stub process 'test_0' is not healthy\."):
            stub.channel.execute([request])  # without a timeout: only the death can end it
        assert not stub.channel.alive
        with pytest.raises(_host.StubNotHealthy):
            request.next_response()
        with pytest.raises(_host.StubNotHealthy):
            stub.channel.execute([make_request(FOUR, FOUR)])
        with pytest.raises(_host.StubNotHealthy):
            stub.channel.finalize(ANSWER_TIMEOUT)


def test_death_in_a_call_that_its_reader_answers_itself(kind: StubKind, tmp_path: Path) -> None:
    with harness.start(kind, tmp_path, MANY_WAYS) as stub:
        harness.make_quick_calls(stub)
        called, done = threading.Event(), threading.Event()

        def serve(_: _host.BlsCall) -> None:
            called.set()
            done.wait(ANSWER_TIMEOUT)

        stub.handlers.bls = serve
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(stub.infer, FOUR, request_id="bls")
            assert called.wait(ANSWER_TIMEOUT)
            stub.process.kill()
            try:
                with pytest.raises(_host.StubNotHealthy):
                    asked.result(5)
            finally:
                done.set()


def test_death_between_batches_fails_open_requests(kind: StubKind, tmp_path: Path) -> None:
    source = DECOUPLED.replace(
        "sender.send(flags=FINAL)\n\n    threading", "KEEP.append(sender)\n\n    threading"
    )
    source += "\nKEEP = []\n"
    with harness.start(kind, tmp_path, source, decoupled=True) as stub:
        request = make_request(FOUR, request_id="send_later")
        stub.channel.execute([request], ANSWER_TIMEOUT)
        for _ in FOUR:
            assert request.next_response(ANSWER_TIMEOUT) is not None
        with pytest.raises(TimeoutError):
            request.next_response(0.01)
        assert stub.channel.open_requests == 1
        stub.process.kill()
        with pytest.raises(_host.StubNotHealthy):
            request.next_response()
        assert stub.channel.open_requests == 0


def test_a_stopped_process_is_not_healthy(usual_kind: StubKind, tmp_path: Path) -> None:
    with harness.start(usual_kind, tmp_path, MANY_WAYS) as stub:
        stub.process.send_signal(signal.SIGSTOP)
        with pytest.raises(_host.StubNotHealthy):
            stub.channel.execute([make_request(FOUR, FOUR)])
        assert stub.channel.alive


def test_a_busy_model_is_healthy_until_the_timeout(usual_kind: StubKind, tmp_path: Path) -> None:
    with harness.start(usual_kind, tmp_path, MANY_WAYS) as stub:
        request = make_request(LONG, request_id="busy")
        with pytest.raises(_host.StubTimeout):
            stub.channel.execute([request], 2.5)  # longer than an unhealthy stub would be waited for
        assert not request.complete
        with pytest.raises(_host.StubTimeout):
            stub.channel.execute([make_request(FOUR, FOUR)])
        stub.process.kill()
        with pytest.raises(_host.StubNotHealthy):
            request.next_response()


def test_ctrl_c_ends_the_wait(usual_kind: StubKind, tmp_path: Path) -> None:
    with harness.start(usual_kind, tmp_path, MANY_WAYS) as stub:
        timer = threading.Timer(0.2, _thread.interrupt_main)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            stub.channel.execute([make_request(LONG, request_id="busy")])
        timer.join()


def test_close_ends_waits_and_calls(usual_kind: StubKind, tmp_path: Path) -> None:
    with harness.start(usual_kind, tmp_path, MANY_WAYS) as stub:
        calls: list[_host.BlsCall] = []
        stub.handlers.bls = calls.append
        request = make_request(FOUR, request_id="bls")
        raised: list[BaseException] = []

        def run() -> None:
            try:
                stub.channel.execute([request])
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        until(lambda: bool(calls))
        stub.channel.close()
        thread.join()
        assert isinstance(raised[0], _host.StubNotHealthy)
        with pytest.raises(_host.StubNotHealthy):
            request.next_response()
        with pytest.raises(_host.StubError):
            calls[0].send()
        stub.channel.close()
        assert not (Path("/dev/shm") / stub.channel.region_name).exists()


_OWNERSHIP = 16  # bytes before each object (protocol.md §2.3)
_DIE_WITH_A_LOCK = """
import ctypes, mmap, os, sys
with open(sys.argv[1], "r+b") as file:
    region = mmap.mmap(file.fileno(), 0)
mutex = ctypes.byref(ctypes.c_char.from_buffer(region), int(sys.argv[2]))
os._exit(ctypes.CDLL(None).pthread_mutex_lock(mutex))
"""


def queue_field(stub: Instance, queue: str, field: str) -> int:
    """Where in the region a field of a queue lies, the queue named as in the control block."""
    layout = _host.layout(stub.kind.release)
    control = _OWNERSHIP + int(stub.process.args[len(stub.kind.command) + 6])  # type: ignore[index,arg-type]
    region = (Path("/dev/shm") / stub.channel.region_name).read_bytes()
    at, size = layout["Control"]["fields"][queue]
    handle = int.from_bytes(region[control + at : control + at + size], "little")
    return _OWNERSHIP + handle + layout["Queue"]["fields"][field][0]


def test_a_lock_whose_holder_died_ends_the_stub_in_order(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """While another thread of it waits for a message that will never come."""
    with harness.start(harness.our_stub("24.10"), tmp_path, MANY_WAYS) as stub:
        file = Path("/dev/shm") / stub.channel.region_name
        mutex = queue_field(stub, "parent_mq", "mutex")
        request = make_request(np.array([1.0], dtype=np.float32), request_id="busy")
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(stub.channel.execute, [request], ANSWER_TIMEOUT)
            subprocess.run([sys.executable, "-c", _DIE_WITH_A_LOCK, file, str(mutex)], check=True)
            with pytest.raises(_host.StubError):
                answer.result()
        assert stub.process.wait(ANSWER_TIMEOUT) == 1
    said = capfd.readouterr().err
    assert "cannot go on: a process died while it held a lock" in said
    assert "terminate called" not in said


def channel(**options: object) -> _host.Channel:
    settings = {"name": "test_0", "release": "24.10", "region_name": f"wb_test_{uuid.uuid4()}"} | options
    return _host.Channel(**settings)  # type: ignore[arg-type]


def test_a_process_that_ends_before_it_says_anything() -> None:
    one = channel()
    pid = os.posix_spawn("/bin/sleep", ["sleep", "0.2"], os.environ)
    one.attach(pid)
    with pytest.raises(_host.StubNotHealthy):
        one.wait_started(30.0)
    os.waitpid(pid, 0)
    one.close()


def test_a_process_that_never_says_anything() -> None:
    one = channel()
    pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], os.environ)
    one.attach(pid)
    with pytest.raises(_host.StubTimeout):
        one.wait_started(0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    one.close()


def test_a_process_that_is_gone_cannot_be_attached() -> None:
    one = channel()
    pid = os.posix_spawn("/bin/true", ["true"], os.environ)
    os.waitpid(pid, 0)
    with pytest.raises(_host.StubNotHealthy):
        one.attach(pid)
    one.close()


def test_a_closed_channel_takes_no_process() -> None:
    one = channel()
    one.close()
    with pytest.raises(_host.StubError, match="is closed"):
        one.attach(os.getpid())


def test_regions_are_private() -> None:
    one = channel()
    mode = (Path("/dev/shm") / one.region_name).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    one.close()


@pytest.mark.parametrize(
    "options",
    [
        {"region_name": ""},
        {"region_name": "a/b"},
        {"shm_default_byte_size": 1000},
        {"shm_growth_byte_size": 0},
        {"release": "23.01"},
        {"release": "nonsense"},
    ],
)
def test_impossible_settings_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        channel(**options)


def test_a_cycle_through_handlers_is_collected() -> None:
    class Owner:
        def __init__(self) -> None:
            self.channel = channel(on_log=self.on_log)

        def on_log(self, level: int, file: str, line: int, text: str) -> None: ...

    owner = Owner()
    name = owner.channel.region_name
    reference = weakref.ref(owner)
    del owner
    gc.collect()
    assert reference() is None
    assert not (Path("/dev/shm") / name).exists()


def test_a_region_that_cannot_grow_says_so(usual_kind: StubKind, tmp_path: Path) -> None:
    with harness.start(usual_kind, tmp_path, MANY_WAYS, shm_growth_byte_size=1 << 50) as stub:
        large = np.zeros(1 << 19, dtype=np.float32)
        request = make_request(large, request_id="identity")
        with pytest.raises(_host.PoolExhausted, match="Failed to increase the shared memory pool size"):
            stub.channel.execute([request])
        # Nothing was sent, so the request and the stub can still be used.
        assert stub.infer(FOUR, FOUR).error is None
        assert not request.complete
        assert stub.finalize() == 0
