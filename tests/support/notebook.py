"""A shell that runs cells as a notebook does, a model for it, and notebooks as files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

CELL = """%%triton model add_sub --in INPUT0:FP32[4] --in INPUT1:FP32[4] --out SUM:FP32[4] --out DIFF:FP32[4]
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        out = []
        for r in requests:
            a = pb_utils.get_input_tensor_by_name(r, "INPUT0").as_numpy()
            b = pb_utils.get_input_tensor_by_name(r, "INPUT1").as_numpy()
            print("serving")
            q = 1 / float(b[0])
            outputs = [pb_utils.Tensor("SUM", a + b), pb_utils.Tensor("DIFF", a - b)]
            out.append(pb_utils.InferenceResponse(outputs))
        return out
"""


class Notebook:
    """A shell that runs cells as a notebook does."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell

    def run(self, cell: str) -> Any:
        """The cell's result; what it raised is raised."""
        outcome = self.shell.run_cell(cell, store_history=True)
        outcome.raise_error()
        return outcome.result


def make_shell() -> Any:
    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    shell = InteractiveShell(config=config)
    shell.colors = "nocolor"
    return shell


@contextmanager
def loaded(shell: Any) -> Iterator[Notebook]:
    """A notebook with the extension loaded, and unloaded at the end."""
    notebook = Notebook(shell)
    notebook.run("%load_ext workbench")
    try:
        yield notebook
    finally:
        notebook.run("%unload_ext workbench")


def traceback_of(
    notebook: Notebook, capsys: pytest.CaptureFixture[str], cell: str, error: type[Exception]
) -> list[str]:
    """The lines a cell that fails shows."""
    capsys.readouterr()
    with pytest.raises(error):
        notebook.run(cell)
    return capsys.readouterr().out.rstrip("\n").splitlines()


def write_notebook(path: Path, cells: list[str], **tags: list[str]) -> Path:
    """A notebook file: a heading, then cells with the ids ``c0``, ``c1`` …, some of them with tags."""
    made = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"c{number}",
            "metadata": {"tags": tags[f"c{number}"]} if f"c{number}" in tags else {},
            "outputs": [],
            "source": text.splitlines(keepends=True),
        }
        for number, text in enumerate(cells)
    ]
    made.insert(0, {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# Models"})
    path.write_text(json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path
