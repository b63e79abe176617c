"""Our stub under a real server over long runs: nothing of its region is lost, nobody's answer goes astray."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc

from tests.endurance import models
from tests.support.models import write_model
from tests.support.servers import own_stub
from workbench.server_install import ServerInstall
from workbench.targets.process_server import ServerProcess

pytestmark = pytest.mark.timeout(600)

BLS_CALLS = 10_000
STREAMED = 10_000
CANCELLED = 2_000
REQUESTERS = 64


@pytest.fixture
def server(triton_2410: ServerInstall, tmp_path: Path) -> Iterator[ServerProcess]:
    repository = tmp_path / "repository"
    sources = {
        "echo": (models.ECHO, models.config("INPUT:TYPE_FP32:-1", "OUTPUT:TYPE_FP32:-1")),
        "repeat": (models.REPEAT, models.config("COUNT:TYPE_INT32:1", "OUTPUT:TYPE_INT32:1", decoupled=True)),
        "caller": (
            models.caller("echo", "repeat"),
            models.config("WORK:TYPE_INT32:2", "REPORT:TYPE_INT64:3"),
        ),
    }
    for name, (source, text) in sources.items():
        folder = write_model(repository, name, source, text)
        shutil.copy(own_stub(), folder)
    # Large enough not to grow: growth would show as free memory gained.
    sizes = {"shm-default-byte-size": 64 << 20}
    with ServerProcess(
        repository, triton_2410, auto_complete=False, backend_config=sizes, python_env=Path(sys.prefix)
    ) as process:
        for name in sources:
            process.load(name)
        yield process


def infer(
    client: grpc.InferenceServerClient, model: str, name: str, array: np.ndarray, kind: str
) -> grpc.InferResult:
    tensor = grpc.InferInput(name, array.shape, kind)
    tensor.set_data_from_numpy(array)
    return client.infer(model, [tensor])


@pytest.mark.parametrize(
    ("mode", "count"), [(0, BLS_CALLS), (1, STREAMED), (2, CANCELLED)], ids=["calls", "stream", "cancelled"]
)
def test_calls_between_models_leave_nothing(server: ServerProcess, mode: int, count: int) -> None:
    work = np.array([mode, count], np.int32)
    done, before, after = infer(server.grpc(), "caller", "WORK", work, "INT32").as_numpy("REPORT").tolist()
    assert done == count
    assert after == before


def test_many_requesters_get_their_own_answers(server: ServerProcess) -> None:
    client = server.grpc()

    def ask(number: int) -> int:
        right = 0
        for turn in range(20):
            value = np.array([number, turn], np.float32)
            answer = infer(client, "echo", "INPUT", value, "FP32").as_numpy("OUTPUT")
            right += bool(np.array_equal(answer, value))
        return right

    with ThreadPoolExecutor(REQUESTERS) as pool:
        assert list(pool.map(ask, range(REQUESTERS))) == [20] * REQUESTERS
