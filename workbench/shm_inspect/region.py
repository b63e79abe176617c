"""One region, read from outside: its allocator's books, its queues, every block."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from workbench import _host
from workbench.errors import WorkbenchError

__all__ = ["KINDS", "ORIGINS", "Block", "Queue", "RegionReader", "RegionState"]

#: What blocks are, in the order of reports.
KINDS = ("control", "queue", "request", "tensor", "string", "response", "message", "unknown")
#: Why a block was allocated, where both sides leave notes (stub/shm/note.hpp).
ORIGINS = ("", "control", "stub", "request", "response", "bls request", "bls response")


class Block(NamedTuple):
    """One used block. (A tuple: a look makes one for each, and a dataclass takes five times as long.)

    Attributes:
        offset: Of its content in the region; what the protocol calls a handle.
        bytes: Taken from the region, the allocator's header included.
        kind: One of `KINDS`, by what it looks like.
        references: Counted references; 0 for what is not counted.
        label: Of a tensor: ``X FP32[4]``.
        origin: One of `ORIGINS`; "" if nobody left a note.
        line: Of model.py (and so of the cell), where the model asked for it.
        request: The instance's how-manieth request it was allocated for.
        age: Seconds since it was allocated or, without a note, since this reader saw it first (at least that
            old); None at first sight.
        held: A result in this process keeps it.
    """

    offset: int
    bytes: int
    kind: str
    references: int = 0
    label: str = ""
    origin: str = ""
    line: int | None = None
    request: int | None = None
    age: float | None = None
    held: bool = False


@dataclass(frozen=True)
class Queue:
    """A message queue: messages waiting, and places."""

    name: str
    depth: int
    size: int


@dataclass(frozen=True)
class RegionState:
    """A region at one moment.

    ``used`` + ``free`` + ``overhead`` = ``capacity``, in bytes. ``free`` is the allocator's own figure
    (``get_free_memory``); the overhead is the allocator's head. ``steady`` is False where the region changed
    too fast to be seen at one moment: the figures are then those of one pass over it.
    """

    capacity: int
    used: int
    free: int
    overhead: int
    largest_free: int
    queues: tuple[Queue, ...]
    blocks: tuple[Block, ...]  # in order of offset
    steady: bool
    is_triton: bool
    noted: bool

    @property
    def in_use(self) -> int:
        """All that is not free."""
        return self.capacity - self.free


class RegionReader:
    """Reads one region again and again; remembers since when it knows each block, and the peak it saw."""

    def __init__(self, path: Path) -> None:
        """Open the region for reading.

        Raises:
            WorkbenchError: there is no such region, or it may not be read.
        """
        self.path = path
        self.peak = 0
        self._first_seen: dict[tuple[int, int], float] = {}
        try:
            self._inspector = _host.RegionInspector(str(path))
        except _host.StubError as error:
            raise WorkbenchError(str(error), hint="workbench shm --all lists the regions") from None

    @property
    def gone(self) -> bool:
        """Whether its owner has removed it."""
        return not self._inspector.linked

    def read(self, held: Iterable[int] = (), seconds: float = 0.05) -> RegionState:
        """The region now.

        Args:
            held: Offsets of blocks that results in this process keep.
            seconds: How long to try to see it at one moment while it changes.

        Raises:
            WorkbenchError: it is not a region of the Python backend, or too broken to be walked.
        """
        try:
            snapshot = self._inspector.snapshot(seconds)
        except _host.ProtocolError as error:
            raise WorkbenchError(f"{self.path.name}: {error}") from None
        now = time.monotonic()
        before, seen = self._first_seen, {}
        mine = frozenset(held)
        blocks = []
        for offset, size, kind, references, label, origin, line, request, age in snapshot.blocks():
            key = (offset, size)
            since = seen[key] = before.get(key, now)
            if age is None and key in before:
                age = now - since
            blocks.append(
                Block(
                    offset,
                    size,
                    kind,
                    references,
                    label,
                    "" if origin is None or origin >= len(ORIGINS) else ORIGINS[origin],
                    line,
                    request,
                    age,
                    offset in mine,
                )
            )
        self._first_seen = seen
        state = RegionState(
            capacity=snapshot.capacity,
            used=snapshot.used,
            free=snapshot.free_memory,
            overhead=snapshot.capacity - snapshot.used - snapshot.free_memory,
            largest_free=snapshot.largest_free,
            queues=tuple(Queue(*each) for each in snapshot.queues()),
            blocks=tuple(blocks),
            steady=snapshot.steady,
            is_triton=snapshot.is_triton,
            noted=snapshot.noted,
        )
        self.peak = max(self.peak, state.in_use)
        return state
