"""Models that answer with lines of text."""

from __future__ import annotations

from tests.conformance.targets import Answer

#: The body of a model that only has to load.
EXECUTE = """
    def execute(self, requests):
        return [pb_utils.InferenceResponse([]) for _ in requests]
"""


def says(expression: str, before: str = "", initialize: str = "pass") -> str:
    """A model that answers with the text of `expression`, a list of lines."""
    return f"""\
import json, os, sys
import numpy as np
import triton_python_backend_utils as pb_utils
{before}

class TritonPythonModel:
    def initialize(self, args):
        {initialize}
        self.args = args

    def execute(self, requests):
        lines = [str(each).encode() for each in ({expression})]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", np.array(lines, dtype=object))]) for _ in requests]
"""


def lines(answer: Answer) -> list[str]:
    """The lines of such an answer."""
    assert answer.error is None, answer.error
    return [line.decode() for line in answer.outputs["TEXT"]]
