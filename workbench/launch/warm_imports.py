"""Which installed modules a model imports, read from its source: the next stub need not import them again."""

from __future__ import annotations

import sys
import tokenize
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
    # By tokens: this runs in a thread of its own, and CPython up to 3.12 cannot make syntax trees in two
    # threads at a time (SystemError: AST constructor recursion depth mismatch), whoever makes the other.
    statement: list[str] = []
    try:
        with file.open("rb") as stream:
            for token in tokenize.tokenize(stream.readline):
                if token.type == tokenize.NEWLINE or token.string in (";", ":"):
                    yield from _imported_by(statement)
                    statement = []
                elif token.type in (tokenize.NAME, tokenize.OP):
                    statement.append(token.string)
    except (OSError, SyntaxError, ValueError, tokenize.TokenError):
        return


def _imported_by(statement: list[str]) -> Iterator[str]:
    """Modules that the words of one statement import; nothing for any other statement."""
    if statement[:1] == ["import"]:
        for part in " ".join(statement[1:]).split(","):
            yield part.partition(" as ")[0].replace(" ", "")
    elif statement[:1] == ["from"] and "import" in statement:
        cut = statement.index("import")
        module = "".join(statement[1:cut])
        level = len(module) - len(module.lstrip("."))
        names = " ".join(each for each in statement[cut + 1 :] if each not in "()").split(",")
        if level == 0:
            yield module
        elif level == 1:
            beside = [each.partition(" as ")[0].strip() for each in names]
            yield from [module.lstrip(".")] if module != "." else (each for each in beside if each)


def _file(folder: Path, name: str) -> Path | None:
    base = folder.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
