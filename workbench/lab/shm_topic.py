"""The topic of what models keep in shared memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workbench.errors import WorkbenchError
from workbench.lab.topics import Message, Topic
from workbench.session.model_host import ModelHost
from workbench.session.shm import LiveShm
from workbench.session.workbench import Workbench

__all__ = ["ShmTopic"]


class ShmTopic(Topic):
    """A report for each region of this kernel's models. Memory does not say when it changes: it is looked at
    as often as the front end wants, four times a second at most, and told if more than ages differ.
    """

    name = "shm"
    is_sampled = True
    shortest_period = 0.25

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench
        self._regions: dict[tuple[ModelHost, int], LiveShm] = {}
        self._told: list[dict[str, Any]] | None = None

    def close(self) -> None:
        self._regions, self._told = {}, None

    def news(self) -> Iterable[Message]:
        reports = []
        regions: dict[tuple[ModelHost, int], LiveShm] = {}
        for _, host in sorted(self._workbench.hosts.items()):
            current = host.current
            for number in range(1, len(current.instances) + 1 if current is not None else 1):
                live = self._regions.get((host, number)) or LiveShm(host, number)
                try:
                    reports.append(live.read().to_data())
                except (WorkbenchError, OSError):  # it goes, or is being replaced
                    continue
                regions[host, number] = live
        self._regions = regions
        steady = [_without_ages(each) for each in reports]
        if steady != self._told:
            self._told = steady
            yield "shm", {"reports": reports}


def _without_ages(report: dict[str, Any]) -> dict[str, Any]:
    blocks = [{key: value for key, value in each.items() if key != "age_s"} for each in report["blocks"]]
    return {**report, "blocks": blocks}
