"""Sequence batching: requests of one sequence go to one instance, one after the other.

What a server was seen to do (24.10) is the measure: refusals, control tensors, empty slots, the way of a
request that the model asks back.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from workbench.errors import InferTimeout
from workbench.session.calls import PendingCall, refuse_reschedule, refused
from workbench.session.running import run_batch
from workbench.session.scheduler import Item
from workbench.session.sequence_controls import SequenceControls
from workbench.session.ticket import SEQUENCE_END, SEQUENCE_START, Ticket

if TYPE_CHECKING:
    from workbench import _host
    from workbench.session.instance import Instance
    from workbench.session.revision import Revision

__all__ = ["SequenceScheduler"]

_IDLE_SECONDS = 1.0  # where the configuration says nothing
_REMEMBERED = 64  # ended by idleness, for the hint


class _Sequence:
    """One sequence: its requests in order. At most one of them is being executed."""

    __slots__ = ("busy", "ended", "identity", "items", "last_used", "slot")

    def __init__(self, identity: int | str, slot: int) -> None:
        self.identity = identity
        self.slot = slot  # its place in a batch, as long as it lives
        self.items: deque[Item] = deque()
        self.busy = False
        self.ended = False
        self.last_used = time.monotonic()


class _Worker:
    """One instance's slots."""

    def __init__(self, slots: int) -> None:
        self.free = list(range(slots))[::-1]
        self.sequences: list[_Sequence] = []
        self.instance: Instance | None = None


