"""One front end's link: the greeting, and what the front end asks for."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any

from workbench.lab.channel import VERSION, Channel
from workbench.lab.jobs import Jobs
from workbench.lab.log_topic import LogTopic
from workbench.lab.publisher import Publisher
from workbench.lab.servers_topic import ServersTopic
from workbench.lab.shm_topic import ShmTopic
from workbench.lab.topics import ModelsTopic, Topic
from workbench.lab.trace_topic import TracesTopic
from workbench.lab.verbs import Verbs
from workbench.session.workbench import Workbench

__all__ = ["Link"]

_HZ = 4.0
_MAX_HZ = 10.0
_log = logging.getLogger(__name__)


class Link:
    """Serves one comm, from its opening to its end."""

    def __init__(self, channel: Channel, shell: Any, workbench: Workbench, session: str) -> None:
        self.channel = channel
        self._session = session
        topics: list[Topic] = [
            ModelsTopic(workbench),
            TracesTopic(workbench),
            LogTopic(workbench),
            ServersTopic(),
            ShmTopic(workbench),
        ]
        self._topics = {each.name: each for each in topics}
        self._publisher = Publisher(channel.send)
        self._verbs = Verbs(shell, sorted(self._topics))
        self._jobs = Jobs(channel.send, self._verbs)
        self._understood = False

    def greet(self, data: Any) -> None:
        """Answer the data that a front end opens with, ``{"v": [1]}``: the versions it speaks."""
        spoken = data.get("v") if isinstance(data, dict) else None
        spoken = [each for each in spoken if isinstance(each, int)] if isinstance(spoken, list) else []
        body: dict[str, Any] = {"versions": {"workbench": version("triton-workbench"), "protocol": VERSION}}
        self._understood = VERSION in spoken
        if self._understood:
            body |= {"features": self._verbs.features, "session": self._session}
        else:
            body["upgrade"] = "kernel" if spoken and min(spoken) > VERSION else "front end"
        self.channel.send("hello", body)

    def receive(self, data: Any) -> None:
        """A message from the front end. One of an unknown kind, or malformed, changes nothing."""
        if not self._understood or not isinstance(data, dict) or data.get("v") != VERSION:
            return
        handler = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "do": self._do,
            "cancel": self._cancel,
        }.get(str(data.get("kind")))
        body = data.get("body")
        if handler is None or not isinstance(body, dict):
            return
        try:
            handler(body)
        except (TypeError, ValueError, AttributeError, LookupError):
            _log.warning("a message of kind %s that cannot be read", data["kind"], exc_info=True)

    def close(self) -> None:
        """The front end is gone: tell it nothing more. What it asked for goes on."""
        self.channel.end()
        self._publisher.close()

    def _subscribe(self, body: dict[str, Any]) -> None:
        hz = min(max(float(body.get("hz") or _HZ), 0.1), _MAX_HZ)
        for name in body["topics"]:
            if name in self._topics:
                self._publisher.add(self._topics[name], hz)

    def _unsubscribe(self, body: dict[str, Any]) -> None:
        for name in body["topics"]:
            if name in self._topics:
                self._publisher.remove(self._topics[name])

    def _do(self, body: dict[str, Any]) -> None:
        self._jobs.start(str(body["job"]), str(body["verb"]), dict(body.get("args") or {}))

    def _cancel(self, body: dict[str, Any]) -> None:
        self._jobs.cancel(str(body["job"]))
