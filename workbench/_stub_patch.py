"""In a stub of ours: give the living model new methods without making it anew.

The module of model.py is executed again in its own namespace, so that what ``initialize`` left there stays;
helper files beside it are imported again. Then every instance of a class of theirs is made one of the
class's new version. Nothing has changed if any of it fails.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any

from workbench._line import Message
from workbench._stub_line import StubLine

__all__ = ["install"]

_MODEL_CLASS = "TritonPythonModel"
_SAY_SECONDS = 10.0

_undo_last: Callable[[], None] = lambda: None  # noqa: E731 - replaced by each patch


def install(stub_line: StubLine) -> None:
    """Answer ``{"kind": "patch", "file", "module"}``, which gives a module a new source, and ``undo_patch``,
    which takes the last patch back, with ``{"kind": "patched", "error"}``. The error is "" or a text in the
    form in which exceptions cross to the parent.
    """

    def patch(message: Message) -> None:
        error = ""
        try:
            _patch(message["file"], sys.modules[message["module"]])
        except BaseException as exception:  # whatever a module's body raises
            error = _wire_text(exception)
            stub_line.describe(exception, error)
        stub_line.line.send({"kind": "patched", "error": error}, _SAY_SECONDS)

    def undo(message: Message) -> None:
        _undo_last()
        stub_line.line.send({"kind": "patched", "error": ""}, _SAY_SECONDS)

    stub_line.handlers.update({"patch": patch, "undo_patch": undo})


def _patch(file: str, module: ModuleType) -> None:
    """Put the source in `file` in the place of the module's, and of its model's methods."""
    global _undo_last
    old_file = str(module.__file__)
    space = vars(module)
    names, modules, path = dict(space), dict(sys.modules), list(sys.path)
    swapped: list[tuple[Any, type]] = []

    def undo() -> None:
        for each, cls in reversed(swapped):
            each.__class__ = cls
        for name in [name for name in space if name not in names]:
            del space[name]
        space.update(names)
        for name in [name for name in sys.modules if name not in modules]:
            if _lies_in(sys.modules[name], new_folder):
                del sys.modules[name]
        sys.modules.update(helpers)
        for package, name, each in attributes:
            setattr(package, name, each)
        sys.path[:] = path

    old_folder, new_folder = _model_folder(old_file), _model_folder(file)
    helpers = {
        name: each
        for name, each in modules.items()
        if each is not module and _lies_in(each, old_folder) and getattr(each, "__file__", None)
    }
    attributes = [
        (modules[parent], child, each)
        for name, each in helpers.items()
        for parent, _, child in [name.rpartition(".")]
        if parent in modules and vars(modules[parent]).get(child) is each
    ]
    try:
        for name in helpers:
            del sys.modules[name]
        for package, name, _ in attributes:
            delattr(package, name)  # `from . import utils` looks here first
        sys.path[:] = [_moved(each, old_folder, new_folder) for each in path]
        with open(file, "rb") as source:  # noqa: PTH123 - pathlib would be one more import in a stub
            code = compile(source.read(), file, "exec")
        module.__file__ = file
        exec(code, space)  # noqa: S102 - the user's own model
        spaces = [(module.__name__, names, space)]
        for name, each in helpers.items():
            if name in sys.modules:
                spaces.append((name, vars(each), vars(sys.modules[name])))
        found = False
        for name, before, after in spaces:
            for key, old in list(before.items()):
                new = after.get(key)
                if not isinstance(old, type) or not isinstance(new, type) or new is old:
                    continue
                if old.__module__ != name:  # imported from elsewhere
                    continue
                for each in _instances(old):
                    each.__class__ = new
                    swapped.append((each, old))
                    found = found or key == _MODEL_CLASS
        if not found:
            raise TypeError(f"no instance of {_MODEL_CLASS} was found to be patched")
    except BaseException:
        undo()
        raise
    _undo_last = undo


def _instances(cls: type) -> list[Any]:
    return [each for each in gc.get_referrers(cls) if type(each) is cls]


def _model_folder(file: str) -> str:
    """The model's directory: model.py lies in a version folder of it."""
    return os.path.dirname(os.path.dirname(file))  # noqa: PTH120


def _lies_in(module: ModuleType, folder: str) -> bool:
    file = getattr(module, "__file__", None)
    return bool(file) and str(file).startswith(folder + os.sep)


def _moved(path: str, old: str, new: str) -> str:
    return new + path[len(old) :] if path == old or path.startswith(old + os.sep) else path


def _wire_text(error: BaseException) -> str:
    """``Type: text`` and the frames, innermost first (pb_utils contract §6.2), without those of this file."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and not frame.filename.startswith("<frozen importlib")
    ]
    head = f"{type(error).__name__}: {error}"
    if not frames:
        return head
    lines = [f"  {frame.filename}({frame.lineno}): {frame.name}" for frame in reversed(frames)]
    return "\n".join([head, "", "At:", *lines])
