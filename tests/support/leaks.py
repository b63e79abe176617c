"""What a test may not leave behind: processes, and shared-memory regions.

Other test runs may be at work on the same machine, so "new since the test began" is not enough. A process
is ours if it descends from this one or carries this run's mark in its environment, which also finds those
whose parent is gone. A region is *not* ours while a process that is not ours has it mapped.
"""

from __future__ import annotations

import gc
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from workbench.server_install import ServerInstall
from workbench.targets.process_server import ServerProcess

MARK = "WORKBENCH_TEST_RUN"
REGION_PREFIXES = ("triton_", "wb_")
# Also for regions of other runs that no process has mapped for a moment, as orphans made by a test are.
PATIENCE_S = 30.0
_SHM = Path("/dev/shm")

# Helpers of the standard library that live as long as the interpreter, by design.
_STANDING = ("multiprocessing.resource_tracker",)

_long_lived: list[ServerProcess] = []
_long_lived_processes: set[int] = set()


def mark_this_run() -> None:
    """Give this process, and so its children, a mark of its own."""
    os.environ[MARK] = uuid.uuid4().hex


@contextmanager
def shared_server(install: ServerInstall, repository: Path) -> Iterator[ServerProcess]:
    """A server that several tests use. What it and its stubs own does not count as left behind."""
    with ServerProcess(repository, install) as server, long_lived(server):
        yield server


@contextmanager
def long_lived(server: ServerProcess) -> Iterator[None]:
    """The same for a server that runs already."""
    _long_lived.append(server)
    try:
        yield
    finally:
        _long_lived.remove(server)


@contextmanager
def long_lived_processes(processes: Iterable[psutil.Process]) -> Iterator[None]:
    """Processes that several tests use, a browser's say: they and their children are not left behind."""
    pids = {process.pid for process in processes}
    _long_lived_processes.update(pids)
    try:
        yield
    finally:
        _long_lived_processes.difference_update(pids)


@dataclass(frozen=True)
class Snapshot:
    """Our processes (pid, start time) and all regions at one moment."""

    processes: frozenset[tuple[int, float]]
    regions: frozenset[str]

    @classmethod
    def take(cls) -> Snapshot:
        ours = frozenset((process.pid, process.create_time()) for process in _our_processes())
        return cls(ours, frozenset(_regions()))

    def left_since(self) -> list[str]:
        """One line for each process and region that is ours, new, and owned by no long-lived server."""
        lines = []
        ours = _our_processes()
        for process in ours:
            try:
                new = (process.pid, process.create_time()) not in self.processes
                if new and not _belongs_to_long_lived(process):
                    command = " ".join(process.cmdline()) or process.name()
                    lines.append(f"process {process.pid} ({process.status()}): {command[:300]}")
            except psutil.NoSuchProcess:
                continue
        suspects = [
            name
            for name in _regions()
            if name not in self.regions
            and not any(name.startswith(server.region_prefix) for server in _long_lived)
        ]
        if suspects:
            foreign = _mapped_by_others({process.pid for process in ours} | {os.getpid()})
            lines += [f"region /dev/shm/{name}" for name in suspects if name not in foreign]
        return lines

    def wait_until_nothing_left(self, patience: float = PATIENCE_S) -> list[str]:
        """The same, after at most `patience` seconds in which what is on its way out may end."""
        deadline = time.monotonic() + patience
        left = self.left_since()
        while left and time.monotonic() < deadline:
            gc.collect()  # a region may hang on an object in a cycle
            time.sleep(0.05)
            left = self.left_since()
        return left


def _regions() -> list[str]:
    return [entry.name for entry in _SHM.iterdir() if entry.name.startswith(REGION_PREFIXES)]


def _our_processes() -> list[psutil.Process]:
    mark, me = os.environ[MARK], psutil.Process()
    found = {process.pid: process for process in me.children(recursive=True)}
    for process in psutil.process_iter():
        try:
            if process.pid not in found and process.pid != me.pid and process.environ().get(MARK) == mark:
                found[process.pid] = process
        except psutil.Error:  # ended meanwhile, or another user's
            continue
    return [process for process in found.values() if not _is_standing(process)]


def _is_standing(process: psutil.Process) -> bool:
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return any(name in command for name in _STANDING)


def _belongs_to_long_lived(process: psutil.Process) -> bool:
    family = {process.pid, *(parent.pid for parent in process.parents())}
    if family & _long_lived_processes:
        return True
    arguments = process.cmdline()
    return any(
        server.pid in family or any(argument.startswith(server.region_prefix) for argument in arguments)
        for server in _long_lived
    )


def _mapped_by_others(ours: set[int]) -> set[str]:
    names = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        if int(maps.parent.name) in ours:
            continue
        try:
            text = maps.read_text(errors="replace")
        except OSError:
            continue
        names |= {line.rsplit("/dev/shm/", 1)[1] for line in text.splitlines() if "/dev/shm/" in line}
    return names


def mapped_regions(prefix: str) -> set[str]:
    """Names of the regions with that prefix that this process has mapped, unlinked ones too."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    names = {line.split("/dev/shm/")[1].split()[0] for line in lines if "/dev/shm/" in line}
    return {name for name in names if name.startswith(prefix)}


def own_memory(pid: int | None = None) -> int:
    """Bytes that a process has allocated and that are in memory; this one's by default.

    Not its unique set size: that counts a library's pages too as soon as no other process has them mapped.
    """
    lines = Path(f"/proc/{pid or os.getpid()}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Anonymous:"))
