"""debug: pdb in the notebook's prompt, and a listener for an IDE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import DebuggerError, WorkbenchUsageError
from workbench.magics.arguments import Command, Parser, pairs
from workbench.session import debugging
from workbench.session.debugging import DebugInfo

if TYPE_CHECKING:
    from workbench.magics.triton import Call

__all__ = ["COMMANDS"]


def _arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("name", metavar="NAME", help="the model's name")
    add("tensors", metavar="NAME=EXPR", nargs="*", help="send this request under pdb")
    add("--on-error", action="store_true", help="open pdb wherever a request fails, too")
    add("--off", action="store_true", help="detach")
    add("--port", metavar="PORT", help="listen for an IDE on loopback: a number, or auto")
    add("--wait", action="store_true", help="with --port: come back when an IDE has attached")


def _debug(call: Call) -> DebugInfo:
    given, workbench = call.arguments, call.target.workbench
    if given.off:
        return debugging.stop(workbench, given.name)
    if given.wait and not given.port:
        raise WorkbenchUsageError(
            "--wait is for an IDE", hint=f"%triton debug {given.name} --port auto --wait"
        )
    if given.port:
        return debugging.listen(workbench, given.name, _port(given.port), wait=given.wait)
    workbench.host(given.name)
    kernel = getattr(call.shell, "kernel", None)
    if kernel is not None and not kernel._allow_stdin:
        raise DebuggerError(
            "the debugger needs input, and nobody is there to give it",
            hint=f"%triton debug {given.name} --port auto, and attach an IDE",
        )
    if given.tensors:
        words = pairs(given.tensors, "input", "INPUT0=[1,2,3,4]")
        inputs = {name: call.value(name, expression) for name, expression in words.items()}
        return debugging.send(workbench, given.name, inputs)
    return debugging.debug(workbench, given.name, on_error=given.on_error)


def _port(text: str) -> int:
    if text == "auto":
        return 0
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise WorkbenchUsageError(f"--port is a number or auto, got {text!r}")
    return int(text)


COMMANDS = (
    Command(
        "debug",
        "Debug a model: its last failed request again, breakpoint(), or an IDE.",
        ("line",),
        _arguments,
        _debug,
    ),
)
