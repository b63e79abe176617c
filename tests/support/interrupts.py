"""Ctrl-C at a chosen moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest


def check_interrupted_starts(run: Callable[[Callable[[], None]], Any], patched: pytest.MonkeyPatch) -> None:
    """Interrupt `run` while the thread begins that does its work.

    Work that has begun is waited for; work that has not never begins, and nobody waits for it.
    """
    done: list[str] = []
    start = threading.Thread.start

    def begun(thread: threading.Thread) -> None:
        start(thread)
        while not done:
            time.sleep(0.01)
        raise KeyboardInterrupt

    def refused(thread: threading.Thread) -> None:
        raise KeyboardInterrupt

    def work() -> None:
        done.append("begun")
        time.sleep(0.2)
        done.append("ended")

    with patched.context() as patch:
        patch.setattr(threading.Thread, "start", begun)
        with pytest.raises(KeyboardInterrupt):
            run(work)
        assert done == ["begun", "ended"]
        patch.setattr(threading.Thread, "start", refused)
        before = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            run(work)
        assert time.monotonic() - before < 5.0
    assert done == ["begun", "ended"]
