"""Traces of requests to live models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.live import ECHO, define, source
from tests.support.pipeline import (
    PIPELINE_LINES,
    PIPELINE_TEXT,
    PIPELINE_TREE,
    check_nesting,
    define_pipeline,
    shape_of,
)
from workbench.errors import InputError, WorkbenchError
from workbench.targets.live import LiveTarget
from workbench.trace.trace import Trace

CALL = """
def call(model, x, **options):
    request = pb_utils.InferenceRequest(
        model_name=model, requested_output_names=["Y"], inputs=[pb_utils.Tensor("X", x)])
    return request.exec(**options)
"""


def _caller(body: str) -> str:
    return source(body).replace("class TritonPythonModel", f"{CALL}\nclass TritonPythonModel")


def test_three_model_pipeline_matches_the_tree_written_by_hand(live: LiveTarget) -> None:
    define_pipeline(live.define)
    model = live.workbench.models["pipeline"]
    first = model.trace(TEXT=["hi"])
    assert repr(first) == PIPELINE_TEXT
    assert shape_of(first.root) == PIPELINE_TREE
    check_nesting(first)
    assert [each.line for each in first.calls] == PIPELINE_LINES
    assert {each.cell for each in first.calls} == {"source"}
    assert repr(model.trace(TEXT=["hi"])) == PIPELINE_TEXT

    path = first.critical_path()
    assert path[0] is first.root
    assert {each.model for each in path} == {"pipeline", "tokenize", "embed", "rank"}


def test_every_request_leaves_a_trace_in_the_session(live: LiveTarget) -> None:
    define(live, ECHO, name="a")
    define(live, ECHO, name="b")
    for name in ("a", "b", "a"):
        live.workbench.models[name].infer(X=[1, 2])
    recorder = live.workbench.recorder
    assert [each.model for each in recorder.traces()] == ["a", "b", "a"]
    assert [each.model for each in recorder.traces(2)] == ["b", "a"]
    last = recorder.last("b")
    assert repr(last) == "Trace b: ok, no BLS calls\nb   FP32[2] -> FP32[2]"
    assert last.id == recorder.last("b").id


def test_nested_calls_and_calls_of_a_scheduled_model(live: LiveTarget) -> None:
    define(live, "return [reply(r, take(r) + 1) for r in requests]", name="leaf")
    live.define(
        "middle",
        _caller("call('leaf', x); call('leaf', x); return [reply(requests[0], x)]"),
        ["X:FP32[2]"],
        ["Y:FP32[2]"],
    )
    live.define(
        "top", _caller("call('middle', x); return [reply(requests[0], x)]"), ["X:FP32[2]"], ["Y:FP32[2]"]
    )
    trace = live.workbench.models["top"].trace(X=[1, 2])
    assert repr(trace) == "\n".join(
        [
            "Trace top: ok, 3 BLS calls",
            "top                FP32[2] -> FP32[2]",
            "`- middle   exec   FP32[2] -> FP32[2]",
            "   |- leaf  exec   FP32[2] -> FP32[2]",
            "   `- leaf  exec   FP32[2] -> FP32[2]",
        ]
    )
    check_nesting(trace)


def test_errors_are_in_the_trace_where_they_happened(live: LiveTarget) -> None:
    define(live, "raise ValueError('no good')", name="leaf")
    body = "answer = call('leaf', x)\nraise RuntimeError(answer.error().message()[:3])"
    live.define("top", _caller(body), ["X:FP32[2]"], ["Y:FP32[2]"])
    trace = live.workbench.models["top"].trace(X=[1, 2])
    assert not trace.ok
    assert [(each.model, each.error) for each in trace.errors] == [
        ("top", "RuntimeError: Fai"),
        ("leaf", "ValueError: no good"),
    ]
    assert "`- leaf  exec   FP32[2] -> error: ValueError: no good" in repr(trace)
    assert repr(trace).startswith("Trace top: failed, 1 BLS call\n")


def test_calls_nobody_answers_and_calls_to_mocks(live: LiveTarget) -> None:
    live.workbench.bls.mocks["mocked"] = lambda inputs: {"Y": inputs["X"] * 2}
    live.define(
        "top",
        _caller("call('absent', x); call('mocked', x); return [reply(requests[0], x)]"),
        ["X:FP32[2]"],
        ["Y:FP32[2]"],
    )
    trace = live.workbench.models["top"].trace(X=[1, 2])
    absent, mocked = trace.calls
    assert absent.error is not None
    assert "'absent' is not ready" in absent.error
    assert absent.children == []
    assert mocked.signature == "FP32[2] -> FP32[2]"


def test_concurrent_calls_stand_in_the_order_the_model_made_them(live: LiveTarget) -> None:
    wait = "time.sleep(float(x[0]) / 4); return [reply(requests[0], x)]"
    live.define("leaf", source(wait), ["X:FP32[2]"], ["Y:FP32[2]"], instances=3)
    body = """
