"""A running server's regions, NVIDIA's on both sides: read under load, without the server noticing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as http

from tests.support.leaks import shared_server
from workbench.commands import main
from workbench.server_install import ServerInstall
from workbench.shm_inspect.machine import Machine
from workbench.shm_inspect.owners import find_regions
from workbench.shm_inspect.region import RegionReader
from workbench.targets.process_server import ServerProcess

pytestmark = pytest.mark.server

MODEL = """
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def initialize(self, args):
        self.kept = []
    def execute(self, requests):
        tensors = [pb_utils.get_input_tensor_by_name(each, "X") for each in requests]
        self.kept += [each for each, request in zip(tensors, requests) if request.request_id() == "keep"]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", each.as_numpy())]) for each in tensors]
"""
CONFIG = """
backend: "python"
max_batch_size: 0
input { name: "X" data_type: TYPE_FP32 dims: -1 }
output { name: "Y" data_type: TYPE_FP32 dims: -1 }
instance_group { count: 1 kind: KIND_CPU }
"""


@pytest.fixture(scope="module", params=["24.10", "24.07"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    install: ServerInstall = request.getfixturevalue("triton_" + request.param.replace(".", ""))
    repository: Path = tmp_path_factory.mktemp("repository")
    (repository / "keeper" / "1").mkdir(parents=True)
    (repository / "keeper" / "1" / "model.py").write_text(MODEL)
    (repository / "keeper" / "config.pbtxt").write_text(CONFIG)
    with shared_server(install, repository) as process:
        process.load("keeper")
        yield process


def region_of(server: ServerProcess) -> str:
    (found,) = [each.name for each in find_regions() if each.name.startswith(server.region_prefix)]
    return found


def infer(client: http.InferenceServerClient, array: np.ndarray, request_id: str = "") -> None:
    tensor = http.InferInput("X", array.shape, "FP32")
    tensor.set_data_from_numpy(array)
    client.infer("keeper", [tensor], request_id=request_id)


def test_the_region_is_found_and_named(server: ServerProcess) -> None:
    name = region_of(server)
    (report,) = Machine([name]).look()
    assert report.model.startswith("keeper")
    assert report.owner_alive
    assert report.state.steady
    assert report.state.is_triton
    assert not report.state.noted
    assert [each.size for each in report.state.queues] == [1000] * 5
    assert main(["shm", name]) == 0


def test_the_books_agree_each_time_under_load(server: ServerProcess) -> None:
    reader = RegionReader(Path("/dev/shm") / region_of(server))
    stop = threading.Event()

    def work() -> None:
        client = http.InferenceServerClient(f"localhost:{server.http_port}")
        array = np.arange(1000, dtype=np.float32)
        while not stop.is_set():
            infer(client, array)
        client.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for each in workers:
        each.start()
    kinds: set[str] = set()
    try:
        for _ in range(1000):
            state = reader.read(seconds=10.0)
            assert state.steady
            assert state.used + state.free + state.overhead == state.capacity
            assert sum(each.bytes for each in state.blocks) == state.used
            kinds |= {each.kind for each in state.blocks}
    finally:
        stop.set()
        for each in workers:
            each.join()
    assert {"control", "queue", "request", "tensor", "string", "message"} <= kinds


def test_a_tensor_that_a_models_keeps_is_seen(
    server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = RegionReader(Path("/dev/shm") / region_of(server))
    client = http.InferenceServerClient(f"localhost:{server.http_port}")
    before = reader.read()
    infer(client, np.zeros(12_345, np.float32), request_id="keep")
    client.close()
    after = reader.read()
    kept = [each for each in after.blocks if each.label == "X FP32[12345]"]
    assert len(kept) == 1
    assert after.in_use - before.in_use >= 4 * 12_345
    assert reader.read().blocks != ()
    assert main(["shm", region_of(server), "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)["reports"]
    assert report["blocks"][0]["label"] == "X FP32[12345]"
