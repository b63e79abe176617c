"""The surroundings that make a notebook's output repeat."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["FIXED", "SANITIZE", "notebooks_in", "surroundings"]

#: Patterns of what may differ between two runs, in nbval's form.
SANITIZE = Path(__file__).with_name("sanitize.cfg")

#: A fixed width, no colour, one thread of linear algebra: sums come out the same on every machine.
FIXED = {
    "COLUMNS": "100",
    "LINES": "40",
    "NO_COLOR": "1",
    "TERM": "dumb",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "JUPYTER_PLATFORM_DIRS": "1",
}


def surroundings() -> dict[str, str]:
    """This process's environment with what is fixed."""
    return {**os.environ, **FIXED}


def notebooks_in(paths: list[Path]) -> list[Path]:
    """Notebooks among files and below folders, sorted; checkpoints and hidden folders are left out."""
    found: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found.update(
                each
                for each in path.rglob("*.ipynb")
                if not any(part.startswith(".") for part in each.relative_to(path).parts)
            )
        else:
            found.add(path)
    return sorted(found)