import asyncio
made = [pb_utils.InferenceRequest(model_name="leaf", requested_output_names=["Y"],
        inputs=[pb_utils.Tensor("X", np.array([n, n], np.float32))]) for n in (3, 1, 2)]
await asyncio.gather(*(each.async_exec() for each in made))
return [reply(requests[0], x)]"""
    text = source(body, signature="async def execute(self, requests):")
    live.define("top", text, ["X:FP32[2]"], ["Y:FP32[2]"])
    trace = live.workbench.models["top"].trace(X=[1, 2])
    assert [each.how for each in trace.calls] == ["async_exec"] * 3
    slow, quick, middle = trace.calls
    assert slow.duration_ns > middle.duration_ns > quick.duration_ns
    # The request waited for the slowest of the three, and for no other.
    assert [each.critical for each in trace.calls] == [True, False, False]


def test_a_batch_shows_each_request_its_own_way(live: LiveTarget) -> None:
    define(live, ECHO, name="m")
    live.workbench.models["m"].infer_batch([{"X": [1, 2]}, {"X": [3, 4]}])
    assert len(live.workbench.recorder.traces(model="m")) == 2


def test_ensembles_are_traced_with_their_steps(live: LiveTarget) -> None:
    define(live, "return [reply(r, take(r) + 1) for r in requests]", name="plus")
    config = """
        platform: "ensemble"
        input { name: "X" data_type: TYPE_FP32 dims: [ 2 ] }
        output { name: "Z" data_type: TYPE_FP32 dims: [ 2 ] }
        ensemble_scheduling {
          step { model_name: "plus" model_version: -1
                 input_map { key: "X" value: "X" } output_map { key: "Y" value: "between" } }
          step { model_name: "plus" model_version: -1
                 input_map { key: "X" value: "between" } output_map { key: "Y" value: "Z" } }
        }"""
    live.define("both", None, config=config)
    trace = live.workbench.models["both"].trace(X=[1, 2])
    assert repr(trace) == "\n".join(
        [
            "Trace both: ok, 2 steps",
            "both            FP32[2] -> FP32[2]",
            "|- plus  step   FP32[2] -> FP32[2]",
            "`- plus  step   FP32[2] -> FP32[2]",
        ]
    )


def test_off_is_off_and_the_ring_stays_within_its_bytes(live: LiveTarget) -> None:
    model = define(live, ECHO)
    tap = live.workbench.recorder.tap
    live.workbench.configure({"trace-buffer-byte-size": 4096})
    assert tap.byte_size == 4096
    for _ in range(100):
        model.infer(X=[1, 2])
    assert tap.dropped > 0
    assert 0 < len(tap.read()) < 60
    assert live.workbench.recorder.last().ok

    before = tap.position
    live.workbench.recorder.enabled = False
    model.infer(X=[1, 2])
    assert tap.position == before
    with pytest.raises(WorkbenchError, match="not recorded"):
        model.trace(X=[1, 2])


def test_what_was_never_sent_is_no_trace(live: LiveTarget) -> None:
    model = define(live, ECHO)
    with pytest.raises(InputError):
        model.trace(X=[1, 2, 3])


def test_files_come_back_as_they_were(live: LiveTarget, tmp_path: Path) -> None:
    define_pipeline(live.define)
    trace = live.workbench.models["pipeline"].trace(TEXT=["hi"])
    for format in ("event", "otlp"):
        path = trace.save(tmp_path / f"{format}.json", format)
        again = Trace.load(path)
        assert again.to_data() == trace.to_data()
        assert again.started_unix_ns == trace.started_unix_ns
        assert repr(again) == PIPELINE_TEXT


def test_models_see_nothing_of_it(live: LiveTarget) -> None:
    """The number that carries a call's line does not reach the called model, nor the caller's environment
    a change of behaviour: traces stay empty unless somebody gave one.
    """
    define(
        live, "assert requests[0].trace().get_context() is None; return [reply(requests[0], x)]", name="leaf"
    )
    live.define(
        "top",
        _caller(
            "a = call('leaf', x); assert not a.has_error(), a.error().message()\n"
            "return [reply(requests[0], x)]"
        ),
        ["X:FP32[2]"],
        ["Y:FP32[2]"],
    )
    np.testing.assert_array_equal(live.workbench.models["top"].infer(X=[1, 2])["Y"].numpy(), [1, 2])
