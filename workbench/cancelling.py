"""Work that somebody may call off: asked about at points where it can be left, in waits above all.

Not an exception sent to the thread: one that arrives just after an instance was taken would leave nobody to
give it back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextvars import ContextVar, copy_context
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from workbench import _host

__all__ = ["CANCELLED", "Worker", "acquire", "check", "get", "shielded"]

_SLICE_SECONDS = 0.1
_T = TypeVar("_T")

#: Set by whoever runs work in a context of its own; None: nobody calls it off.
CANCELLED: ContextVar[threading.Event | None] = ContextVar("cancelled", default=None)


def check() -> None:
    """Raise KeyboardInterrupt, once, if this work was called off."""
    event = CANCELLED.get()
    if event is not None and event.is_set():
        event.clear()  # what is done about it may have to wait as well
        raise KeyboardInterrupt


def get(queue: SimpleQueue[_T], timeout: float | None) -> _T:
    """``queue.get`` that ends when the work is called off. Raises Empty after `timeout` seconds."""
    for seconds, last in _slices(timeout):
        try:
            return queue.get(True, seconds)
        except Empty:
            if last:
                raise
    raise AssertionError  # the last slice returns or raises


def acquire(lock: threading.Lock, timeout: float | None) -> bool:
    """``lock.acquire`` that ends when the work is called off. False after `timeout` seconds."""
    for seconds, last in _slices(timeout):
        if lock.acquire(timeout=-1 if seconds is None else seconds):
            return True
        if last:
            return False
    raise AssertionError  # the last slice returns


def _slices(timeout: float | None) -> Iterator[tuple[float | None, bool]]:
    """How long to wait before looking whether the work was called off, and whether that is the last time."""
    if CANCELLED.get() is None:
        yield timeout, True
        return
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        check()
        left = _SLICE_SECONDS if end is None else max(end - time.monotonic(), 0.0)
        yield min(left, _SLICE_SECONDS), end is not None and left <= _SLICE_SECONDS


class Worker(Generic[_T]):
    """Work for a thread of its own, in the caller's context; its outcome is handed over.

    Args:
        work: What to do.
        name: Of the thread.
    """

    def __init__(self, work: Callable[[], _T], name: str) -> None:
        self._work = work
        self._outcome: Future[_T] = Future()
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name=name, daemon=True)

    def _run(self) -> None:
        if not self._outcome.set_running_or_notify_cancel():
            return
        try:
            self._outcome.set_result(self._work())
        except BaseException as error:  # handed over
            self._outcome.set_exception(error)

    def start(self) -> None:
        """Begin. Whoever is interrupted here does not know whether it did: see `forestall`."""
        self._thread.start()

    def forestall(self) -> bool:
        """Keep the work from beginning; False if it has begun."""
        return self._outcome.cancel()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end; False if it did not come in time."""
        # Not Thread.join: CPython 3.11 takes a thread for ended when that is interrupted.
        wait([self._outcome], seconds)
        return self._outcome.done()

    def result(self) -> _T:
        """What the work gave, or raised."""
        return self._outcome.result()


def shielded(work: Callable[[], _T]) -> _T:
    """Do work that must not be left just anywhere, as when a process was started and nobody knows it yet.

    Ctrl-C raises in the main thread at any of its steps. So a thread does the work, in the caller's context.
    It is called off at the next point where it can be left, and what it does about that is waited for.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    called_off = threading.Event()

    def run() -> _T:
        CANCELLED.set(called_off)
        return work()

    worker = Worker(run, "workbench-work")
    interrupt: KeyboardInterrupt | None = None
    try:
        worker.start()
    except KeyboardInterrupt as error:
        if worker.forestall():
            raise
        interrupt = error
        called_off.set()
    while True:
        try:
            worker.wait()
            break
        except KeyboardInterrupt as error:
            interrupt = error
            called_off.set()
    if interrupt is not None:
        raise interrupt
    return worker.result()


_host.on_wait(check)  # native waits ask too
