"""lint: what a server would refuse or do otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.lint import LintReport
from workbench.magics.arguments import Command, Parser

if TYPE_CHECKING:
    from workbench.magics.triton import Call

__all__ = ["COMMANDS"]


def _arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("name", metavar="NAME", help="the model's name")
    add("--for", dest="release", metavar="RELEASE", help="release of Triton (the one the model runs on here)")
    add("--strict", action="store_true", help="raise LintError if there is any finding")


def _lint(call: Call) -> LintReport:
    given = call.arguments
    report = call.target.lint(given.name, given.release)
    if given.strict:
        report.raise_if_any()
    return report


COMMANDS = (
    Command(
        "lint",
        "Say what a server would refuse in a model, or do otherwise.",
        ("line",),
        _arguments,
        _lint,
    ),
)
