"""The magics' grammar. Help, errors and the documentation's tables come from these parsers and nowhere
else.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from IPython.core.magic_arguments import MagicArgumentParser

from workbench import preview
from workbench.errors import WorkbenchUsageError
from workbench.suggest import did_you_mean

__all__ = ["MAGIC", "Command", "HelpText", "Parser", "byte_size", "overview", "pairs", "split"]

MAGIC = "%triton"
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_WIDTH = 100  # of help texts, whatever the window


class HelpText:
    """Help as a result, so that asking for it prints nothing."""

    def __init__(self, text: str) -> None:
        self.text = text.rstrip()

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(self.text)


class _Formatter(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_WIDTH, max_help_position=32)


class Parser(MagicArgumentParser):  # type: ignore[misc]
    """One subcommand's parser. Raises instead of exiting, and knows no abbreviations.

    ``door`` is how users call it: ``%triton``, or ``workbench`` for the command line, which has the same
    arguments but cannot store a result in a variable.
    """

    def __init__(self, name: str, description: str, door: str = MAGIC) -> None:
        super().__init__(prog=f"{door} {name}", description=description, formatter_class=_Formatter)
        self.allow_abbrev = False
        self.name = name
        common = self.add_argument_group("common options")
        common.add_argument("-h", "--help", action="store_true", help="show this help")
        common.add_argument("-q", "--quiet", action="store_true", help="show no result")
        if door == MAGIC:
            common.add_argument("-o", "--output", metavar="NAME", help="store the result in this variable")
            common.add_argument(
                "--view", action="store_true", help="open the result's view in place of its text"
            )
        common.add_argument("--on", metavar="TARGET", default="live", help="where the model runs (live)")

    def error(self, message: str) -> NoReturn:
        raise WorkbenchUsageError(f"{self.prog}: {message}", hint=f"{self.prog} -h")

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse, with "did you mean" for unknown options."""
        if "-h" in words or "--help" in words:
            return argparse.Namespace(help=True)
        arguments: argparse.Namespace
        arguments, extra = self.parse_known_intermixed_args(list(words))
        if extra:
            known = [option for action in self._actions for option in action.option_strings]
            guess = did_you_mean(extra[0], known) if extra[0].startswith("-") else ""
            what = "unknown option" if extra[0].startswith("-") else "unexpected argument"
            self.error(f"{what} {extra[0]!r}{guess}")
        return arguments


@dataclass(frozen=True)
class Command:
    """One subcommand: its parser and what it does.

    ``run`` takes the call (see `workbench.magics.triton.Call`) and gives the result.
    """

    name: str
    summary: str
    forms: tuple[str, ...]  # "line", "cell"
    build: Callable[[Parser], None]
    run: Callable[[Any], Any]

    def parser(self, door: str = MAGIC) -> Parser:
        parser = Parser(self.name, self.summary, door)
        self.build(parser)
        return parser

    def help(self) -> HelpText:
        text = self.parser().format_help()
        if self.forms == ("cell",):
            text = text.replace("%triton", "%%triton", 1)
        return HelpText(text)


def overview(commands: Mapping[str, Command]) -> HelpText:
    """All subcommands with one line each."""
    rows = [
        [("%%triton " if each.forms == ("cell",) else "%triton ") + name, each.summary]
        for name, each in sorted(commands.items())
    ]
    lines = ["%triton SUB [arguments]      %%triton SUB [arguments] with a cell body", ""]
    return HelpText(
        "\n".join([*lines, *preview.columns(rows), "", "%triton SUB -h shows the arguments of one."])
    )


def split(line: str) -> list[str]:
    """Split as a POSIX shell does, so that quotes keep an expression in one piece.

    Raises:
        WorkbenchUsageError: a quote is not closed.
    """
    try:
        return shlex.split(line, posix=True)
    except ValueError as error:
        raise WorkbenchUsageError(f"cannot split the line: {error}", hint="close the quotes") from None


def pairs(words: Sequence[str], what: str, example: str) -> dict[str, str]:
    """``NAME=VALUE`` words as a dict. Raises WorkbenchUsageError for another form or a repeated name."""
    found: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise WorkbenchUsageError(f"{what} {word!r} has no '='", hint=f"write {example}")
        if name in found:
            raise WorkbenchUsageError(f"{what} {name!r} is given twice")
        found[name] = value
    return found


def byte_size(text: str) -> int:
    """``256m`` as bytes. Raises WorkbenchUsageError."""
    match = re.fullmatch(r"(\d+)\s*([kmg]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise WorkbenchUsageError(f"cannot read the size {text!r}", hint="--shm-size 256m")
    return int(match[1]) * _UNITS[match[2]]
