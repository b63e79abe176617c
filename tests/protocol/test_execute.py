"""Batches: there and back, errors, growth, and nothing lost on the way."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import numpy as np
import pytest

from tests.protocol import harness
from tests.protocol.harness import (
    ANSWER_TIMEOUT,
    Instance,
    StubKind,
    make_request,
    steady_free_bytes,
)
from tests.protocol.models import MANY_WAYS
from tests.support.waiting import until
from workbench import _host

FOUR = np.arange(4, dtype=np.float32)


def test_adds_and_subtracts(stub: Instance) -> None:
    response = stub.infer(FOUR, FOUR * 2, outputs=("OUTPUT0", "OUTPUT1"))
    assert response.error is None
    assert [output.name for output in response.outputs] == ["OUTPUT0", "OUTPUT1"]
    np.testing.assert_array_equal(response.outputs[0].numpy(), FOUR * 3)
    np.testing.assert_array_equal(response.outputs[1].numpy(), -FOUR)


def test_a_batch_of_three_is_answered_in_order(stub: Instance) -> None:
    requests = [make_request(FOUR + i, FOUR) for i in range(3)]
    stub.channel.execute(requests, ANSWER_TIMEOUT)
    for i, request in enumerate(requests):
        response = request.next_response(ANSWER_TIMEOUT)
        assert response is not None
        np.testing.assert_array_equal(response.outputs[0].numpy(), FOUR * 2 + i)
        assert request.complete
        assert not request.abandoned


def test_an_empty_batch_is_answered(stub: Instance) -> None:
    stub.channel.execute([], ANSWER_TIMEOUT)


def test_bytes_come_back_as_they_went(stub: Instance) -> None:
    texts = np.array([[b"", b"\x00\xff"], ["Grüße".encode(), b"x" * 5000]], dtype=np.object_)
    output = stub.infer(texts, request_id="identity").outputs[0]
    assert output.datatype == 13
    assert output.shape == (2, 2)
    np.testing.assert_array_equal(output.numpy(), texts)


@pytest.mark.parametrize(
    "array", [np.zeros((0, 3), np.float32), np.array([True, False]), np.array(5, np.int64)]
)
def test_shapes_and_datatypes_survive(stub: Instance, array: np.ndarray) -> None:
    result = stub.infer(array, request_id="identity").outputs[0].numpy()
    assert result.dtype == array.dtype
    assert result.shape == array.shape
    np.testing.assert_array_equal(result, array)


def test_only_requested_outputs_arrive(stub: Instance) -> None:
    response = stub.infer(FOUR, FOUR, outputs=("OUTPUT1",))
    assert [output.name for output in response.outputs] == ["OUTPUT1"]


@pytest.mark.parametrize("correlation", [0, 2**63 + 1, "a sequence"])
def test_the_model_sees_what_was_asked(stub: Instance, correlation: int | str) -> None:
    response = stub.infer(
        FOUR,
        outputs=("OUTPUT0", "B", "A"),
        request_id="facts",
        correlation_id=correlation,
        flags=3,
        timeout_us=1234567,
        parameters='{"a": 1, "b": "two", "c": true}',
    )
    assert json.loads(response.outputs[0].numpy()[0]) == {
        "id": "facts",
        "correlation": correlation,
        "flags": 3,
        "timeout": 1234567,
        "parameters": {"a": 1, "b": "two", "c": True},
        "outputs": ["A", "B", "OUTPUT0"],
        "trace": None,
    }


def test_a_trace_context_arrives(stub: Instance) -> None:
    response = stub.infer(FOUR, request_id="facts", trace_context='{"traceparent": "00-1-2-01"}')
    assert json.loads(response.outputs[0].numpy()[0])["trace"] == '{"traceparent": "00-1-2-01"}'


def test_an_exception_fails_the_whole_batch_and_is_logged(stub: Instance) -> None:
    requests = [make_request(FOUR, request_id="fail"), make_request(FOUR, request_id="identity")]
    stub.channel.execute(requests, ANSWER_TIMEOUT)
    for request in requests:
        response = request.next_response(ANSWER_TIMEOUT)
        assert response is not None
        assert response.error is not None
        code, text = response.error
        assert code == 1
        assert "the model says no" in text
        assert "test_0" in text
    until(lambda: any("the model says no" in line for line in stub.logs))
    assert stub.infer(FOUR, FOUR).error is None


def test_an_error_response_keeps_code_and_text(stub: Instance) -> None:
    assert stub.infer(FOUR, request_id="refuse").error == (2, "not here")


def test_a_rescheduled_request_can_be_executed_again(stub: Instance) -> None:
    request = make_request(FOUR, request_id="reschedule")
    stub.channel.execute([request], ANSWER_TIMEOUT)
    first = (request.rescheduled, request.complete)
    stub.channel.execute([request], ANSWER_TIMEOUT)
    second = (request.rescheduled, request.complete)
    assert (first, second) == ((True, False), (False, True))
    response = request.next_response(ANSWER_TIMEOUT)
    assert response is not None
    np.testing.assert_array_equal(response.outputs[0].numpy(), FOUR)


def test_a_request_is_executed_once(stub: Instance) -> None:
    request = make_request(FOUR, FOUR)
    with pytest.raises(_host.StubError, match="already being executed"):
        stub.channel.execute([request, request], ANSWER_TIMEOUT)
    stub.channel.execute([request], ANSWER_TIMEOUT)
    with pytest.raises(_host.StubError, match="complete"):
        stub.channel.execute([request], ANSWER_TIMEOUT)


def test_no_response_without_a_sender_does_not_hang(stub: Instance) -> None:
    request = make_request(FOUR, request_id="nothing")
    stub.channel.execute([request], ANSWER_TIMEOUT)
    response = request.next_response(ANSWER_TIMEOUT)
    if stub.kind.name.startswith("nvidia"):
        assert response is None
        assert request.abandoned
    else:  # ours says what is wrong
        assert response is not None
        assert response.error is not None
    assert request.complete


def test_the_region_grows_on_both_sides(kind: StubKind, tmp_path: Path) -> None:
    with harness.start(kind, tmp_path, MANY_WAYS) as stub:
        assert stub.channel.capacity == 1 << 20
        large = np.arange(1 << 18, dtype=np.float32)
        response = stub.infer(large, large, outputs=("OUTPUT0", "OUTPUT1"))
        np.testing.assert_array_equal(response.outputs[0].numpy(), large * 2)
        assert stub.channel.capacity >= 4 << 20
        assert stub.infer(FOUR, FOUR).error is None
        assert stub.finalize() == 0


def test_outputs_outlive_the_channel(kind: StubKind, tmp_path: Path) -> None:
    with harness.start(kind, tmp_path, MANY_WAYS) as stub:
        output = stub.infer(FOUR, FOUR).outputs[0]
        view = output.numpy()
        assert not view.flags.writeable
        assert bytes(memoryview(output)) == (FOUR * 2).tobytes()
        assert stub.finalize() == 0
    del output, stub
    gc.collect()
    np.testing.assert_array_equal(view, FOUR * 2)


def test_round_trips_lose_nothing(stub: Instance) -> None:
    count = 10_000 if stub.kind.release == "24.10" else 1_000
    before = steady_free_bytes(stub, lambda: stub.infer(FOUR, FOUR))
    for _ in range(count):
        stub.infer(FOUR, FOUR)
    until(lambda: stub.channel.free_bytes == before)


def test_initialize_reports_the_models_refusal(kind: StubKind, tmp_path: Path) -> None:
    source = """
        class TritonPythonModel:
            def initialize(self, args):
                raise RuntimeError("cannot start " + args["model_name"])
            def execute(self, requests):
                return []
    """
    with harness.start(kind, tmp_path, source, initialize=False) as stub:
        with pytest.raises(_host.ModelError, match="cannot start test"):
            stub.channel.initialize(harness.initialize_arguments(tmp_path, {}), ANSWER_TIMEOUT)
        assert stub.process.wait(ANSWER_TIMEOUT) == 0


def test_auto_complete_gives_the_completed_configuration(kind: StubKind, tmp_path: Path) -> None:
    source = """
        class TritonPythonModel:
            @staticmethod
            def auto_complete_config(config):
                config.add_input({"name": "IN", "data_type": "TYPE_FP32", "dims": [4]})
                config.set_max_batch_size(8)
                return config
            def execute(self, requests):
                return []
    """
    with harness.start(kind, tmp_path, source, initialize=False) as stub:
        given = json.dumps({"name": "test", "max_batch_size": 0, "input": [], "output": []})
        config = json.loads(stub.channel.auto_complete(given, ANSWER_TIMEOUT))
        assert config["max_batch_size"] == 8
        assert [tensor["name"] for tensor in config["input"]] == ["IN"]
        assert stub.finalize() == 0
