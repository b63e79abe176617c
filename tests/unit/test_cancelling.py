"""Work that Ctrl-C may leave only where nothing is forgotten."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from tests.support.interrupts import check_interrupted_starts
from workbench import cancelling


def test_what_was_called_off_is_waited_for() -> None:
    left: list[str] = []

    def work() -> None:
        try:
            for _ in range(1000):
                cancelling.check()
                time.sleep(0.01)
        finally:
            time.sleep(0.3)
            left.append("in order")

    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        cancelling.shielded(work)
    assert left == ["in order"]
    timer.join()


def test_results_and_errors_come_back() -> None:
    assert cancelling.shielded(lambda: threading.current_thread().name) == "workbench-work"

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cancelling.shielded(fail)


def test_a_wait_for_a_lock_is_called_off() -> None:
    lock = threading.Lock()
    assert cancelling.acquire(lock, 0.0)
    assert not cancelling.acquire(lock, 0.05)
    event = threading.Event()
    event.set()
    token = cancelling.CANCELLED.set(event)
    try:
        with pytest.raises(KeyboardInterrupt):
            cancelling.acquire(lock, None)
        assert not cancelling.acquire(lock, 0.25)  # called off once, and no more
    finally:
        cancelling.CANCELLED.reset(token)


def test_an_interrupt_while_the_thread_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    check_interrupted_starts(cancelling.shielded, monkeypatch)
