"""Delayed messages (a process that stands still for a while) and lost ones (for ever)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.faults import conversation
from tests.faults.hosts import nothing_stays, task
from tests.faults.injector import Injector
from tests.protocol.harness import StubKind
from tests.support.waiting import until
from workbench import _host

_DELAY_S = 0.25  # less than the second after which a process that stands still counts as unhealthy


class Wakes:
    """Lets whoever the injector stopped go on, a while later."""

    def __init__(self, injector: Injector, delay: float) -> None:
        self._injector, self._delay, self._over = injector, delay, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.wait(0.005):
            if self._injector.fired:
                self._over.wait(self._delay)
                os.kill(self._injector.fired, signal.SIGCONT)
                return

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.mark.parametrize("phase", ["initialize", "identity", "bls", "bls_stream"])
def test_a_stub_that_stands_still_for_a_moment(
    kind: StubKind, injector: Injector, tmp_path: Path, phase: str
) -> None:
    """Nothing is lost: the conversation goes on where it stood, and every answer is right."""

    def reached(now: str) -> None:
        if now == phase:
            injector.arm(7, signal.SIGSTOP)

    with Wakes(injector, _DELAY_S):
        conversation.talk(kind, tmp_path, reached)
    assert injector.fired


@pytest.mark.parametrize(
    ("plain_kind", "phase", "steps"),
    [("ours-24.10", "identity", 1), ("ours-24.10", "bls", 12), ("nvidia-24.10", "identity", 12)],
    indirect=["plain_kind"],
)
def test_a_stub_that_stands_still_for_ever(
    kind: StubKind, injector: Injector, tmp_path: Path, phase: str, steps: int
) -> None:
    """Whatever it holds: an error that says so, in bounded time."""

    def reached(now: str) -> None:
        if now == phase:
            injector.arm(steps, signal.SIGSTOP)

    start = time.monotonic()
    with pytest.raises((_host.StubNotHealthy, _host.StubTimeout)) as caught:
        conversation.talk(kind, tmp_path, reached)
    assert injector.fired
    assert time.monotonic() - start < 25
    assert "test_0" in str(caught.value) or "lock of shared-memory region" in str(caught.value)


@pytest.mark.parametrize(
    ("plain_kind", "phase"),
    [("ours-24.10", "bls"), ("ours-24.10", "finalize"), ("nvidia-24.10", "initialize")],
    indirect=["plain_kind"],
)
def test_a_host_that_stands_still_for_a_while(
    plain_kind: StubKind, injector: Injector, tmp_path: Path, phase: str
) -> None:
    """A stub waits for its parent as long as that lives."""
    work = task(plain_kind, tmp_path, phase=phase, steps=9, signal=int(signal.SIGSTOP))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.conversation"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **injector.environment},
        text=True,
    )
    try:
        with Wakes(injector, 1.2):
            process.communicate(json.dumps(asdict(work)), timeout=60)
    finally:
        process.kill()
        process.wait()
    until(lambda: injector.fired, "the fault")
    assert process.returncode == 0
    nothing_stays(work.region)
