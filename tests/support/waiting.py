"""Waiting for what happens in another thread or process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

#: For a busy machine: what is waited for takes milliseconds on an idle one.
PATIENCE_S = 60.0


def until(condition: Callable[[], _T], what: str = "it to happen", seconds: float = PATIENCE_S) -> _T:
    """Wait until a condition holds, and give what it gave. Raises AssertionError that names it."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.01)
    return found
