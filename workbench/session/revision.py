"""One loaded revision of a model: its instances, who is free, and what happens when one is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import replace
from queue import Empty
from typing import TYPE_CHECKING

from workbench import cancelling
from workbench.errors import InferTimeout, WorkbenchError
from workbench.model_config import InstanceSpec, ModelConfig
from workbench.session import failures
from workbench.session.inputs import InputEncoder
from workbench.session.instance import Instance, StartPlan
from workbench.session.queues import RequestQueue, check_queue, make_queue
from workbench.session.turns import Place, Turns

if TYPE_CHECKING:
    from workbench.errors import StubCrashedError
    from workbench.model_source import ModelEntry

__all__ = ["Retired", "Revision"]

_SLICE_SECONDS = 0.1  # how often a wait looks whether it was called off
_RESTART_PATIENCE = 5.0  # how long an error waits to be able to say "restarted"


class Retired(Exception):  # noqa: N818 - a turn of events, not an error
    """This revision does not serve any more; ask the host for the current one."""


class Revision:
    """Instances of one source and configuration.

    Who serves a request takes an instance out of ``_free`` and puts it back: that is the whole lock. None in
    the queue means that there is nothing to wait for: the revision was replaced, or could not be restarted.
    """

    def __init__(self, plan: StartPlan) -> None:
        """Start every instance and initialize it.

        Raises:
            ModelLoadError: any of them failed; none is left running.
        """
        check_queue(plan.config)
        self.plan = plan
        self.config: ModelConfig = plan.config
        self.decoupled = plan.config.decoupled
        self.encoder = InputEncoder(plan.config)
        self.output_names = [spec.name for spec in plan.config.outputs]
        #: Forms of calls by other models that were found to fit, and the outputs they get: see `BlsRouter`.
        self.checked_calls: dict[bytes, list[str]] = {}
        self.failure: WorkbenchError | None = None
        #: Told when an instance has been replaced (None), or could not be (why).
        self.on_change: Callable[[WorkbenchError | None], None] = lambda error: None
        self.retired = False
        #: Folders in use: the plan's, and those of sources that were patched over.
        self.entries = [plan.entry]
        self._lock = threading.Lock()
        self._awaited = 0
        self._free: Turns[Instance | None] = Turns()
        self._holding = threading.Lock()  # of `all_held`
        self._holder: int | None = None  # the thread inside it
        self.instances: list[Instance] = _start_all(plan, plan.config.instances)
        for each in self.instances:
            self._free.put(each)
        #: What requests wait in, if the configuration asks for batches or sequences.
        self.queue: RequestQueue | None = make_queue(self)

    @property
    def src(self) -> str:
        return self.plan.entry.source.src

    # -- taking an instance --------------------------------------------------------------------------------

    def take(self, timeout: float | None, place: Place[Instance | None] | None = None) -> Instance:
        """A free instance, taken out of circulation until `give`. Who waits longest is next, but for moments.

        Args:
            timeout: Seconds.
            place: Of `place`; else one at the end of the line.

        Raises:
            Retired: this revision does not serve any more.
            InferTimeout: all instances stayed busy.
            StubCrashedError: the process was found dead.
        """
        get = self._free.get if place is None else place.get
        if self._holder is not None:
            self._let_holder_go_first(timeout)
            if self._holder == threading.get_ident():
                get = self._free.get_ahead
        while True:
            try:
                instance = get(timeout)
            except Empty:
                raise self._all_busy(timeout) from None
            if instance is None:
                self._free.put(None)
                if self.failure is not None and not self.retired:
                    raise self.failure.alone()
                raise Retired
            if instance.lost:
                continue  # its replacement comes through the queue too
            if not instance.channel.alive:
                raise self.lose(instance, "between requests")
            return instance

    def try_take(self) -> Instance | None:
        """A free instance if there is one now that nobody has waited for for long."""
        if self._holder not in (None, threading.get_ident()):
            return None
        try:
            instance = self._free.get_now()
        except Empty:
            return None
        if instance is None or instance.lost or not instance.channel.alive:
            if instance is None:
                self._free.put(None)
            elif not instance.lost:
                self.lose(instance, "between requests", patience=0)
            return None
        return instance

    def place(self) -> Place[Instance | None]:
        """A place among those who wait for an instance, for `take_within`; to be left in any case."""
        return Place(self._free)

    def take_within(self, seconds: float, place: Place[Instance | None]) -> Instance | None:
        """A free instance, or None if none became free in time. Raises as `take` does."""
        try:
            return self.take(seconds, place)
        except InferTimeout:
            return None

    def give(self, instance: Instance) -> None:
        self._free.put(instance)

    @contextmanager
    def all_held(self, timeout: float) -> Iterator[list[Instance]]:
        """Every instance, taken out of circulation: nothing is being executed while this is open.

        Raises:
            What `take` raises.
        """
        held: list[Instance] = []
        end = time.monotonic() + timeout
        with self._holding:
            self._holder = threading.get_ident()
            try:
                for _ in self.plan.config.instances:
                    held.append(self.take(max(end - time.monotonic(), 0.0)))
                yield held
            finally:
                self._holder = None
                for each in held:
                    if not each.lost:
                        self.give(each)

    def _let_holder_go_first(self, timeout: float | None) -> None:
        """Wait while another thread is in `all_held`: threads that take an instance in the moment in which
        they gave one back would leave none for it.
        """
        if self._holder == threading.get_ident():
            return
        if not cancelling.acquire(self._holding, timeout):
            raise self._all_busy(timeout)
        self._holding.release()

    def become(self, entry: ModelEntry) -> None:
        """From now on this is a revision of another source. Only while all instances are held."""
        with self._lock:
            self.plan = replace(self.plan, entry=entry)
            self.entries.append(entry)
            self.checked_calls.clear()  # they name a version

    def _all_busy(self, timeout: float | None) -> InferTimeout:
        count = len(self.instances)
        busy = "its only instance is busy" if count == 1 else f"all {count} instances are busy"
        return InferTimeout(
            f"{self.config.name} did not get to the request within {timeout:g} s: {busy}",
            hint="more instances: --instances 2",
        )

    @contextmanager
    def awaiting(self) -> Iterator[None]:
        """While this is open somebody waits for responses that come after execute; unloading waits for
        that.
        """
        with self._lock:
            self._awaited += 1
        try:
            yield
        finally:
            with self._lock:
                self._awaited -= 1

    # -- losing one ----------------------------------------------------------------------------------------

    def lose(
        self, instance: Instance, phase: str, *, patience: float = _RESTART_PATIENCE, reason: str = ""
    ) -> StubCrashedError:
        """Take a dead, or to be killed, instance out for good and start another in its place.

        Returns:
            The error to raise: what died, of what, and what was done about it.
        """
        with self._lock:
            first, instance.lost = not instance.lost, True
        if first:
            instance.end = reason or instance.end_reason()
            instance.last_output = instance.process.output.tail(60) if instance.process else []
            # What it had asked of other models is of no use any more, and may be what it was stuck on.
            for revision, callee in list(instance.pending.values()):
                if callee is not None and callee is not instance:
                    revision.lose(callee, phase, patience=0, reason="SIGKILL")
            threading.Thread(
                target=self._replace,
                args=(instance,),
                name=f"workbench-restart-{instance.spec.name}",
                daemon=True,
            ).start()
        instance.replaced.wait(patience)
        if not instance.replaced.is_set():
            outcome = f"restarting with {self.src}"
        elif self.retired:
            outcome = "it was being replaced"
        elif self.failure is not None:
            outcome = "it did not come up again"
        else:
            outcome = f"restarted with {self.src}"
        return failures.crashed(self.plan.entry, instance.end, phase, outcome, instance.last_output)

    def _replace(self, old: Instance) -> None:
        try:
            old.abort()
            if self.retired:
                return
            new = _start(self.plan, old.spec)
            with self._lock:
                wanted = not self.retired
                if wanted:
                    self.instances[self.instances.index(old)] = new
            if wanted:
                self._free.put(new)
                self.on_change(None)
            else:
                new.abort()
        except Exception as caught:  # whatever it is, nobody may wait for this instance
            error = (
                caught
                if isinstance(caught, WorkbenchError)
                else WorkbenchError(
                    f"{self.config.name} could not be started again: {type(caught).__name__}: {caught}"
                )
            )
            self.failure = error.alone()
            self._free.put(None)
            self.on_change(error)
        finally:
            old.replaced.set()

    # -- going down ----------------------------------------------------------------------------------------

    def retire(self, timeout: float) -> None:
        """Let requests under way finish, then finalize. What is still busy after `timeout` seconds is
        killed.
        """
        end = time.monotonic() + timeout
        if self.queue is not None:
            self.queue.close()
        with self._lock:
            self.retired = True
            waiting = {each for each in self.instances if not each.lost}
            lost = [each for each in self.instances if each.lost]
        idle = []
        with suppress(KeyboardInterrupt, Empty):  # called off, or over time: the rest is killed
            while waiting:
                instance = self._free.get_ahead(max(end - time.monotonic(), 0.001))
                if instance is None:
                    break
                waiting.discard(instance)
                if not instance.lost:
                    idle.append(instance)
        self._free.put(None)
        for each in idle:
            try:
                while self._awaited and each.channel.alive and time.monotonic() < end:
                    cancelling.check()
                    time.sleep(0.01)
                each.finalize(max(end - time.monotonic(), 1.0))
            except KeyboardInterrupt:
                each.abort()
        for each in waiting:
            each.abort()
        for each in lost:
            each.replaced.wait(max(end - time.monotonic(), 1.0))


def _start(plan: StartPlan, spec: InstanceSpec) -> Instance:
    instance = Instance(plan, spec)
    instance.initialize()
    return instance


def _start_all(plan: StartPlan, specs: Sequence[InstanceSpec]) -> list[Instance]:
    context = copy_context()

    def begin(spec: InstanceSpec, called_off: threading.Event | None) -> Instance:
        if called_off is not None:
            cancelling.CANCELLED.set(called_off)
        each = Instance(plan, spec, context=context)
        each.initialize()
        return each

    if len(specs) == 1:
        return [begin(specs[0], None)]
    pool = ThreadPoolExecutor(len(specs), thread_name_prefix="workbench-start")
    events = [threading.Event() for _ in specs]
    futures: list[Future[Instance]] = []
    try:
        for spec, event in zip(specs, events, strict=True):
            futures.append(pool.submit(copy_context().run, begin, spec, event))
        while wait(futures, _SLICE_SECONDS, FIRST_EXCEPTION).not_done:
            cancelling.check()
            for each in futures:
                if each.done():
                    each.result()
        return [each.result() for each in futures]
    except BaseException:
        for event in events:
            event.set()
        for each in futures:
            each.add_done_callback(_abort_started)
        raise
    finally:
        pool.shutdown(wait=False)


def _abort_started(future: Future[Instance]) -> None:
    if future.exception() is None:
        future.result().abort()
