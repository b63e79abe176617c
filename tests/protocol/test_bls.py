"""Calls of a model to another model."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from tests.protocol.harness import (
    ANSWER_TIMEOUT,
    Instance,
    doubled,
    make_quick_calls,
    make_request,
    steady_free_bytes,
    tensor,
)
from tests.support.waiting import until
from workbench import _host

FOUR = np.arange(4, dtype=np.float32)


def test_a_call_arrives_and_its_answer_comes_back(stub: Instance) -> None:
    calls: list[_host.BlsCall] = []

    def serve(call: _host.BlsCall) -> None:
        calls.append(call)
        call.send([doubled(call)])

    stub.handlers.bls = serve
    np.testing.assert_array_equal(stub.infer(FOUR, request_id="bls").outputs[0].numpy(), FOUR * 2)
    (call,) = calls
    assert (call.model_name, call.model_version, call.request_id) == ("other", -1, "inner")
    assert call.correlation_id == 7
    assert call.requested_outputs == ["OUTPUT0"]
    assert call.inputs[0].name == "INPUT0"
    assert not call.decoupled
    with pytest.raises(_host.StubError, match="already"):
        call.send([doubled(call)])


def test_a_thousand_calls_lose_nothing(stub: Instance) -> None:
    stub.handlers.bls = lambda call: call.send([doubled(call)])
    before = steady_free_bytes(stub, lambda: stub.infer(FOUR, request_id="bls"))
    for _ in range(1000):
        stub.infer(FOUR, request_id="bls")
    until(lambda: stub.channel.free_bytes == before)


def test_two_calls_at_once(stub: Instance) -> None:
    both_here = threading.Barrier(2)

    def serve(call: _host.BlsCall) -> None:
        both_here.wait(ANSWER_TIMEOUT)
        call.send([doubled(call)])

    stub.handlers.bls = serve
    np.testing.assert_array_equal(stub.infer(FOUR, request_id="bls_async").outputs[0].numpy(), FOUR * 4)


def test_what_comes_during_a_call_that_is_not_quick_any_more(stub: Instance) -> None:
    for _ in range(4):  # the two readers change places
        make_quick_calls(stub)
        test_two_calls_at_once(stub)


def test_an_answer_may_come_after_the_handler_returned(stub: Instance) -> None:
    def serve(call: _host.BlsCall) -> None:
        threading.Timer(0.01, lambda: call.send([doubled(call)])).start()

    stub.handlers.bls = serve
    np.testing.assert_array_equal(stub.infer(FOUR, request_id="bls").outputs[0].numpy(), FOUR * 2)


def raising(call: _host.BlsCall) -> None:
    raise LookupError("there is no such model")


def sending_an_error(call: _host.BlsCall) -> None:
    call.send(error=(2, "there is no such model"))


@pytest.mark.parametrize("serve", [raising, sending_an_error])
@pytest.mark.parametrize("way", ["bls", "bls_stream"])
def test_an_error_is_an_error_response(
    stub: Instance, serve: Callable[[_host.BlsCall], None], way: str
) -> None:
    stub.handlers.bls = serve
    assert b"there is no such model" in stub.infer(FOUR, request_id=way).outputs[0].numpy()[0]


def test_a_dropped_call_is_answered(stub: Instance) -> None:
    stub.handlers.bls = lambda call: None
    assert b"dropped" in stub.infer(FOUR, request_id="bls").outputs[0].numpy()[0]


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("final", ["with the last", "on its own"])
def test_a_stream_arrives_in_order(stub: Instance, count: int, final: str) -> None:
    def serve(call: _host.BlsCall) -> None:
        assert call.decoupled
        for i in range(count):
            last = i == count - 1 and final == "with the last"
            call.send([tensor("OUTPUT0", call.inputs[0].numpy() + i)], final=last)
        if count == 0 or final == "on its own":
            call.send()

    stub.handlers.bls = serve
    wanted = np.concatenate([FOUR + i for i in range(count)]) if count else np.zeros(0, np.float32)
    np.testing.assert_array_equal(stub.infer(FOUR, request_id="bls_stream").outputs[0].numpy(), wanted)


def test_a_stream_can_be_cancelled(stub: Instance) -> None:
    if stub.kind.release < "25.04":
        pytest.skip("this release cannot cancel calls")

    def serve(call: _host.BlsCall) -> None:
        call.send([doubled(call)], final=False)
        until(lambda: call.cancelled)
        call.send()

    stub.handlers.bls = serve
    assert stub.infer(FOUR, request_id="bls_cancel").error is None


def test_a_response_of_another_channel_is_passed_on(stub: Instance) -> None:
    answer = stub.infer(FOUR, FOUR)

    def serve(call: _host.BlsCall) -> None:
        call.send_response(answer)

    stub.handlers.bls = serve
    request = make_request(FOUR, request_id="bls")
    stub.channel.execute([request], ANSWER_TIMEOUT)
    response = request.next_response(ANSWER_TIMEOUT)
    assert response is not None
    np.testing.assert_array_equal(response.outputs[0].numpy(), FOUR * 2)
