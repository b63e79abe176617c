"""Every notebook gives the same outputs in two kernels and two folders, and those are the stored ones."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def outputs(notebook: Path, folder: Path) -> list[Any]:
    """Run a copy of the notebook in this folder; its outputs byte by byte, tracebacks included.

    Cells that are marked as showing what differs from run to run (``nbval-ignore-output``) count for nothing.
    """
    folder.mkdir(parents=True)
    book = nbformat.read(shutil.copy(notebook, folder), as_version=4)
    client = NotebookClient(
        book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    manager = client.create_kernel_manager()
    manager.transport, manager.ip = "ipc", str(folder / "kernel")
    with client.setup_kernel():
        for index, cell in enumerate(book.cells):
            try:
                client.execute_cell(cell, index)
            except CellExecutionError as error:
                if error.ename == "RequirementSkipped":
                    pytest.skip(f"{notebook.name}: {error.evalue}")
                raise
    return _compared(book)


def _compared(book: Any) -> list[Any]:
    return [
        [] if "nbval-ignore-output" in cell.metadata.get("tags", []) else cell.get("outputs")
        for cell in book.cells
    ]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=[each.stem for each in NOTEBOOKS])
def test_outputs_do_not_depend_on_the_machine(notebook: Path, tmp_path: Path) -> None:
    first = outputs(notebook, tmp_path / "a")
    second = outputs(notebook, tmp_path / "b" / "c")
    assert first == second
    stored = _compared(nbformat.read(notebook, as_version=4))
    assert first == stored
