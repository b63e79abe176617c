"""The regions of this session's models, with what only their host knows, and the error when one is full."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from workbench import _host, preview
from workbench.errors import ModelNotFound, ShmExhausted, WorkbenchError, WorkbenchUsageError
from workbench.session.failures import EXHAUSTED_HINT, cause_of
from workbench.session.regions import SHM
from workbench.shm_inspect.region import RegionReader
from workbench.shm_inspect.report import ShmReport, ShmReports

if TYPE_CHECKING:
    from workbench.session.instance import Instance
    from workbench.session.model_host import ModelHost
    from workbench.session.workbench import Workbench

__all__ = ["LiveShm", "exhausted", "is_exhaustion", "report", "reports"]

_SETTLE_SECONDS = 1.0  # how long a report waits for a model that is not at work to let go of what it sent
_STILL = 3  # looks in a row that find the same
_BETWEEN_SECONDS = 0.01


class LiveShm:
    """Reports of one model's region, again and again; follows the model through reloads and restarts."""

    def __init__(self, host: ModelHost, instance: int = 1) -> None:
        """Nothing is read yet.

        Args:
            host: The model.
            instance: Which of its instances, counted from 1.
        """
        self._host = host
        self._number = instance
        self._instance: Instance | None = None
        self._reader: RegionReader | None = None

    def read(self, *, settle: bool = False) -> ShmReport:
        """The region now.

        Args:
            settle: Wait up to a second until nothing changes any more while no request is under way: a model
                gives back what it sent a moment after its answer has come.

        Raises:
            ModelNotFound: the model does not serve.
            WorkbenchUsageError: it has no such instance, or is an ensemble.
            WorkbenchError: there is nothing to read now, as between two processes.
        """
        now = self._read()
        if not settle:
            return now
        end = time.monotonic() + _SETTLE_SECONDS
        same = 1
        while same < _STILL and time.monotonic() < end:
            time.sleep(_BETWEEN_SECONDS)
            before, now = now, self._read()
            same = same + 1 if before.in_use == now.in_use and not now.under_way else 1
        return now

    def report(self, *, blocks: bool = False, times: bool = False) -> ShmReport:
        """The region once it stands still; `blocks` and `times` are what its text shows besides."""
        return replace(self.read(settle=True), all_blocks=blocks, times=times)

    def _read(self) -> ShmReport:
        instance = self._find()
        if instance is not self._instance or self._reader is None:
            self._reader = RegionReader(SHM / instance.channel.region_name)
            self._instance = instance
        try:
            return self._report(instance, self._reader)
        except _host.StubError as error:  # the channel was closed meanwhile
            raise WorkbenchError(f"{self._host.name}: {error}") from None

    def _report(self, instance: Instance, reader: RegionReader) -> ShmReport:
        channel, settings = instance.channel, instance.plan.settings
        # Counted before and after: a request that came meanwhile makes the blocks of this moment its own.
        _ = channel.free_bytes  # lets go of answers that were taken
        under_way = channel.open_requests
        state = reader.read(channel.held_blocks)
        return ShmReport(
            channel.region_name,
            state,
            model=self._host.name,
            start=settings.shm_default_byte_size,
            growth=settings.shm_growth_byte_size,
            growths=channel.growths,
            peak=max(channel.peak_bytes, state.in_use),
            sent=channel.requests_sent,
            under_way=max(under_way, channel.open_requests),
            cell="cell" if instance.plan.entry.source.label.lower().startswith("cell") else "model.py",
        )

    def _find(self) -> Instance:
        name = self._host.name
        current = self._host.current
        if current is None:
            raise ModelNotFound(f"{name} is not serving", hint="run its %%triton model cell")
        instances = current.instances
        if not instances:
            raise WorkbenchUsageError(
                f"{name} is an ensemble: it has no shared memory of its own", hint="%triton shm"
            )
        if not 1 <= self._number <= len(instances):
            raise WorkbenchUsageError(f"{name} has instances 1 to {len(instances)}, not {self._number}")
        return instances[self._number - 1]


def report(host: ModelHost, instance: int = 1) -> ShmReport:
    """The region of one instance, once it stands still. Raises as `LiveShm.read`."""
    return LiveShm(host, instance).report()


def reports(workbench: Workbench) -> ShmReports:
    """A report for each instance of each model that has one."""
    found = []
    for _, host in sorted(workbench.hosts.items()):
        current = host.current
        for number in range(1, len(current.instances) + 1 if current is not None else 1):
            found.append(report(host, number))
    return ShmReports(found)


def is_exhaustion(text: str) -> bool:
    """Whether an error response says that the stub itself could not make its region larger.

    Triton's words (pb_utils contract §6.1), where they stand alone: what a model's own code met has the type
    of an exception in front, and a line of the cell.
    """
    return cause_of(text).startswith("Failed to increase the shared memory pool size")


def exhausted(name: str, text: str, capacity: int) -> ShmExhausted:
    """The error for what a region cannot be made to hold.

    Args:
        name: Of the model.
        text: What the channel or the stub says; it names the size the region would have to have.
        capacity: The size it has; 0 for one that could not be made.
    """
    hint = EXHAUSTED_HINT
    if not capacity:
        hint += ", or make regions smaller: --backend-config shm-default-byte-size=16777216"
    wanted = re.search(r"to (\d+) bytes", text)
    if wanted is None:
        return ShmExhausted(f"{name}: {text}", hint=hint)
    needed = int(wanted[1]) - capacity
    status = os.statvfs(SHM)
    free, size = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
    said = (
        f"{name} needs {preview.format_bytes(needed)}, /dev/shm has {preview.format_bytes(free)} free of "
        f"{preview.format_bytes(size)}"
    )
    other = re.search(r"Error: (.+)$", text)
    if needed <= free and other is not None:  # it is not the room that lacks: a limit of the process, say
        said += f" ({other[1].strip()})"
    return ShmExhausted(said, hint=hint)
