"""Regions of this machine, whoever made them, as reports."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.shm_inspect.owners import SHM, Owner, find_regions
from workbench.shm_inspect.region import RegionReader
from workbench.shm_inspect.report import ShmReport, ShmReports

__all__ = ["Machine"]

_OWNERS_SECONDS = 3.0  # who has which region is asked no more often: it takes a look at every process


class Machine:
    """Looks at all regions again and again; knows a block's age and a region's peak since the first look."""

    def __init__(self, names: Iterable[str] = (), *, folder: Path = SHM) -> None:
        """Nothing is looked at yet.

        Args:
            names: These regions only.
            folder: Where regions lie.
        """
        self._names = tuple(names)
        self._folder = folder
        self._readers: dict[str, RegionReader] = {}
        self._owners: list[Owner] | None = None
        self._found = 0.0

    def look(self) -> ShmReports:
        """Reports in order of name. What cannot be read is named with the reason."""
        reports, unreadable = [], []
        readers: dict[str, RegionReader] = {}
        for owner in self._find():
            try:
                reader = self._readers.get(owner.name)
                if reader is None or reader.gone:
                    if not owner.path.exists():
                        continue  # removed since the regions were looked for
                    reader = RegionReader(owner.path)
                readers[owner.name] = reader
                reports.append(report_of(owner, reader))
            except WorkbenchError as error:
                unreadable.append(str(error))
        self._readers = readers
        return ShmReports(reports, unreadable)

    def _find(self) -> list[Owner]:
        now = time.monotonic()
        if self._owners is None or now - self._found > _OWNERS_SECONDS:
            self._owners, self._found = find_regions(self._names, folder=self._folder), now
        return self._owners


def report_of(owner: Owner, reader: RegionReader) -> ShmReport:
    """A region of any process, as a report."""
    state = reader.read()
    growths = None
    if owner.start and owner.growth:
        growths = -(-max(state.capacity - owner.start, 0) // owner.growth)
    return ShmReport(
        owner.name,
        state,
        model=owner.model,
        start=owner.start or None,
        growth=owner.growth or None,
        growths=growths,
        peak=reader.peak,
        cell="model.py",
        owner_alive=owner.alive,
    )
