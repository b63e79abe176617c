"""The page computes the `src:` of a cell as the kernel does: both are held to the same examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.capture.cell import source_from_cell, source_from_this_cell, split_cell

EXAMPLES = Path(__file__).resolve().parents[2] / "labextension" / "src" / "__tests__" / "cells.json"


def kernel_src(cell: str) -> str:
    """As the magics make it: the cell magic's line without its name, and what is below."""
    if "%%triton" not in cell:
        return source_from_this_cell(cell).src
    leading = len(cell) - len(cell.lstrip("\n"))
    first, _, body = cell[leading:].partition("\n")
    line, body = split_cell(first.removeprefix("%%triton "), body)
    return source_from_cell(f"%%triton {line}", body, leading=leading).src


@pytest.mark.parametrize("example", json.loads(EXAMPLES.read_text()), ids=lambda each: str(each["name"]))
def test_examples_hold_the_kernels_hash(example: dict[str, str]) -> None:
    assert example["src"] == kernel_src(example["cell"])
