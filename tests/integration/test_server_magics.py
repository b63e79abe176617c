"""``%triton`` with servers: connect, push, rollback, parity, cells with ``--on``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.notebook import Notebook
from workbench.errors import InputError, ModelExecutionError, WorkbenchUsageError
from workbench.messages import InferResult
from workbench.server_errors import ExportError, ParityError, PushError, ServerUnreachable
from workbench.server_install import ServerInstall
from workbench.targets.process_server import ServerProcess

CELL = """%%triton model scale --in X:FP32[2] --out Y:FP32[2]
import numpy as np
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        out = []
        for r in requests:
            x = pb_utils.get_input_tensor_by_name(r, "X").as_numpy()
            out.append(pb_utils.InferenceResponse([pb_utils.Tensor("Y", x * 2)]))
        return out
"""


@pytest.fixture(scope="module")
def server(triton_2410: ServerInstall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(
        tmp_path_factory.mktemp("repository"), triton_2410, auto_complete=False, stop_timeout=3.0
    ) as process:
        yield process


@pytest.mark.server
def test_push_with_smoke_and_back_again(notebook: Notebook, server: ServerProcess) -> None:
    assert repr(notebook.run(f"%triton connect {server.http_address} --as staging")) == "Server staging  http"
    notebook.run(CELL)
    notebook.run("%triton infer scale X=[1,2]")
    report = notebook.run("%triton push scale --to staging")
    assert repr(report).splitlines() == [
        f"Push scale -> staging: READY  {report.src}",
        "  lint      portable to 24.10",
        "  snapshot  nothing served",
        "  load      config and 1/model.py sent as overrides",
        "  smoke     1 recorded request, outputs equal",
        "  note: the server must have numpy",
    ]
    there = notebook.run("%triton infer scale X=[1,2] --on staging")
    assert isinstance(there, InferResult)
    assert there["Y"].tolist() == [2, 4]

    # A live model's path is longer than what a server unpacks.
    notebook.run(CELL.replace("x * 2", "x * 0 + len(__file__)"))
    with pytest.raises(PushError, match=rf"smoke request 1 differs in Y: .*; staging serves {report.src}"):
        notebook.run("%triton push scale --to staging")
    assert notebook.run("%triton infer scale X=[1,2] --on staging")["Y"].tolist() == [2, 4]
    assert (
        notebook.run("%triton config scale --on staging").parameters["workbench_src"].startswith(report.src)
    )
    gone = notebook.run("%triton rollback scale --on staging")
    assert gone.state == "UNAVAILABLE"


@pytest.mark.server
def test_a_cell_reloads_on_a_server(notebook: Notebook, server: ServerProcess) -> None:
    notebook.run(f"%triton connect {server.grpc_address} --as edge --grpc")
    cell = CELL.replace("model scale", "model scale --on edge")
    for factor in (2, 3, 4):
        notebook.run(cell.replace("x * 2", f"x * {factor}"))
        assert notebook.run("%triton infer scale X=[1,2] --on edge")["Y"].tolist() == [factor, 2 * factor]
    with pytest.raises(ModelExecutionError) as failed:
        notebook.run(cell.replace("x * 2", "x * (1 // 0)"))
        notebook.run("%triton infer scale X=[1,2] --on edge")
    frame = failed.value.frames[-1]
    assert (frame.line, "1 // 0" in "\n".join(frame.render())) == (9, True)
    assert frame.label.startswith("Cell In[")
    with pytest.raises(PushError, match="edge serves src:"):
        notebook.run(cell + "import nosuch\n")
    table = notebook.run("%triton models --on edge")
    assert table["scale"].state == "READY"
    with pytest.raises(WorkbenchUsageError, match="%triton lint works on live models only"):
        notebook.run("%triton lint scale --on edge")
    notebook.run("%triton unload scale --on edge")


@pytest.mark.server
def test_parity_with_a_server_of_our_own(
    notebook: Notebook, triton_2410: ServerInstall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_SERVER", str(triton_2410.binary))
    notebook.run(CELL.replace("x * 2", "x / (1 - (x[0] == 7)) if x[0] != 8 else x * int('eight')"))
    with pytest.raises(InputError, match="no request of scale is recorded"):
        notebook.run("%triton parity scale")
    for value in (1, 2, 3):
        notebook.run(f"%triton infer scale X=[{value},2]")
    with pytest.raises(ModelExecutionError):
        notebook.run("%triton infer scale X=[8,2]")
    report = notebook.run("%triton parity scale --against local")
    assert repr(report) == (
        "Parity scale: 4 of 4 equal (live vs local)\n  configuration equal\n  stubs: live own, local own"
    )
    notebook.run(CELL.replace("x * 2", "x * 0 + len(__file__)"))
    with pytest.raises(ParityError, match="request 1 of scale differs in Y"):
        notebook.run("%triton parity scale --against local")
    report = notebook.run("%triton parity scale --against local --report")
    assert (bool(report), report.count, sorted(report.differences)) == (False, 4, [1, 2, 3, 4])


def test_names_and_addresses(notebook: Notebook) -> None:
    with pytest.raises(WorkbenchUsageError, match="unknown target 'stagng'"):
        notebook.run("%triton infer m --on stagng")
    with pytest.raises(WorkbenchUsageError, match="cannot be called 'local'"):
        notebook.run("%triton connect http://127.0.0.1:9 --as local")
    with pytest.raises(ServerUnreachable):
        notebook.run("%triton connect http://127.0.0.1:9 --as staging")


def test_export_from_a_notebook(notebook: Notebook, tmp_path: Path) -> None:
    notebook.run(CELL)
    report = notebook.run(f"%triton export scale {tmp_path}/repo --for 25.08 --stub")
    assert repr(report).startswith(
        "Export scale -> repo: 5 files\n    scale/config.pbtxt\n    scale/1/model.py\n"
    )
    assert json.dumps(str(tmp_path))[1:-1] not in repr(report)
    with pytest.raises(ExportError, match="is there already"):
        notebook.run(f"%triton export scale {tmp_path}/repo")
    notebook.run(f"%triton export scale {tmp_path}/repo --force")
    with pytest.raises(WorkbenchUsageError, match="models and a folder"):
        notebook.run("%triton export scale")
