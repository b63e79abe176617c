"""What the benchmarks share: models, servers, and how figures are taken and shown."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from tests.support.servers import own_stub
from workbench.server_install import find_server
from workbench.targets.process_server import ServerProcess

MODELS = Path(__file__).parent / "models"


def percentile(samples: Sequence[float], q: float) -> float:
    """q in 0…1, nearest rank."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def sample(call: Callable[[], object], *, seconds: float, least: int, most: int) -> list[float]:
    """Durations in seconds of repeated calls, after some to warm up."""
    for _ in range(max(3, least // 10)):
        call()
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while len(samples) < least or (time.perf_counter() < end and len(samples) < most):
        start = time.perf_counter()
        call()
        samples.append(time.perf_counter() - start)
    return samples


@contextmanager
def server(stub: str, models: Sequence[str], **options: object) -> Iterator[ServerProcess]:
    """A 24.10 server with these models of `MODELS` loaded; stub is ``nvidia`` or ``own``."""
    with TemporaryDirectory() as folder:
        repository = Path(folder)
        for name in models:
            shutil.copytree(MODELS / name, repository / name)
            if stub == "own":
                shutil.copy(own_stub(), repository / name / "triton_python_backend_stub")
        environment = Path(sys.prefix) if stub == "own" else None
        with ServerProcess(
            repository,
            find_server("24.10"),
            auto_complete=False,
            python_env=environment,
            backend_config={"shm-default-byte-size": 64 << 20, "shm-growth-byte-size": 64 << 20},
            **options,  # type: ignore[arg-type]
        ) as process:
            for name in models:
                process.load(name)
            yield process


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print one table."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console(width=140).print(table)


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3f}"


def microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:.0f}"