class SequenceScheduler:
    """Slots of a revision's instances, and a thread per instance that serves them.

    A sequence takes a slot with its first request and keeps it until its last one, or until it was idle for
    ``max_sequence_idle_microseconds``. With none free, new sequences wait. Heads of an instance's sequences
    that wait at the same time are executed together, up to ``max_batch_size``.
    """

    def __init__(self, revision: Revision) -> None:
        config = revision.config
        options = config.sequence_batching
        self.revision = revision
        self._controls = SequenceControls(config)
        self._iterative = bool(options.iterative_sequence)
        self._idle = options.max_sequence_idle_microseconds / 1e6 or _IDLE_SECONDS
        self._batched = config.max_batch_size > 0
        self._limit = max(config.max_batch_size, 1)
        oldest = options.HasField("oldest")
        slots = max(options.oldest.max_candidate_sequences, 1) if oldest else self._limit
        # Strategy "direct" gives every sequence a fixed place in the batch; unused ones before it are filled.
        self._fills_gaps = not oldest and self._limit > 1 and self._controls.has_ready
        self._changed = threading.Condition()
        self._closed = False
        self._known: dict[int | str, tuple[_Worker, _Sequence]] = {}
        self._waiting: deque[tuple[int | str, Item]] = deque()
        self._expired: deque[int | str] = deque(maxlen=_REMEMBERED)
        self._identities = itertools.count(1)
        self._workers = [_Worker(slots) for _ in config.instances]
        for spec, worker in zip(config.instances, self._workers, strict=True):
            threading.Thread(
                target=self._serve, args=(worker,), name=f"workbench-sequence-{spec.name}", daemon=True
            ).start()

    def identify(self, correlation_id: int | str, flags: int) -> tuple[int | str, int]:
        """An iterative sequence without an identity gets one: it is one request to its client."""
        if correlation_id or not self._iterative:
            return correlation_id, flags
        number = next(self._identities)
        identity = f"iteration-{number}" if self._controls.text_identity else number | (1 << 62)
        return identity, flags | SEQUENCE_START

    def controls(self, correlation_id: int | str, flags: int) -> list[_host.TensorTuple]:
        return self._controls.tensors(correlation_id, flags)

    def run(self, ticket: Ticket, timeout: float | None, call: PendingCall | None = None) -> None:
        """Wait until the request has been executed, as often as the model asked for it.

        Raises:
            ModelExecutionError: the scheduler refuses the request, in a server's words.
            InferTimeout: its turn did not come in time.
        """
        item = Item(ticket, timeout, call, batched=self._batched)
        with self._changed:
            self._enter(item)
        try:
            if not item.wait(None if timeout is None else item.arrived + timeout):
                if self._withdraw(item):
                    raise InferTimeout(
                        f"{self.revision.config.name} did not get to the request within {timeout:g} s: "
                        "other sequences hold all slots, or earlier requests of this one are not done",
                        hint="end sequences, or give the model more instances: --instances 2",
                    )
                item.wait(None)
        except BaseException:
            if not self._withdraw(item):
                ticket.request.cancel()
            raise
        if item.error is not None:
            raise item.error

    def close(self) -> None:
        """Take no more requests. Those waiting get `Retired`; a batch under way is finished."""
        from workbench.session.revision import Retired

        with self._changed:
            self._closed = True
            dropped = [item for _, item in self._waiting]
            for worker in self._workers:
                for sequence in worker.sequences:
                    keep = 1 if sequence.busy else 0
                    while len(sequence.items) > keep:
                        dropped.append(sequence.items.pop())
            self._waiting.clear()
            self._changed.notify_all()
        for each in dropped:
            each.finish(Retired())

    # -- sequences -----------------------------------------------------------------------------------------

    def _enter(self, item: Item) -> None:
        from workbench.session.revision import Retired

        if self._closed:
            raise Retired
        self._expire()
        name, ticket = self.revision.config.name, item.ticket
        identity = ticket.correlation_id
        if not identity:
            raise refused(
                name,
                f"inference request to model '{name}' must specify a non-zero or non-empty correlation ID",
                "INVALID_ARG",
                hint="sequence=(7, True, False): identity, starts, ends; or --seq 7:start",
            )
        starts = bool(ticket.flags & SEQUENCE_START)
        entry = self._known.get(identity)
        queued = any(each == identity for each, _ in self._waiting)
        if not starts and not queued and (entry is None or entry[1].ended):
            raise self._no_start(identity)
        if entry is not None and (starts or not entry[1].ended):
            sequence = entry[1]
            sequence.ended = bool(ticket.flags & SEQUENCE_END)
            sequence.items.append(item)
            sequence.last_used = time.monotonic()
        else:
            self._waiting.append((identity, item))
            self._admit()
        self._changed.notify_all()

    def _no_start(self, identity: int | str) -> Exception:
        name = self.revision.config.name
        hint = f"begin it: sequence=({identity!r}, True, False), or --seq {identity}:start"
        if identity in self._expired:
            hint = (
                f"it was idle for more than {self._idle:g} s, which ends it: raise "
                "max_sequence_idle_microseconds, or begin it again"
            )
        return refused(
            name,
            f"inference request for sequence {identity} to model '{name}' must specify the START flag on the "
            "first request of the sequence",
            "INVALID_ARG",
            hint=hint,
        )

    def _admit(self) -> None:
        """Give waiting sequences the free slots, on the instances with the fewest sequences first."""
        kept: deque[tuple[int | str, Item]] = deque()
        for identity, item in self._waiting:
            entry = self._known.get(identity)
            if entry is None:
                worker = max(self._workers, key=lambda each: len(each.free))
                if not worker.free:
                    kept.append((identity, item))
                    continue
                entry = self._known[identity] = (worker, _Sequence(identity, worker.free.pop()))
                worker.sequences.append(entry[1])
            entry[1].items.append(item)
            entry[1].ended = bool(item.ticket.flags & SEQUENCE_END)
            entry[1].last_used = time.monotonic()
        self._waiting = kept

    def _release(self, worker: _Worker, sequence: _Sequence) -> None:
        if sequence in worker.sequences:
            worker.sequences.remove(sequence)
            worker.free.append(sequence.slot)
            worker.free.sort(reverse=True)
        if self._known.get(sequence.identity, (None, None))[1] is sequence:
            del self._known[sequence.identity]

    def _expire(self) -> None:
        limit = time.monotonic() - self._idle
        for worker, sequence in list(self._known.values()):
            if not sequence.items and sequence.last_used < limit:
                self._expired.append(sequence.identity)
                self._release(worker, sequence)
        self._admit()

    def _withdraw(self, item: Item) -> bool:
        """Take it out of its queue; False if it is being executed, or done."""
        with self._changed:
            for each in list(self._waiting):
                if each[1] is item:
                    self._waiting.remove(each)
                    return True
            for _, sequence in self._known.values():
                if item in sequence.items and not (sequence.busy and sequence.items[0] is item):
                    sequence.items.remove(item)
                    return True
        return False

    # -- execution -----------------------------------------------------------------------------------------

    def _serve(self, worker: _Worker) -> None:
        while True:
            batch = self._next_batch(worker)
            if batch is None:
                break
            error: BaseException | None = None
            items = [sequence.items[0] for sequence in batch]
            try:
                self._execute(worker, batch, items)
            except BaseException as caught:  # handed to those who wait
                error = caught
            with self._changed:
                for sequence, item in zip(batch, items, strict=True):
                    self._settle(worker, sequence, item, error)
                if error is not None and (worker.instance is None or worker.instance.lost):
                    worker.instance = None
                    self._forget(worker)
                self._admit()
                self._changed.notify_all()
        if worker.instance is not None and not worker.instance.lost:
            self.revision.give(worker.instance)
        worker.instance = None

    def _next_batch(self, worker: _Worker) -> list[_Sequence] | None:
        """Sequences whose first requests make the next batch, marked busy; None when closed."""
        with self._changed:
            while True:
                self._expire()
                ready = sorted((each for each in worker.sequences if each.items), key=lambda each: each.slot)
                if ready:
                    chosen: list[_Sequence] = []
                    total, key = 0, ready[0].items[0].key
                    for each in ready:
                        head = each.items[0]
                        if head.key == key and (not chosen or total + head.size <= self._limit):
                            chosen.append(each)
                            total += head.size
                    for each in chosen:
                        each.busy = True
                    return chosen
                if self._closed:
                    return None
                # A slot comes free by idleness too, and only those who look notice.
                self._changed.wait(self._idle if self._waiting else None)

    def _execute(self, worker: _Worker, batch: list[_Sequence], items: list[Item]) -> None:
        revision = self.revision
        instance = worker.instance
        if instance is None:
            instance = worker.instance = revision.take(None)
        elif not instance.channel.alive:
            raise revision.lose(instance, "between requests")
        instance.route.context = items[0].context
        limits = [each.timeout for each in items]
        limit = None if None in limits else max(each for each in limits if each is not None)
        for each in items:
            if each.call is not None:
                each.call.taken(instance)
        requests = [each.ticket.request for each in items]
        if self._fills_gaps:
            requests = self._with_gaps(batch, items)
        try:
            run_batch(revision, instance, requests, limit)
        finally:
            if not instance.lost:
                instance.catch_up()

    def _with_gaps(self, batch: list[_Sequence], items: list[Item]) -> list[_host.Request]:
        by_slot = {sequence.slot: item for sequence, item in zip(batch, items, strict=True)}
        requests = []
        for slot in range(max(by_slot) + 1):
            if slot in by_slot:
                requests.append(by_slot[slot].ticket.request)
            elif len(requests) < self._limit:
                requests.append(self._controls.empty_request(items[0].ticket, self.revision))
        return requests

    def _settle(self, worker: _Worker, sequence: _Sequence, item: Item, error: BaseException | None) -> None:
        """What becomes of a request that was executed, and of its sequence."""
        sequence.busy = False
        sequence.last_used = time.monotonic()
        ticket = item.ticket
        if error is None and ticket.request.rescheduled:
            if not self._iterative:
                try:
                    refuse_reschedule(self.revision, ticket.request)
                except Exception as refusal:
                    error = refusal
            elif ticket.flags & SEQUENCE_END:
                # The sequence has ended, so the request would have to begin another one.
                error = self._no_start(sequence.identity)
            else:
                ticket.flags &= ~SEQUENCE_START
                self._controls.clear_start(ticket)
                sequence.busy = True  # it is under way until it is answered
                return
        if item in sequence.items:
            sequence.items.remove(item)
        if not sequence.items and (self._iterative or ticket.flags & SEQUENCE_END):
            self._release(worker, sequence)
        item.finish(error)

    def _forget(self, worker: _Worker) -> None:
        """The instance is gone, and with it what it knew of its sequences."""
        for sequence in list(worker.sequences):
            identity = sequence.identity
            self._fail(sequence.items, identity)
            sequence.items.clear()
            self._release(worker, sequence)

    def _fail(self, items: Iterable[Item], identity: int | str) -> None:
        for item in items:
            item.finish(self._no_start(identity))
