"""Chosen faults in processes that take part in a region: see injector.c."""

from __future__ import annotations

import mmap
import os
import signal
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

_SOURCE = Path(__file__).with_name("injector.c")
_FORMAT = "=QQIII"  # steps, at, signal, fired, clock


def build(folder: Path) -> Path:
    """The library to preload."""
    library = folder / "fault_injector.so"
    compiler = os.environ.get("CC", "cc")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(_SOURCE), "-ldl"],
        check=True,
    )
    return library


class Injector:
    """The control block of one group of processes."""

    def __init__(self, control: Path, library: Path | None = None) -> None:
        self._path = control
        self._library = library
        with control.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    @classmethod
    def make(cls, library: Path) -> Injector:
        """A new one, with its file beside the library."""
        handle, path = tempfile.mkstemp(dir=library.parent, suffix=".control")
        os.ftruncate(handle, mmap.PAGESIZE)
        os.close(handle)
        return cls(Path(path), library)

    @classmethod
    def attach(cls, control: Path) -> Injector:
        """Another's, in another process."""
        return cls(control)

    @property
    def environment(self) -> Mapping[str, str]:
        """What the processes need in theirs."""
        assert self._library is not None
        return {"LD_PRELOAD": str(self._library), "WORKBENCH_FAULT_CONTROL": str(self._path)}

    @property
    def steps(self) -> int:
        """How many there have been."""
        return self._read()[0]

    @property
    def fired(self) -> int:
        """Process id of the one that had the fault, 0 before."""
        return self._read()[3]

    def arm(self, steps: int, number: int = signal.SIGKILL) -> None:
        """Have the process that makes the step `steps` from now (1: the next) get that signal, once."""
        struct.pack_into("=Q", self._map, 8, 0)
        struct.pack_into("=II", self._map, 16, int(number), 0)
        struct.pack_into("=Q", self._map, 8, self.steps + steps)

    def disarm(self) -> None:
        """Nothing happens any more."""
        struct.pack_into("=Q", self._map, 8, 0)

    def jump_clock(self, on: bool = True) -> None:
        """Have the wall clock jump an hour forth and back at every look."""
        struct.pack_into("=I", self._map, 24, int(on))

    def close(self) -> None:
        self._map.close()
        self._path.unlink()

    def _read(self) -> tuple[int, int, int, int, int]:
        return struct.unpack_from(_FORMAT, self._map)
