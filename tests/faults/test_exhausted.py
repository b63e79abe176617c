"""What both sides say when memory or file handles are used up, and that they go on afterwards."""

from __future__ import annotations

import os
import resource
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.protocol import harness
from tests.protocol.harness import StubKind
from tests.protocol.models import MANY_WAYS
from workbench import _host

FOUR = np.arange(4, dtype=np.float32)
LARGE = 4 << 20  # bytes of an answer: more than the region has

MODEL = (
    MANY_WAYS
    + f"""

def large(request):
    return answer(np.zeros({LARGE // 4}, dtype=np.float32))


def send_large(request):
    request.get_response_sender().send(answer(np.zeros({LARGE // 4}, dtype=np.float32)), flags=FINAL)


def send_large_or_say_so(request):
    sender = request.get_response_sender()
    try:
        sender.send(answer(np.zeros({LARGE // 4}, dtype=np.float32)), flags=FINAL)
    except pb_utils.TritonModelException as error:
        failure = pb_utils.TritonError("instead: " + str(error))
        sender.send(pb_utils.InferenceResponse(error=failure), flags=FINAL)


def drop_stream(request):
    import resource

    responses = call(request).exec(decoupled=True)
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 20), -1))
    del responses
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    return answer(array(request))


def handles(request):
    import os
    import resource

    limit = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    kept = []
    try:
        while True:
            kept.append(open("/dev/null"))
    finally:
        for each in kept:
            each.close()
"""
)


@contextmanager
def limited(number: int, value: int, pid: int = 0) -> Iterator[None]:
    """A soft limit of a process, of this one by default."""
    soft, hard = resource.prlimit(pid or os.getpid(), number)
    resource.prlimit(pid or os.getpid(), number, (value, hard))
    try:
        yield
    finally:
        resource.prlimit(pid or os.getpid(), number, (soft, hard))


@contextmanager
def no_handle_left() -> Iterator[None]:
    """Takes the last ones, gaps between those in use included."""
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    try:
        yield
    finally:
        for each in taken:
            os.close(each)


def test_the_stub_cannot_make_the_region_larger(plain_kind: StubKind, tmp_path: Path) -> None:
    with harness.start(plain_kind, tmp_path, MODEL) as stub:
        assert stub.infer(FOUR, FOUR).error is None
        with limited(resource.RLIMIT_FSIZE, stub.channel.capacity, stub.process.pid):
            error = stub.infer(FOUR, request_id="large").error
            assert error is not None
            assert "Failed to increase the shared memory pool size" in error[1]
            np.testing.assert_array_equal(stub.infer(FOUR, FOUR).outputs[0].numpy(), FOUR * 2)
        assert len(stub.infer(FOUR, request_id="large").outputs[0].numpy()) == LARGE // 4
        assert stub.finalize() == 0


@pytest.mark.parametrize("how", ["send_large", "send_large_or_say_so"])
def test_a_response_that_finds_no_room_leaves_its_request_open(how: str, tmp_path: Path) -> None:
    """Nothing was sent: the model may send something else; where it does not, its failure is the answer."""
    with harness.start(harness.our_stub("24.10"), tmp_path, MODEL) as stub:
        with limited(resource.RLIMIT_FSIZE, stub.channel.capacity, stub.process.pid):
            error = stub.infer(FOUR, request_id=how).error
            assert error is not None
            assert "Failed to increase the shared memory pool size" in error[1]
            assert error[1].startswith("instead: ") == (how == "send_large_or_say_so")
        assert stub.infer(FOUR, FOUR).error is None
        assert stub.finalize() == 0


def test_a_stream_is_dropped_where_no_thread_can_be_had(tmp_path: Path) -> None:
    """Its last responses are taken on a thread of their own."""
    with harness.start(harness.our_stub("24.10"), tmp_path, MODEL) as stub:
        calls: list[_host.BlsCall] = []

        def on_call(each: _host.BlsCall) -> None:
            calls.append(each)
            each.send([harness.tensor("OUTPUT0", FOUR)], final=False)

        stub.handlers.bls = on_call
        assert stub.infer(FOUR, request_id="drop_stream").error is None
        calls[0].send([harness.tensor("OUTPUT0", FOUR)])
        assert stub.infer(FOUR, FOUR).error is None
        assert any("responses of a call were left behind" in line for line in stub.logs)
        assert stub.finalize() == 0


