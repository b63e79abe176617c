"""What a server says of a failed model → errors at the lines of the cell."""

from __future__ import annotations

import re

from workbench.errors import Frame
from workbench.model_source import ModelEntry
from workbench.session import failures

__all__ = ["at_home", "load_failure"]

_REFUSED = re.compile(
    r"load failed for model '[^']*': version \d+ is at UNAVAILABLE state: [A-Z][A-Za-z ]*: (.*?)[;\n]*\Z",
    re.DOTALL,
)
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


def load_failure(text: str, entry: ModelEntry) -> tuple[str, tuple[Frame, ...]]:
    """``Type: text`` as the model raised it, and where."""
    match = _REFUSED.search(text)
    found = failures.load_error(entry, at_home(match[1] if match else text, entry), serving="")
    return found.cause, found.frames
