"""Live models that call models of a connected server."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import workbench as wb
from tests.support.models import write_model
from workbench.server_install import ServerInstall
from workbench.targets.client import ServerClient
from workbench.targets.process_server import ServerProcess
from workbench.targets.remote import ServerTarget
from workbench.targets.server_calls import ServerCalls

CONFIG = """\
backend: "python"
input {{ name: "IN" data_type: {kind} dims: [ -1 ] }}
output {{ name: "OUT" data_type: {kind} dims: [ -1 ] }}
model_transaction_policy {{ decoupled: {decoupled} }}
instance_group {{ kind: KIND_CPU count: 1 }}
"""
TWICE = """\
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        out = []
        for r in requests:
            x = r.inputs()[0].as_numpy()
            if x.dtype != object and x[0] < 0:
                error = pb_utils.TritonError("negative", pb_utils.TritonError.INVALID_ARG)
                out.append(pb_utils.InferenceResponse(error=error))
            else:
                out.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", x + x)]))
        return out
"""
EACH = """\
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        for r in requests:
            sender = r.get_response_sender()
            for x in r.inputs()[0].as_numpy():
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", x.reshape(1))]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
CALLER = """\
import numpy as np
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        out = []
        for r in requests:
            call = pb_utils.InferenceRequest(
                model_name="{child}", requested_output_names=["OUT"], inputs=r.inputs()
            )
            answers = list(call.exec(decoupled=True)) if {stream} else [call.exec()]
            for each in answers:
                if each.has_error():
                    error = each.error()
                    message = f"{{int(error.code())}} {{error.message()}}"
                    out.append(pb_utils.InferenceResponse(error=pb_utils.TritonError(message)))
                    break
            else:
                arrays = [t.as_numpy() for each in answers for t in each.output_tensors()]
                out.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.concatenate(arrays))]))
        return out
"""


@pytest.fixture(scope="module")
def server(triton_2410: ServerInstall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    repository = tmp_path_factory.mktemp("repository")
    write_model(repository, "twice", TWICE, CONFIG.format(kind="TYPE_FP32", decoupled="false"))
    write_model(repository, "text", TWICE, CONFIG.format(kind="TYPE_STRING", decoupled="false"))
    write_model(repository, "each", EACH, CONFIG.format(kind="TYPE_FP32", decoupled="true"))
    with ServerProcess(repository, triton_2410, auto_complete=False, stop_timeout=3.0) as process:
        for name in ("twice", "text", "each"):
            process.load(name)
        yield process


@pytest.fixture(params=["http", "grpc"])
def session(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[wb.Workbench]:
    """A session whose models may call the server."""
    address = server.http_address if request.param == "http" else server.grpc_address
    workbench = wb.current()
    workbench.bls.elsewhere = ServerCalls(ServerTarget("there", ServerClient(f"{request.param}://{address}")))
    yield workbench
    workbench.close()


def caller(child: str, kind: str = "FP32", *, stream: bool = False) -> wb.Model:
    source = CALLER.format(child=child, stream=stream)
    return wb.define("caller", source=source, inputs=[f"IN:{kind}[-1]"], outputs=[f"OUT:{kind}[-1]"])


def test_numbers_and_text_come_back(session: wb.Workbench) -> None:
    answer = caller("twice").infer({"IN": [1.0, 2.5]})["OUT"].numpy()
    np.testing.assert_array_equal(answer, np.array([2.0, 5.0], np.float32))
    answer = caller("text", "STRING").infer({"IN": ["a", "ü"]})["OUT"].numpy()
    assert answer.tolist() == [b"aa", "üü".encode()]


def test_an_error_of_the_server_is_the_calls_answer(session: wb.Workbench) -> None:
    with pytest.raises(wb.ModelExecutionError, match="negative"):
        caller("twice").infer({"IN": [-1.0]})


def test_a_model_nobody_has_is_not_ready(session: wb.Workbench) -> None:
    with pytest.raises(wb.ModelExecutionError, match="Model 'nobody' is not ready"):
        caller("nobody").infer({"IN": [1.0]})


def test_a_live_model_comes_before_the_server(session: wb.Workbench) -> None:
    thrice = TWICE.replace("x + x", "x * 3")
    wb.define("twice", source=thrice, inputs=["IN:FP32[-1]"], outputs=["OUT:FP32[-1]"])
    assert caller("twice").infer({"IN": [1.0]})["OUT"].numpy().tolist() == [3.0]


def test_streams_come_over_grpc(session: wb.Workbench, request: pytest.FixtureRequest) -> None:
    model = caller("each", stream=True)
    if "http" in request.node.name:
        with pytest.raises(wb.ModelExecutionError, match="it is decoupled") as refused:
            model.infer({"IN": [1.0, 2.0]})
        assert "%triton connect grpc://HOST:8001 --as there --bls" in str(refused.value)
    else:
        assert model.infer({"IN": [1.0, 2.0, 3.0]})["OUT"].numpy().tolist() == [1.0, 2.0, 3.0]
