"""Threads of a stub and its model: what one of them meets must not end the process, or hang a request."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import uuid
from pathlib import Path

import numpy as np
import pytest

from tests.protocol import harness
from tests.protocol.harness import ANSWER_TIMEOUT, make_request
from tests.protocol.models import MANY_WAYS
from tests.protocol.test_death import queue_field
from tests.support.waiting import until
from workbench import _host

FOUR = np.arange(4, dtype=np.float32)
OURS = harness.our_stub("24.10")
DECOUPLED = {"model_transaction_policy": {"decoupled": True}}


def model(body: str) -> str:
    return MANY_WAYS + textwrap.dedent(body)


# -- the interpreter's end -------------------------------------------------------------------------------


def test_a_daemon_thread_does_not_spoil_the_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is in the middle of a copy, without the GIL, when the interpreter has gone."""
    source = model(
        """
        BIG = np.zeros(4 << 20, dtype=np.uint8)


        def copy():
            while True:
                pb_utils.Tensor.from_dlpack("BIG", BIG).as_numpy()


        def busy(request):
            threading.Thread(target=copy, daemon=True).start()
            time.sleep(0.1)
            return answer(array(request))
        """
    )
    with harness.start(OURS, tmp_path, source) as stub:
        assert stub.infer(FOUR, request_id="busy").error is None
        assert stub.finalize() == 0
    assert "terminate called" not in capfd.readouterr().err


def test_a_readiness_answer_may_outlast_the_conversation(tmp_path: Path) -> None:
    """The interpreter waits for a thread of the model; meanwhile `is_ready` comes to need the event loop."""
    source = """
        import threading
        import time


        class TritonPythonModel:
            def initialize(self, args):
                self.asked = False

            def execute(self, requests):
                return [None for _ in requests]

            def is_ready(self):
                self.asked = True
                time.sleep(0.5)
                return self.later()

            async def later(self):
                return True

            def finalize(self):
                threading.Thread(target=time.sleep, args=(1.5,)).start()
        """
    kind = harness.our_stub("26.03")
    # What is freed is overwritten, so that its use shows.
    kind = harness.StubKind(
        kind.name,
        kind.command,
        kind.python_lib,
        kind.release,
        {**kind.environment, "MALLOC_PERTURB_": "165"},
    )
    with harness.start(kind, tmp_path, source) as stub:
        with pytest.raises(_host.StubTimeout):
            stub.channel.is_ready(0.1)
        assert stub.finalize() == 0


# -- what a thread of the stub meets ---------------------------------------------------------------------


_LOCK_AND_WAKE = """
import ctypes, mmap, os, sys
with open(sys.argv[1], "r+b") as file:
    region = mmap.mmap(file.fileno(), 0)
libc = ctypes.CDLL(None)
at = lambda offset: ctypes.byref(ctypes.c_char.from_buffer(region), int(offset))
locked = libc.pthread_mutex_lock(at(sys.argv[2]))
libc.sem_post(at(sys.argv[3]))
os._exit(locked)
"""


def test_a_lock_that_died_on_the_way_to_the_stub_ends_it_in_order(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with harness.start(OURS, tmp_path, MANY_WAYS) as stub:
        file = Path("/dev/shm") / stub.channel.region_name
        places = [str(queue_field(stub, "parent_to_stub_mq", name)) for name in ("mutex", "full")]
        subprocess.run([sys.executable, "-c", _LOCK_AND_WAKE, file, *places], check=True)
        assert stub.process.wait(ANSWER_TIMEOUT) == 1
    said = capfd.readouterr().err
    assert "cannot go on: a process died while it held a lock" in said
    assert "terminate called" not in said


def test_a_region_without_room_for_a_sign_of_life(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    size = 1 << 20
    while True:  # the smallest in which the queues have room
        try:
            _host.Channel(
                name="test_0",
                release="24.10",
                region_name=f"wb_test_{uuid.uuid4()}",
                shm_default_byte_size=size,
                shm_growth_byte_size=1 << 50,
                queue_size=26200,
            ).close()
            break
        except _host.PoolExhausted:
            size += 16
    with (
        pytest.raises(_host.StubNotHealthy),
        harness.start(
            OURS,
            tmp_path,
            MANY_WAYS,
            shm_default_byte_size=size,
            shm_growth_byte_size=1 << 50,
            queue_size=26200,
        ) as stub,
    ):
        del stub
    said = capfd.readouterr().err
    assert "cannot go on: Failed to increase the shared memory pool size" in said
    assert "terminate called" not in said


# -- threads of the model --------------------------------------------------------------------------------


def test_two_threads_take_from_one_stream(tmp_path: Path) -> None:
    """Both wait for the next response: one gets the last, and the other is told that there is no more."""
    source = model(
        """
        def shared(request):
            responses = iter(call(request).exec(decoupled=True))
            next(responses)
            ends = []

            def take():
                ends.append(next(responses, None))

            threads = [threading.Thread(target=take, daemon=True) for _ in range(2)]
            for each in threads:
                each.start()
            for each in threads:
                each.join(5)
            return answer(np.array([len(ends), sum(each is None for each in ends)]))
        """
    )
    with harness.start(OURS, tmp_path, source) as stub:

        def on_call(each: _host.BlsCall) -> None:
            each.send([harness.tensor("OUTPUT0", FOUR)], final=False)
            threading.Timer(0.3, lambda: each.send([harness.tensor("OUTPUT0", FOUR)])).start()

        stub.handlers.bls = on_call
        assert stub.infer(FOUR, request_id="shared").outputs[0].numpy().tolist() == [2, 1]
        assert stub.finalize() == 0


def test_a_background_error_that_is_no_utf8_is_an_answer(tmp_path: Path) -> None:
    source = """
        import triton_python_backend_utils as pb_utils


        class TritonPythonModel:
            async def execute(self, requests):
                senders = [each.get_response_sender() for each in requests]
                raise ValueError("lone \\udcff")
        """
    with harness.start(OURS, tmp_path, source, config=DECOUPLED, decoupled=True) as stub:
        request = make_request(FOUR)
        stub.channel.execute([request], ANSWER_TIMEOUT)
        response = request.next_response(ANSWER_TIMEOUT)
        assert response is not None
        assert response.error is not None
        assert r"ValueError: lone \udcff" in response.error[1]
        until(lambda: any(r"ValueError: lone \udcff" in line for line in stub.logs))
        assert stub.finalize() == 0
