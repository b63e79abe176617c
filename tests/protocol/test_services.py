"""What a stub asks of its parent while it works: log, responses, cancellation, metrics, model control."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.protocol.harness import ANSWER_TIMEOUT, Instance, make_request
from tests.support.waiting import until
from workbench import _host

FOUR = np.arange(4, dtype=np.float32)


def has_senders(stub: Instance) -> bool:
    """Response senders of models that are not decoupled came with 24.06."""
    return stub.kind.release not in ("24.04", "24.05")


def test_log_lines_arrive_with_level_and_place(stub: Instance) -> None:
    stub.infer(FOUR, request_id="log")
    until(lambda: len(stub.handlers.logs) >= 4)
    assert [(level, text) for level, _, _, text in stub.handlers.logs] == [
        (0, "info line"),
        (1, "warning line"),
        (2, "error line"),
        (3, "verbose line"),
    ]
    lines = [line for _, _, line, _ in stub.handlers.logs]
    assert lines == list(range(lines[0], lines[0] + 4))
    assert all(file.endswith("model.py") for _, file, _, _ in stub.handlers.logs)


def test_a_failing_log_handler_stops_nobody(stub: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", seen.append)
    stub.handlers.logs = None  # type: ignore[assignment]
    try:
        assert stub.infer(FOUR, request_id="log").error is None
        until(lambda: len(seen) == 4)
    finally:
        stub.handlers.logs = []


@pytest.mark.parametrize("way", ["send", "send_then_close"])
def test_a_response_may_be_sent_by_the_sender(stub: Instance, way: str) -> None:
    if not has_senders(stub):
        pytest.skip("this release has senders for decoupled models only")
    np.testing.assert_array_equal(stub.infer(FOUR, request_id=way).outputs[0].numpy(), FOUR)


def test_a_sender_can_send_an_error(decoupled: Instance) -> None:
    assert decoupled.infer(FOUR, request_id="send_error").error == (1, "sent error")


def test_a_decoupled_model_answers_after_execute(decoupled: Instance) -> None:
    request = make_request(FOUR, request_id="send_later")
    decoupled.channel.execute([request], ANSWER_TIMEOUT)
    parts = []
    while (response := request.next_response(ANSWER_TIMEOUT)) is not None:
        parts.append(response.outputs[0].numpy())
    np.testing.assert_array_equal(np.concatenate(parts), FOUR)
    assert not request.abandoned


def test_a_dropped_sender_abandons_the_request(decoupled: Instance) -> None:
    request = make_request(FOUR, request_id="send_and_drop")
    decoupled.channel.execute([request], ANSWER_TIMEOUT)
    assert request.next_response(ANSWER_TIMEOUT) is not None
    assert request.next_response(ANSWER_TIMEOUT) is None
    assert request.abandoned


def test_an_exception_of_a_decoupled_model_answers_its_requests(decoupled: Instance) -> None:
    response = decoupled.infer(FOUR, request_id="fail")
    assert response.error is not None
    assert "the model says no" in response.error[1]


def test_a_model_learns_of_cancellation(stub: Instance) -> None:
    assert not stub.infer(FOUR, request_id="cancelled").outputs[0].numpy()[0]
    request = make_request(FOUR, request_id="cancelled")
    request.cancel()
    assert request.cancelled
    stub.channel.execute([request], ANSWER_TIMEOUT)
    response = request.next_response(ANSWER_TIMEOUT)
    assert response is not None
    assert response.outputs[0].numpy()[0]


def test_a_request_the_model_made_is_not_cancelled(stub: Instance) -> None:
    assert not stub.infer(FOUR, request_id="bls_is_cancelled").outputs[0].numpy()[0]


def test_metrics_reach_the_handler_in_order(stub: Instance) -> None:
    calls: list[_host.MetricCall] = []
    value = 0.0

    def serve(call: _host.MetricCall) -> int | float | None:
        nonlocal value
        calls.append(call)
        if call.operation == "family_new":
            return call.family or 11
        if call.operation == "metric_new":
            return 22
        if call.operation == "increment":
            value += call.value
        if call.operation == "set":
            value = call.value
        return value if call.operation == "value" else None

    stub.handlers.metric = serve
    assert stub.infer(FOUR, request_id="metrics").outputs[0].numpy()[0] == 4.0
    until(lambda: len(calls) > 0 and calls[-1].operation == "family_delete")
    operations = [call.operation for call in calls if call.operation != "family_new"]
    assert operations == ["metric_new", "increment", "set", "value", "metric_delete", "family_delete"]
    family = calls[0]
    assert (family.name, family.description, family.kind) == ("things", "of this", 0)
    made = next(call for call in calls if call.operation == "metric_new")
    assert json.loads(made.labels) == {"a": "b"}
    assert made.family == 11
    assert not made.has_buckets
    increment = next(call for call in calls if call.operation == "increment")
    assert (increment.metric, increment.value) == (22, 2.5)


def test_histograms_have_buckets(stub: Instance) -> None:
    if stub.kind.release < "24.08":
        pytest.skip("this release has no histograms")
    calls: list[_host.MetricCall] = []

    def serve(call: _host.MetricCall) -> int | None:
        calls.append(call)
        return {"family_new": 1, "metric_new": 2}.get(call.operation)

    stub.handlers.metric = serve
    assert stub.infer(FOUR, request_id="histogram").error is None
    until(lambda: calls[-1].operation == "family_delete")
    made = next(call for call in calls if call.operation == "metric_new")
    assert made.has_buckets
    assert made.buckets == [0.1, 1.0, 10.0]
    observed = next(call for call in calls if call.operation == "observe")
    assert observed.value == 0.5


def test_a_refused_metric_raises_in_the_model(stub: Instance) -> None:
    def refuse(call: _host.MetricCall) -> None:
        raise ValueError("no such thing today")

    stub.handlers.metric = refuse
    # Many times: the text is read after the stub let the parent go on.
    for _ in range(50):
        response = stub.infer(FOUR, request_id="refused_metric")
        assert "no such thing today" in json.loads(response.outputs[0].numpy()[0])


def test_model_control_reaches_the_handler(stub: Instance) -> None:
    calls: list[_host.ControlCall] = []

    def serve(call: _host.ControlCall) -> bool | None:
        calls.append(call)
        if call.operation == "unload":
            raise LookupError("it is in use")
        return True if call.operation == "ready" else None

    stub.handlers.control = serve
    result = json.loads(stub.infer(FOUR, request_id="control").outputs[0].numpy()[0])
    assert result["ready"] is True
    assert "it is in use" in result["refused"]
    load, ready, unload = calls
    assert (load.operation, load.model_name, json.loads(load.config)) == ("load", "other", {"x": 1})
    assert load.files == {"file:1/model.py": b"\x00code"}
    assert (ready.operation, ready.model_name, ready.model_version) == ("ready", "other", "3")
    assert (unload.operation, unload.unload_dependents) == ("unload", True)
