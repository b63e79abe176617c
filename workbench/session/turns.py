"""What several threads take and give back, in the order in which they came for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from workbench import cancelling

__all__ = ["Place", "Turns"]

_T = TypeVar("_T")


class Turns(Generic[_T]):
    """A queue of things with a line of those who wait for them.

    Threads that wait in a `SimpleQueue` are woken in no order: of eight that asked again and again, three got
    nothing until the others had finished.
    """

    def __init__(self) -> None:
        self._things: SimpleQueue[_T] = SimpleQueue()
        self._line: deque[Place[_T]] = deque()
        self._lock = threading.Lock()  # of changes to the line

    def put(self, thing: _T) -> None:
        self._things.put(thing)

    def get_now(self) -> _T:
        """Raises Empty if there is nothing, or if somebody else waits for it."""
        if self._line:
            raise Empty
        return self._things.get(False)

    def get_ahead(self, timeout: float | None) -> _T:
        """Without a place in the line. Raises Empty after `timeout` seconds."""
        return cancelling.get(self._things, timeout)

    def get(self, timeout: float | None) -> _T:
        """From the end of the line. Raises Empty after `timeout` seconds."""
        try:
            return self.get_now()
        except Empty:
            pass
        place = Place(self)
        taken: list[_T] = []  # Ctrl-C may come at any step
        try:
            taken.append(place.get(timeout))
            place.leave()
        except BaseException:
            for each in taken:
                self.put(each)
            place.leave()
            raise
        return taken[0]


class Place(Generic[_T]):
    """A place in the line, kept from the first `get` until `leave`, however often the wait is looked at."""

    def __init__(self, turns: Turns[_T]) -> None:
        self._turns = turns
        self._in_line = False
        self._first = False
        self._called = threading.Lock()
        self._called.acquire()  # until it is first

    def get(self, timeout: float | None) -> _T:
        """Raises Empty after `timeout` seconds; the place is kept."""
        turns = self._turns
        end = None if timeout is None else time.monotonic() + timeout
        if not self._in_line:
            with turns._lock:
                self._in_line = True
                turns._line.append(self)
                if turns._line[0] is self:
                    self._called.release()
        if not self._first:
            if not cancelling.acquire(self._called, timeout):
                raise Empty
            self._first = True
        left = None if end is None else max(end - time.monotonic(), 0.0)
        return cancelling.get(turns._things, left)

    def leave(self) -> None:
        """Let the next one come. Idempotent."""
        turns = self._turns
        if not self._in_line:
            return
        with turns._lock:
            self._in_line = False
            if self not in turns._line:
                return
            was_first = turns._line[0] is self
            turns._line.remove(self)
            if was_first and turns._line:
                turns._line[0]._called.release()
