"""The verbs that notebooks have too: the same arguments from the same parsers, on models out of files.

A notebook's models live as long as its kernel; here they live for one command. So ``NAME`` is the path of a
model folder or of a notebook, and a server is given by its address.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.commands.show import show

if TYPE_CHECKING:
    from workbench.magics.arguments import Command, Parser
    from workbench.magics.triton import Call
    from workbench.targets.live import LiveTarget

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["NAMES", "help_text", "parse", "register", "run"]

#: What each does, as ``workbench -h`` says it.
NAMES = {
    "bench": "send a model the same request many times",
    "config": "show a model's effective configuration",
    "infer": "send a model a request",
    "lint": "say what a server would refuse in a model",
    "parity": "compare a model's answers with a server's",
    "push": "bring a model onto a server",
    "replay": "send recorded requests and compare the answers",
    "rollback": "bring back what a server served before",
    "trace": "send a request and show the calls it made",
}
_SERVERS = ("on", "to", "against")


def register(verbs: Verbs) -> None:
    """List the verbs in the command line's help. `run` parses them."""
    for name, summary in NAMES.items():
        verbs.add_parser(name, help=summary, add_help=False)


def run(name: str, words: Sequence[str]) -> int:
    """Run one of the verbs; gives the exit code.

    Raises:
        WorkbenchError: whatever the verb raises.
    """
    from workbench.magics.arguments import HelpText
    from workbench.magics.triton import COMMANDS

    command = COMMANDS[name]
    given = parse(name, words)
    if given.help:
        print(help_text(name))
        return 0
    from workbench import api
    from workbench.targets import servers

    target = api.live()
    try:
        _connect(given)
        call = _call(target, given, " ".join([name, *words]))
        if given.on == "live":
            _open(target, given)
            result = command.run(call)
        else:
            from workbench.magics.elsewhere import run_elsewhere

            result = run_elsewhere(call)
        if not given.quiet:
            show(result, given.json and not isinstance(result, HelpText))  # that is JSON already
        return 0
    finally:
        target.workbench.close()
        servers.close_all()


def help_text(name: str) -> str:
    """What ``workbench NAME -h`` prints."""
    from workbench.magics.triton import COMMANDS

    return _help(_parser(COMMANDS[name]))


def parse(name: str, words: Sequence[str]) -> argparse.Namespace:
    """A verb's arguments. Raises WorkbenchUsageError."""
    from workbench.magics.triton import COMMANDS

    return _parser(COMMANDS[name]).read(words)


def _parser(command: Command) -> Parser:
    parser = command.parser("workbench")
    _add_options(parser)
    return parser


def _add_options(parser: Parser) -> None:
    group = parser.add_argument_group("options of the command line")
    add = group.add_argument
    add(
        "--also",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="load these models of the same repository too, for calls from model to model",
    )
    add(
        "--header-env",
        nargs="+",
        action="extend",
        default=[],
        metavar="HEADER=VARIABLE",
        help="send a server a header whose value is in an environment variable",
    )
    add("--model", metavar="NAME", default="", help="which model of a notebook, if it has several")
    known = {option for action in parser._actions for option in action.option_strings}
    if "--requests" not in known:
        add("--requests", metavar="FILE", help="recorded requests, from replay --save FILE")
    if "--json" not in known:
        add("--json", action="store_true", help="print the result as JSON")


def _help(parser: Parser) -> str:
    text: str = parser.format_help()
    return text.replace("the live model's name", "the model's folder, or a notebook").replace(
        "the model's name", "the model's folder, or a notebook (with --on: its name on the server)"
    )


def _call(target: LiveTarget, given: argparse.Namespace, line: str) -> Call:
    from workbench.magics.triton import Call

    class Terminal:
        """Where there is no notebook there are no names but ``np``, and no cells."""

        user_ns: dict[str, Any] = {}  # noqa: RUF012 - nobody writes to it

        class history_manager:  # noqa: N801 - the shell's name for it
            input_hist_raw = ("",)

    return Call(Terminal, target, given, line, None)


def _open(target: LiveTarget, given: argparse.Namespace) -> None:
    """Make the model named by a path live, with its recorded requests."""
    from pathlib import Path

    from workbench.commands.sources import open_model
    from workbench.session.replay import load_requests

    if getattr(given, "name", None):
        given.name = open_model(target, given.name, model=given.model, also=given.also)
        if given.requests:
            recorder = target.workbench.hosts[given.name].recorder
            for record in load_requests(Path(given.requests).expanduser()).get(given.name, []):
                recorder.add(record)


def _connect(given: argparse.Namespace) -> None:
    """Addresses in the place of servers' names become connected servers."""
    from workbench.magics.arguments import pairs
    from workbench.targets import servers

    headers = pairs(given.header_env, "header", "--header-env Authorization=STAGING_TOKEN")
    for option in _SERVERS:
        text = getattr(given, option, None)
        if text and "://" in text:
            names = []
            for url in text.split(","):
                place = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
                name = f"server_{place}".replace(":", "_").replace("[", "").replace("]", "")
                servers.connect(url, name, headers=headers)
                names.append(name)
            setattr(given, option, ",".join(names))
