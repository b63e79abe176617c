"""The topic of the servers that this kernel knows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from workbench.lab.topics import Message, Topic
from workbench.targets import servers
from workbench.targets.server_data import servers_data

__all__ = ["ServersTopic"]


class ServersTopic(Topic):
    """All servers, when one comes, goes or has other models. They are asked in a thread of its own: one that
    does not answer takes seconds to say so.
    """

    name = "servers"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed: Callable[[], None] = lambda: None
        self._end: Callable[[], None] = lambda: None
        self._asking = False
        self._again = False
        self._found: list[dict[str, Any]] | None = None
        self._told: list[dict[str, Any]] | None = None

    def open(self, changed: Callable[[], None]) -> None:
        self._changed, self._told = changed, None
        self._end = servers.changes.subscribe(lambda name, error: self._ask())
        self._ask()

    def close(self) -> None:
        self._end()

    def news(self) -> Iterable[Message]:
        found = self._found
        if found is None or found == self._told:
            return
        self._told = found
        yield "servers", {"servers": found}

    def _ask(self) -> None:
        with self._lock:
            if self._asking:
                self._again = True
                return
            self._asking = True
        threading.Thread(target=self._look, name="workbench-lab-servers", daemon=True).start()

    def _look(self) -> None:
        while True:
            self._found = servers_data()
            self._changed()
            with self._lock:
                if not self._again:
                    self._asking = False
                    return
                self._again = False
