"""Run a notebook from top to bottom without a browser, and print what its cells answer.

The notebook's file is not changed. Ends with 1 at the first cell that fails.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

CELL_TIMEOUT_S = 300


def show(cell: Any) -> None:
    """Print a cell as a terminal session: its source, then its outputs as text."""
    if cell.cell_type == "markdown":
        print(f"\n{cell.source.strip()}\n")
        return
    lines = cell.source.strip().splitlines()
    print("\n".join(f"{'>>>' if number == 0 else '...'} {line}" for number, line in enumerate(lines)))
    for output in cell.outputs:
        if output.output_type == "stream":
            print(output.text, end="" if output.text.endswith("\n") else "\n")
        elif output.output_type == "error":
            print("\n".join(output.traceback) or f"{output.ename}: {output.evalue}")
        else:
            print(output.data.get("text/plain", f"({', '.join(output.data)})"))


def main() -> int:
    """Run the notebook named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", type=Path)
    path = parser.parse_args().notebook
    if not path.is_file():
        parser.error(f"there is no notebook {path}")

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=CELL_TIMEOUT_S, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    )
    cells = 0
    with tempfile.TemporaryDirectory(prefix="wb-kernel-") as sockets:
        # Socket files only we can reach, in place of ports: it is one user's two processes on one machine.
        manager = client.create_kernel_manager()
        manager.transport, manager.ip = "ipc", f"{sockets}/kernel"
        with client.setup_kernel():
            for index, cell in enumerate(notebook.cells):
                try:
                    client.execute_cell(cell, index)
                except CellExecutionError:
                    show(cell)
                    print(f"\n{path}: cell {index + 1} failed", file=sys.stderr)
                    return 1
                show(cell)
                cells += cell.cell_type == "code"
    print(f"\n{path}: {cells} cells ran, no error")
    return 0


if __name__ == "__main__":
    sys.exit(main())
