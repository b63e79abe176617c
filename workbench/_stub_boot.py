"""First lines of a stub process of ours: output by the line, crash reports, then the stub itself.

Imported before the model and everything it needs, so it imports next to nothing.
"""

from __future__ import annotations

import signal
import sys

TYPE_CHECKING = False  # importing typing for it would cost more than all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["STACK_SIGNAL", "run"]

#: Our stub answers this with its Python stacks on stderr. A real-time signal, which models do not use.
STACK_SIGNAL = signal.SIGRTMIN + 5


def _installed() -> Any:
    from workbench import _stub

    return _stub


def run(load: Callable[[], Any] = _installed) -> None:
    """Become the stub described by ``sys.argv[1:]``. Does not return.

    ``load`` gives the extension module with the stub; an execution environment has it from elsewhere.
    """
    import faulthandler

    # A pipe would make stdout block-buffered: prints would appear when the process ends.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    faulthandler.enable()
    faulthandler.register(STACK_SIGNAL, all_threads=True)
    main = load().main
    arguments, sys.argv = sys.argv[1:], [""]  # what a model sees under a server
    raise SystemExit(main(arguments))
