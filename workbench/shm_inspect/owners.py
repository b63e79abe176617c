"""The regions of this machine and whose they are, from /dev/shm and /proc; nothing is opened for writing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from workbench import _host

__all__ = ["OURS", "SHM", "Owner", "find_regions", "is_free", "is_ours", "is_region", "may_be_orphan"]

SHM = Path("/dev/shm")  # noqa: S108 - where POSIX shared memory lives on Linux
#: How names of live models' regions begin. A server's are called whatever its configuration says.
OURS = "wb_live_"
_SETTLE_SECONDS = 10.0  # who makes a region needs a moment to map and lock it
_LEAST = 1 << 20  # bytes of a region
_LOOK_SECONDS = 0.02
_ARGUMENTS = 9  # of a stub; the region is the second, see protocol.md §6.1


@dataclass(frozen=True)
class Owner:
    """A region's file, and the processes that have to do with it.

    Attributes:
        name: Of the region.
        model: Name of the model instance, from the stub's arguments; "" if no stub of it is to be seen.
        start: Size it was made with, and `growth` by how much it grows; 0 if unknown.
        mapped_by: Processes that have it mapped, of those that may be looked at.
        alive: False only if nobody has it: no process maps it and no session of ours holds its lock.
    """

    name: str
    size: int
    mtime: float
    uid: int
    model: str = ""
    start: int = 0
    growth: int = 0
    mapped_by: tuple[int, ...] = ()
    alive: bool = True
    ours: bool = False
    _path: Path = field(default=SHM, repr=False)

    @property
    def path(self) -> Path:
        return self._path / self.name

    @property
    def removable(self) -> bool:
        """Nobody has it, it is this user's, and it has been there for a while."""
        return not self.alive and may_be_orphan(self.uid, self.mtime)


def is_ours(name: str) -> bool:
    """Whether a live host of this package made it."""
    return name.startswith(OURS)


def is_region(path: Path) -> bool:
    """Whether a file is laid out as the Python backend lays out its regions."""
    try:
        if not path.is_file() or path.stat().st_size < _LEAST:
            return False
        return _host.RegionInspector(str(path)).snapshot(_LOOK_SECONDS).is_triton
    except (OSError, _host.StubError):
        return False


def find_regions(names: Iterable[str] = (), *, folder: Path = SHM) -> list[Owner]:
    """Regions of the Python backend, in order of name.

    Args:
        names: These only, whatever they are called.
        folder: Where regions lie.
    """
    wanted = set(names)
    files: dict[str, os.stat_result] = {}
    for each in sorted(folder.iterdir()) if folder.is_dir() else []:
        if each.name in wanted or (not wanted and (is_ours(each.name) or is_region(each))):
            with contextlib.suppress(OSError):
                files[each.name] = each.stat()
    if not files:
        return []
    stubs, maps = _processes(set(files), folder)
    return [
        _owner(name, status, stubs.get(name), tuple(sorted(maps.get(name, ()))), folder)
        for name, status in files.items()
    ]


def _owner(
    name: str, status: os.stat_result, stub: list[str] | None, pids: tuple[int, ...], folder: Path
) -> Owner:
    model, start, growth = "", 0, 0
    if stub is not None:
        model = stub[7]
        with contextlib.suppress(ValueError):
            start, growth = int(stub[2]), int(stub[3])
    return Owner(
        name,
        status.st_size,
        status.st_mtime,
        status.st_uid,
        model=model,
        start=start,
        growth=growth,
        mapped_by=pids,
        alive=_has_owner(folder / name, pids),
        ours=is_ours(name),
        _path=folder,
    )


def may_be_orphan(uid: int, mtime: float) -> bool:
    """Whether a region is this user's and has been there for so long that its owner would have it by now.

    Args:
        uid: Of the file.
        mtime: Seconds since 1970.
    """
    return uid == os.getuid() and time.time() - mtime > _SETTLE_SECONDS


def is_free(path: Path) -> bool:
    """No living session owns the region, in this container or another. Raises OSError if it is gone."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _has_owner(path: Path, pids: tuple[int, ...]) -> bool:
    try:
        return bool(pids) or not is_free(path)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # nothing can be said of it: leave it alone


def _processes(names: set[str], folder: Path) -> tuple[dict[str, list[str]], dict[str, set[int]]]:
    """Arguments of the stubs, by region, and who maps which region."""
    stubs: dict[str, list[str]] = {}
    maps: dict[str, set[int]] = {}
    prefix = f"{folder}/"
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            arguments = _arguments(process, names)
            if arguments is not None:
                stubs[arguments[1]] = arguments
            for line in (process / "maps").read_text(errors="replace").splitlines():
                _, found, name = line.partition(prefix)
                if found and name in names:
                    maps.setdefault(name, set()).add(int(process.name))
    return stubs, maps


def _arguments(process: Path, names: set[str]) -> list[str] | None:
    """The nine arguments of a stub, whatever runs it."""
    words = (process / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    for position, word in enumerate(words):
        if word in names and position >= 1 and len(words) >= position + _ARGUMENTS - 1:
            return words[position - 1 : position - 1 + _ARGUMENTS]
    return None
