"""``import triton_python_backend_utils`` in the kernel, for ordinary cells that hold a model.

Models run in stub processes, never here; the import only has to succeed, so that such a cell can be executed.
An installed module of that name would hide the stub's own, hence a finder that exists in this process alone.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from importlib import resources
from types import ModuleType

__all__ = ["install", "remove"]

_NAME = "triton_python_backend_utils"


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _NAME:
            return None
        file = str(resources.files("workbench") / "backend" / f"{_NAME}.py")
        return importlib.util.spec_from_file_location(_NAME, file)


_finder = _Finder()


def install() -> None:
    """Add the finder behind all others: an installed module still wins."""
    if _finder not in sys.meta_path:
        sys.meta_path.append(_finder)


def remove() -> None:
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
        sys.modules.pop(_NAME, None)
