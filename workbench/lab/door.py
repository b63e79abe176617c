"""Where front ends come in: one link for each comm that a front end opens."""

from __future__ import annotations

import threading
import uuid
from typing import Any

from workbench import api
from workbench.at_exit import at_exit
from workbench.lab.channel import Channel
from workbench.lab.link import Link

__all__ = ["Door"]


class Door:
    """The comm target of one kernel. Several pages, or notebooks on one kernel, have a link each."""

    TARGET = "workbench.v1"

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        #: Tells a front end whether this is the kernel process it knew.
        self.session = uuid.uuid4().hex
        self._links: list[Link] = []
        self._lock = threading.Lock()
        self._stay = at_exit(self.close)

    def opened(self, comm: Any, message: dict[str, Any]) -> None:
        """A front end has opened a comm. Called by the kernel."""
        link = Link(Channel(comm), self._shell, api.current(), self.session)
        with self._lock:
            self._links.append(link)

        def closed(_: Any) -> None:
            link.close()
            with self._lock:
                self._links = [each for each in self._links if each is not link]

        comm.on_msg(lambda received: link.receive(received["content"].get("data")))
        comm.on_close(closed)
        link.greet(message["content"].get("data"))

    def close(self) -> None:
        """End every link."""
        self._stay()
        with self._lock:
            links, self._links = self._links, []
        for each in links:
            each.close()
            each.channel.close()
