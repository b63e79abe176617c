"""The code cells of an .ipynb file, as text. Nothing is executed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import WorkbenchUsageError

__all__ = ["Cell", "read_cells"]

# What a cell says of itself that is meant to fail, or not to be run.
_NOT_RUN = frozenset({"raises-exception", "skip-execution"})


@dataclass(frozen=True)
class Cell:
    """A code cell; ``number`` counts all cells of the file from 1."""

    number: int
    text: str


def read_cells(path: Path) -> list[Cell]:
    """Code cells in order, without those tagged ``raises-exception`` or ``skip-execution``.

    Raises:
        WorkbenchUsageError: the file cannot be read, or is no notebook.
    """
    try:
        notebook = json.loads(path.read_bytes())
    except OSError as error:
        raise WorkbenchUsageError(f"cannot read {path.name}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise WorkbenchUsageError(
            f"{path.name} is no notebook: it is not JSON", hint="save it in Jupyter's format, .ipynb"
        ) from None
    try:
        if notebook["nbformat"] < 4:
            raise WorkbenchUsageError(
                f"{path.name} has the notebook format {notebook['nbformat']}",
                hint=f"jupyter nbconvert --to notebook --inplace {path.name} makes it a new one",
            )
        cells = []
        for number, cell in enumerate(notebook["cells"], 1):
            if cell["cell_type"] != "code":
                continue
            tags = cell.get("metadata", {}).get("tags", [])
            text = cell["source"]
            text = text if isinstance(text, str) else "".join(text)
            if not _NOT_RUN.intersection(tags):
                cells.append(Cell(number, text))
    except (KeyError, TypeError, AttributeError):
        raise WorkbenchUsageError(
            f"{path.name} is no notebook: it is JSON of another form",
            hint="save it in Jupyter's format, .ipynb",
        ) from None
    return cells
