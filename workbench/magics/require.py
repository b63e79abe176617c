"""require: what a notebook needs of the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.magics.arguments import Command, Parser
from workbench.requirements import RequirementSkipped, missing

if TYPE_CHECKING:
    from workbench.magics.triton import Call

__all__ = ["COMMANDS"]


def _arguments(parser: Parser) -> None:
    parser.add_argument(
        "what", nargs="+", metavar="WHAT", help="gpu, server, or a package such as 'numpy>=2'"
    )


def _require(call: Call) -> None:
    reasons = missing(call.arguments.what)
    if reasons:
        raise RequirementSkipped(
            f"this notebook needs {', '.join(call.arguments.what)}: {'; '.join(reasons)}",
            hint="workbench test --skip-missing skips what cannot run here",
        )


COMMANDS = (
    Command(
        "require",
        "Say what the cells below need; an error where the machine lacks it.",
        ("line",),
        _arguments,
        _require,
    ),
)
