"""The end of this process, told from that of one that it forked off."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable

__all__ = ["at_exit"]


def at_exit(function: Callable[[], None]) -> Callable[[], None]:
    """Have `function` called when this process ends.

    A child made by ``os.fork`` inherits what `atexit` knows, and what it would end there is its parent's.

    Returns:
        What takes it back.
    """
    owner = os.getpid()

    def call() -> None:
        if os.getpid() == owner:
            function()

    atexit.register(call)
    return lambda: atexit.unregister(call)
