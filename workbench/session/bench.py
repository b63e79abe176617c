"""Many requests of one kind, and how long each took."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import preview
from workbench._host import next_span
from workbench.errors import InputError, WorkbenchUsageError
from workbench.session.stages import Sent, StageClock

if TYPE_CHECKING:
    from workbench.session.model_host import ModelHost

__all__ = ["BenchResult", "bench"]

_SHOWN = ("p50", "p90", "p99", "mean", "max")


class BenchResult:
    """Latencies of the requests that were answered.

    ``repr`` has no number that differs from run to run unless `times` or `stages` is set; properties always
    have them.

    Attributes:
        latencies: Seconds, one per request, in the order in which they ended.
        seconds: From the first request to the end of the last, warm-up not counted.
        previous: The measurement of the same model before this one, None if this is the first.
        stages: Mean seconds by stage, if it was asked for; see `workbench.session.stages`.
    """

    def __init__(
        self,
        model: str,
        src: str,
        latencies: np.ndarray,
        seconds: float,
        *,
        warmup: int,
        concurrency: int,
        times: bool = False,
        previous: BenchResult | None = None,
        stages: Mapping[str, float] | None = None,
    ) -> None:
        self.model = model
        self.previous = previous
        self.src = src
        self.latencies = latencies
        self.seconds = seconds
        self.warmup = warmup
        self.concurrency = concurrency
        self.times = times
        self.stages = stages

    def percentile(self, percent: float) -> float:
        """Seconds within which this share of the requests was answered."""
        return float(np.percentile(self.latencies, percent))

    @property
    def p50(self) -> float:
        return self.percentile(50)

    @property
    def p90(self) -> float:
        return self.percentile(90)

    @property
    def p99(self) -> float:
        return self.percentile(99)

    @property
    def mean(self) -> float:
        return float(self.latencies.mean())

    @property
    def max(self) -> float:
        return float(self.latencies.max())

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.seconds

    def view(self) -> None:
        """Display a histogram, with that of the measurement before."""
        from workbench.widgets.bench_view import show

        show(self)

    def _rows(self) -> list[list[str]]:
        rows: list[list[str]] = []
        if self.times:
            rows += [[name, preview.format_seconds(getattr(self, name))] for name in _SHOWN]
            rows.append(["rate", f"{self.rate:.4g} requests/s"])
        total = sum(self.stages.values()) if self.stages else 0.0
        for name, seconds in (self.stages or {}).items():
            rows.append([name, f"{preview.format_seconds(seconds)}  {seconds / total:.0%}"])
        return rows

    def to_data(self) -> dict[str, Any]:
        """The figures, for JSON; times in seconds."""
        return {
            "model": self.model,
            "src": self.src,
            "requests": len(self.latencies),
            "warmup": self.warmup,
            "concurrency": self.concurrency,
            **{name: getattr(self, name) for name in _SHOWN},
            "rate": self.rate,
            **({"stages": dict(self.stages)} if self.stages else {}),
        }

    def __repr__(self) -> str:
        count = len(self.latencies)
        head = (
            f"Bench {self.model}: {count} request{'' if count == 1 else 's'} answered, "
            f"{self.warmup} before them to warm up, {self.concurrency} at a time"
        )
        rows = self._rows()
        return "\n".join([head, *(preview.columns(rows) if rows else [])])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        text, rows = repr(self), self._rows()
        html = preview.html_table(rows, caption=text.split("\n", 1)[0]) if rows else ""
        return preview.mimebundle(text, html)


def bench(
    host: ModelHost,
    inputs: Mapping[str, Any],
    *,
    n: int = 200,
    warmup: int = 20,
    concurrency: int = 1,
    times: bool = False,
    profile: bool = False,
    **options: Any,
) -> BenchResult:
    """Send the same request many times. Nothing of it is recorded for a replay.

    Args:
        host: The model.
        inputs: Values by input name; they are checked and encoded for every request, as `infer` does.
        n: Requests that count.
        warmup: Requests before them that do not.
        concurrency: Threads that send, each one request at a time.
        times: Whether the result's text has the times in it.
        profile: Whether to tell how the time divides into stages, too.
        **options: As of `ModelHost.infer`.

    Raises:
        WorkbenchUsageError: a number is too small.
        WorkbenchError: there are no stages to tell of.
        ModelExecutionError, InferTimeout, StubCrashedError: the first request that failed ends it.
    """
    for name, value, least in (("n", n, 1), ("warmup", warmup, 0), ("concurrency", concurrency, 1)):
        if value < least:
            raise WorkbenchUsageError(f"--{name} is a number, {least} or more; got {value}")
    if options.get("sequence") and n + warmup > 1 and options["sequence"][1]:
        raise InputError("a request that starts a sequence cannot be sent many times", hint="leave --seq out")
    concurrency = min(concurrency, n)
    clock = host.stages() if profile else None
    with host.recorder.paused():
        for _ in range(warmup):
            host.infer(inputs, **options)
    sent: list[Sent] = []
    seconds = 0.0
    most = clock.most if clock else n
    for done in range(0, n, most):
        if clock:
            clock.begin()
        began = time.perf_counter()
        answered = _send(host, inputs, options, min(most, n - done), concurrency, clock)
        seconds += time.perf_counter() - began
        if clock:
            clock.end(answered)
        sent += answered
    previous = host.last_bench
    if previous is not None:
        previous.previous = None  # one before is kept, not all
    host.last_bench = BenchResult(
        host.name,
        host.serving,
        np.array([each.ended - each.began for each in sent]),
        seconds,
        warmup=warmup,
        concurrency=concurrency,
        times=times,
        previous=previous,
        stages=clock.means() if clock else None,
    )
    return host.last_bench


def _send(
    host: ModelHost,
    inputs: Mapping[str, Any],
    options: Mapping[str, Any],
    n: int,
    concurrency: int,
    clock: StageClock | None,
) -> list[Sent]:
    """So many requests, in the order in which they ended. The first failure is raised."""
    sent: list[Sent] = []
    failures: list[BaseException] = []
    left = iter(range(n))
    lock = threading.Lock()

    def send() -> None:
        with host.recorder.paused():
            while not failures:
                with lock:
                    if next(left, None) is None:
                        return
                span = next_span()
                more = clock.options(span) if clock else {}
                began = time.perf_counter()
                try:
                    host.infer(inputs, **options, **more)
                except BaseException as error:  # raised by the caller
                    failures.append(error)
                    return
                sent.append(Sent(span, began, time.perf_counter()))

    if concurrency == 1:
        send()
    else:
        threads = [
            # What the model prints belongs to this cell, whichever thread sends.
            threading.Thread(
                target=copy_context().run, args=(send,), name=f"workbench-bench-{number}", daemon=True
            )
            for number in range(min(concurrency, n))
        ]
        for each in threads:
            each.start()
        try:
            for each in threads:
                each.join()
        except BaseException as error:  # Ctrl-C: no thread begins another request
            failures.append(error)
            raise
    if failures:
        raise failures[0]
    return sent
