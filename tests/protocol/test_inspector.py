"""The inspector against the allocator it looks at, and against regions that are broken."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.protocol import models
from tests.protocol.harness import Instance, steady_free_bytes
from workbench import _host
from workbench.shm_inspect.region import RegionReader, RegionState

FOUR = np.arange(4, dtype=np.float32)
SHM = Path("/dev/shm")


def doubled(call: _host.BlsCall) -> tuple[str, int, tuple[int, ...], np.ndarray]:
    return ("OUTPUT0", 11, (4,), call.inputs[0].numpy() * 2)


def reader_of(stub: Instance) -> RegionReader:
    return RegionReader(SHM / stub.channel.region_name)


def quiet(stub: Instance, reader: RegionReader) -> RegionState:
    """The region of an idle stub."""
    steady_free_bytes(stub, lambda: stub.infer(FOUR))
    return reader.read()


def test_the_books_of_an_idle_region(stub: Instance) -> None:
    state = quiet(stub, reader_of(stub))
    assert state.steady
    assert state.free == stub.channel.free_bytes
    assert state.capacity == stub.channel.capacity
    assert state.used + state.free + state.overhead == state.capacity
    assert sum(each.bytes for each in state.blocks) == state.used
    assert 0 < state.largest_free <= state.free
    assert state.is_triton
    assert [(each.name, each.depth) for each in state.queues] == [
        ("stub", 0),
        ("parent", 0),
        ("stub to parent", 0),
        ("parent to stub", 0),
        ("memory manager", 0),
    ]
    kinds = Counter(each.kind for each in state.blocks)
    assert kinds["control"] == 3  # the control block, the lock, the size
    assert kinds["queue"] == 10
    assert not kinds["tensor"]


def test_what_a_request_under_way_is_made_of(stub: Instance) -> None:
    reader = reader_of(stub)
    quiet(stub, reader)
    seen: list[RegionState] = []

    def serve(call: _host.BlsCall) -> None:
        seen.append(reader.read())
        call.send([doubled(call)])

    stub.handlers.bls = serve
    stub.infer(FOUR, request_id="bls")
    (state,) = seen
    assert state.used + state.free + state.overhead == state.capacity
    labels = sorted(each.label for each in state.blocks if each.kind == "tensor" and each.label)
    # The request's own input, and what the model passes on.
    assert len(labels) == 2
    assert all(label.endswith("FP32[4]") for label in labels)
    kinds = Counter(each.kind for each in state.blocks)
    assert kinds["request"] >= 4  # both requests and their batches
    assert kinds["string"] >= 6
    assert kinds["message"] >= 2
    assert not [each for each in state.blocks if each.kind == "unknown" and each.bytes > 256]


def test_the_books_agree_each_time_while_a_model_works(stub: Instance) -> None:
    reader = reader_of(stub)
    stub.infer(FOUR)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            stub.infer(FOUR)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for _ in range(300):
            state = reader.read(seconds=5.0)
            assert state.steady
            assert state.used + state.free + state.overhead == state.capacity
            assert sum(each.bytes for each in state.blocks) == state.used
    finally:
        stop.set()
        worker.join()


def test_notes_tell_what_our_stub_and_host_allocated(stub: Instance) -> None:
    """And are not believed where one side is another's: what it allocates carries old notes at best."""
    reader = reader_of(stub)
    seen: list[RegionState] = []

    def serve(call: _host.BlsCall) -> None:
        seen.append(reader.read())
        call.send([doubled(call)])

    stub.handlers.bls = serve
    stub.infer(FOUR, request_id="bls")
    (state,) = seen
    if not stub.kind.name.startswith("ours"):
        assert not state.noted
        assert {each.origin for each in state.blocks} == {""}
        return
    assert state.noted
    requests = {each.request for each in state.blocks if each.origin == "request"}
    assert requests == {stub.channel.requests_sent}
    # The line that made the tensor, and the line that made the call.
    source = models.MANY_WAYS.splitlines()
    asked = [each for each in state.blocks if each.origin == "bls request" and each.line]
    (tensor_line,) = {each.line or 0 for each in asked if each.kind == "tensor"}
    (call_line,) = {each.line or 0 for each in asked if each.kind == "request"}
    assert "Tensor(" in source[tensor_line - 1]
    assert "exec(" in source[call_line - 1]
    assert all(each.age is not None and each.age < 60 for each in state.blocks if each.origin)


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Path]:
    """A copy of a region with a request in it."""
    channel = _host.Channel(
        name="m_0_0",
        release="24.10",
        region_name=f"wb_test_{os.getpid()}_fuzz",
        shm_default_byte_size=1 << 20,
    )
    path = tmp_path / "region"
    path.write_bytes((SHM / channel.region_name).read_bytes())
    yield path
    channel.close()


