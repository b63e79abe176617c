"""Needs point down only: which part of the package may import which, from docs/design/foundation.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "workbench"

# Floor by part, from below. A part is a folder, or a file on its own; parts of one floor may use each other.
FLOORS = [
    ["_host", "_stub"],
    # values and texts for everything above
    [
        "cache",
        "at_exit",
        "cancelling",
        "changes",
        "config_checks",
        "datatypes",
        "errors",
        "libpython",
        "messages",
        "model_config",
        "model_source",
        "preview",
        "signature",
        "suggest",
        "tensor_spec",
        "text_files",
    ],
    ["environments", "launch", "server_errors", "server_install", "shm_inspect", "stub_build", "trace"],
    ["session"],
    ["capture", "doctor", "lint", "repository", "requirements", "targets", "templates"],
    ["api"],
    ["commands", "lab", "magics", "testing", "widgets"],
]
FLOOR = {part: number for number, parts in enumerate(FLOORS) for part in parts}
# An installed server is started once, to be sure of it.
EXCEPTIONS = {("server_install", "targets")}
# ``result.view()`` opens a widget, which nothing else of a result knows of: its import stands in the method.
VIEWS = "widgets"


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and part of the package of each import in a file; those for type checkers do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_checkers = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for each in node.body
        for inner in ast.walk(each)
    }
    for node in ast.walk(tree):
        if id(node) in for_checkers:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "workbench":
            parts = node.module.split(".")
            for part in [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]:
                yield node.lineno, part
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("workbench."):
                    yield node.lineno, alias.name.split(".")[1]


def parts() -> list[str]:
    found = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir()}
    # What begins with _ runs in processes of its own; the rest are no modules.
    return sorted(each for each in found if not each.startswith("_") and each not in ("backend", "bin", "py"))


def test_every_part_has_its_floor() -> None:
    assert [each for each in parts() if each not in FLOOR] == []


def test_views_are_imported_where_they_are_opened() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name == VIEWS:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        outside = [
            node.lineno
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"workbench.{VIEWS}")
        ]
        assert outside == [], f"{path.name} imports widgets when it is imported itself"


@pytest.mark.parametrize("part", [each for parts in FLOORS for each in parts])
def test_needs_point_down(part: str) -> None:
    single = PACKAGE / f"{part}.py"
    files = [single] if single.is_file() else sorted((PACKAGE / part).rglob("*.py"))
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {other}"
        for path in files
        for line, other in imports(path)
        if FLOOR.get(other, -1) > FLOOR[part] and (part, other) not in EXCEPTIONS and other != VIEWS
    ]
    assert wrong == []
