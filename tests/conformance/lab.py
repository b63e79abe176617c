"""One model that evaluates, for the many cases that are an expression and its value."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from tests.conformance.targets import Answer, Model, Pending, Target, config, source_of, text_input

_INPUTS = [("CODE", "BYTES", [1]), ("X", "FP32", [-1])]
_OUTPUTS = [("RESULT", "BYTES", [-1]), ("OUT", "FP32", [-1])]


class Lab:
    """The models of `models/lab.py`, loaded when first wanted and again if a case killed one."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._models: dict[str, Model] = {}

    def model(self, kind: str = "default") -> Model:
        """``default`` or ``decoupled``."""
        model = self._models.get(kind)
        if model is None or not self.target.stub_pids(model.name):
            text = config(_INPUTS, _OUTPUTS, decoupled=kind == "decoupled", optional=True)
            model = self.target.load(source_of("lab"), text, name=f"lab_{kind}")
            self._models[kind] = model
        return model

    def send(self, code: str, kind: str = "default", **arguments: Any) -> Pending:
        return self.model(kind).send(CODE=text_input(textwrap.dedent(code)), **arguments)

    def run(self, code: str, **arguments: Any) -> str:
        """Run `code` in a request of the default model; what it left in ``result`` as ``repr``, or ``Type: text``."""
        answer = self.infer(code, **arguments)
        assert answer.error is None, answer.error
        return answer.text("RESULT")

    def value(self, code: str, **arguments: Any) -> str:
        """The same for a single expression."""
        return self.run(f"result = ({code})", **arguments)

    def infer(self, code: str, **arguments: Any) -> Answer:
        # NVIDIA's stub, under its own server too: about one streamed call in 400 ends the process. That says
        # nothing about the case, which ours has to pass at the first go.
        tries = 3 if self.target.stub == "nvidia" and "decoupled=True" in code else 1
        for attempt in range(1, tries + 1):
            try:
                answer = self.send(code, **arguments).result()
            except TimeoutError:
                self._forget("default")
                raise
            died = answer.error is not None and "is not healthy" in answer.error
            if not died or attempt == tries:
                break
            self._forget("default")
        return answer

    def stream(self, code: str, **arguments: Any) -> list[Answer]:
        """Run `code` in a request of the decoupled model; all responses."""
        try:
            return self.send(code, kind="decoupled", stream=True, **arguments).responses()
        except TimeoutError:
            self._forget("decoupled")
            raise

    def _forget(self, kind: str) -> None:
        """A case got no answer: its model may be stuck, so the next case gets another."""
        model = self._models.pop(kind, None)
        if model:
            self.target.drop(model.name)


def agrees(got: str, expected: str) -> bool:
    """Exactly; or, where `expected` ends with ``…``, in its beginning; or, where it begins with ``…``, in its end."""
    if expected.startswith("…") and expected.endswith("…"):
        return expected[1:-1] in got
    if expected.endswith("…"):
        return got.startswith(expected[:-1])
    if expected.startswith("…"):
        return got.endswith(expected[1:])
    return got == expected


def table(*rows: tuple[str, str, str]) -> Any:
    """Rows of (name, code, expected) as parameters of a test. Code of several lines sets ``result``."""
    return pytest.mark.parametrize("code, expected", [pytest.param(*row[1:], id=row[0]) for row in rows])


def check(lab: Lab, code: str, expected: str) -> None:
    """Run one row of a table in the model, and compare."""
    got = lab.run(code) if "\n" in code else lab.value(code)
    assert agrees(got, expected), f"{got!r} is not {expected!r}"


def upstream_breaks(target: Target, note: str) -> None:
    """Leave a case out where NVIDIA's stub cannot do it. The note says what happens there."""
    if target.stub == "nvidia":
        pytest.skip(f"NVIDIA's stub: {note}")
