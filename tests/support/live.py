"""Models for the live host, made from the lines of their ``execute``."""

from __future__ import annotations

import textwrap
from typing import Any

from workbench.session.model import Model
from workbench.targets.live import LiveTarget

HEAD = "import os, sys, time\nimport numpy as np\nimport triton_python_backend_utils as pb_utils\n"
ECHO = "return [reply(r, take(r)) for r in requests]"

_HELPERS = """
def take(request, name="X"):
    return pb_utils.get_input_tensor_by_name(request, name).as_numpy()

def reply(request, array, name="Y"):
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, array)])
"""


def source(execute: str, *, more: str = "", signature: str = "def execute(self, requests):") -> str:
    """A model.py with this body of execute, and more methods.

    ``x`` is the first request's input ``X``; ``take`` and ``reply`` read an input and make a response.
    """
    body = f"x = take(requests[0])\n{execute}"
    return (
        f"{HEAD}{_HELPERS}\nclass TritonPythonModel:\n"
        + textwrap.indent(f"{signature}\n{textwrap.indent(body, '    ')}\n{textwrap.dedent(more)}", "    ")
        + "\n"
    )


def define(live: LiveTarget, execute: str, *, name: str = "m", more: str = "", **options: Any) -> Model:
    """Load a model with input ``X:FP32[2]`` and output ``Y:FP32[2]``."""
    return live.define(name, source(execute, more=more), ["X:FP32[2]"], ["Y:FP32[2]"], **options)
