"""Mixed load for as long as you like: ``python -m tests.endurance.soak`` (``make soak``).

A live session and a real server with our stub are asked at the same time: single requests, calls between
models, streams, requests that are given up, reloads, and now and then a stub is killed. Meanwhile memory,
file handles, threads, processes and regions are watched. They must not grow after a while.

WORKBENCH_SOAK_SECONDS (3600) is how long, WORKBENCH_SOAK_SEED repeats the order of things.
"""

from __future__ import annotations

import gc
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import tritonclient.grpc as grpc

import workbench as wb
from tests.endurance import models
from tests.support.leaks import mapped_regions, own_memory
from tests.support.models import write_model
from tests.support.servers import own_stub
from workbench.errors import InferTimeout, StubCrashedError, WorkbenchError
from workbench.server_install import find_server
from workbench.targets.process_server import ServerProcess

SECONDS = float(os.environ.get("WORKBENCH_SOAK_SECONDS", "3600"))
SEED = int(os.environ.get("WORKBENCH_SOAK_SEED", str(random.randrange(1 << 32))))
WORKERS = 4
LOOKS = 12  # at what is watched, evenly over the time
WARM_UP = 3  # of these: what is made once and kept is no growth
GROWTH = 0.10  # of memory, from the end of the warm-up to the end

SLEEPER = models.ECHO.replace(
    "def execute(self, requests):", "def execute(self, requests):\n        SLEEP(0.5)", 1
)
SLEEPER = "from time import sleep as SLEEP\n" + SLEEPER


@dataclass
class Tally:
    """What was done and what came of it."""

    done: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)  # to a kill: expected, and counted
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, name: str, job: Callable[[], bool]) -> None:
        """Do one thing. A crash that was ours is no fault of the session, any other error is."""
        try:
            right = job()
            with self.lock:
                self.done[name] += 1
                if not right:
                    self.wrong.append(f"{name}: a wrong answer")
        except Exception as error:  # a worker goes on: every one is judged at the end
            with self.lock:
                if isinstance(error, StubCrashedError) or "died (SIGKILL)" in str(error):
                    self.lost[name] += 1
                else:
                    self.wrong.append(f"{name}: {type(error).__name__}: {error}")


class Live:
    """The session and what is asked of it."""

    def __init__(self) -> None:
        self.session = wb.current()
        self.reloading = threading.Lock()
        self.echo = self.define_echo()
        self.repeat = wb.define(
            "repeat",
            source=models.REPEAT,
            inputs=["COUNT:INT32[1]"],
            outputs=["OUTPUT:INT32[1]"],
            decoupled=True,
        )
        self.caller = wb.define(
            "caller",
            source=models.caller("echo", "repeat"),
            inputs=["WORK:INT32[2]"],
            outputs=["REPORT:INT64[3]"],
        )
        self.sleeper = wb.define(
            "sleeper", source=SLEEPER, inputs=["INPUT:FP32[-1]"], outputs=["OUTPUT:FP32[-1]"]
        )

    def define_echo(self, number: int = 0) -> wb.Model:
        source = f"REVISION = {number}\n{models.ECHO}"
        return wb.define("echo", source=source, inputs=["INPUT:FP32[-1]"], outputs=["OUTPUT:FP32[-1]"])

    def infer(self) -> bool:
        given = np.random.default_rng().random(random.choice([1, 100, 100_000]), np.float32)
        return bool(np.array_equal(self.echo.infer({"INPUT": given})["OUTPUT"].numpy(), given))

    def call(self, mode: int) -> bool:
        work = np.array([mode, 5], np.int32)
        return int(self.caller.infer({"WORK": work})["REPORT"].numpy()[0]) == 5

    def stream(self) -> bool:
        return len(list(self.repeat.stream({"COUNT": np.array([20], np.int32)}))) == 20

    def give_up(self) -> bool:
        try:
            self.sleeper.infer({"INPUT": [1]}, timeout=0.05)
        except InferTimeout:
            return True
        return False

    def reload(self) -> bool:
        with self.reloading:
            self.define_echo(random.randrange(1 << 30))
        return True

    def kill(self) -> bool:
        hosts = [each.current for each in self.session.hosts.values()]
        pids = [each.process.pid for host in hosts if host for each in host.instances if each.process]
        if pids:
            try:
                os.kill(random.choice(pids), signal.SIGKILL)
            except ProcessLookupError:
                pass
        return True

    def jobs(self) -> list[tuple[str, float, Callable[[], bool]]]:
        """Name, how often, and what. (A call counts its region before and after, which takes a while.)"""
        return [
            ("infer", 300, self.infer),
            ("call", 6, lambda: self.call(0)),
            ("call stream", 6, lambda: self.call(1)),
            ("cancel", 3, lambda: self.call(2)),
            ("stream", 60, self.stream),
            ("give up", 0.5, self.give_up),
            ("reload", 3, self.reload),
            ("kill", 1, self.kill),
        ]


