"""From running a model's cell to READY: in a notebook's kernel, in plain IPython, and on a real server."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jupyter_client.manager import KernelManager

from tests.support.servers import own_stub
from workbench.server_install import find_server
from workbench.targets.process_server import ServerProcess

from .support import milliseconds, percentile, show

ROUNDS = 40
SERVER_ROUNDS = 10
WARM_UP = 5
PAUSE_S = 0.1  # between cells, as the old revision ends in the background; nobody types faster

SOURCE = """\
import {module}
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.revision = {revision}

    def execute(self, requests):
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor("Y", pb_utils.get_input_tensor_by_name(request, "X").as_numpy())]
            )
            for request in requests
        ]
"""
CONFIG = """\
backend: "python"
input {{ name: "X" data_type: TYPE_FP32 dims: [ -1 ] }}
output {{ name: "Y" data_type: TYPE_FP32 dims: [ -1 ] }}
instance_group {{ kind: KIND_CPU count: 1 }}
parameters {{ key: "revision" value: {{ string_value: "{revision}" }} }}
"""


def _cell(module: str, revision: int) -> str:
    source = SOURCE.format(module=module, revision=revision)
    return f"%%triton model m_{module} --in X:FP32[-1] --out Y:FP32[-1]\n{source}"


@contextmanager
def _kernel() -> Iterator[Callable[[str], float]]:
    """Seconds from sending a cell to a kernel until its result has come back."""
    with TemporaryDirectory() as folder:
        manager = KernelManager(kernel_name="python3", transport="ipc", ip=f"{folder}/kernel")
        manager.start_kernel()
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=60)

        def run(cell: str) -> float:
            start = time.perf_counter()
            request = client.execute(cell)
            result, seconds = "", 0.0
            while True:
                message: dict[str, Any] = client.get_iopub_msg(timeout=120)
                if message["parent_header"].get("msg_id") != request:
                    continue
                kind, content = message["msg_type"], message["content"]
                if kind == "execute_result":
                    seconds = time.perf_counter() - start
                    result = content["data"]["text/plain"]
                elif kind == "error":
                    raise RuntimeError("\n".join(content["traceback"]))
                elif kind == "status" and content["execution_state"] == "idle":
                    break
            if cell.startswith("%%triton") and "READY" not in result:
                raise RuntimeError(f"no model came of the cell: {result}")
            return seconds

        try:
            run("%load_ext workbench")
            yield run
            run("%unload_ext workbench")
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


@contextmanager
def _ipython() -> Iterator[Callable[[str], float]]:
    """Seconds that IPython needs for a cell, in a process of its own: see `_inside`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.reload", "--inside"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None

    def run(cell: str) -> float:
        process.stdin.write(json.dumps(cell) + "\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        return float(json.loads(process.stdout.readline()))  # type: ignore[union-attr]

    try:
        yield run
        process.stdin.close()
        process.wait(60)
    finally:
        process.kill()


def _inside() -> None:
    """Run cells given on standard input, one JSON string a line; say how long each took."""
    from tests.support.notebook import make_shell

    shell = make_shell()
    answers, sys.stdout = sys.stdout, io.StringIO()  # results are not shown
    shell.run_cell("%load_ext workbench").raise_error()
    for line in sys.stdin:
        cell = json.loads(line)
        start = time.perf_counter()
        outcome = shell.run_cell(cell, store_history=True)
        seconds = time.perf_counter() - start
        outcome.raise_error()
        answers.write(f"{seconds}\n")
        answers.flush()
    shell.run_cell("%unload_ext workbench")


def _reloads(run: Callable[[str], float], module: str, rounds: int) -> list[float]:
    run(_cell(module, 0))
    # What the model imports is learned after its first load; the second may still begin without it.
    time.sleep(10.0 if module == "torch" else 3.0)
    for revision in range(1, 1 + WARM_UP):
        run(_cell(module, revision))
        time.sleep(PAUSE_S)
    samples = []
    for revision in range(1 + WARM_UP, 1 + WARM_UP + rounds):
        samples.append(run(_cell(module, revision)))
        time.sleep(PAUSE_S)
    return samples


def _server(module: str, *, stub: str, auto_complete: bool) -> list[float]:
    """Seconds from asking a 24.10 server to load a changed model until it has."""
    with TemporaryDirectory() as folder:
        model = Path(folder) / "m"
        (model / "1").mkdir(parents=True)

        def write(revision: int) -> None:
            (model / "1" / "model.py").write_text(SOURCE.format(module=module, revision=revision))
            (model / "config.pbtxt").write_text(CONFIG.format(revision=revision))

        if stub == "own":
            (model / own_stub().name).write_bytes(own_stub().read_bytes())
            (model / own_stub().name).chmod(0o755)
        write(0)
        environment = Path(sys.prefix) if stub == "own" or module == "torch" else None
        with ServerProcess(
            Path(folder), find_server("24.10"), auto_complete=auto_complete, python_env=environment
        ) as process:
            process.load("m")
            samples = []
            for revision in range(1, 1 + SERVER_ROUNDS):
                write(revision)
                start = time.perf_counter()
                process.load("m")
                samples.append(time.perf_counter() - start)
        return samples


def main() -> None:
    """Print the table."""
    modules = ["numpy"]
    if importlib.util.find_spec("torch"):
        modules.append("torch")
    rows: list[list[str]] = []

    def add(where: str, module: str, samples: list[float]) -> None:
        p50 = percentile(samples, 0.5)
        rows.append(
            [
                where,
                module,
                milliseconds(p50),
                milliseconds(min(samples)),
                milliseconds(percentile(samples, 0.9)),
            ]
        )

    for module in modules:
        with _kernel() as run:
            add("live, cell of a notebook's kernel", module, _reloads(run, module, ROUNDS))
        with _ipython() as run:
            add("live, plain IPython", module, _reloads(run, module, ROUNDS))
        for stub in ("nvidia", "own"):
            for complete in (True, False):
                where = f"server 24.10, {stub} stub, auto-completion {'on' if complete else 'off'}"
                add(where, module, _server(module, stub=stub, auto_complete=complete))
    show(
        f"From running the cell to READY, {ROUNDS} reloads ({SERVER_ROUNDS} on the server), empty initialize",
        ["where", "model imports", "p50 ms", "min ms", "p90 ms"],
        rows,
    )


if __name__ == "__main__":
    _inside() if "--inside" in sys.argv else main()
