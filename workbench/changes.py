"""Who is told when something changed: views hang on it, so that none has to ask again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable

from workbench.errors import WorkbenchError

__all__ = ["Changes", "Listener"]

#: (name of what changed, the error if it is one that made the change)
Listener = Callable[[str, "WorkbenchError | None"], None]


class Changes:
    """Tells listeners that something with a name is different now; they look for themselves what it is.

    Thread-safe. Costs next to nothing while nobody listens: a request emits one.
    """

    __slots__ = ("_listeners", "_lock")

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._lock = threading.Lock()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` from now on, in the thread where a change happens: it must be quick and not raise.

        Returns:
            What ends that. Idempotent.
        """
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def end() -> None:
            with self._lock:
                self._listeners = tuple(each for each in self._listeners if each is not listener)

        return end

    def emit(self, name: str, error: WorkbenchError | None = None) -> None:
        """Tell every listener."""
        for each in self._listeners:
            each(name, error)
