"""An exception of a model in full, as data: the causes, and every frame's variables in a few characters.

Runs in the stub, when something has failed. Of the model only the texts of its exceptions are asked for: no
`repr` of its own classes, which may take long or fail in turn.
"""

from __future__ import annotations

import os
import reprlib
import traceback
import types
from types import FrameType
from typing import Any

__all__ = ["describe", "is_users", "preview"]

_TEXT = 4000  # characters of an exception's text
_OUTER, _INNER = 10, 30  # frames kept of one exception, from either end
_VARIABLES = 24  # of one frame
_VALUE = 160  # characters of one value
_EXCEPTIONS = 8  # in all: causes, and members of groups
_SIZE = 80_000  # characters of everything, about

# Frames that are no model's: what runs the stub.
_OURS = os.path.dirname(__file__) + os.sep  # noqa: PTH120 - a text to compare with


_LIBRARY = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120
_NAMED = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType)


def is_users(file: str) -> bool:
    """Whether a file is a model's, or one beside it: no installed library, nothing of ours."""
    return not file.startswith((_OURS, _LIBRARY, "<")) and "-packages" + os.sep not in file


class _Preview(reprlib.Repr):
    """Bounded, and without addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = self.maxarray = 6
        self.maxdict = 6
        self.maxstring = self.maxother = self.maxlong = 80

    def repr1(self, x: Any, level: int) -> str:
        kind = type(x)
        known = kind in (int, str, bytes) or hasattr(self, f"repr_{kind.__name__}")
        return super().repr1(x, level) if known else self.repr_instance(x, level)

    def repr_ndarray(self, x: Any, level: int) -> str:
        shape = ", ".join(map(str, x.shape))
        values = [self.repr1(each, level - 1) for each in x.reshape(-1)[:4].tolist()] if x.size else []
        more = ", ..." if x.size > 4 else ""
        return f"{x.dtype}[{shape}] [{', '.join(values)}{more}]"

    def repr_instance(self, x: Any, level: int) -> str:
        if type(x) in (bool, float, complex, type(None)):
            return repr(x)
        if isinstance(x, type):
            return f"<class {x.__qualname__}>"
        kind = type(x)
        name, package = kind.__name__, kind.__module__.partition(".")[0]
        if isinstance(x, BaseException):
            return f"{name}({', '.join(self.repr1(each, level - 1) for each in x.args[:4])})"
        if package in ("torch", "cupy") and hasattr(x, "dtype") and hasattr(x, "shape"):
            return f"<{name} {str(x.dtype).rpartition('.')[2]}{list(x.shape)}>"
        if package == "c_python_backend_utils" and name == "Tensor":
            return f"<Tensor {x.name()} {list(x.shape())}>"
        if kind in _NAMED:
            return f"<{name} {x.__name__}>"
        return f"<{name}>"


def preview(value: Any) -> str:
    """One value in at most 160 characters."""
    try:
        text = _Preview().repr(value)
    except Exception as error:
        return f"<{type(value).__name__}: {type(error).__name__} when looked at>"
    return text if len(text) <= _VALUE else text[: _VALUE - 3] + "..."


def describe(exception: BaseException) -> list[dict[str, Any]]:
    """The exception first, then its causes and the members of groups, each after what it belongs to.

    Returns:
        For each: ``link`` ("", "cause", "context", or "1 of 3" in a group), ``of``: the index of what it
        belongs to, ``type``, ``text``, ``notes``, ``syntax`` (file, line) of a SyntaxError, and ``frames``,
        outermost first: file, line, function, variables.
    """
    found: list[dict[str, Any]] = []
    _add(found, exception, "", 0, set())
    if sum(map(_size, found)) > _SIZE:
        for each in found:
            each["frames"] = [[*frame[:3], []] for frame in each["frames"]]
    return found


def _add(found: list[dict[str, Any]], exception: BaseException, link: str, of: int, seen: set[int]) -> None:
    if len(found) >= _EXCEPTIONS or id(exception) in seen:
        return
    seen.add(id(exception))
    index = len(found)
    entry: dict[str, Any] = {
        "link": link,
        "of": of,
        "type": type(exception).__name__,
        "text": _text(exception)[:_TEXT],
        "notes": [str(each)[:_TEXT] for each in _notes(exception)],
        "frames": _frames(exception),
    }
    if isinstance(exception, SyntaxError) and exception.filename:
        entry["syntax"] = [exception.filename, exception.lineno or 0]
    found.append(entry)
    members = getattr(exception, "exceptions", None)
    if isinstance(members, (list, tuple)) and all(isinstance(each, BaseException) for each in members):
        for number, each in enumerate(members, 1):
            _add(found, each, f"{number} of {len(members)}", index, seen)
    if exception.__cause__ is not None:
        _add(found, exception.__cause__, "cause", index, seen)
    elif exception.__context__ is not None and not exception.__suppress_context__:
        _add(found, exception.__context__, "context", index, seen)


def _text(exception: BaseException) -> str:
    try:
        return str(exception).encode("utf-8", "backslashreplace").decode()
    except Exception:
        return f"<unprintable {type(exception).__name__} object>"


def _notes(exception: BaseException) -> list[Any]:
    notes = getattr(exception, "__notes__", None)
    return list(notes)[:8] if isinstance(notes, (list, tuple)) else []


def _frames(exception: BaseException) -> list[list[Any]]:
    steps = [
        (frame, line)
        for frame, line in traceback.walk_tb(exception.__traceback__)
        if not frame.f_code.co_filename.startswith((_OURS, "<frozen importlib"))
    ]
    if len(steps) > _OUTER + _INNER:
        steps = steps[:_OUTER] + steps[-_INNER:]
    return [
        [frame.f_code.co_filename, line or 0, frame.f_code.co_name, _variables(frame)]
        for frame, line in steps
    ]


def _variables(frame: FrameType) -> list[list[str]]:
    file = frame.f_code.co_filename
    if not is_users(file) or frame.f_code.co_name == "<module>":
        return []  # a library's, of which nobody asks; everything imported so far
    return [[name, preview(value)] for name, value in list(frame.f_locals.items())[:_VARIABLES]]


def _size(entry: dict[str, Any]) -> int:
    return len(entry["text"]) + sum(
        len(name) + len(value) for *_, pairs in entry["frames"] for name, value in pairs
    )
