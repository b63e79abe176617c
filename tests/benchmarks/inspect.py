"""What the inspector costs a real server: its throughput with and without somebody reading its region."""

from __future__ import annotations

import os
import statistics
import threading
import time
from pathlib import Path

import numpy as np

from workbench.shm_inspect.owners import find_regions
from workbench.shm_inspect.region import RegionReader

from .support import percentile, server, show

READS = 10_000
SLICE_S = 0.5  # on and off take turns this often, so that what else the machine does hits both
HZ = 100.0  # reads a second; a widget makes 4
CLIENTS = 2
WARM_UP = 200  # requests


class _Load:
    """Clients that send one request after the other; counts what was answered."""

    def __init__(self, url: str) -> None:
        self.answered = 0
        self._url = url
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]
        self._lock = threading.Lock()

    def _run(self) -> None:
        import tritonclient.grpc as grpc

        client = grpc.InferenceServerClient(self._url)
        array = np.ones(4096, np.float32)
        tensor = grpc.InferInput("INPUT", array.shape, "FP32")
        tensor.set_data_from_numpy(array)
        while not self._stop.is_set():
            client.infer("identity", [tensor])
            with self._lock:
                self.answered += 1

    def check(self) -> None:
        """Raise if a client has given up; it has said why."""
        if not all(each.is_alive() for each in self._threads):
            raise RuntimeError("a client ended early")

    def __enter__(self) -> _Load:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for each in self._threads:
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
    pairs = [on / off - 1 for off, on in zip(rates[False], rates[True], strict=True)]
    error = statistics.stdev(pairs) / len(pairs) ** 0.5
    show(
        f"A server's throughput while its region is read {HZ:g} times a second ({reads.count} reads)",
        ("", "requests/s", "slices"),
        [
            ("not read", f"{off:.0f}", str(len(rates[False]))),
            ("read", f"{with_reads:.0f}", str(len(rates[True]))),
            ("change", f"{100 * (with_reads / off - 1):+.2f} % ± {100 * error:.2f}", ""),
            ("one read, p50", f"{percentile(reads.durations, 0.5) * 1e6:.0f} us", ""),
            ("one read, p99", f"{percentile(reads.durations, 0.99) * 1e6:.0f} us", ""),
            ("seen at one moment", f"{reads.steady} of {reads.count}", ""),
        ],
    )
