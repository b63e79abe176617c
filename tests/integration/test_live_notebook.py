"""The first notebook gives the same outputs in two folders and two kernels, tracebacks included."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01_first_five_minutes.ipynb"


def outputs(folder: Path) -> list[Any]:
    """Run a copy of the notebook in this folder."""
    copy = shutil.copy(NOTEBOOK, folder)
    notebook = nbformat.read(copy, as_version=4)
    client = NotebookClient(
        notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    manager = client.create_kernel_manager()
    manager.transport, manager.ip = "ipc", str(folder / "kernel")
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
    return [cell.get("outputs") for cell in notebook.cells]


@pytest.mark.timeout(120)
def test_outputs_do_not_depend_on_the_machine(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b" / "c"]
    for each in folders:
        each.mkdir(parents=True)
    first, second = (outputs(each) for each in folders)
    assert first == second
    stored = nbformat.read(NOTEBOOK, as_version=4)
    assert first == [cell.get("outputs") for cell in stored.cells]
