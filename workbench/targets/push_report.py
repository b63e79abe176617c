"""What a push, a roll-back or a look at a server shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from workbench import preview

__all__ = ["PushReport"]


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

    def __repr__(self) -> str:
        arrow = "->" if self.verb == "Push" else "on"
        head = f"{self.verb} {self.model} {arrow} {self.server}: {self.state}"
        lines = [f"{head}  {self.src}".rstrip(), *preview.columns(self.steps)]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self))
