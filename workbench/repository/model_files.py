"""Everything that belongs to a model: what an export writes and a push sends."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from workbench.model_source import ModelEntry
from workbench.server_errors import ExportError

__all__ = ["REQUESTS", "STUB_NAME", "is_stub_file", "model_files", "required_packages"]

#: What a server looks for in a model's folder before it takes its own stub.
STUB_NAME = "triton_python_backend_stub"

#: Recorded requests of a model, for `verify`; a server does not look at it.
REQUESTS = "requests.npz"

# Folders that servers trip over: one changes with every run, the other is read as a version.
_SKIPPED = frozenset({"__pycache__"})
_PROVIDED = frozenset({"triton_python_backend_utils", "c_python_backend_utils"})


def model_files(entry: ModelEntry) -> dict[str, bytes | Path]:
    """Path inside the model's folder → content, or the file that has it; sorted, ``config.pbtxt`` first.

    config.pbtxt is complete, and the model's file is what was loaded, whatever the folder says by now. Left
    out are ``__pycache__``, compiled files, editors' copies and everything whose name begins with a dot.

    Raises:
        ExportError: a link to a folder, or something that is neither file nor folder, lies in the folder.
        WorkbenchError: the model is patched.
    """
    entry.require_whole()
    main = f"{entry.version}/{entry.config.filename}"
    files: dict[str, bytes | Path] = dict(_walk(entry.path, "")) if entry.path.is_dir() else {}
    files.pop("config.pbtxt", None)
    # An ensemble has no file, and the model of a Python-based backend lies with the backend.
    if not entry.config.is_ensemble and getattr(entry, "backend_dir", None) is None:
        files[main] = entry.source.text.encode()
    return {"config.pbtxt": entry.config.to_text().encode(), **dict(sorted(files.items()))}


def is_stub_file(name: str) -> bool:
    """Whether a file of a model's folder is a stub or belongs to one."""
    return name in (STUB_NAME, "triton_release", "triton_stub_python") or (
        name.startswith("_stub.") and name.endswith(".so")
    )


def required_packages(entry: ModelEntry) -> list[str]:
    """Top-level names that the model's file imports and neither Python nor the model's folder brings."""
    try:
        tree = ast.parse(entry.source.text)
    except SyntaxError:
        return []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    beside: set[str] = set()
    for folder in (entry.path, entry.path / str(entry.version)):
        beside |= {each.stem for each in folder.iterdir()} if folder.is_dir() else set()
    return sorted(found - _PROVIDED - set(sys.stdlib_module_names) - beside)


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    with os.scandir(folder) as entries:
        for each in sorted(entries, key=lambda item: item.name):
            if each.name.startswith(".") or each.name in _SKIPPED or each.name.endswith((".pyc", "~")):
                continue
            name = prefix + each.name
            if each.is_file():
                yield name, Path(each.path)
            elif each.is_dir(follow_symlinks=False):
                yield from _walk(Path(each.path), f"{name}/")
            else:
                what = "a link to a folder" if each.is_dir() else "neither a file nor a folder"
                raise ExportError(f"{name} is {what}", hint="put the files themselves there")