FUZZ = """
import os, random, struct, sys, threading, time
from workbench import _host
path, seed, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
good = open(path, "rb").read()
file = os.open(path, os.O_RDWR)
chance = random.Random(seed)
outcomes = {"read": 0, "refused": 0}
WORDS = [0, 1, 2, 3, 2**63 - 1, 2**64 - 1, 1 << 62, 1 << 63, 3 << 62 | 3, len(good), len(good) - 16]
inspector = _host.RegionInspector(path)

def look():
    start = time.monotonic()
    try:
        snapshot = inspector.snapshot(0.0)
        snapshot.blocks(), snapshot.queues()
        assert snapshot.used + snapshot.free + snapshot.overhead == snapshot.capacity
        outcomes["read"] += 1
    except _host.ProtocolError:
        outcomes["refused"] += 1
    assert time.monotonic() - start < 20

for number in range(rounds):
    changed = []
    for _ in range(chance.choice([1, 1, 2, 5, 50])):
        # Where the books are: the head, the first blocks, a few bytes around the end.
        low, high = chance.choice([(0, 400), (0, 45000), (len(good) - 64, len(good) - 8)])
        at = chance.randrange(low, high)
        at -= chance.choice([0, at % 8])
        value = chance.choice([chance.choice(WORDS), chance.randrange(45000), chance.getrandbits(64)])
        os.pwrite(file, struct.pack("<Q", value), at)
        changed.append(at)
    if chance.random() < 0.05:
        os.ftruncate(file, chance.randrange(len(good)))
        changed = [0]
    look()
    if changed == [0]:
        os.pwrite(file, good, 0)
    for at in changed:
        os.pwrite(file, good[at : at + 8], at)
look()
assert outcomes["read"] > 0 and outcomes["refused"] > 0, outcomes

# A region that changes under the reader's hands.
stop = False
def scribble():
    while not stop:
        at = chance.randrange(0, 45000) & ~7
        os.pwrite(file, struct.pack("<Q", chance.choice(WORDS)), at)
        os.pwrite(file, good[at : at + 8], at)
writer = threading.Thread(target=scribble)
writer.start()
for _ in range(rounds // 10):
    look()
stop = True
writer.join()
look()
print("survived", outcomes["read"] + outcomes["refused"])
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_corrupt_region_is_refused_and_never_crashes_the_reader(region: Path, seed: int) -> None:
    result = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", FUZZ, str(region), str(seed), "2000"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.startswith("survived")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is too short"),
        (b"\0" * 4096, "its allocator has no room for a block"),
        (b"\xff" * 4096, "it has no allocator of the kind that the Python backend uses"),
        (os.urandom(8) * 512, "it has no allocator of the kind that the Python backend uses"),
    ],
    ids=["empty", "zeroes", "ones", "noise"],
)
def test_a_file_that_is_no_region_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(_host.ProtocolError, match=why):
        _host.RegionInspector(str(path)).snapshot()
    with pytest.raises(_host.StubError, match="cannot read"):
        _host.RegionInspector(str(tmp_path / "none"))


def test_reading_writes_nothing() -> None:
    channel = _host.Channel(
        name="m_0_0",
        release="24.10",
        region_name=f"wb_test_{os.getpid()}_pages",
        shm_default_byte_size=1 << 20,
        shm_growth_byte_size=1 << 20,
    )
    path = SHM / channel.region_name
    before = path.read_bytes()
    state = RegionReader(path).read()
    assert state.capacity == 1 << 20
    assert path.read_bytes() == before
    channel.close()
