"""What a server says of a failed model → errors at the lines of the cell."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from workbench.errors import Frame
from workbench.model_source import ModelEntry
from workbench.session import failures

__all__ = ["ServerTexts", "at_home", "load_failure"]

_REFUSED = re.compile(
    r"load failed for model '[^']*': version \d+ is at UNAVAILABLE state: [A-Z][A-Za-z ]*: (.*?)[;\n]*\Z",
    re.DOTALL,
)
_FAILED = re.compile(r"Failed to process the request\(s\) for model (?:instance )?'([^']*)', message: ")
_AT = "\n\nAt:\n"
_ANY_FRAME = re.compile(r"^  (?P<file>\S.*)(?P<rest>\(\d+\): .+)$", re.MULTILINE)


def at_home(text: str, entry: ModelEntry) -> str:
    """A text with the server's paths of the model's files replaced by ours.

    A server unpacks sent files wherever it likes, so a file is known by the end of its path: version folder
    and name.
    """
    tail = f"/{entry.version}/"

    def replaced(match: re.Match[str]) -> str:
        file = match["file"]
        if tail not in file or "site-packages" in file:
            return match[0]
        inside = file.rsplit(tail, 1)[1]
        return f"  {entry.path}{tail}{inside}{match['rest']}"

    return _ANY_FRAME.sub(replaced, text)


class ServerTexts:
    """What a server says of a model's failure, with the failures of models it called in it.

    Paths on the server do not name the model, since it unpacks sent files anywhere; what stands before a
    failure does: `` for model 'child_0_0', message: ``. Frames follow in the opposite order.
    """

    def __init__(self, entries: Callable[[str], ModelEntry | None]) -> None:
        """`entries` finds the model that serves there by its name, if it was sent from here."""
        self._entries = entries
        self._seen: list[ModelEntry] = []

    def at_home(self, text: str, entry: ModelEntry) -> str:
        """The text with our paths in it, of every model known here."""
        called = [self._of_instance(match[1]) for match in _FAILED.finditer(text)]
        if called:
            called[0] = entry
        parts = text.split(_AT)
        if len(parts) - 1 != len(called):
            return at_home(text, entry)
        self._seen = [each for each in called if each is not None]
        for place, found in enumerate(reversed(called), 1):
            if found is not None:
                parts[place] = at_home(parts[place], found)
        return _AT.join(parts)

    def failure(self, text: str) -> list[dict[str, Any]]:
        return []

    def entry_of(self, file: str) -> ModelEntry | None:
        return next((each for each in self._seen if file.startswith(f"{each.path}/")), None)

    def _of_instance(self, instance: str) -> ModelEntry | None:
        name = instance
        while name:
            found = self._entries(name)
            if found is not None:
                return found
            name = name.rpartition("_")[0]
        return None


def load_failure(text: str, entry: ModelEntry) -> tuple[str, tuple[Frame, ...]]:
    """``Type: text`` as the model raised it, and where."""
    match = _REFUSED.search(text)
    found = failures.load_error(entry, at_home(match[1] if match else text, entry), serving="")
    return found.cause, found.frames
