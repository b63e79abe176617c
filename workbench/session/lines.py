"""The private lines to the stubs of a session: what stubs say beside the protocol, until somebody asks."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench._line import Line, Message
from workbench._stub_line import text_key

if TYPE_CHECKING:
    from workbench.model_source import ModelEntry
    from workbench.session.instance import Instance

__all__ = ["Event", "Lines"]

_KEPT = 32
_SLICE = 0.05


@dataclass(frozen=True)
class Event:
    """A message of a stub that nobody has asked for yet."""

    instance: Instance
    message: Message


class Lines:
    """Every stub that has a line, and what came from it. Thread-safe."""

    def __init__(self, entries: Callable[[], Iterable[ModelEntry]]) -> None:
        """`entries` are the models that serve now."""
        self._entries = entries
        self._lock = threading.Lock()
        self._instances: dict[Instance, Line] = {}
        self._failures: deque[tuple[list[int], list[dict[str, Any]]]] = deque(maxlen=_KEPT)
        self._events: deque[Event] = deque(maxlen=_KEPT * 8)
        #: Called with each instance that joins, before its model is imported.
        self.on_join: Callable[[Instance], None] = lambda instance: None

    def join(self, instance: Instance) -> None:
        """A stub has been started."""
        line = instance.process.line if instance.process is not None else None
        if line is not None:
            with self._lock:
                self._instances[instance] = line
            self.on_join(instance)

    def leave(self, instance: Instance) -> None:
        """A stub is gone. What it said remains."""
        self.pump()
        with self._lock:
            self._instances.pop(instance, None)

    @property
    def instances(self) -> list[Instance]:
        with self._lock:
            return list(self._instances)

    @property
    def open(self) -> list[Line]:
        """Lines whose stubs have not hung up."""
        with self._lock:
            return [each for each in self._instances.values() if not each.ended and each.fileno() >= 0]

    def pump(self) -> None:
        """Take in what has come."""
        with self._lock:
            for instance, line in self._instances.items():
                for message in line.receive():
                    if message["kind"] == "failure":
                        self._failures.append((message["of"], message["chain"]))
                    else:
                        self._events.append(Event(instance, message))

    def failure(self, text: str) -> list[dict[str, Any]]:
        """All that is known of the exception with this wire text, the latest one; [] if nothing is.

        See `workbench._stub_failures.describe`.
        """
        self.pump()
        key = text_key(text)
        with self._lock:
            return next((chain for of, chain in reversed(self._failures) if of == key), [])

    def entry_of(self, file: str) -> ModelEntry | None:
        """The model that a path belongs to."""
        return next((each for each in self._entries() if file.startswith(f"{each.path}/")), None)

    def take(self, *kinds: str, instance: Instance | None = None) -> list[Event]:
        """Messages of these kinds that have come, in order; they are not given again."""
        self.pump()
        with self._lock:
            found = [
                each
                for each in self._events
                if each.message["kind"] in kinds and instance in (None, each.instance)
            ]
            for each in found:
                self._events.remove(each)
        return found

    def ask(self, instance: Instance, message: Message, kind: str, seconds: float) -> Message | None:
        """Send a message and wait for an answer of a kind; None if none comes in time."""
        line = instance.process.line if instance.process is not None else None
        if line is None:
            return None
        self.take(kind, instance=instance)  # late answers to somebody else
        end = time.monotonic() + seconds
        if not line.send(message, seconds):
            return None
        while True:
            for each in self.take(kind, instance=instance):
                return each.message
            if line.ended or time.monotonic() >= end:
                return None
            line.wait(min(_SLICE, end - time.monotonic()))
