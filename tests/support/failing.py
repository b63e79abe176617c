"""Models that fail, in cells whose lines a message has to name."""

from __future__ import annotations

import textwrap
from typing import Any

from workbench.model_source import ModelSource
from workbench.session.model import Model
from workbench.targets.live import LiveTarget

CELL = """# %%triton model m
import triton_python_backend_utils as pb_utils
{more}
class TritonPythonModel:
    def execute(self, requests):
{body}
"""
HINT = "  hint: %triton replay m --last-error   (or %triton debug m)"
HEAD = "  m.execute, request 1 of 1"
EXECUTE = "in TritonPythonModel.execute"


def text_of(body: str, more: str = "") -> str:
    inner = textwrap.indent(textwrap.dedent(body).strip("\n"), "        ")
    return CELL.format(more=textwrap.dedent(more).strip("\n"), body=inner)


def model_of(
    live: LiveTarget, body: str, more: str = "", *, name: str = "m", cell: int = 2, **options: Any
) -> Model:
    source = ModelSource(text_of(body, more), f"Cell In[{cell}]")
    return live.define(name, source, ["X:FP32[2]"], ["Y:FP32[2]"], **options)
