"""First lines of a stub process of ours: output by the line, crash reports, then the stub itself.

Imported before the model and everything it needs, so it imports next to nothing.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # importing typing for it would cost more than all the rest
if TYPE_CHECKING:
    import logging
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
    _forward_logging()
    arguments, sys.argv = sys.argv[1:], [""]  # what a model sees under a server
    descriptor = os.environ.pop("TRITON_WORKBENCH_LINE", "")
    if not descriptor:
        raise SystemExit(main(arguments))
    if __name__ == "_stub_boot":  # loaded by its path: this environment knows of no workbench
        package: Any = type(sys)("workbench")
        package.__path__ = [os.path.dirname(__file__)]  # noqa: PTH120 - pathlib is slow to import
        sys.modules["workbench"] = package
    from workbench._stub_line import connect

    raise SystemExit(main(arguments, on_failure=connect(int(descriptor)).failed))


def _forward_logging() -> None:
    """Let what the model logs by ``logging`` also go to the workbench's logs, with its level.

    A handler would be the usual way, but a model that sees one on the root logger behaves otherwise:
    ``logging.basicConfig`` then does nothing. So the one function is wrapped through which every record
    passes that the loggers' levels let through.
    """
    import logging

    show = logging.Logger.callHandlers
    owner = os.getpid()

    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        show(self, record)
        if os.getpid() == owner:  # a worker that the model forked has no way to the workbench
            _forward(record)

    logging.Logger.callHandlers = call_handlers  # type: ignore[method-assign]


def _forward(record: logging.LogRecord) -> None:
    try:
        from c_python_backend_utils import Logger

        text = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            text += f" ({record.exc_info[0].__name__}: {record.exc_info[1]})"
        where = record.pathname, record.lineno
        Logger._log_at(_level(record.levelno), *where, text)  # type: ignore[attr-defined]  # ours alone
    except Exception:  # logging itself has complained of a record that cannot be formatted
        return


def _level(number: int) -> int:
    """Of pb_utils.Logger, for one of `logging`: info is 0, warning 1, error 2, verbose 3."""
    if number >= 30:
        return 2 if number >= 40 else 1
    return 0 if number >= 20 else 3
