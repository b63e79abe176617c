"""The last lines of the logs, as a result."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from workbench import preview
from workbench.session.logs import LogRecord, LogRing

__all__ = ["LogView", "line_data"]

_HEAD = ["model", "level", "place", "text"]


class LogView:
    """What was logged when this was made.

    Attributes:
        model: Whose lines; "" for those of all models.
        level: The least important level shown.
        records: The lines, oldest first.
        dropped: Lines that the logs do not have any more.
        ring: Where later lines will be.
    """

    def __init__(self, ring: LogRing, model: str = "", count: int = 50, level: str = "info") -> None:
        """Take the last `count` lines (0: all)."""
        self.ring = ring
        self.model = model
        self.level = level
        self.records: tuple[LogRecord, ...] = tuple(ring.records(model, count, level))
        self.dropped = ring.dropped

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        of = f" {self.model}" if self.model else ""
        if not self.records:
            return f"Logs{of}: none"
        count = len(self.records)
        head = f"Logs{of}: {count} line{'' if count == 1 else 's'}"
        return "\n".join([head, *(f"  {line}" for each in self.records for line in str(each).splitlines())])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        rows = [[each.model, each.level, _place(each), each.text] for each in self.records]
        return preview.mimebundle(repr(self), preview.html_table(rows, _HEAD, caption="Logs"))

    def view(self) -> None:
        """Display the lines, and those to come, by level and text."""
        from workbench.widgets.log_view import show

        show(self)

    def to_data(self) -> dict[str, Any]:
        """``{lines: [{seq, model, level, text, line}], dropped}``; ``line`` is that of model.py, or None."""
        return {"lines": [line_data(each) for each in self.records], "dropped": self.dropped}


def _place(record: LogRecord) -> str:
    return f"{PurePath(record.file).name}:{record.line}" if record.file else ""


def line_data(record: LogRecord) -> dict[str, Any]:
    """One line as JSON, for views."""
    in_model = PurePath(record.file).name == "model.py"
    return {
        "seq": record.seq,
        "model": record.model,
        "level": record.level,
        "text": record.text,
        "line": record.line if in_model and record.line else None,
    }
