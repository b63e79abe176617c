"""Dynamic batching: requests that arrive close together go to ``execute`` as one list."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextvars import Context, copy_context
from typing import TYPE_CHECKING

from workbench.errors import InferTimeout, ModelExecutionError
from workbench.session.calls import SLICE, refuse_reschedule, refused
from workbench.session.running import run_batch

if TYPE_CHECKING:
    from workbench import _host
    from workbench.model_config import ModelConfig
    from workbench.session.calls import PendingCall
    from workbench.session.revision import Revision
    from workbench.session.ticket import Ticket

__all__ = ["BatchScheduler", "Item"]

_REJECT = 0  # ModelQueuePolicy.TimeoutAction


class Item:
    """A request in a queue. Whoever executes it sets ``error``, if any, and then ``done``."""

    __slots__ = (
        "arrived",
        "call",
        "context",
        "deadline",
        "done",
        "error",
        "key",
        "size",
        "ticket",
        "timeout",
    )

    def __init__(
        self,
        ticket: Ticket,
        timeout: float | None,
        call: PendingCall | None,
        *,
        batched: bool,
        ragged: frozenset[str] = frozenset(),
    ) -> None:
        self.ticket = ticket
        self.timeout = timeout
        self.call = call
        self.context: Context | None = copy_context() if call is None else call.context
        self.arrived = time.monotonic()
        self.deadline = 0.0  # by which it must have left the queue; 0: whenever
        inputs = ticket.inputs
        # Requests share a batch only if these agree.
        self.key = tuple((name, tuple(shape[batched:])) for name, _, shape, _ in inputs if name not in ragged)
        self.size = int(inputs[0][2][0]) if batched and inputs else 1
        self.done = threading.Event()
        self.error: BaseException | None = None

    def finish(self, error: BaseException | None) -> None:
        self.error = error
        self.done.set()

    def wait(self, until: float | None) -> bool:
        """Wait for its end; False if `until` (monotonic) passed. Raises if the caller's wait is vain."""
        while True:
            left = None if until is None else max(until - time.monotonic(), 0.0)
            step = left if self.call is None else SLICE if left is None else min(SLICE, left)
            if self.done.wait(step):
                return True
            if until is not None and time.monotonic() >= until:
                return False
            if self.call is not None:
                self.call.check()


