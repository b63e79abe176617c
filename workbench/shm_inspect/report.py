"""What a region holds, in words: capacity apart from what is kept, and why it is kept."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench import preview
from workbench.shm_inspect.groups import FIXED, WORDS, groups_of, hint_for, rough_text, size_text
from workbench.shm_inspect.region import KINDS, Block, RegionState

__all__ = ["ShmDiff", "ShmReport", "ShmReports"]

_MOST_BLOCKS = 500  # of a report as JSON
_SHOWN_BLOCKS = 50  # of a report as text


@dataclass(frozen=True)
class ShmReport:
    """One region at one moment.

    Attributes:
        region: Its name.
        state: All that was read of it.
        model: Whose it is; "" if that is not known.
        start, growth, growths: Size it was made with, by how much it grows, how often; None if unknown.
        peak: The most that was seen in use.
        sent: Requests this instance was given; None of other processes' regions.
        under_way: Requests it has not answered yet.
        cell: What lines are lines of: ``cell``, or a file's name.
        owner_alive: False if nobody has the region any more.
        times: Show ages too; they differ from run to run.
        all_blocks: Show every block.
    """

    region: str
    state: RegionState
    model: str = ""
    start: int | None = None
    growth: int | None = None
    growths: int | None = None
    peak: int = 0
    sent: int | None = None
    under_way: int = 0
    cell: str = "cell"
    owner_alive: bool = True
    times: bool = field(default=False, compare=False)
    all_blocks: bool = field(default=False, compare=False)

    @property
    def capacity(self) -> int:
        """Bytes; never shrinks."""
        return self.state.capacity

    @property
    def in_use(self) -> int:
        """Bytes that are not free."""
        return self.state.in_use

    @property
    def free(self) -> int:
        return self.state.free

    @property
    def largest_free(self) -> int:
        """Bytes of the largest free block: more than fits in it makes the region grow."""
        return self.state.largest_free

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Every used block, in order of offset."""
        return self.state.blocks

    @property
    def kept(self) -> tuple[Block, ...]:
        """Blocks of requests, answers and BLS calls that no result in this process holds.

        Of an idle model: what the model keeps. Known only where both sides leave notes; else ().
        """
        return tuple(each for each in self.blocks if each.origin in WORDS and not each.held)

    @property
    def held(self) -> tuple[Block, ...]:
        """Blocks that results in this process keep."""
        return tuple(each for each in self.blocks if each.held)

    @property
    def verdict(self) -> str:
        """``busy`` (requests are under way), ``leaks`` (kept for several requests), ``keeps`` (kept for one),
        ``grew`` (nothing is kept, the region is larger than it began), or ``steady``.
        """
        if self.under_way:
            return "busy"
        groups = groups_of(self.kept)
        if any(each.requests > 1 for each in groups):
            return "leaks"
        if groups:
            return "keeps"
        return "grew" if self.growths else "steady"

    @property
    def hint(self) -> str:
        """What to do about the verdict; "" if nothing."""
        if self.verdict in ("leaks", "keeps"):
            return hint_for(groups_of(self.kept))
        if self.verdict == "grew":
            needed = -(-self.peak // (1 << 20)) << 20
            return (
                "nothing is kept; a region never shrinks after its largest moment; "
                f"--backend-config shm-default-byte-size={needed} starts it that large"
            )
        return ""

    def kinds(self) -> list[tuple[str, int, int]]:
        """Kind, bytes, number of blocks; in a fixed order, kinds without blocks left out."""
        found = {kind: [0, 0] for kind in KINDS}
        for each in self.blocks:
            found[each.kind][0] += each.bytes
            found[each.kind][1] += 1
        return [(kind, size, count) for kind, (size, count) in found.items() if count]

    def diff(self, before: ShmReport) -> ShmDiff:
        """What came and went since an earlier report of the same region."""
        return ShmDiff(before, self)

    def to_data(self) -> dict[str, Any]:
        """``ShmData``: the JSON of widgets, the JupyterLab panel and ``--json``."""
        largest = sorted(self.blocks, key=lambda each: (-each.bytes, each.offset))
        return {
            "region": self.region,
            "model": self.model or None,
            "capacity": self.capacity,
            "in_use": self.in_use,
            "peak": self.peak,
            "growths": self.growths,
            "free": self.free,
            "largest_free": self.largest_free,
            "queues": [
                {"name": each.name, "depth": each.depth, "size": each.size} for each in self.state.queues
            ],
            "kinds": [{"kind": kind, "bytes": size, "blocks": count} for kind, size, count in self.kinds()],
            "blocks": [_block_data(each) for each in largest[:_MOST_BLOCKS]],
            "owner_alive": self.owner_alive,
            "verdict": self.verdict,
            "hint": self.hint,
            "steady": self.state.steady,
            "truncated": len(largest) > _MOST_BLOCKS,
        }

    def view(self) -> None:
        """Show the region as a map of this moment; ``%triton shm NAME --watch`` follows it."""
        from workbench.widgets.shm_view import show

        show(self)

    # -- as text -------------------------------------------------------------------------------------------

    def head(self) -> str:
        """One line: name and figures."""
        parts = [f"Shm {self.model or self.region}: capacity {preview.format_bytes(self.capacity)}"]
        if self.start is not None and self.growths is not None and self.growth is not None:
            by = self.capacity - self.start
            grown = "not grown"
            if self.growths and by == self.growths * self.growth:
                grown = f"grew {self.growths}x by {preview.format_bytes(self.growth)}"
            elif self.growths:
                grown = f"grew {self.growths}x, by {preview.format_bytes(by)} in all"
            parts[0] += f" (start {preview.format_bytes(self.start)}, {grown})"
        parts.append(f"in use {size_text(self.in_use)}")
        parts.append(f"peak {rough_text(self.peak)}")
        if self.under_way:
            parts.append(f"{self.under_way} request{'' if self.under_way == 1 else 's'} under way")
        elif self.state.noted:
            count = len(self.kept)
            parts.append(f"{count or 'no'} block{'' if count == 1 else 's'} kept")
        if not self.owner_alive:
            parts.append("orphan")
        return ", ".join(parts)

    def _rows(self) -> list[list[str]]:
        if not self.state.noted:
            return [
                [kind, f"{size_text(size)} in {count} block{'' if count == 1 else 's'}"]
                for kind, size, count in self.kinds()
            ]
        kept, held = self.kept, self.held
        apart = {each.offset for each in (*kept, *held)}
        fixed = [each for each in self.blocks if each.offset not in apart]
        rows = [["control and queues", size_text(sum(each.bytes for each in fixed))]]
        rows += [each.row(self.sent, self.cell) for each in groups_of(kept)]
        if held:
            rows.append(
                ["held by results here", f"{size_text(sum(each.bytes for each in held))} in {len(held)} "
                 f"block{'' if len(held) == 1 else 's'}"]
            )  # fmt: skip
        return rows

    def _block_rows(self) -> list[list[str]]:
        shown = sorted(self.blocks, key=lambda each: (-each.bytes, each.offset))[:_SHOWN_BLOCKS]
        return [
            [
                preview.format_bytes(each.bytes),
                each.kind,
                WORDS.get(each.origin, ""),
                each.label,
                f"{self.cell} line {each.line}" if each.line is not None else "",
                f"request {each.request}" if each.request is not None else "",
                *([f"{each.age:.1f} s" if each.age is not None else "?"] if self.times else []),
            ]
            for each in shown
        ]

    def _notes(self) -> list[str]:
        notes = []
        if self.all_blocks and len(self.blocks) > _SHOWN_BLOCKS:
            notes.append(f"{len(self.blocks) - _SHOWN_BLOCKS} more blocks; .blocks has them all")
        if not self.state.steady:
            notes.append("the region changed all the time; the figures are of one pass over it")
        if not self.state.is_triton:
            notes.append("no control block was found; kinds are guesses")
        return notes

    def __repr__(self) -> str:
        lines = [self.head(), *preview.columns(self._rows())]
        if self.all_blocks:
            lines += preview.columns(self._block_rows(), indent="    ")
        lines += [f"note: {each}" for each in self._notes()]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        parts = [preview.html_table(self._rows(), caption=self.head())]
        if self.all_blocks:
            head = ["size", "kind", "of", "tensor", "line", "request", *(["age"] if self.times else [])]
            parts.append(preview.html_table(self._block_rows(), head))
        parts += preview.html_notes(self._notes())
        if self.hint:
            parts.append(f"<p>hint: {html.escape(self.hint)}</p>")
        return preview.mimebundle(repr(self), "\n".join(parts))


def _block_data(block: Block) -> dict[str, Any]:
    return {
        "offset": block.offset,
        "size": block.bytes,
        "kind": block.kind,
        "age_s": None if block.age is None else round(block.age, 3),
        "line": block.line,
        "request": None if block.request is None else str(block.request),
        "origin": block.origin or None,
        "label": block.label,
        "held": block.held,
    }


class ShmDiff:
    """What changed in a region between two reports; what both have is left out."""

    def __init__(self, before: ShmReport, after: ShmReport) -> None:
        self.before = before
        self.after = after
        known = {_identity(each) for each in before.blocks}
        now = {_identity(each) for each in after.blocks}
        #: Blocks that came and are still there, those held by results here included.
        self.blocks = tuple(each for each in after.blocks if _identity(each) not in known)
        #: Blocks of the earlier report that are gone.
        self.gone = tuple(each for each in before.blocks if _identity(each) not in now)

    @property
    def growth(self) -> int:
        """By how many bytes the region has grown."""
        return self.after.capacity - self.before.capacity

    @property
    def kept(self) -> tuple[Block, ...]:
        """New blocks that nobody in this process holds: what the model keeps or leaks."""
        noted = self.after.state.noted  # where it is not, all that is not there for good has to do
        return tuple(
            each
            for each in self.blocks
            if not each.held and (each.origin in WORDS if noted else each.kind not in FIXED)
        )

    @property
    def hint(self) -> str:
        return hint_for(groups_of(self.kept))

    def to_data(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "region": self.after.region,
            "model": self.after.model or None,
            "growth": self.growth,
            "blocks": [_block_data(each) for each in self.blocks],
            "gone": len(self.gone),
            "hint": self.hint,
        }

    def _rows(self) -> list[list[str]]:
        rows = [each.row(self.after.sent, self.after.cell) for each in groups_of(self.kept)]
        held = [each for each in self.blocks if each.held]
        if held:
            rows.append(["held by results here", size_text(sum(each.bytes for each in held))])
        return rows

    def head(self) -> str:
        name = self.after.model or self.after.region
        kept = self.kept
        count = f"{len(kept)} block{'' if len(kept) == 1 else 's'}, {size_text(sum(b.bytes for b in kept))},"
        text = f"Shm {name}: {count if kept else 'nothing'} survived"
        return text + (f"; it grew by {preview.format_bytes(self.growth)}" if self.growth else "")

    def __repr__(self) -> str:
        lines = [self.head(), *preview.columns(self._rows())]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        parts = [preview.html_table(self._rows(), caption=self.head())]
        if self.hint:
            parts.append(f"<p>hint: {html.escape(self.hint)}</p>")
        return preview.mimebundle(repr(self), "\n".join(parts))


def _identity(block: Block) -> tuple[object, ...]:
    """The same block again, not another one at its place; without notes the place has to do."""
    return block.offset, block.bytes, block.origin, block.request, block.line


class ShmReports(Sequence[ShmReport]):
    """Reports of several regions, as a table."""

    HEAD = ("model", "capacity", "in use", "largest free", "blocks", "grew", "owner")

    def __init__(self, reports: Sequence[ShmReport], unreadable: Sequence[str] = ()) -> None:
        self._reports = tuple(reports)
        self.unreadable = tuple(unreadable)  # regions that could not be read, with the reason

    def __getitem__(self, index: int) -> ShmReport:  # type: ignore[override]
        return self._reports[index]

    def __len__(self) -> int:
        return len(self._reports)

    def to_data(self) -> dict[str, Any]:
        """The body of the kernel link's ``shm`` message."""
        return {"reports": [each.to_data() for each in self._reports]}

    def rows(self) -> list[list[str]]:
        """A row for each region, under `HEAD`."""
        return [
            [
                each.model or each.region,
                preview.format_bytes(each.capacity),
                size_text(each.in_use),
                rough_text(each.largest_free),
                str(len(each.blocks)),
                "?" if each.growths is None else f"{each.growths}x",
                "live" if each.owner_alive else "orphan",
            ]
            for each in self._reports
        ]

    def __repr__(self) -> str:
        if not self._reports and not self.unreadable:
            return "Shm: no regions"
        lines = [f"Shm: {len(self)} region{'' if len(self) == 1 else 's'}"]
        lines += preview.columns([list(self.HEAD), *self.rows()])
        return "\n".join([*lines, *(f"note: {each}" for each in self.unreadable)])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        parts = [
            preview.html_table(self.rows(), self.HEAD, caption="Shm"),
            *preview.html_notes(self.unreadable),
        ]
        return preview.mimebundle(repr(self), "\n".join(parts))
