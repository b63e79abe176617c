"""A sign that work goes on: after two seconds, only where somebody watches, gone when the work is done.

In a notebook it is a widget, which no saved output and no comparison of outputs takes for a result; in a
terminal a line that is taken back. A run that nobody watches (nbclient, nbval, papermill) refuses input,
and that is how it is told.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Protocol

__all__ = ["AFTER_SECONDS", "is_watched", "progress"]

AFTER_SECONDS = 2.0
_EVERY_SECONDS = 0.5


class _Display(Protocol):
    def show(self, text: str) -> None: ...
    def remove(self) -> None: ...


@contextmanager
def progress(shell: Any, what: str, *, wanted: bool = True) -> Iterator[None]:
    """While this is open, and it is long, say what is being done and for how long.

    Args:
        shell: The IPython shell the work was asked in.
        what: ``model big``.
        wanted: False: say nothing.
    """
    if not wanted or not is_watched(shell):
        yield
        return
    done = threading.Event()
    context = copy_context()  # the cell it belongs to
    thread = threading.Thread(
        target=context.run, args=(_report, shell, what, done), name="workbench-progress", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def is_watched(shell: Any) -> bool:
    """Whether a person looks at the cell that runs."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return bool(sys.stdout.isatty())
    return bool(getattr(kernel, "_allow_stdin", False))


def _report(shell: Any, what: str, done: threading.Event) -> None:
    start = time.monotonic()
    if done.wait(AFTER_SECONDS):
        return
    display = _Widget() if getattr(shell, "kernel", None) is not None else _Line()
    try:
        while True:
            display.show(f"{what}: {time.monotonic() - start:.0f} s")
            if done.wait(_EVERY_SECONDS):
                return
    finally:
        display.remove()


class _Widget:
    def __init__(self) -> None:
        self._label: Any = None

    def show(self, text: str) -> None:
        if self._label is not None:
            self._label.value = text
            return
        import ipywidgets
        from IPython.display import display

        self._label = ipywidgets.Label(text)
        view = self._label._repr_mimebundle_()
        # Where widgets cannot be drawn nothing is shown: this is no result.
        display({**view, "text/plain": ""}, raw=True)

    def remove(self) -> None:
        if self._label is not None:
            self._label.close()


class _Line:
    def __init__(self) -> None:
        from rich.console import Console

        self._status = Console(stderr=True).status("")
        self._shown = False

    def show(self, text: str) -> None:
        self._status.update(text)
        if not self._shown:
            self._status.start()
            self._shown = True

    def remove(self) -> None:
        if self._shown:
            self._status.stop()
