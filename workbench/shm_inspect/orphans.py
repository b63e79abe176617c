"""Regions that nobody has any more, and their removal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from workbench import preview
from workbench.shm_inspect.owners import SHM, Owner, find_regions

__all__ = ["OrphanReport", "find_orphans"]


class OrphanReport(Sequence[Owner]):
    """Regions without an owner; ``removed`` are those that were removed just now."""

    def __init__(self, found: Sequence[Owner], removed: Sequence[Owner] = ()) -> None:
        self._found = tuple(found)
        self.removed = tuple(removed)

    def __getitem__(self, index: int) -> Owner:  # type: ignore[override]
        return self._found[index]

    def __len__(self) -> int:
        return len(self._found)

    @property
    def bytes(self) -> int:
        """What they take of shared memory."""
        return sum(each.size for each in self._found)

    def to_data(self) -> list[dict[str, object]]:
        """As JSON."""
        gone = {each.name for each in self.removed}
        return [
            {"region": each.name, "bytes": each.size, "ours": each.ours, "removed": each.name in gone}
            for each in self._found
        ]

    def _rows(self) -> list[list[str]]:
        gone = {each.name for each in self.removed}
        return [
            [each.name, preview.format_bytes(each.size), "removed" if each.name in gone else "orphan"]
            for each in self._found
        ]

    def __repr__(self) -> str:
        if not self._found:
            return "Shm orphans: none"
        head = f"Shm orphans: {len(self)}, {preview.format_bytes(self.bytes)}"
        lines = [head + (f", {len(self.removed)} removed" if self.removed else "")]
        lines += preview.columns(self._rows())
        left = [each for each in self._found if each not in self.removed]
        if not self.removed:
            lines.append("hint: %triton shm --orphans --clean removes those of live models")
        elif left:
            lines.append("hint: workbench shm --orphans --clean --all removes a server's too")
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return preview.mimebundle(repr(self))


def find_orphans(
    names: Iterable[str] = (), *, clean: bool = False, servers: bool = False, folder: Path = SHM
) -> OrphanReport:
    """Regions of this user that no process maps and no session holds.

    Args:
        names: Look at these only.
        clean: Remove those of live models. A lock that counts across containers says that nobody has them.
        servers: Remove a server's too. Nothing but the processes of this machine says that nobody has those:
            not for a machine on which containers share /dev/shm.
        folder: Where regions lie.
    """
    found = [each for each in find_regions(names, folder=folder) if each.removable]
    removed = []
    if clean:
        for each in found:
            if each.ours or servers:
                with contextlib.suppress(OSError):
                    each.path.unlink()
                    removed.append(each)
    return OrphanReport(found, removed)
