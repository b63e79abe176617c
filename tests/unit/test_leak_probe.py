"""The probe that watches every other test: it must see what it is there to see, and nothing else."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.leaks import MARK, Snapshot, long_lived_processes

SLEEP = [sys.executable, "-S", "-c", "import time; print(flush=True); time.sleep(600)"]


@pytest.fixture
def region_name() -> str:
    return f"wb_probe_{os.getpid()}"


def test_child_process_is_seen_until_it_has_ended() -> None:
    before = Snapshot.take()
    with subprocess.Popen(SLEEP) as child:
        left = before.left_since()  # a region that another run has just made may be in it too
        child.kill()

    assert [line for line in left if line.startswith(f"process {child.pid} ")]
    assert before.wait_until_nothing_left() == []


def test_what_is_said_to_live_long_is_no_leak_and_what_is_beside_it_is() -> None:
    before = Snapshot.take()
    with subprocess.Popen(SLEEP) as standing, subprocess.Popen(SLEEP) as other:
        with long_lived_processes([psutil.Process(standing.pid)]):
            left = before.left_since()
        standing.kill()
        other.kill()

    assert not [line for line in left if line.startswith(f"process {standing.pid} ")]
    assert [line for line in left if line.startswith(f"process {other.pid} ")]


def test_process_whose_parent_is_gone_is_seen() -> None:
    before = Snapshot.take()
    # GIVEN a grandchild in a session of its own, the child ended
    source = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen({SLEEP!r}, start_new_session=True, stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print(child.pid)"
    )
    orphan = int(subprocess.run([sys.executable, "-c", source], stdout=subprocess.PIPE, check=True).stdout)

    # WHEN / THEN
    left = before.left_since()
    os.kill(orphan, 9)
    assert [line for line in left if line.startswith(f"process {orphan} ")]
    assert before.wait_until_nothing_left() == []


def test_region_is_seen_until_it_is_removed(region_name: str) -> None:
    before = Snapshot.take()
    region = Path("/dev/shm") / region_name
    region.write_bytes(b"\0" * 16)
    left = before.wait_until_nothing_left(patience=0.1)
    region.unlink()

    assert f"region /dev/shm/{region_name}" in left
    assert before.wait_until_nothing_left() == []


def test_region_in_use_by_another_run_is_none_of_our_business(region_name: str) -> None:
    # GIVEN a process of someone else's (no mark, another parent) that makes and maps a region
    before = Snapshot.take()
    region = Path("/dev/shm") / region_name
    source = (
        "import mmap, os, sys\n"
        "if os.fork(): os._exit(0)\n"
        "file = open(sys.argv[1], 'w+b'); file.truncate(16); memory = mmap.mmap(file.fileno(), 16)\n"
        "print(os.getpid(), flush=True); sys.stdin.read(); os.unlink(sys.argv[1])"
    )
    environment = {name: value for name, value in os.environ.items() if name != MARK}
    other = subprocess.Popen(
        [sys.executable, "-S", "-c", source, str(region)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert other.stdin is not None
    assert other.stdout is not None
    other.stdout.readline()
    other.wait()

    # WHEN / THEN
    assert region.exists()
    assert before.wait_until_nothing_left() == []
    other.stdin.close()
    other.stdout.read()  # until it has ended
    other.stdout.close()
    assert not region.exists()


def test_region_that_only_we_map_is_seen(region_name: str) -> None:
    before = Snapshot.take()
    region = Path("/dev/shm") / region_name
    with region.open("w+b") as file:
        file.truncate(16)
        with mmap.mmap(file.fileno(), 16):
            left = before.left_since()
    region.unlink()
    assert f"region /dev/shm/{region_name}" in left
