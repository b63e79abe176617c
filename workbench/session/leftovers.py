"""What sessions that were killed left on this machine: their regions, and stubs that did not notice."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Any

import psutil

from workbench import preview
from workbench.session.regions import PREFIX, SHM, is_free, orphans

__all__ = ["Leftovers", "clean"]

_PATIENCE_SECONDS = 3.0


@dataclass(frozen=True)
class Leftovers:
    """Regions (name, bytes) and processes (pid, name) whose session is gone."""

    regions: tuple[tuple[str, int], ...]
    processes: tuple[tuple[int, str], ...]
    removed: bool

    def to_data(self) -> dict[str, Any]:
        """The same, for JSON."""
        return {
            "regions": [{"name": name, "bytes": size} for name, size in self.regions],
            "processes": [{"pid": pid, "name": name} for pid, name in self.processes],
            "removed": self.removed,
        }

    def __repr__(self) -> str:
        if not self.regions and not self.processes:
            return "Clean: nothing was left behind"
        rows = [["region", name, preview.format_bytes(size)] for name, size in self.regions]
        rows += [["process", str(pid), name] for pid, name in self.processes]
        head = "removed" if self.removed else "would be removed"
        return "\n".join([f"Clean: {len(rows)} {head}", *preview.columns(rows)])


def clean(*, dry_run: bool = False) -> Leftovers:
    """End stubs and remove regions of this user that no living session owns.

    Args:
        dry_run: Only look.
    """
    stubs = _abandoned_stubs()
    processes = tuple((each.pid, _name(each)) for each in stubs)
    if not dry_run:
        for each in stubs:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(stubs, timeout=_PATIENCE_SECONDS)
    regions = []
    for path in orphans():
        with contextlib.suppress(OSError):
            regions.append((path.name, path.stat().st_size))
            if not dry_run:
                path.unlink()
    return Leftovers(tuple(regions), processes, not dry_run)


def _abandoned_stubs() -> list[psutil.Process]:
    """Processes started for one of our regions that nobody owns any more."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.uids().real != os.getuid():
                continue
            words = (word.lstrip("/") for word in process.cmdline())
            region = next((word for word in words if word.startswith(PREFIX) and "/" not in word), None)
            if region is not None and (not (SHM / region).exists() or is_free(SHM / region)):
                found.append(process)
    return found


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return str(process.name())
    return "?"
