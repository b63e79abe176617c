"""Calls between models, streams, throughput, processor time: our stub beside NVIDIA's, and the live host."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import psutil
import tritonclient.grpc as grpcclient

import workbench as wb
from tests.support.servers import stubs_of
from workbench.targets.process_server import ServerProcess

from .support import MODELS, percentile, server, show

BLS_CALLS = 5000
RESPONSES = 20_000
CONCURRENCY = (1, 16)  # requests at a time
SECONDS = 3.0
ROUNDS = 3  # each side is measured in turns, so that a busy moment does not fall on one of them


def _count(value: int) -> grpcclient.InferInput:
    tensor = grpcclient.InferInput("COUNT", [1], "INT32")
    tensor.set_data_from_numpy(np.array([value], np.int32))
    return tensor


def _processor_s(pids: Iterable[int]) -> float:
    """User and system time of processes so far."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return sum(each.user + each.system for each in times)


def _throughput(call: Callable[[], object], concurrency: int, stubs: Iterable[int]) -> tuple[float, float]:
    """Calls a second, and the microseconds of a processor that the stubs took for one."""
    done = [0] * concurrency
    end = time.perf_counter() + SECONDS

    def work(number: int) -> None:
        while time.perf_counter() < end:
            call()
            done[number] += 1

    before, start = _processor_s(stubs), time.perf_counter()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - start
    return sum(done) / elapsed, (_processor_s(stubs) - before) / sum(done) * 1e6


def _define(name: str, inputs: list[str], outputs: list[str], **options: object) -> None:
    source = Path(MODELS / name / "1" / "model.py")
    wb.define(name, source=source, inputs=inputs, outputs=outputs, **options)  # type: ignore[arg-type]


class Live:
    """The same models on the live host."""

    def __init__(self) -> None:
        _define("identity", ["INPUT:FP32[-1]"], ["OUTPUT:FP32[-1]"])
        _define("bls_caller", ["COUNT:INT32[1]"], ["MICROSECONDS:FP32[-1]"])
        _define("repeat", ["COUNT:INT32[1]"], ["SECONDS:FP32[1]"], decoupled=True)
        self._models = wb.current().models

    def bls(self) -> float:
        count = np.array([BLS_CALLS], np.int32)
        answer = self._models["bls_caller"].infer({"COUNT": count}, timeout=120)
        return percentile(list(answer["MICROSECONDS"].numpy()), 0.5)

    def stream(self) -> float:
        start = time.perf_counter()
        number = sum(1 for _ in self._models["repeat"].stream({"COUNT": np.array([RESPONSES], np.int32)}))
        return number / (time.perf_counter() - start)

    def requests(self, concurrency: int) -> tuple[float, float]:
        array = np.arange(4, dtype=np.float32)
        revision = wb.current().hosts["identity"].current
        stubs = [each.process.pid for each in revision.instances]  # type: ignore[union-attr]
        return _throughput(lambda: self._models["identity"].infer({"INPUT": array}), concurrency, stubs)


class Served:
    """The models on a server."""

    def __init__(self, process: ServerProcess) -> None:
        self._process = process

    def bls(self) -> float:
        answer = self._process.grpc().infer("bls_caller", [_count(BLS_CALLS)])
        return percentile(list(answer.as_numpy("MICROSECONDS")), 0.5)

    def stream(self) -> float:
        responses: queue.Queue[object] = queue.Queue()
        client = self._process.grpc()
        client.start_stream(callback=lambda result, error: responses.put(error or result))
        client.async_stream_infer("repeat", [_count(RESPONSES)])
        start = time.perf_counter()
        for _ in range(RESPONSES):
            got = responses.get(timeout=60)
            if isinstance(got, Exception):
                raise got
        elapsed = time.perf_counter() - start
        client.stop_stream()
        return RESPONSES / elapsed

    def requests(self, concurrency: int) -> tuple[float, float]:
        client = self._process.grpc()
        array = np.arange(4, dtype=np.float32)
        tensor = grpcclient.InferInput("INPUT", [4], "FP32")
        tensor.set_data_from_numpy(array)
        return _throughput(lambda: client.infer("identity", [tensor]), concurrency, stubs_of(self._process))


def _measure(side: Live | Served) -> dict[str, float]:
    figures = {"BLS p50 µs": side.bls(), "responses/s": side.stream()}
    for concurrency in CONCURRENCY:
        rate, taken = side.requests(concurrency)
        figures[f"requests/s ({concurrency})"] = rate
        figures[f"processor µs of the stub ({concurrency})"] = taken
    return figures


def main() -> None:
    """Print the table."""
    names = ["identity", "bls_caller", "repeat"]
    rounds = []
    with server("nvidia", names) as theirs, server("own", names) as ours:
        sides: dict[str, Live | Served] = {
            "nvidia": Served(theirs),
            "own": Served(ours),
            "live": Live(),
        }
        for _ in range(ROUNDS):
            rounds.append({name: _measure(side) for name, side in sides.items()})
        wb.current().close()
    rows = []
    for name in rounds[0]["nvidia"]:
        nvidia, own, live = (percentile([each[side][name] for each in rounds], 0.5) for side in sides)
        better_is_less = "µs" in name
        ratios = [nvidia / each if better_is_less else each / nvidia for each in (own, live)]
        rows.append(
            [
                name,
                f"{nvidia:,.0f}",
                f"{own:,.0f}",
                f"{ratios[0]:.2f} ×",
                f"{live:,.0f}",
                f"{ratios[1]:.2f} ×",
            ]
        )
    show(
        f"Server 24.10, gRPC; median of {ROUNDS} rounds; × = how much better than NVIDIA's stub",
        ["figure", "NVIDIA's stub", "our stub", "", "live host", ""],
        rows,
    )


if __name__ == "__main__":
    main()
