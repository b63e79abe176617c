"""The matrix is kept: every row has a case or a reason, and every case it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_ROW = re.compile(r"^\| (9\.\d) \| (.+?) \| (.+) \|$")
_REFERENCE = re.compile(r"`(test_\w+\.py)::(test_\w+)`")

#: Rows of each section of the specification.
_COUNTS = {"9.1": 20, "9.2": 13, "9.3": 4, "9.4": 29, "9.5": 12, "9.6": 39, "9.7": 49, "9.8": 13}


def _rows() -> list[tuple[str, str, str]]:
    lines = (_HERE / "MATRIX.md").read_text().splitlines()
    return [(match[1], match[2], match[3]) for match in map(_ROW.match, lines) if match]


def _tests_in(file: Path) -> set[str]:
    return {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_every_section_is_complete() -> None:
    counts: dict[str, int] = {}
    for section, _, _ in _rows():
        counts[section] = counts.get(section, 0) + 1
    assert counts == _COUNTS


@pytest.mark.parametrize("row", _rows(), ids=lambda row: f"{row[0]} {row[1]}")
def test_row_has_cases_or_a_reason(row: tuple[str, str, str]) -> None:
    _, case, text = row
    named = _REFERENCE.findall(text)
    assert named or text.startswith("reason: "), f"{case} has neither a case nor a reason"
    missing = [f"{file}::{test}" for file, test in named if test not in _tests_in(_HERE / file)]
    assert not missing, f"{case} names cases that do not exist: {missing}"


def test_every_case_has_a_docstring_or_speaks_for_itself() -> None:
    """Each file says which section it covers."""
    for file in _HERE.glob("test_*.py"):
        assert ast.get_docstring(ast.parse(file.read_text())), f"{file.name} does not say what it covers"
