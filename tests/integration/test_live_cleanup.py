"""A kernel that is killed leaves nothing that stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.support.waiting import PATIENCE_S
from workbench.session import regions

PROGRAM = """
import sys, time
import workbench as wb
from tests.support.live import ECHO, source
model = wb.define("m", source(ECHO), ["X:FP32[2]"], ["Y:FP32[2]"], instances=2)
instances = wb.current().hosts["m"].current.instances
print(*(each.process.pid for each in instances), *(each.channel.region_name for each in instances))
sys.stdout.flush()
sys.stdin.readline()
"""


def start() -> tuple[subprocess.Popen[str], list[psutil.Process], list[Path]]:
    kernel = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert kernel.stdout is not None
    words = kernel.stdout.readline().split()
    return (
        kernel,
        [psutil.Process(int(each)) for each in words[:2]],
        [regions.SHM / each for each in words[2:]],
    )


def test_a_killed_kernel() -> None:
    kernel, stubs, left = start()
    kernel.send_signal(signal.SIGKILL)
    kernel.communicate()
    _, alive = psutil.wait_procs(stubs, timeout=PATIENCE_S)
    assert not alive
    for each in left:
        if each.exists():  # old enough for the sweep
            os.utime(each, (time.time() - 3600, time.time() - 3600))
    regions.sweep()
    assert not [each for each in left if each.exists()]


def test_a_living_kernels_regions_are_left_alone() -> None:
    kernel, _, used = start()
    try:
        for each in used:
            os.utime(each, (time.time() - 3600, time.time() - 3600))
        regions.sweep()
        assert all(each.exists() for each in used)
    finally:
        kernel.communicate("\n")
    assert kernel.returncode == 0
    assert not any(each.exists() for each in used)


def test_a_region_of_a_stranger_is_left_alone() -> None:
    fresh = regions.SHM / f"{regions.PREFIX}just_made"
    fresh.touch()
    try:
        regions.sweep()
        assert fresh.exists()  # its owner may not have come to mark it yet
    finally:
        fresh.unlink()
