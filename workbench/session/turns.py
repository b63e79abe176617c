"""What several threads take and give back, in the order in which they came for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from workbench import cancelling

__all__ = ["Place", "Turns"]

_T = TypeVar("_T")

#: So long a wait has no order, seconds. Sixteen threads that ask a fast model get a quarter less of it where
#: each is woken in its turn, a tenth less so.
_PATIENCE_S = 0.05


class Turns(Generic[_T]):
    """A queue of things with a line of those who wait for them.

    Threads that wait in a `SimpleQueue` are woken in no order: of eight that asked again and again, three got
    nothing until the others had finished. So it is here, too, for a moment; who waits longer gets a place in
    a line, and then nobody who comes later is served before.
    """

    def __init__(self) -> None:
        self._things: SimpleQueue[_T] = SimpleQueue()
        self._line: deque[Place[_T]] = deque()
        self._lock = threading.Lock()  # of changes to the line

    def put(self, thing: _T) -> None:
        self._things.put(thing)

    def get_now(self) -> _T:
        """Raises Empty if there is nothing, or if somebody else has waited for it for long."""
        if self._has_order():
            raise Empty
        return self._things.get(False)

    def _has_order(self) -> bool:
        # Where all are served quickly the line ends again, though as many ask as before.
        if not self._line:
            return False
        with suppress(IndexError):  # it may end just now
            return time.monotonic() - self._line[0].since > _PATIENCE_S
        return False

    def get_ahead(self, timeout: float | None) -> _T:
        """Without a place in the line. Raises Empty after `timeout` seconds."""
        return cancelling.get(self._things, timeout)

    def get(self, timeout: float | None) -> _T:
        """From the end of the line. Raises Empty after `timeout` seconds."""
        if not self._has_order():
            try:
                return self._at_once(timeout)
            except Empty:
                if timeout is not None and timeout <= _PATIENCE_S:
                    raise
                timeout = None if timeout is None else timeout - _PATIENCE_S
        place = Place(self, in_order=True)
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

    def _at_once(self, timeout: float | None) -> _T:
        return cancelling.get(self._things, _PATIENCE_S if timeout is None else min(timeout, _PATIENCE_S))


class Place(Generic[_T]):
    """A place in the line, kept from the first `get` until `leave`, however often the wait is looked at."""

    def __init__(self, turns: Turns[_T], *, in_order: bool = False) -> None:
        """`in_order`: there was a moment without already."""
        self._turns = turns
        self._in_order = in_order
        self.since = 0.0
        self._in_line = False
        self._first = False
        self._called = threading.Lock()
        self._called.acquire()  # until it is first

    def get(self, timeout: float | None) -> _T:
        """Raises Empty after `timeout` seconds; the place is kept."""
        turns = self._turns
        end = None if timeout is None else time.monotonic() + timeout
        if not self._in_line:
            if not self._in_order and not turns._has_order():
                self._in_order = True
                with suppress(Empty):
                    return turns._at_once(timeout)
            with turns._lock:
                self.since = time.monotonic()
                self._in_line = True
                turns._line.append(self)
                if turns._line[0] is self:
                    self._called.release()
        if not self._first:
            left = None if end is None else max(end - time.monotonic(), 0.0)
            if not cancelling.acquire(self._called, left):
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
