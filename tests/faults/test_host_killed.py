"""A host that is killed at any step: its stub ends by itself, and no region stays but for our command."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from tests.faults.hosts import host, nothing_stays, task
from tests.faults.injector import Injector
from tests.protocol import harness
from tests.protocol.harness import StubKind
from tests.support.waiting import until

#: Where in the conversation: as a share of the host's steps.
SHARES = tuple(step / 50 for step in range(50)) if "WORKBENCH_FAULTS" in os.environ else (0.02, 0.3, 0.6, 0.9)

_measured: dict[str, int] = {}


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
        until(lambda: injector.fired, "the fault")
        until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE, "the end of the host")
        nothing_stays(work.region)
    finally:
        process.kill()
        process.wait()
