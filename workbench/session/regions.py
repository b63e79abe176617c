"""Who owns a shared-memory region of ours, and what to do with those nobody owns any more."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from workbench.shm_inspect.owners import OURS as PREFIX
from workbench.shm_inspect.owners import SHM, is_free, may_be_orphan

__all__ = ["PREFIX", "SHM", "RegionLock", "is_free", "orphans", "sweep"]


class RegionLock:
    """Marks a region as owned by this process.

    A shared ``flock`` on the region's file. The kernel lets go of it when the process dies, however it dies,
    and it counts across containers that share /dev/shm, where a process id would not.
    """

    def __init__(self, region_name: str) -> None:
        self._fd = os.open(SHM / region_name, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._fd, fcntl.LOCK_SH)

    def release(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def orphans(prefix: str = PREFIX) -> list[Path]:
    """Regions of this user that no living session owns, by their locks alone.

    `workbench.shm_inspect.orphans` also looks who has a region mapped, which reads all of /proc: a session
    that begins has no time for that, and a stub that outlived its session maps what is to be cleaned up.
    """
    found = []
    for path in sorted(SHM.glob(f"{prefix}*")):
        with contextlib.suppress(OSError):
            status = path.stat()
            if may_be_orphan(status.st_uid, status.st_mtime) and is_free(path):
                found.append(path)
    return found


def sweep(prefix: str = PREFIX) -> list[str]:
    """Remove what a crash left behind; gives the names removed."""
    removed = []
    for path in orphans(prefix):
        with contextlib.suppress(OSError):
            path.unlink()
            removed.append(path.name)
    return removed
