"""Where the time of a request goes, stage by stage: ``%triton bench --profile``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from workbench import _host
from workbench.errors import WorkbenchError

__all__ = ["LiveStages", "Sent", "StageClock"]


@dataclass(frozen=True)
class Sent:
    """One request that was answered; CLOCK_MONOTONIC, seconds."""

    span: int
    began: float
    ended: float


class StageClock(Protocol):
    """Measures the stages of many requests."""

    #: Requests between `begin` and `end`.
    most: int

    def begin(self) -> None: ...
    def options(self, span: int) -> Mapping[str, Any]:
        """What a request is sent with, so that it is found again."""

    def end(self, sent: Sequence[Sent]) -> None: ...
    def means(self) -> dict[str, float]:
        """Mean seconds by stage, in the order in which a request goes through them; their sum is the mean
        latency.
        """


class LiveStages:
    """From the events that every request of the session leaves:

    ``prepare``: inputs checked and encoded. ``queue``: until an instance was free, or a batch was full.
    ``copy in``: written to the instance's region. ``execute``: the stub process has it, both wake-ups and the
    stub's own work included. ``copy out``: until the answer was in the caller's hands.
    """

    most = 200

    def __init__(self, tap: _host.Tap) -> None:
        """Raises WorkbenchError if nothing is recorded."""
        if not tap.enabled or tap.byte_size == 0:
            raise WorkbenchError(
                "--profile reads the events of requests, which are not recorded",
                hint="wb.current().recorder.enabled = True, or trace-buffer-byte-size=4194304",
            )
        self._tap = tap
        self._position = 0
        self._found: list[tuple[float, ...]] = []

    def begin(self) -> None:
        self._position = self._tap.position

    def options(self, span: int) -> Mapping[str, Any]:
        return {"span": span}

    def end(self, sent: Sequence[Sent]) -> None:
        requests: dict[int, _host.TapRecord] = {}  # by the span they were made for; the last one counts
        batches: dict[int, _host.TapRecord] = {}
        answered: dict[int, int] = {}
        for event in self._tap.read(self._position):
            if event.kind == "request":
                requests[event.parent] = event
            elif event.kind == "executed":
                batches[event.span] = event
            elif event.kind == "response":
                answered[event.span] = event.time_ns
        for each in sent:
            request = requests.get(each.span)
            batch = batches.get(request.batch) if request is not None else None
            if request is None or batch is None:
                continue  # its events made room for later ones
            # A response sender answers before execute is over, or long after.
            done = max(batch.time_ns, answered.get(request.span, 0))
            moments = (request.since_ns, request.time_ns, batch.since_ns, done)
            self._found.append((each.began, *(moment / 1e9 for moment in moments), each.ended))

    def means(self) -> dict[str, float]:
        """As of `StageClock`. Raises WorkbenchError if the ring is too small for a single request."""
        if not self._found:
            raise WorkbenchError(
                "a request has more events than are kept",
                hint=f"a larger trace-buffer-byte-size than {self._tap.byte_size}",
            )
        stages = ("prepare", "queue", "copy in", "execute", "copy out")
        means = np.diff(np.array(self._found), axis=1).mean(axis=0)
        return dict(zip(stages, map(float, means), strict=True))
