"""Stubs with the injector in them, and hosts that run a conversation in a process of their own."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

from tests.faults.conversation import Task
from tests.faults.injector import Injector
from tests.protocol.harness import StubKind
from tests.support.waiting import PATIENCE_S, until
from workbench.session import leftovers, regions

KINDS = ["ours-24.10", "ours-24.05", "nvidia-24.10"]
_LIMIT_S = 120
_NVIDIAS_S = 10.0  # after which one of NVIDIA's is taken to hang


def with_injector(kind: StubKind, injector: Injector) -> StubKind:
    return dataclasses.replace(kind, environment={**kind.environment, **injector.environment})


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


def is_nvidias(stub: psutil.Process) -> bool:
    try:
        return "triton_python_backend_stub" in stub.cmdline()[0]
    except (psutil.Error, IndexError):  # ended meanwhile
        return False


def end_of_stubs(region: str) -> None:
    """A stub of ours ends by itself; NVIDIA's may wait on a lock for ever, and our command ends it."""
    start = time.monotonic()
    while left := stubs_of(region):
        nvidias = all(is_nvidias(each) for each in left)
        if time.monotonic() - start > (_NVIDIAS_S if nvidias else PATIENCE_S):
            break
        time.sleep(0.02)
    for each in left:
        assert is_nvidias(each), each
        with mock.patch.object(leftovers, "PREFIX", region):
            assert each.pid in {found.pid for found in leftovers._abandoned_stubs()}
        each.kill()
    until(lambda: not stubs_of(region))


def nothing_stays(region: str) -> None:
    """The stub is gone; so is the region, or it is an orphan to our command."""
    end_of_stubs(region)
    path = regions.SHM / region
    if path.exists():
        old = time.time() - 3600
        os.utime(path, (old, old))
        assert regions.sweep(region) == [region]
    assert not path.exists()
