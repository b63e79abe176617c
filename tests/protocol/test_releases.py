"""Our stub and our host agree in every release of the table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.protocol import harness
from tests.protocol.harness import ANSWER_TIMEOUT, make_request, tensor
from tests.protocol.models import MANY_WAYS
from tests.support.waiting import until
from workbench import _host

FOUR = np.arange(4, dtype=np.float32)
NAMES = [release.name for release in _host.RELEASES]


def serve_metric(call: _host.MetricCall) -> int | float | None:
    return {"family_new": 1, "metric_new": 2, "value": 4.0}.get(call.operation)


@pytest.mark.parametrize("release", NAMES)
def test_everything_once(release: str, tmp_path: Path) -> None:
    with harness.start(harness.our_stub(release), tmp_path, MANY_WAYS) as stub:
        np.testing.assert_array_equal(stub.infer(FOUR, FOUR).outputs[0].numpy(), FOUR * 2)
        requests = [make_request(FOUR + i, FOUR) for i in range(3)]
        stub.channel.execute(requests, ANSWER_TIMEOUT)
        assert all(request.next_response(ANSWER_TIMEOUT) is not None for request in requests)
        assert stub.infer(FOUR, request_id="refuse").error == (2, "not here")
        assert stub.infer(FOUR, request_id="fail").error is not None

        stub.handlers.bls = lambda call: call.send([tensor("OUTPUT0", call.inputs[0].numpy() * 2)])
        np.testing.assert_array_equal(stub.infer(FOUR, request_id="bls").outputs[0].numpy(), FOUR * 2)
        np.testing.assert_array_equal(stub.infer(FOUR, request_id="bls_stream").outputs[0].numpy(), FOUR * 2)

        stub.handlers.metric = serve_metric
        assert stub.infer(FOUR, request_id="metrics").outputs[0].numpy()[0] == 4.0
        stub.handlers.control = lambda call: True if call.operation == "ready" else None
        control = json.loads(stub.infer(FOUR, request_id="control").outputs[0].numpy()[0])
        assert control == {"ready": True, "refused": None}

        request = make_request(FOUR, request_id="cancelled")
        request.cancel()
        stub.channel.execute([request], ANSWER_TIMEOUT)
        response = request.next_response(ANSWER_TIMEOUT)
        assert response is not None
        assert response.outputs[0].numpy()[0]
        assert stub.finalize() == 0
        until(lambda: "finalized" in stub.logs)
        assert stub.channel.open_requests == 0


READY = """
    class TritonPythonModel:
        def initialize(self, args):
            self.asked = 0
        def is_ready(self):
            self.asked += 1
            if self.asked == 3:
                raise RuntimeError("not today")
            return self.asked == 1
        def execute(self, requests):
            return []
"""


@pytest.mark.parametrize("release", ["26.02", "26.03", "26.07"])
def test_readiness_is_the_models_own(release: str, tmp_path: Path) -> None:
    with harness.start(harness.our_stub(release), tmp_path, READY) as stub:
        if release < "26.03":
            assert stub.channel.is_ready() is None
        else:
            assert stub.channel.is_ready() is True
            assert stub.channel.is_ready() is False
            with pytest.raises(_host.ModelError, match="not today"):
                stub.channel.is_ready()
        assert stub.finalize() == 0


def test_a_model_without_is_ready_has_no_opinion(tmp_path: Path) -> None:
    with harness.start(harness.our_stub("26.03"), tmp_path, MANY_WAYS) as stub:
        assert stub.channel.is_ready() is None
        assert stub.finalize() == 0


def test_a_late_is_ready_is_a_timeout_and_no_more(tmp_path: Path) -> None:
    source = """
        import time
        class TritonPythonModel:
            def is_ready(self):
                time.sleep(0.3)
                return True
            def execute(self, requests):
                return []
    """
    with harness.start(harness.our_stub("26.03"), tmp_path, source) as stub:
        with pytest.raises(_host.StubTimeout):
            stub.channel.is_ready(0.05)
        assert stub.channel.is_ready(ANSWER_TIMEOUT) is True
        assert stub.finalize() == 0


def test_response_parameters_came_with_25_02(tmp_path: Path) -> None:
    source = """
        import triton_python_backend_utils as pb_utils
        class TritonPythonModel:
            def execute(self, requests):
                return [pb_utils.InferenceResponse([], parameters={"a": 1}) for _ in requests]
    """
    with harness.start(harness.our_stub("25.02"), tmp_path, source) as stub:
        assert json.loads(stub.infer(FOUR).parameters) == {"a": 1}
        assert stub.finalize() == 0


def test_the_table_knows_names_and_server_versions() -> None:
    assert len(NAMES) == 28
    assert _host.find_release("24.10") is _host.find_release("2.51.0")
    assert _host.find_release("24.10").family == "24.10"
    assert _host.find_release("24.07").family == "24.04"
    assert _host.find_release("2.59.0").name == "25.06"
    assert _host.find_release("2.59.1").name == "25.07"
    assert _host.find_release("99.01").name == NAMES[-1]
    for unknown in ("", "nonsense", "23.12", "2.44.0"):
        with pytest.raises(ValueError, match="release"):
            _host.find_release(unknown)
