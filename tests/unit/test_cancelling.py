"""Work that Ctrl-C may leave only where nothing is forgotten."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

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
