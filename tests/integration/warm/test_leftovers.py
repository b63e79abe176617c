"""Warm starts: nothing grows and nothing is left."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.integration.warm.stubs import SECONDS, Write, load, spare_of
from workbench.launch import WarmLauncher


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
    gc.collect()  # what earlier tests left to it has file handles that would go in between
    before = _settled(size)
    for _ in range(200):
        cycle()
    end = time.monotonic() + SECONDS
    while (after := size()) != before and time.monotonic() < end:
        time.sleep(0.05)
    assert after == before
    assert warm.cold_starts == 0


def _settled(size: Callable[[], tuple[int, ...]]) -> tuple[int, ...]:
    """The size once it has been the same for a second.

    The server lets go of a stub's pipe after it has told the end; models of earlier tests may be ending.
    """
    now = time.monotonic()
    last, since, end = size(), now, now + SECONDS
    while time.monotonic() - since < 1:
        assert time.monotonic() < end, f"not settled after {SECONDS} s: {last}"
        time.sleep(0.05)
        if (found := size()) != last:
            last, since = found, time.monotonic()
    return last


KERNEL = """
import os, sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.integration.warm.stubs import load
from workbench.launch import own_launcher
launcher = own_launcher()
launcher.preload()
assert launcher.wait_ready(60)
with load(launcher, Path({file!r})) as stub:
    print(os.getpid(), stub.process.pid, launcher._server.pid, stub.channel.region_name, flush=True)
    time.sleep(600)
"""


def test_all_ends_with_the_kernel(write: Write) -> None:
    root = Path(__file__).parents[3]
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
    _, alive = psutil.wait_procs(left, timeout=SECONDS)
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
