"""Which installed modules a model imports, read from its source: the next stub need not import them again."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

__all__ = ["installed", "installed_imports"]

_MOST_FILES = 50
# What a stub has of its own.
_NEVER = frozenset({"triton_python_backend_utils", "workbench"})


def installed_imports(model_file: Path, folders: Sequence[str]) -> frozenset[str]:
    """Installed modules, dotted, that a model or a helper file beside it imports anywhere in its text.

    Modules of the standard library are left out, as they cost little. Nothing is imported to find out.

    Args:
        model_file: The model.py of a version folder.
        folders: Where installed modules lie.
    """
    found: set[str] = set()
    beside = [model_file.parent, model_file.parent.parent]
    waiting, seen = [model_file], set[Path]()
    while waiting and len(seen) < _MOST_FILES:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for name in _imports(file):
            top = name.partition(".")[0]
            if top in sys.stdlib_module_names or top in _NEVER:
                continue
            if installed(name, folders):
                found.add(name)
            else:
                waiting += [path for path in (_file(each, name) for each in beside) if path is not None]
    return frozenset(found)


def installed(name: str, folders: Sequence[str]) -> bool:
    """Whether a module, or the package it is in, lies where packages are installed (not where a project is
    edited). A folder without ``__init__.py`` decides nothing: what is inside does.
    """
    path, prefix = list(folders), ""
    for part in name.split("."):
        try:
            spec = PathFinder.find_spec(prefix + part, path)
        except (ImportError, ValueError):
            return False
        if spec is None:
            return False
        if spec.origin is not None:
            return True
        path, prefix = list(spec.submodule_search_locations or ()), f"{prefix}{part}."
    return False


def _imports(file: Path) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0 and node.module:
                yield node.module
            elif node.level == 1:
                yield from [node.module] if node.module else (alias.name for alias in node.names)


def _file(folder: Path, name: str) -> Path | None:
    base = folder.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
