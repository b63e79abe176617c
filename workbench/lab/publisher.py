"""A thread that tells a front end what changed, as often as it wants to hear it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from workbench.lab.topics import Topic

__all__ = ["Publisher"]

Send = Callable[[str, dict[str, Any]], None]
_log = logging.getLogger(__name__)


class _Subscription:
    __slots__ = ("changed", "not_before", "period")

    def __init__(self, period: float) -> None:
        self.period = period
        self.changed = True  # so that everything is told once
        self.not_before = 0.0


class Publisher:
    """Sends the topics that were added, each when it has changed and its last message is long enough ago.

    Its thread lives as long as it has topics, and sleeps while none changes.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._topics: dict[Topic, _Subscription] = {}
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, topic: Topic, hz: float) -> None:
        """Tell of a topic, at most `hz` times a second. One that is there already gets another rate."""
        with self._wake:
            known = self._topics.get(topic)
            if known is not None:
                known.period = 1 / hz
                return
            self._topics[topic] = _Subscription(1 / hz)
        # Not under the lock: a topic may call back at once.
        topic.open(lambda: self._changed(topic))
        with self._wake:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="workbench-lab", daemon=True)
                self._thread.start()
            self._wake.notify()

    def remove(self, topic: Topic) -> None:
        """Tell no more of a topic."""
        with self._wake:
            if self._topics.pop(topic, None) is None:
                return
            self._wake.notify()
        topic.close()

    def close(self) -> None:
        """Remove every topic. Idempotent."""
        for each in list(self._topics):
            self.remove(each)

    def _changed(self, topic: Topic) -> None:
        # Called for every request that a model serves: the lock only if something is new about it.
        known = self._topics.get(topic)
        if known is None or known.changed:
            return
        with self._wake:
            known.changed = True
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                due: list[Topic] = []
                while not due:
                    if not self._topics:
                        self._thread = None
                        return
                    now = time.monotonic()
                    waiting = [each for each in self._topics.values() if each.changed]
                    due = [
                        topic
                        for topic, each in self._topics.items()
                        if each.changed and each.not_before <= now
                    ]
                    if not due:
                        soonest = min((each.not_before for each in waiting), default=None)
                        self._wake.wait(None if soonest is None else soonest - now)
                for topic in due:
                    state = self._topics[topic]
                    state.changed = topic.is_sampled
                    state.not_before = now + max(state.period, topic.shortest_period)
            for topic in due:
                self._tell(topic)

    def _tell(self, topic: Topic) -> None:
        try:
            for kind, body in topic.news():
                self._send(kind, body)
        except Exception:  # one topic that fails must not silence the others
            _log.warning("cannot tell what is new about %s", topic.name, exc_info=True)
