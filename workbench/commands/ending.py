"""Commands that serve until Ctrl-C."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

__all__ = ["serve_until_ended"]

_INTERVAL_S = 0.2


def serve_until_ended(text: str, check: Callable[[], None]) -> None:
    """Print `text`, then call `check` five times a second, until SIGINT or SIGTERM comes; more are ignored.

    Args:
        text: What is served, and where. Once it can be read, a signal ends this call, and nothing else.
        check: Raises where serving has come to an end by itself.
    """
    signals: list[int] = []
    for each in (signal.SIGINT, signal.SIGTERM):
        # No threading.Event: a handler runs in the thread that waits for it, also while that holds the
        # event's own lock, and would wait for it for ever.
        signal.signal(each, lambda number, frame: signals.append(number))
    print(text, flush=True)
    while not signals:
        check()
        time.sleep(_INTERVAL_S)
