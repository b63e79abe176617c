"""Reloads under load: no request is lost or answered by a revision that did not serve, nothing stays."""

from __future__ import annotations

import gc
import json
import os
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import psutil
import pytest

import workbench as wb
from tests.support.leaks import mapped_regions, own_memory

# `make soak` runs as many as the product promises.
RELOADS = int(os.environ.get("WORKBENCH_SOAK_RELOADS", "25"))
WARM_UP = 10  # reloads before memory is looked at: what is made once and kept is no growth
RATE = 200  # requests a second, of all senders together
SENDERS = 4
SETTLE_S = 0.5  # until the child is there that the warm process makes ahead of the next start
GROWTH = 0.05  # of the kernel's memory

pytestmark = pytest.mark.timeout(60 + 2 * RELOADS)

SOURCE = """\
import numpy as np
import triton_python_backend_utils as pb_utils

REVISION = {revision}


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            array = pb_utils.get_input_tensor_by_name(request, "X").as_numpy()
            answer = np.concatenate([[REVISION], array]).astype(np.int64)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("Y", answer)]))
        return responses
"""


@dataclass
class Traffic:
    """Requests at a steady rate, each checked when it is answered.

    ``oldest`` serves for certain when a request is sent, ``newest`` is the last that may answer it.
    """

    model: wb.Model
    oldest: int = 0
    newest: int = 0
    sent: int = 0
    answered: int = 0
    wrong: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, number: int, streamed: bool) -> None:
        with self._lock:
            self.sent += 1
        oldest = self.oldest
        try:
            if streamed:
                [result] = self.model.stream(X=[number, -number])
            else:
                result = self.model.infer(X=[number, -number])
            revision, *echo = result["Y"].tolist()
        except BaseException as error:
            self.wrong.append(f"{type(error).__name__}: {error}")
            return
        with self._lock:
            self.answered += 1
        if echo != [number, -number]:
            self.wrong.append(f"{number} was answered with {echo}")
        if not oldest <= revision <= self.newest:
            self.wrong.append(f"revision {revision} answered, between {oldest} and {self.newest} served")

    def run(self, sender: int) -> None:
        due, turn = time.monotonic(), 0
        while not self._stop.is_set():
            # A late one goes out at once: the rate holds over time.
            self._stop.wait(max(due - time.monotonic(), 0.0))
            self.send(sender * 1_000_000 + turn, streamed=turn % 10 == 9)
            due, turn = due + SENDERS / RATE, turn + 1

    def __enter__(self) -> Traffic:
        self._threads = [threading.Thread(target=self.run, args=(number,)) for number in range(SENDERS)]
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for each in self._threads:
            each.join()


def load(revision: int) -> wb.Model:
    return wb.define(
        "m", source=SOURCE.format(revision=revision), inputs=["X:INT64[2]"], outputs=["Y:INT64[3]"]
    )


def settled(session: wb.Workbench) -> tuple[int, int, int]:
    """Processes, regions and threads of the session once old revisions have gone."""
    for each in session.hosts["m"]._retiring:
        each.join()
    time.sleep(SETTLE_S)
    gc.collect()  # a request that met a reload leaves its traceback, and what hangs on it, to the collector
    processes = [
        each for each in psutil.Process().children(recursive=True) if each.status() != psutil.STATUS_ZOMBIE
    ]
    return len(processes), len(mapped_regions("wb_live_")), threading.active_count()


def test_reloads_under_load(session: wb.Workbench) -> None:
    for revision in range(WARM_UP):
        model = load(revision)
        model.infer(X=[revision, 0])
    traffic = Traffic(model, oldest=WARM_UP - 1, newest=WARM_UP - 1)
    with traffic:
        while traffic.answered < 100:
            time.sleep(0.05)
    before, memory = settled(session), own_memory()
    descriptors = psutil.Process().num_fds()
    traffic = Traffic(model, oldest=WARM_UP - 1, newest=WARM_UP - 1)
    seconds: list[float] = []
    start = time.monotonic()
    with traffic:
        for revision in range(WARM_UP, WARM_UP + RELOADS):
            traffic.newest = revision
            begin = time.monotonic()
            load(revision)
            seconds.append(time.monotonic() - begin)
            traffic.oldest = revision
    elapsed = time.monotonic() - start
    after, grown = settled(session), own_memory() - memory
    report = {
        "reloads": RELOADS,
        "requests": traffic.answered,
        "per_second": round(traffic.answered / elapsed),
        "reload_p50_ms": round(float(np.median(seconds)) * 1e3, 1),
        "reload_max_ms": round(max(seconds) * 1e3, 1),
        "kernel_mib": round(memory / (1 << 20), 1),
        "grown_percent": round(grown / memory * 100, 2),
    }
    print(json.dumps(report))
    assert traffic.wrong == []
    assert traffic.answered == traffic.sent
    assert after == before
    assert psutil.Process().num_fds() <= descriptors
    assert grown < GROWTH * memory, report
