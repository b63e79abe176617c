"""infer: send a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError, ModelFailure, WorkbenchUsageError
from workbench.magics.arguments import Command, Parser, pairs
from workbench.magics.streaming import infer_streamed
from workbench.messages import InferResult

if TYPE_CHECKING:
    from workbench.magics.triton import Call
    from workbench.session.batch import InferBatch

__all__ = ["COMMANDS", "request_arguments", "request_inputs", "request_options", "show_in_full"]


def request_arguments(parser: Parser) -> None:
    """What every subcommand that sends a request takes."""
    add = parser.add_argument
    add("name", metavar="NAME", help="the model's name")
    add("tensors", metavar="NAME=EXPR", nargs="*", help="inputs; EXPR is Python, quote it if it has blanks")
    add("--timeout", type=float, default=30.0, metavar="S", help="seconds to wait for the answer (30)")
    add(
        "--param",
        dest="parameters",
        metavar="K=EXPR",
        nargs="+",
        action="extend",
        default=[],
        help="request parameters: bool, int or str",
    )
    add("--id", default="", metavar="TEXT", help="the request's id")
    add("--seq", metavar="ID[:start,end]", help="correlation id, and whether it starts or ends the sequence")


def request_inputs(call: Call) -> dict[str, Any]:
    """Inputs from the line, or from the dict that a cell's body evaluates to."""
    words = pairs(call.arguments.tensors, "input", "INPUT0=[1,2,3,4]")
    inputs = {name: call.value(name, expression) for name, expression in words.items()}
    if call.body is not None and call.body.strip():
        body = call.value("cell", call.body)
        if not isinstance(body, Mapping):
            raise InputError(
                f"the cell gives {type(body).__name__}, not a dict",
                hint='for example {"INPUT0": [1, 2, 3, 4]}',
            )
        inputs |= {str(name): value for name, value in body.items()}
    return inputs


def request_options(call: Call) -> dict[str, Any]:
    """Everything else of a request, as keywords of `Model.infer`."""
    given = call.arguments
    options: dict[str, Any] = {"timeout": given.timeout, "request_id": given.id}
    if given.timeout <= 0:
        raise WorkbenchUsageError(f"--timeout is seconds, more than 0; got {given.timeout:g}")
    if given.parameters:
        words = pairs(given.parameters, "parameter", "--param priority=1")
        options["parameters"] = {name: _parameter(text) for name, text in words.items()}
    if given.seq:
        identity, _, marks = given.seq.partition(":")
        chosen = {each for each in marks.split(",") if each}
        if chosen - {"start", "end"}:
            raise WorkbenchUsageError(
                f"cannot read --seq {given.seq!r}", hint="--seq 7:start, --seq 7, --seq 7:end"
            )
        options["sequence"] = (
            int(identity) if identity.isdecimal() else identity,
            "start" in chosen,
            "end" in chosen,
        )
    return options


def _parameter(text: str) -> bool | int | str:
    """``true`` and ``7`` as what they look like, everything else as text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else text


def _infer_arguments(parser: Parser) -> None:
    request_arguments(parser)
    add = parser.add_argument
    add("--stream", action="store_true", help="show each response when it comes")
    add("--batch", type=int, default=0, metavar="K", help="send K copies, all in one execute")
    add("--full", action="store_true", help="in an error, show the frames of libraries too")


def _infer(call: Call) -> InferResult | InferBatch:
    given = call.arguments
    model = call.target.workbench.model(given.name)
    inputs, options = request_inputs(call), request_options(call)
    if given.stream and given.batch:
        raise WorkbenchUsageError("--stream and --batch do not go together", hint="leave one of them out")
    if given.batch < 0:
        raise WorkbenchUsageError(f"--batch is a number of requests, 1 or more; got {given.batch}")
    if given.batch or given.stream:
        call.target.workbench.host(given.name)  # a mock takes one request at a time
    try:
        if given.batch:
            return model.infer_batch([inputs] * given.batch, **options)
        if given.stream:
            cell = call.cell_label
            return infer_streamed(model, inputs, options, lambda: call.cell_label == cell)
        return model.infer(inputs, **options)
    except ModelFailure as error:
        if given.full:
            show_in_full(error)
        raise


def show_in_full(error: ModelFailure) -> None:
    """Let IPython show the frames of libraries too."""
    # IPython asks the exception object, so an attribute of the object goes before the class's method.
    error._render_traceback_ = lambda: error.render(full=True)  # type: ignore[method-assign]


COMMANDS = (
    Command(
        "infer",
        "Send a request; a cell's body is an expression giving a dict of inputs.",
        ("line", "cell"),
        _infer_arguments,
        _infer,
    ),
)
