"""mock, metrics: what stands around models."""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import preview
from workbench.errors import WorkbenchUsageError
from workbench.magics.arguments import Command, Parser
from workbench.session.mocks import MockModel

if TYPE_CHECKING:
    from workbench.magics.triton import Call

__all__ = ["COMMANDS", "MetricsText"]


class MetricsText:
    """Prometheus text of the metrics that models made."""

    def __init__(self, text: str, model: str = "") -> None:
        self.text = text
        self.model = model

    def __repr__(self) -> str:
        if self.text:
            return self.text.rstrip("\n")
        owner = f"{self.model} has" if self.model else "no model has"
        return f"Metrics: {owner} made {'none' if self.model else 'any'}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self))


def _metrics_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", default="", help="only metrics this model made")


def _metrics(call: Call) -> MetricsText:
    name = call.arguments.name
    if name:
        call.target.workbench.model(name)
    return MetricsText(call.target.workbench.metrics.dump(name), name)


def _mock_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("name", metavar="NAME", help="name of the model it answers for")
    add(
        "--in",
        dest="inputs",
        metavar="SPEC",
        nargs="*",
        action="extend",
        default=[],
        help="inputs, NAME[?]:DTYPE[dims]; none: anything is taken",
    )
    add(
        "--out",
        dest="outputs",
        metavar="SPEC",
        nargs="*",
        action="extend",
        default=[],
        help="outputs; none: as the function gives them",
    )


def _mock(call: Call) -> MockModel:
    body = call.body or ""
    # The magic's line becomes a comment, so that line numbers in tracebacks are lines of the cell.
    text = "\n" * call.leading_lines + "# %%triton mock\n" + body
    file = f"<mock {call.arguments.name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    # A namespace of its own: the notebook's names can be read, `infer` does not become one of them.
    namespace: dict[str, Any] = {"np": np, **call.shell.user_ns}
    namespace.pop("infer", None)
    exec(compile(text, file, "exec"), namespace)  # noqa: S102 - the user's own cell
    function = namespace.get("infer")
    if not callable(function):
        raise WorkbenchUsageError(
            f"the mock {call.arguments.name} defines no infer",
            hint='its cell holds: def infer(inputs): return {"OUT": ...}',
        )
    mock = MockModel(call.arguments.name, function, call.arguments.inputs, call.arguments.outputs)
    call.target.workbench.add_mock(mock.name, mock)
    return mock


COMMANDS = (
    Command(
        "mock",
        "Answer for a model that is not live; the body defines infer(inputs) and returns a dict.",
        ("cell",),
        _mock_arguments,
        _mock,
    ),
    Command(
        "metrics", "Metrics the models made, as Prometheus text.", ("line",), _metrics_arguments, _metrics
    ),
)
