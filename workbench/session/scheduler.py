"""Dynamic batching: requests that arrive close together go to ``execute`` as one list."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from workbench.errors import InferTimeout
from workbench.session.revision import Retired, Revision
from workbench.session.running import run_batch

if TYPE_CHECKING:
    from workbench import _host
    from workbench.model_config import ModelConfig

__all__ = ["BatchScheduler"]


class _Item:
    __slots__ = ("arrived", "context", "done", "error", "key", "request", "size", "timeout")

    def __init__(
        self, request: _host.Request, size: int, key: tuple[Any, ...], timeout: float | None, context: Context
    ) -> None:
        self.request = request
        self.size = size
        self.key = key
        self.timeout = timeout
        self.context = context
        self.arrived = time.monotonic()
        self.done = threading.Event()
        self.error: BaseException | None = None


class BatchScheduler:
    """Queue of one revision, with a thread per instance that forms batches and runs them.

    A batch goes out when it has a preferred size, when nothing more fits, or when its oldest request has
    waited for ``max_queue_delay_microseconds``. Requests share a batch only if their shapes agree but for the
    first dimension; inputs that allow ragged batches are not compared.
    """

    def __init__(self, revision: Revision) -> None:
        options = revision.config.dynamic_batching
        self.revision = revision
        self._limit = revision.config.max_batch_size
        self._preferred = frozenset(options.preferred_batch_size)
        self._delay = options.max_queue_delay_microseconds / 1e6
        self._ragged = {spec.name for spec in revision.config.inputs if spec.ragged}
        self._items: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"workbench-batch-{spec.name}", daemon=True)
            for spec in revision.config.instances
        ]
        for each in self._threads:
            each.start()

    @staticmethod
    def wanted(config: ModelConfig) -> bool:
        return config.dynamic_batching is not None and config.max_batch_size > 1

    def run(self, request: _host.Request, tuples: list[_host.TensorTuple], timeout: float | None) -> None:
        """Wait until a batch with this request in it has been executed. Raises what the execution raised."""
        key = tuple((name, tuple(shape[1:])) for name, _, shape, _ in tuples if name not in self._ragged)
        size = int(tuples[0][2][0]) if tuples else 1
        item = _Item(request, size, key, timeout, copy_context())
        with self._changed:
            if self._closed:
                raise Retired
            self._items.append(item)
            self._changed.notify()
        try:
            finished = item.done.wait(timeout)
            if not finished:
                with self._changed:
                    queued = item in self._items
                    if queued:
                        self._items.remove(item)
                if queued:
                    raise InferTimeout(
                        f"{self.revision.config.name} did not get to the request within {timeout:g} s",
                        hint="more instances: --instances 2",
                    )
                item.done.wait()  # under way: its own time limit ends it
        except KeyboardInterrupt:
            request.cancel()
            raise
        if item.error is not None:
            raise item.error

    def close(self) -> None:
        """Take no more requests. Those waiting get `Retired`; a batch under way is finished."""
        with self._changed:
            self._closed = True
            waiting, self._items = list(self._items), deque()
            self._changed.notify_all()
        for each in waiting:
            each.error = Retired()
            each.done.set()

    def _serve(self) -> None:
        while True:
            batch = self._next_batch()
            if not batch:
                return
            error: BaseException | None = None
            try:
                instance = self.revision.take(None)
                instance.route.context = batch[0].context
                limits = [each.timeout for each in batch]
                limit = None if None in limits else max(each for each in limits if each is not None)
                try:
                    run_batch(self.revision, instance, [each.request for each in batch], limit)
                finally:
                    if not instance.lost:
                        instance.catch_up()
                        self.revision.give(instance)
            except BaseException as caught:  # handed to those who wait
                error = caught
            for each in batch:
                each.error = error
                each.done.set()

    def _next_batch(self) -> list[_Item]:
        """The next batch, once there is one; [] when the scheduler is closed."""
        with self._changed:
            while True:
                while not self._items:
                    if self._closed:
                        return []
                    self._changed.wait()
                oldest = self._items[0]
                while self._items and self._items[0] is oldest and not self._closed and not self._full():
                    left = oldest.arrived + self._delay - time.monotonic()
                    if left <= 0:
                        break
                    self._changed.wait(left)
                if self._items and self._items[0] is oldest:
                    count, _ = self._fitting()
                    return [self._items.popleft() for _ in range(count)]

    def _fitting(self) -> tuple[int, int]:
        """How many items from the head make one batch, and their total size."""
        count = total = 0
        for each in self._items:
            if each.key != self._items[0].key or (total and total + each.size > self._limit):
                break
            count, total = count + 1, total + each.size
        return count, total

    def _full(self) -> bool:
        count, total = self._fitting()
        return total in self._preferred or total >= self._limit or count < len(self._items)
