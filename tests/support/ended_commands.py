"""What serves, ended by a signal at each of its lines: ``python -m tests.support.ended_commands``.

A process of its own: handlers are those of a whole process, and one that waits for itself has to be given up.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from types import FrameType
from typing import Any

from workbench.commands import ending

LINES = 200  # several turns of the loop, with what it calls in the standard library


def main() -> None:
    """Every signal ends one call."""
    ending._INTERVAL_S = 0.0001
    faulthandler.dump_traceback_later(30, exit=True)
    for number in range(LINES):
        lines = 0

        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal lines
            if event == "line" and callable(signal.getsignal(signal.SIGTERM)):
                lines += 1
                if lines == number + 1:  # noqa: B023
                    os.kill(os.getpid(), (signal.SIGINT, signal.SIGTERM)[number % 2])  # noqa: B023
            return trace

        # The lines count once the handlers are there; what a signal does before is the caller's affair.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.settrace(trace)
        try:
            ending.serve_until_ended(str(number), lambda: None)
        finally:
            sys.settrace(None)
    print("ended")


if __name__ == "__main__":
    main()
