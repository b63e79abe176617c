"""A host that is killed at any step: its stub ends by itself, and no region stays but for our command."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import pytest

from tests.faults.conversation import Task
from tests.faults.injector import Injector
from tests.protocol import harness
from tests.protocol.harness import StubKind, wait_for
from workbench.session import leftovers, regions

#: Where in the conversation: as a share of the host's steps.
SHARES = tuple(step / 50 for step in range(50)) if "WORKBENCH_FAULTS" in os.environ else (0.02, 0.3, 0.6, 0.9)
_LIMIT_S = 60
_PATIENCE_S = 10.0  # on a busy machine

_measured: dict[str, int] = {}


def task(kind: StubKind, folder: Path, **options: Any) -> Task:
    plain = {**dataclasses.asdict(kind), "python_lib": str(kind.python_lib)}
    region = f"wb_test_{folder.name[-20:]}_{os.getpid()}"
    return Task(kind=plain, folder=str(folder), region=region, **options)


def host(work: Task, environment: Mapping[str, str]) -> tuple[int, dict[str, int], str]:
    """Its exit code, the steps before each phase that it reached, and what it wrote to standard error."""
    # Into files: a pipe would stay open as long as the stub lives, and the host unwaited for.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.conversation"],
            input=json.dumps(dataclasses.asdict(work)),
            env={**os.environ, **environment},
            stdout=out,
            stderr=said,
            text=True,
            timeout=_LIMIT_S,
        )
        end_of_stubs(work.region)
        out.seek(0)
        said.seek(0)
        marks = {name: int(steps) for name, steps in (line.split() for line in out)}
        return done.returncode, marks, said.read()


def stubs_of(region: str) -> list[psutil.Process]:
    found = []
    for each in psutil.process_iter():
        try:
            if region in each.cmdline() and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
        except psutil.Error:
            continue
    return found


def end_of_stubs(region: str) -> None:
    """A stub of ours ends by itself; NVIDIA's may wait on a lock for ever, and our command ends it."""
    deadline = time.monotonic() + _PATIENCE_S
    while (left := stubs_of(region)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for each in left:
        assert "triton_python_backend_stub" in each.cmdline()[0], each.cmdline()
        with mock.patch.object(leftovers, "PREFIX", region):
            assert each.pid in {found.pid for found in leftovers._abandoned_stubs()}
        each.kill()
    wait_for(lambda: not stubs_of(region))


def nothing_stays(region: str) -> None:
    """The stub is gone; so is the region, or it is an orphan to our command."""
    end_of_stubs(region)
    path = regions.SHM / region
    if path.exists():
        old = time.time() - 3600
        os.utime(path, (old, old))
        assert regions.sweep(region) == [region]
    assert not path.exists()


def kill(kind: StubKind, injector: Injector, folder: Path, share: float, streamed: bool) -> tuple[int, str]:
    key = f"{kind.name} {streamed}"
    if key not in _measured:
        code, marks, said = host(task(kind, folder, streamed=streamed), injector.environment)
        assert code == 0, said
        _measured[key] = marks["end"]
    work = task(kind, folder, streamed=streamed, phase="start", steps=1 + int(share * _measured[key]))
    code, _, said = host(work, injector.environment)
    assert injector.fired or code == 0
    nothing_stays(work.region)
    return code, said


@pytest.mark.parametrize(
    ("plain_kind", "streamed", "share"),
    [
        *(("ours-24.10", streamed, share) for streamed in (False, True) for share in SHARES),
        ("ours-24.05", False, 0.5),
        ("nvidia-24.10", False, 0.2),
        ("nvidia-24.10", False, 0.6),
    ],
    indirect=["plain_kind"],
)
def test_killed_in_a_conversation(
    plain_kind: StubKind, injector: Injector, tmp_path: Path, streamed: bool, share: float
) -> None:
    code, said = kill(plain_kind, injector, tmp_path, share, streamed)
    assert code == -signal.SIGKILL, said
    if plain_kind.name.startswith("ours"):
        assert "terminate called" not in said, said


def test_a_host_that_nobody_waits_for(injector: Injector, tmp_path: Path) -> None:
    """Ended, but still in the table of processes, as long as its own parent does not ask."""
    work = task(harness.our_stub("24.10"), tmp_path, phase="bls", steps=1)
    with tempfile.TemporaryFile() as file:
        file.write(json.dumps(dataclasses.asdict(work)).encode())
        file.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.conversation"],
            stdin=file,
            stdout=subprocess.DEVNULL,
            env={**os.environ, **injector.environment},
        )
    try:
        wait_for(lambda: bool(injector.fired), 30.0)
        wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
        nothing_stays(work.region)
    finally:
        process.wait()