def test_the_host_cannot_make_the_region_larger(plain_kind: StubKind, tmp_path: Path) -> None:
    large = np.zeros(LARGE // 4, dtype=np.float32)
    with harness.start(plain_kind, tmp_path, MODEL) as stub:
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            with limited(resource.RLIMIT_FSIZE, stub.channel.capacity):
                with pytest.raises(_host.PoolExhausted, match="Failed to increase the shared memory pool"):
                    stub.infer(large, request_id="identity")
                assert stub.infer(FOUR, FOUR).error is None
        finally:
            signal.signal(signal.SIGXFSZ, before)
        assert len(stub.infer(large, request_id="identity").outputs[0].numpy()) == len(large)
        assert stub.finalize() == 0


def test_the_host_has_no_room_for_a_region() -> None:
    with (
        limited(resource.RLIMIT_FSIZE, 1 << 20),
        pytest.raises(_host.PoolExhausted, match="Failed to increase the shared memory pool size"),
    ):
        _host.Channel(
            name="test_0",
            release="24.10",
            region_name=f"wb_test_{uuid.uuid4()}",
            shm_default_byte_size=2 << 20,
        )


def test_the_host_has_no_address_space_for_a_region() -> None:
    name = f"wb_test_{uuid.uuid4()}"
    with (
        limited(resource.RLIMIT_AS, psutil.Process().memory_info().vms + (16 << 20)),
        pytest.raises(_host.StubError, match="cannot reserve address space"),
    ):
        _host.Channel(name="test_0", release="24.10", region_name=name)
    assert not Path("/dev/shm", name).exists()


_NO_THREAD = """
import os, resource, sys
from pathlib import Path
from tests.faults.test_exhausted import FOUR, MODEL, limited
from tests.protocol import harness

with harness.start(harness.our_stub("24.10"), Path(sys.argv[1]), MODEL) as stub:
    stub.handlers.bls = lambda call: call.send([harness.tensor("OUTPUT0", FOUR)])
    stub.handlers.metric = lambda call: 1
    stub.infer(FOUR, FOUR)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    with limited(resource.RLIMIT_AS, pages * resource.getpagesize() + (1 << 20)):
        print(stub.infer(FOUR, request_id="bls").outputs[0].numpy())
        print(stub.infer(FOUR, request_id="metrics").error[1])
    for name in ("bls", "metrics"):
        assert stub.infer(FOUR, request_id=name).error is None, name
    assert stub.finalize() == 0
"""


def test_the_host_gets_no_thread_to_answer_with(tmp_path: Path) -> None:
    """What the model asked for fails, and nothing else. In its own process: ended threads leave stacks."""
    said = harness.run_program(_NO_THREAD, tmp_path)
    assert "the call was dropped without a final response" in said
    assert "there is no thread to answer this" in said


def test_a_model_uses_up_its_file_handles(plain_kind: StubKind, tmp_path: Path) -> None:
    with harness.start(plain_kind, tmp_path, MODEL) as stub:
        error = stub.infer(FOUR, request_id="handles").error
        assert error is not None
        assert "Too many open files" in error[1]
        # Nothing of the conversation needs another handle: growth, calls, the end.
        assert len(stub.infer(FOUR, request_id="large").outputs[0].numpy()) == LARGE // 4
        assert stub.infer(FOUR, FOUR).error is None
        assert stub.finalize() == 0


def test_the_host_has_no_file_handle_left(plain_kind: StubKind, tmp_path: Path) -> None:
    with harness.start(plain_kind, tmp_path, MODEL) as stub:
        with limited(resource.RLIMIT_NOFILE, psutil.Process().num_fds() + 1), no_handle_left():
            name = f"wb_test_{uuid.uuid4()}"
            with pytest.raises(_host.StubError, match="Too many open files"):
                _host.Channel(name="test_0", release="24.10", region_name=name)
            assert len(stub.infer(FOUR, request_id="large").outputs[0].numpy()) == LARGE // 4
            assert stub.finalize() == 0
        assert not Path("/dev/shm", name).exists()


def test_a_stub_that_gets_no_file_handle_says_so(
    plain_kind: StubKind, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ("/bin/sh", "-c", 'ulimit -n 4; exec "$@"', "sh", *plain_kind.command)
    kind = StubKind(
        plain_kind.name, command, plain_kind.python_lib, plain_kind.release, plain_kind.environment
    )
    with (
        pytest.raises(_host.StubNotHealthy, match=r"Stub process 'test_0' is not healthy\."),
        harness.start(kind, tmp_path, MODEL),
    ):
        pass
    assert "open" in capfd.readouterr().err
