"""Requests for coroutines: each waits in a thread of its own, the event loop goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from workbench import _host

__all__ = ["Cancellation", "in_thread", "iterate_in_thread"]

_AHEAD = 16  # responses taken before the coroutine asks for them; each may hold a block of the region

T = TypeVar("T")


class Cancellation:
    """Cancels a request from outside, whether it is on its way already or not."""

    def __init__(self) -> None:
        self.cancelled = False
        self._request: _host.Request | None = None
        self._lock = threading.Lock()

    def attach(self, request: _host.Request) -> None:
        """This is the request."""
        with self._lock:
            self._request = request
            if self.cancelled:
                request.cancel()

    def cancel(self) -> None:
        with self._lock:
            self.cancelled = True
            if self._request is not None:
                self._request.cancel()


async def in_thread(work: Callable[[], T], cancellation: Cancellation) -> T:
    """Run `work` in a thread of its own and wait for it; a task that is cancelled cancels the request.

    Not `asyncio.to_thread`: its few threads are shared, and requests that wait would hold up everybody.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is None:
            outcome.set_result(result)
        else:
            outcome.set_exception(error)

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # handed over
            _post(loop, settle, None, error)
        else:
            _post(loop, settle, result, None)

    _start(run)
    try:
        return await outcome
    except asyncio.CancelledError:
        cancellation.cancel()
        raise


async def iterate_in_thread(items: Iterator[T], cancellation: Cancellation) -> AsyncGenerator[T, None]:
    """Take what an iterator gives, which waits in a thread of its own. Leaving early cancels the request."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[tuple[bool, Any]] = asyncio.Queue()
    room = threading.Semaphore(_AHEAD)

    def run() -> None:
        error: BaseException | None = None
        try:
            for each in items:
                _post(loop, arrived.put_nowait, (True, each))
                room.acquire()
                if cancellation.cancelled:
                    break
        except BaseException as caught:  # handed over
            error = caught
        finally:
            items.close()  # type: ignore[attr-defined]  # a generator's: cancels the request
        _post(loop, arrived.put_nowait, (False, error))

    _start(run)
    try:
        while True:
            more, value = await arrived.get()
            if more:
                room.release()
                yield value
            elif value is None:
                return
            else:
                raise value
    finally:
        cancellation.cancel()
        room.release()


def _start(run: Callable[[], None]) -> None:
    context = copy_context()  # what the model prints belongs to the cell that asked
    threading.Thread(target=context.run, args=(run,), name="workbench-async", daemon=True).start()


def _post(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *arguments: Any) -> None:
    try:
        loop.call_soon_threadsafe(callback, *arguments)
    except RuntimeError:
        return  # the loop is closed: nobody waits any more
