"""Blocks that belong together, the words for them, and what to do about those that are kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from workbench import preview
from workbench.shm_inspect.region import Block

__all__ = ["FIXED", "WORDS", "Group", "groups_of", "hint_for", "rough_text", "size_text"]

FIXED = ("control", "queue")
WORDS = {
    "request": "request inputs",
    "response": "outputs",
    "bls request": "BLS inputs",
    "bls response": "BLS outputs",
}


def size_text(count: int) -> str:
    """Rounded up to 1 KiB: what lies beside it in a region differs a little from run to run."""
    return preview.format_bytes(-(-count // 1024) * 1024)


def rough_text(count: int) -> str:
    """Two digits, for what depends on the moment."""
    digits = f"{count:.1e}"
    return preview.format_bytes(int(float(digits)))


@dataclass(frozen=True)
class Group:
    """Blocks that were allocated for the same reason at the same line."""

    origin: str
    line: int | None
    blocks: tuple[Block, ...]

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.blocks)

    @property
    def requests(self) -> int:
        """How many requests they were allocated for, where that is known."""
        return len({each.request for each in self.blocks if each.request is not None})

    def row(self, sent: int | None, cell: str) -> list[str]:
        """What, how much, and since when."""
        count = len(self.blocks)
        text = f"{size_text(self.bytes)} in {count} block{'' if count == 1 else 's'}"
        known = [each.request for each in self.blocks if each.request is not None]
        if known and sent is not None:
            after = sent - min(known)
            text += f", alive after {after + 1} request{'' if after == 0 else 's'}"
        if self.line is not None:
            text += f", allocated at {cell} line {self.line}"
        return [WORDS.get(self.origin, "other"), text]


def groups_of(blocks: Iterable[Block]) -> list[Group]:
    """Blocks by origin and line; the largest group first."""
    found: dict[tuple[str, int | None], list[Block]] = {}
    for each in blocks:
        # A string or a message is part of the tensor or request it came with.
        found.setdefault((each.origin, each.line), []).append(each)
    groups = [Group(origin, line, tuple(each)) for (origin, line), each in found.items()]
    return sorted(groups, key=lambda each: (-each.bytes, each.origin, each.line or 0))


def hint_for(groups: Sequence[Group]) -> str:
    origins = {each.origin for each in groups}
    if "bls response" in origins:
        many = max(each.requests for each in groups if each.origin == "bls response") > 1
        what = "responses of BLS calls pile up" if many else "the response of a BLS call is kept"
        return f"{what}; keep as_numpy().copy() of what you need, not the response"
    if origins & set(WORDS):
        return "a tensor stored on self keeps its block; copy with as_numpy().copy()"
    return ""
