"""What a push or a roll-back shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench import preview

__all__ = ["PushReport", "PushReports"]


@dataclass(frozen=True)
class PushReport:
    """What was done, step by step. ``src`` is what serves now, "" for a revision that is not ours."""

    model: str
    server: str
    src: str
    steps: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = field(default=())
    verb: str = "Push"
    state: str = "READY"

    def to_data(self) -> dict[str, Any]:
        """What was done, for JSON."""
        keys = ("model", "server", "state", "src", "steps", "notes")
        return {key: getattr(self, key) for key in keys}

    def __repr__(self) -> str:
        arrow = "->" if self.verb == "Push" else "on"
        head = f"{self.verb} {self.model} {arrow} {self.server}: {self.state}"
        lines = [f"{head}  {self.src}".rstrip(), *preview.columns(self.steps)]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self))


class PushReports(Sequence[PushReport]):
    """The reports of a push to several servers, in the order in which they were named."""

    def __init__(self, reports: Sequence[PushReport]) -> None:
        self.reports = tuple(reports)

    def __getitem__(self, index: Any) -> Any:
        return self.reports[index]

    def __len__(self) -> int:
        return len(self.reports)

    def to_data(self) -> list[dict[str, Any]]:
        """One for each server, for JSON."""
        return [each.to_data() for each in self.reports]

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.reports))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self))
