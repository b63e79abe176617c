"""logs: what models logged, and what they printed outside requests."""

from __future__ import annotations

import sys
from contextvars import copy_context
from typing import TYPE_CHECKING

from workbench.errors import ModelNotFound, WorkbenchUsageError
from workbench.magics.arguments import Command, Parser
from workbench.session.log_view import LogView
from workbench.session.logs import LEVELS, LogRecord
from workbench.suggest import did_you_mean, listing

if TYPE_CHECKING:
    from workbench.magics.triton import Call

__all__ = ["COMMANDS"]


def _arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("name", metavar="NAME", nargs="?", default="", help="only this model's lines")
    add("--n", type=int, default=50, metavar="N", help="how many of the last lines; 0: all there are (50)")
    add("--level", choices=LEVELS, default="info", help="the least important level shown (info)")
    add(
        "--follow",
        action="store_true",
        help="go on printing lines under this cell as they come, until the next %%triton logs",
    )
    add("--clear", action="store_true", help="forget the lines")


def _logs(call: Call) -> LogView:
    given, ring = call.arguments, call.target.workbench.logs
    known = {*call.target.workbench.hosts, *(each.model for each in ring.records())}
    if given.name and given.name not in known:
        raise ModelNotFound(f"no model {given.name!r}{did_you_mean(given.name, known)}; {listing(known)}")
    if given.n < 0:
        raise WorkbenchUsageError(f"--n is a number of lines, 0 or more; got {given.n}")
    ring.unfollow()
    if given.clear:
        ring.clear(given.name)
    view = LogView(ring, given.name, given.n, given.level)
    if given.follow:
        context = copy_context()

        def show(record: LogRecord) -> None:
            if (not given.name or record.model == given.name) and record.is_at_least(given.level):
                context.copy().run(_print, record)

        ring.follow(show)
    return view


def _print(record: LogRecord) -> None:
    sys.stdout.write(f"{record}\n")


COMMANDS = (
    Command(
        "logs",
        "What models logged, and what they printed outside requests.",
        ("line",),
        _arguments,
        _logs,
    ),
)