class BatchScheduler:
    """Queue of one revision, with a thread per instance that forms batches and runs them.

    A batch goes out when it has a preferred size, when nothing more fits, or when its oldest request has
    waited for ``max_queue_delay_microseconds``. Requests share a batch only if their shapes agree but for the
    first dimension; inputs that allow ragged batches are not compared. ``default_queue_policy`` limits the
    queue's length and the time spent in it; priorities are not told apart.
    """

    def __init__(self, revision: Revision) -> None:
        options = revision.config.dynamic_batching
        self.revision = revision
        self._limit = max(revision.config.max_batch_size, 1)
        self._batched = revision.config.max_batch_size > 0
        self._preferred = frozenset(options.preferred_batch_size)
        self._delay = options.max_queue_delay_microseconds / 1e6
        self._policy = options.default_queue_policy
        self._ragged = frozenset(spec.name for spec in revision.config.inputs if spec.ragged)
        self._items: deque[Item] = deque()
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
        options = config.dynamic_batching
        return options is not None and (config.max_batch_size > 1 or options.HasField("default_queue_policy"))

    def identify(self, correlation_id: int | str, flags: int) -> tuple[int | str, int]:
        return correlation_id, flags

    def controls(self, correlation_id: int | str, flags: int) -> list[_host.TensorTuple]:
        return []

    def run(self, ticket: Ticket, timeout: float | None, call: PendingCall | None = None) -> None:
        """Wait until a batch with this request in it has been executed. Raises what the execution raised."""
        item = Item(ticket, timeout, call, batched=self._batched, ragged=self._ragged)
        allowed = self._allowed(ticket)
        if allowed:
            item.deadline = item.arrived + allowed
        with self._changed:
            self._enter(item)
        end = None if timeout is None else item.arrived + timeout
        try:
            first = min(end or item.deadline, item.deadline) if item.deadline else end
            if not item.wait(first):
                if self._withdraw(item):
                    if item.deadline and time.monotonic() >= item.deadline:
                        raise self._expired()
                    raise InferTimeout(
                        f"{self.revision.config.name} did not get to the request within {timeout:g} s",
                        hint="more instances: --instances 2",
                    )
                item.wait(None)  # under way: its own time limit ends it
        except BaseException:
            self._withdraw(item)
            if not item.done.is_set():
                ticket.request.cancel()
            raise
        if item.error is not None:
            raise item.error

    def close(self) -> None:
        """Take no more requests. Those waiting get `Retired`; a batch under way is finished."""
        from workbench.session.revision import Retired

        with self._changed:
            self._closed = True
            waiting, self._items = list(self._items), deque()
            self._changed.notify_all()
        for each in waiting:
            each.finish(Retired())

    # -- the queue -----------------------------------------------------------------------------------------

    def _enter(self, item: Item) -> None:
        from workbench.session.revision import Retired

        if self._closed:
            raise Retired
        limit = self._policy.max_queue_size
        if limit and len(self._items) >= limit:
            raise refused(
                self.revision.config.name,
                f"[request id: {item.ticket.request_id or '<id_unknown>'}] Exceeds maximum queue size",
                "UNAVAILABLE",
            )
        self._items.append(item)
        self._changed.notify()

    def _withdraw(self, item: Item) -> bool:
        """Take it out of the queue; False if it is being executed already."""
        with self._changed:
            if item in self._items:
                self._items.remove(item)
                return True
            return False

    def _allowed(self, ticket: Ticket) -> float:
        """Seconds it may spend in the queue, 0 for any number."""
        policy = self._policy
        if policy.timeout_action != _REJECT:
            return 0.0
        allowed = policy.default_timeout_microseconds
        own = ticket.timeout_us if policy.allow_timeout_override else 0
        if own and (not allowed or own < allowed):
            allowed = own
        return float(allowed) / 1e6

    def _expired(self) -> ModelExecutionError:
        return refused(self.revision.config.name, "Request timeout expired", "UNAVAILABLE")

    # -- batches -------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            batch = self._next_batch()
            if not batch:
                return
            error: BaseException | None = None
            try:
                instance = self.revision.take(None)
                instance.route.context = batch[0].context
                for each in batch:
                    if each.call is not None:
                        each.call.taken(instance)
                limits = [each.timeout for each in batch]
                limit = None if None in limits else max(each for each in limits if each is not None)
                try:
                    run_batch(self.revision, instance, [each.ticket.request for each in batch], limit)
                finally:
                    if not instance.lost:
                        instance.catch_up()
                        self.revision.give(instance)
            except BaseException as caught:  # handed to those who wait
                error = caught
            for each in batch:
                try:
                    if error is None:
                        refuse_reschedule(self.revision, each.ticket.request)
                    each.finish(error)
                except ModelExecutionError as refusal:
                    each.finish(refusal)

    def _next_batch(self) -> list[Item]:
        """The next batch, once there is one; [] when the scheduler is closed."""
        with self._changed:
            while True:
                self._drop_expired()
                while not self._items:
                    if self._closed:
                        return []
                    self._changed.wait()
                    self._drop_expired()
                oldest = self._items[0]
                while self._items and self._items[0] is oldest and not self._closed and not self._full():
                    left = oldest.arrived + self._delay - time.monotonic()
                    if left <= 0:
                        break
                    self._changed.wait(left)
                if self._items and self._items[0] is oldest:
                    count, _ = self._fitting()
                    return [self._items.popleft() for _ in range(count)]

    def _drop_expired(self) -> None:
        now = time.monotonic()
        for each in [each for each in self._items if each.deadline and now >= each.deadline]:
            self._items.remove(each)
            each.finish(self._expired())

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
