"""The live host over long runs: nothing grows, nothing stays, nobody's answer goes to somebody else."""

from __future__ import annotations

import gc
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import psutil
import pytest

import workbench as wb
from tests.endurance import models
from tests.support.leaks import own_memory

pytestmark = pytest.mark.timeout(600)

REQUESTS = 100_000
# Loads are slow next to requests; `make soak` runs as many as the product promises.
LOADS = int(os.environ.get("WORKBENCH_SOAK_LOADS", "100"))
BLS_CALLS = 10_000
STREAMED = 10_000
CANCELLED = 2_000
REQUESTERS = 64


def define_echo(name: str = "echo", **options: Any) -> wb.Model:
    return wb.define(
        name, source=models.ECHO, inputs=["INPUT:FP32[-1]"], outputs=["OUTPUT:FP32[-1]"], **options
    )


def define_repeat() -> wb.Model:
    return wb.define(
        "repeat", source=models.REPEAT, inputs=["COUNT:INT32[1]"], outputs=["OUTPUT:INT32[1]"], decoupled=True
    )


def define_caller() -> wb.Model:
    source = models.caller("echo", "repeat")
    return wb.define("caller", source=source, inputs=["WORK:INT32[2]"], outputs=["REPORT:INT64[3]"])


def channel_of(session: wb.Workbench, name: str):  # type: ignore[no-untyped-def]
    """The first instance's channel: what a user sees as the model's shared memory."""
    revision = session.hosts[name].current
    assert revision is not None
    return revision.instances[0].channel


def free_of(channel) -> int:  # type: ignore[no-untyped-def]
    """Free bytes once both sides have given back what they are done with."""
    last = -1
    for _ in range(100):
        gc.collect()
        now = int(channel.free_bytes)
        if now == last:
            break
        last = now
        time.sleep(0.05)
    return last


def test_requests_leave_nothing(session: wb.Workbench) -> None:
    model = define_echo()
    arrays = [np.full(size, size, np.float32) for size in (1, 4, 100, 1000)]
    for array in arrays:
        model.infer({"INPUT": array})
    channel = channel_of(session, "echo")
    free, capacity, memory = free_of(channel), channel.capacity, own_memory()
    for number in range(REQUESTS):
        array = arrays[number & 3]
        answer = model.infer({"INPUT": array})["OUTPUT"].numpy()
        if number % 1000 == 0:
            np.testing.assert_array_equal(answer, array)
    del answer
    assert (free_of(channel), channel.capacity) == (free, capacity)
    assert channel.open_requests == 0
    assert own_memory() - memory < 16 << 20


def test_loads_leave_nothing(session: wb.Workbench) -> None:
    for number in range(3):
        define_echo().infer({"INPUT": [number]})
    session.unload("echo")
    memory, descriptors, threads = own_memory(), psutil.Process().num_fds(), threading.active_count()
    for number in range(LOADS):
        model = define_echo()
        assert model.infer({"INPUT": [number]})["OUTPUT"].numpy()[0] == number
        session.unload("echo")
    assert psutil.Process().num_fds() <= descriptors
    end = time.monotonic() + 30
    while threading.active_count() > threads and time.monotonic() < end:
        time.sleep(0.1)  # imports are learned for a moment after a load
    assert threading.active_count() <= threads, [each.name for each in threading.enumerate()]
    assert own_memory() - memory < 16 << 20


@pytest.mark.parametrize(
    ("mode", "count"), [(0, BLS_CALLS), (1, STREAMED), (2, CANCELLED)], ids=["calls", "stream", "cancelled"]
)
def test_calls_between_models_leave_nothing(session: wb.Workbench, mode: int, count: int) -> None:
    define_echo()
    define_repeat()
    caller = define_caller()
    report = caller.infer({"WORK": np.array([mode, count], np.int32)}, timeout=300)["REPORT"].numpy()
    done, before, after = report.tolist()
    assert done == count
    assert after == before
    for child in ("echo", "repeat"):
        assert channel_of(session, child).open_requests == 0


def test_many_requesters_get_their_own_answers(session: wb.Workbench) -> None:
    model = define_echo(instances=2)
    channels = [each.channel for each in session.hosts["echo"].current.instances]  # type: ignore[union-attr]
    for _ in range(8):
        model.infer({"INPUT": [0.0]})
    free = [free_of(each) for each in channels]

    def ask(number: int) -> int:
        right = 0
        for turn in range(50):
            value = np.array([number, turn], np.float32)
            right += bool(np.array_equal(model.infer({"INPUT": value})["OUTPUT"].numpy(), value))
        return right

    with ThreadPoolExecutor(REQUESTERS) as pool:
        assert list(pool.map(ask, range(REQUESTERS))) == [50] * REQUESTERS
    assert [free_of(each) for each in channels] == free
