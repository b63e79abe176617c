"""What the inspector costs a real server: its throughput with and without somebody reading its region."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import numpy as np

from workbench.shm_inspect.owners import find_regions
from workbench.shm_inspect.region import RegionReader

from .support import percentile, server, show

READS = 10_000
SLICE_S = 0.1  # on and off take turns this often, so that what else the machine does hits both
HZ = 50.0  # reads a second; a view makes 4
CLIENTS = 2
WARM_UP = 200  # requests


def _client(url: str, answered: Synchronized[int]) -> None:
    """Send one request after the other, until killed."""
    import tritonclient.grpc as grpc

    client = grpc.InferenceServerClient(url)
    array = np.ones(4096, np.float32)
    tensor = grpc.InferInput("INPUT", array.shape, "FP32")
    tensor.set_data_from_numpy(array)
    while True:
        client.infer("identity", [tensor])
        with answered:
            answered.value += 1


class _Load:
    """Clients in processes of their own, which share no interpreter with the reader."""

    def __init__(self, url: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._answered = context.Value("q", 0)
        self._clients = [
            context.Process(target=_client, args=(url, self._answered), daemon=True) for _ in range(CLIENTS)
        ]

    @property
    def answered(self) -> int:
        """Requests so far."""
        return int(self._answered.value)

    def check(self) -> None:
        """Raise if a client has given up; it has said why."""
        if not all(each.is_alive() for each in self._clients):
            raise RuntimeError("a client ended early")

    def __enter__(self) -> _Load:
        for each in self._clients:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._clients:
            each.kill()
            each.join()


class _Reads:
    """Reads a region at a steady rate, and checks the books each time."""

    def __init__(self, path: Path) -> None:
        self.count = self.steady = self.attempts = 0
        self.durations: list[float] = []
        self._reader = RegionReader(path)

    def during(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            state = self._reader.read()
            self.durations.append(time.perf_counter() - start)
            assert state.used + state.free + state.overhead == state.capacity
            assert sum(each.bytes for each in state.blocks) == state.used
            self.count += 1
            self.steady += state.steady
            time.sleep(max(0.0, 1 / HZ - (time.perf_counter() - start)))


def main() -> None:
    """Interleave slices with and without reads until the region was read often enough."""
    wanted = int(os.environ.get("WORKBENCH_INSPECT_READS", READS))
    with server("nvidia", ["identity"]) as process:
        (region,) = [each for each in find_regions() if each.name.startswith(process.region_prefix)]
        reads = _Reads(region.path)
        rates: dict[bool, list[float]] = {False: [], True: []}
        with _Load(f"localhost:{process.grpc_port}") as load:
            while load.answered < WARM_UP:
                load.check()
                time.sleep(0.05)
            on = False
            while reads.count < wanted or len(rates[False]) != len(rates[True]):
                before, start = load.answered, time.perf_counter()
                if on:
                    reads.during(SLICE_S)
                else:
                    time.sleep(SLICE_S)
                load.check()
                rates[on].append((load.answered - before) / (time.perf_counter() - start))
                on = not on
    off, with_reads = (statistics.mean(rates[each]) for each in (False, True))
    # Relative to the mean: a slice on a busy machine may see no answer at all.
    pairs = [(there - none) / off for none, there in zip(rates[False], rates[True], strict=True)]
    error = statistics.stdev(pairs) / len(pairs) ** 0.5
    show(
        f"A server's throughput while its region is read {HZ:g} times a second ({reads.count} reads)",
        ("", "requests/s", "slices"),
        [
            ("not read", f"{off:.0f}", str(len(rates[False]))),
            ("read", f"{with_reads:.0f}", str(len(rates[True]))),
            ("change", f"{100 * (with_reads / off - 1):+.2f} % ± {100 * error:.2f}", ""),
            ("change, median of pairs", f"{100 * statistics.median(pairs):+.2f} %", ""),
            ("one read, p50", f"{percentile(reads.durations, 0.5) * 1e6:.0f} us", ""),
            ("one read, p99", f"{percentile(reads.durations, 0.99) * 1e6:.0f} us", ""),
            ("seen at one moment", f"{reads.steady} of {reads.count}", ""),
        ],
    )
