"""A thread that calls a function a few times a second while somebody looks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["MOST_HZ", "Updater"]

MOST_HZ = 4.0  # updates a second that a view may ask for
_LEASE_SECONDS = 300.0  # a page that was closed does not say so; one that is there says so every 20 s


class Updater:
    """Calls `poll` at most `hz` times a second, and only while a view is shown.

    There is no thread while nothing is shown. `poll` never takes more than a quarter of the time: one that is
    slow is called less often. What it raises ends the updates and is kept in ``failure``.
    """

    def __init__(self, poll: Callable[[], None], hz: float = MOST_HZ) -> None:
        if not 0 < hz <= MOST_HZ:
            raise ValueError(f"a view is updated at most {MOST_HZ:g} times a second, not {hz:g}")
        self.failure: Exception | None = None
        self._poll = poll
        self._period = 1.0 / hz
        self._lock = threading.Lock()
        self._shown: dict[str, float] = {}  # view: when it said so last
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether the thread is there."""
        return self._thread is not None

    def shown(self, view: str) -> None:
        """A view is on the screen (said again now and then)."""
        with self._lock:
            self._shown[view] = time.monotonic()
            if self._thread is None:
                self._wake.clear()
                self._thread = threading.Thread(target=self._run, name="workbench-view", daemon=True)
                self._thread.start()

    def hidden(self, view: str) -> None:
        """A view left the screen."""
        with self._lock:
            self._shown.pop(view, None)
            if not self._shown:
                self._wake.set()

    def close(self) -> None:
        """No view is left. Waits for a poll under way, unless it is that which closes."""
        with self._lock:
            self._shown.clear()
            self._wake.set()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(5.0)

    def _run(self) -> None:
        while True:
            start = time.monotonic()
            try:
                self._poll()
            except Exception as error:  # shown by the view; a thread has nobody else to tell
                self.failure = error
            took = time.monotonic() - start
            self._wake.wait(max(self._period - took, 3 * took))
            with self._lock:
                oldest = time.monotonic() - _LEASE_SECONDS
                self._shown = {view: at for view, at in self._shown.items() if at > oldest}
                if not self._shown or self.failure is not None:
                    self._thread = None
                    return
                self._wake.clear()
