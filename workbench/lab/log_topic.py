"""The topic of what models log."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from workbench.lab.topics import Message, Topic
from workbench.session.log_view import line_data
from workbench.session.workbench import Workbench

__all__ = ["LogTopic"]


class LogTopic(Topic):
    """Lines as they come: at first those that the logs still have."""

    name = "log"

    def __init__(self, workbench: Workbench) -> None:
        self._ring = workbench.logs
        self._told = 0  # number of the last line
        self._end: Callable[[], None] = lambda: None

    def open(self, changed: Callable[[], None]) -> None:
        self._told = 0
        self._end = self._ring.subscribe(lambda record: changed())

    def close(self) -> None:
        self._end()

    def news(self) -> Iterable[Message]:
        fresh = [each for each in self._ring.records() if each.seq > self._told]
        if not fresh:
            return
        dropped = fresh[0].seq - self._told - 1
        self._told = fresh[-1].seq
        yield "log", {"lines": [line_data(each) for each in fresh], "dropped": dropped}