class Served:
    """A real server with our stub."""

    def __init__(self, folder: Path) -> None:
        text = models.config("INPUT:TYPE_FP32:-1", "OUTPUT:TYPE_FP32:-1")
        shutil.copy(own_stub(), write_model(folder, "echo", models.ECHO, text))
        self.server = ServerProcess(
            folder, find_server("24.10"), auto_complete=False, python_env=Path(sys.prefix)
        )

    def __enter__(self) -> Served:
        self.server.__enter__()
        self.server.load("echo")
        self.client = self.server.grpc()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__(None, None, None)

    def infer(self) -> bool:
        given = np.random.default_rng().random(64, np.float32)
        tensor = grpc.InferInput("INPUT", given.shape, "FP32")
        tensor.set_data_from_numpy(given)
        return bool(np.array_equal(self.client.infer("echo", [tensor]).as_numpy("OUTPUT"), given))


def look(live: Live, server: Served) -> dict[str, float]:
    """What must not grow, once nothing is under way."""
    for host in live.session.hosts.values():
        for each in host._retiring:
            each.join()
    time.sleep(0.5)
    gc.collect()
    me = psutil.Process()
    served = [
        each
        for each in me.children(recursive=True)
        if server.server.region_prefix in " ".join(each.cmdline())
    ]
    return {
        "kernel_mib": round(own_memory() / (1 << 20), 1),
        "server_stub_mib": round(sum(own_memory(each.pid) for each in served) / (1 << 20), 1),
        "handles": me.num_fds(),
        "threads": me.num_threads(),
        "processes": len(
            [each for each in me.children(recursive=True) if each.status() != psutil.STATUS_ZOMBIE]
        ),
        "regions": len(mapped_regions("wb_live_")),
    }


def work(jobs: list[tuple[str, float, Callable[[], bool]]], tally: Tally, seconds: float) -> None:
    """All workers, then nothing under way."""
    end = time.monotonic() + seconds

    def run() -> None:
        while time.monotonic() < end:
            ((name, _, job),) = random.choices(jobs, [often for _, often, _ in jobs])
            tally.run(name, job)

    threads = [threading.Thread(target=run) for _ in range(WORKERS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def settle(live: Live) -> None:
    """Every model answers: one that was killed last is restarted by the first request."""
    for job in (
        live.infer,
        lambda: live.call(0),
        live.stream,
        lambda: live.sleeper.infer({"INPUT": [1]}) is not None,
    ):
        for _ in range(5):
            try:
                assert job()
                break
            except WorkbenchError:
                continue
        else:
            raise AssertionError("a model did not come back")


def judge(looks: list[dict[str, float]], tally: Tally) -> list[str]:
    """What grew, and what went wrong."""
    first, last = looks[WARM_UP], looks[-1]
    faults = tally.wrong[:10]
    for name, before in first.items():
        allowed = before * (1 + GROWTH) + 8 if name.endswith("_mib") else before + 2
        if last[name] > allowed:
            faults.append(f"{name} grew from {before} to {last[name]}")
    return faults


def main() -> int:
    """Run, print, judge."""
    print(f"WORKBENCH_SOAK_SECONDS={SECONDS:.0f} WORKBENCH_SOAK_SEED={SEED}", flush=True)
    random.seed(SEED)
    tally, looks = Tally(), []
    with tempfile.TemporaryDirectory() as folder, Served(Path(folder)) as server:
        live = Live()
        jobs = [*live.jobs(), ("server", 100, server.infer)]
        for number in range(LOOKS):
            work(jobs, tally, SECONDS / LOOKS)
            settle(live)
            looks.append(look(live, server))
            print(json.dumps({"look": number + 1, **looks[-1], "done": tally.done.total()}), flush=True)
        live.session.close()
    faults = judge(looks, tally)
    print(json.dumps({"done": tally.done, "lost_to_kills": tally.lost, "faults": faults}, indent=2))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
