"""trace: send a request and show what it led to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import WorkbenchUsageError
from workbench.magics.arguments import Command, Parser
from workbench.magics.infer import request_arguments, request_inputs, request_options
from workbench.trace.files import FORMATS
from workbench.trace.trace import Trace

if TYPE_CHECKING:
    from workbench.magics.triton import Call
    from workbench.targets.remote import ServerTarget

__all__ = ["COMMANDS", "trace_elsewhere"]


def _arguments(parser: Parser) -> None:
    request_arguments(parser)
    add = parser.add_argument
    add("--times", action="store_true", help="show durations; they differ from run to run")
    add("--save", metavar="FILE", help="write the trace to a file, too")
    add("--format", metavar="FORMAT", default="event", help=f"of that file: {', '.join(FORMATS)} (event)")


def _trace(call: Call) -> Trace:
    call.target.workbench.host(call.arguments.name)
    model = call.target.workbench.model(call.arguments.name)
    _check(call)
    return _deliver(call, model.trace(request_inputs(call), **request_options(call)))


def trace_elsewhere(call: Call, server: ServerTarget) -> Trace:
    """The same with ``--on SERVER``."""
    from workbench.targets.local import LocalTarget

    _check(call)
    if not isinstance(server, LocalTarget):
        raise WorkbenchUsageError(
            f"{server.name} was not started here: its calls cannot be seen",
            hint="--on local is a server whose calls can",
        )
    return _deliver(call, server.trace(call.arguments.name, request_inputs(call), **request_options(call)))


def _check(call: Call) -> None:
    """Before a request is sent."""
    if call.arguments.format not in FORMATS:
        raise WorkbenchUsageError(
            f"unknown trace format {call.arguments.format!r}", hint=f"formats: {', '.join(FORMATS)}"
        )


def _deliver(call: Call, trace: Trace) -> Trace:
    given = call.arguments
    if given.save:
        trace.save(given.save, given.format)
    return trace.with_times() if given.times else trace


COMMANDS = (
    Command(
        "trace",
        "Send a request and show every call to other models that it led to.",
        ("line", "cell"),
        _arguments,
        _trace,
    ),
)
