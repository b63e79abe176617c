"""What is shown of a server: its models, its log."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from workbench import preview

__all__ = ["LogText", "ServerModel", "ServerModels", "plain_log"]

_HEAD = ["model", "state", "server", "source", "signature"]
# `I1125 22:58:10.123456 4086 model.cc:12] "text"`: time and process differ from run to run.
_LINE = re.compile(
    r"(?P<level>[IWEFV])\d{4} [0-9:.]+ \d+ (?P<place>[^\s:]+:\d+)\] (?P<quote>\"?)(?P<text>.*?)(?P=quote)$"
)
_LEVELS = {"I": "INFO", "W": "WARNING", "E": "ERROR", "F": "ERROR", "V": "VERBOSE"}
_RANK = {"VERBOSE": 0, "INFO": 1, "WARNING": 2, "ERROR": 3}


@dataclass(frozen=True)
class ServerModel:
    """One model of a server. ``detail`` is its signature, or why it is not ready."""

    name: str
    state: str
    server: str
    src: str
    detail: str = ""

    def row(self) -> list[str]:
        return [self.name, self.state, self.server, self.src, self.detail]


class ServerModels(Mapping[str, ServerModel]):
    """Models of one server by name, shown as a table."""

    def __init__(self, server: str, models: Sequence[ServerModel]) -> None:
        self.server = server
        self._models = {each.name: each for each in models}

    def __getitem__(self, name: str) -> ServerModel:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def to_data(self) -> list[dict[str, Any]]:
        """One for each model, for JSON."""
        return [asdict(each) for each in self._models.values()]

    def __repr__(self) -> str:
        if not self._models:
            return f"Models on {self.server}: none; %triton push NAME --to {self.server} brings one"
        rows = [each.row() for each in self._models.values()]
        return "\n".join([f"Models on {self.server}: {len(self)}", *preview.columns(rows)])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        rows = [each.row() for each in self._models.values()]
        table = preview.html_table(rows, _HEAD, caption=f"Models on {self.server}") if rows else ""
        return preview.mimebundle(repr(self), table)


class LogText(Sequence[str]):
    """Lines of a server's log, oldest first, without times and process numbers."""

    def __init__(self, server: str, lines: Sequence[str]) -> None:
        self.server = server
        self.lines = tuple(lines)

    def __getitem__(self, index: Any) -> Any:
        return self.lines[index]

    def __len__(self) -> int:
        return len(self.lines)

    def to_data(self) -> list[str]:
        """The lines, for JSON."""
        return list(self.lines)

    def __repr__(self) -> str:
        return "\n".join(self.lines) if self.lines else f"Log of {self.server}: no lines"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self))


def plain_log(text: str, *, model: str = "", level: str = "verbose", count: int = 50) -> list[str]:
    """The last lines of a server's log.

    Args:
        text: The whole log.
        model: Only lines that have this word in them.
        level: The least: verbose, info, warning or error. Lines that go on with one before share its level.
        count: How many lines, at most; 0: all there are.
    """
    word = re.compile(rf"(?<![\w.-]){re.escape(model)}(?![\w-])") if model else None
    found: list[str] = []
    rank = _RANK["INFO"]
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            name = _LEVELS[match["level"]]
            rank = _RANK[name]
            line = f"{name} {match['place']} {match['text']}"
        if rank >= _RANK[level.upper()] and (word is None or word.search(line)):
            found.append(line)
    return found[-count:]
