"""Models that call models, count things and control models."""

from __future__ import annotations

import pytest

from tests.support.live import ECHO, define, source
from workbench.errors import InferTimeout, ModelExecutionError, StubCrashedError
from workbench.session.model import Model
from workbench.targets.live import LiveTarget

DOUBLE = "return [reply(r, 2 * take(r)) for r in requests]"
COUNTDOWN = """
sender = requests[0].get_response_sender()
for i in range(int(x[0])):
    sender.send(reply(None, x - i))
sender.send(flags=1)
"""


def call(target: str, how: str = "exec()", outputs: str = "['Y']", inputs: str = "[a]") -> str:
    """The body of an execute that calls another model and gives its answer plus one."""
    return (
        "a = pb_utils.get_input_tensor_by_name(requests[0], 'X')\n"
        f"q = pb_utils.InferenceRequest(model_name='{target}', requested_output_names={outputs}, "
        f"inputs={inputs})\n"
        f"r = q.{how}\n"
        "if r.has_error(): raise pb_utils.TritonModelException(r.error().message())\n"
        "return [reply(None, pb_utils.get_output_tensor_by_name(r, 'Y').as_numpy() + 1)]"
    )


def refusal(model: Model) -> str:
    with pytest.raises(ModelExecutionError) as caught:
        model.infer(X=[1, 2])
    return caught.value.cause.removeprefix("TritonModelException: ")


def test_a_live_model_answers(live: LiveTarget) -> None:
    define(live, DOUBLE, name="child")
    assert define(live, call("child")).infer(X=[1, 2])["Y"].tolist() == [3.0, 5.0]


TELLS = """
text = repr([(r.request_id(), r.correlation_id(), r.flags(), r.timeout(), r.parameters(),
              r.requested_output_names(), [(t.name(), t.as_numpy().tolist()) for t in r.inputs()])
             for r in requests])
return [pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", np.array([text], dtype=np.object_))])]
"""


def test_calls_of_one_form_bring_what_each_of_them_says(live: LiveTarget, printed: list[str]) -> None:
    """The second of a form takes a shorter way through the session."""
    live.define("child", source(TELLS), ["X:FP32[-1]"], ["TEXT:BYTES[1]"])
    model = define(
        live,
        "for i in [1, 2, 3, 2]:\n"
        "    q = pb_utils.InferenceRequest(model_name='child', requested_output_names=['TEXT'],"
        " request_id=f'r{i}', correlation_id=i, flags=i, timeout=i,"
        " parameters={'i': i} if i == 3 else {},"
        " inputs=[pb_utils.Tensor('X', np.array([i] * (2 if i == 2 else 1), dtype=np.float32))])\n"
        "    for t in q.exec().output_tensors(): print(t.as_numpy()[0].decode())\n" + ECHO,
    )
    for _ in range(2):
        printed.clear()
        model.infer(X=[1, 2])
        assert printed == [
            "m: [('r1', 1, 1, 1, '{}', {'TEXT'}, [('X', [1.0])])]",
            "m: [('r2', 2, 2, 2, '{}', {'TEXT'}, [('X', [2.0, 2.0])])]",
            "m: [('r3', 3, 3, 3, '{\"i\":3}', {'TEXT'}, [('X', [3.0])])]",
            "m: [('r2', 2, 2, 2, '{}', {'TEXT'}, [('X', [2.0, 2.0])])]",
        ]


def test_a_form_that_was_taken_is_refused_by_another_model_of_the_name(live: LiveTarget) -> None:
    define(live, DOUBLE, name="child")
    model = define(live, call("child"))
    for _ in range(2):
        assert model.infer(X=[1, 2])["Y"].tolist() == [3.0, 5.0]
    live.define("child", source(ECHO), ["X:INT32[2]"], ["Y:INT32[2]"])
    assert "data-type is 'FP32'" in refusal(model)
    define(live, ECHO, name="child")
    assert model.infer(X=[1, 2])["Y"].tolist() == [2.0, 3.0]


def test_an_input_of_another_shape_inside_is_shaped_each_time(live: LiveTarget) -> None:
    text = """
    name: "child"
    input [{ name: "X" data_type: TYPE_FP32 dims: [ 2 ] reshape: { shape: [ 1, 2 ] } }]
    output [{ name: "Y" data_type: TYPE_FP32 dims: [ -1 ] }]
    """
    live.define(
        "child",
        source("return [reply(r, np.array(take(r).shape, np.float32)) for r in requests]"),
        config=text,
    )
    model = define(live, call("child"))
    for _ in range(3):
        assert model.infer(X=[1, 2])["Y"].tolist() == [2.0, 3.0]


def test_open_dimensions_are_paired_in_their_order(live: LiveTarget) -> None:
    text = """
    name: "child"
    input [{ name: "X" data_type: TYPE_FP32 dims: [ -1, 4, -1 ] reshape: { shape: [ -1, 2, 2, -1 ] } }]
    output [{ name: "Y" data_type: TYPE_FP32 dims: [ -1 ] }]
    """
    shape = "return [reply(r, np.array(take(r).shape, np.float32)) for r in requests]"
    live.define("child", source(shape), config=text)
    three = "[pb_utils.Tensor('X', np.zeros((3, 4, 5), np.float32))]"
    model = live.define("m", source(call("child", inputs=three)), ["X:FP32[2]"], ["Y:FP32[4]"])
    assert model.infer(X=[1, 2])["Y"].tolist() == [4.0, 3.0, 3.0, 6.0]


def test_a_chain_of_three(live: LiveTarget) -> None:
    define(live, DOUBLE, name="c")
    define(live, call("c"), name="b")
    assert define(live, call("b"), name="a").infer(X=[1, 2])["Y"].tolist() == [4.0, 6.0]


def test_a_decoupled_child(live: LiveTarget, printed: list[str]) -> None:
    define(live, COUNTDOWN, name="child", decoupled=True)
    model = define(
        live,
        "a = pb_utils.get_input_tensor_by_name(requests[0], 'X')\n"
        "q = pb_utils.InferenceRequest(model_name='child', requested_output_names=['Y'], inputs=[a])\n"
        "got = [t.as_numpy()[0] for r in q.exec(decoupled=True) for t in r.output_tensors()]\n"
        "print(*map(int, got))\n" + ECHO,
    )
    model.infer(X=[3, 0])
    assert printed == ["m: 3 2 1"]
    with pytest.raises(ModelExecutionError, match="is using the decoupled") as caught:
        define(live, call("child"), name="wrong").infer(X=[3, 0])
    assert "decoupled=True" in caught.value.hint


def test_many_calls_at_once(live: LiveTarget, printed: list[str]) -> None:
    define(live, DOUBLE, name="child", instances=2)
    text = source(
        "import asyncio\n"
        "a = pb_utils.get_input_tensor_by_name(requests[0], 'X')\n"
        "rs = await asyncio.gather(*[pb_utils.InferenceRequest(model_name='child', "
        "requested_output_names=['Y'],"
        " inputs=[a]).async_exec() for _ in range(16)])\n"
        "print(sum(not r.has_error() for r in rs))\n" + ECHO,
        signature="async def execute(self, requests):",
    )
    live.define("m", text, ["X:FP32[2]"], ["Y:FP32[2]"]).infer(X=[1, 2])
    assert printed == ["m: 16"]


def test_a_mock_answers_for_a_model_that_is_not_there(live: LiveTarget) -> None:
    live.workbench.bls.mocks["child"] = lambda inputs: {"Y": inputs["X"] * 10, "OTHER": inputs["X"]}
    model = define(live, call("child"))
    assert model.infer(X=[1, 2])["Y"].tolist() == [11.0, 21.0]
    define(live, DOUBLE, name="child")
    assert model.infer(X=[1, 2])["Y"].tolist() == [3.0, 5.0]  # a live one comes first


def test_refusals_are_worded_as_on_a_server(live: LiveTarget) -> None:
    head = "Model child - Error when running inference: "
    assert refusal(define(live, call("nosuch"))) == (
        "Model nosuch - Error when running inference: Failed for execute the inference request. "
        "Model 'nosuch' is not ready."
    )
    live.define("child", source(ECHO), ["X:INT32[2]"], ["Y:INT32[2]"])
    assert refusal(define(live, call("child"))) == (
        f"{head}[request id: <id_unknown>] inference input 'X' data-type is 'FP32', but model 'child' "
        f"expects 'INT32'"
    )
    live.define("child", source(ECHO), ["X:FP32[3]"], ["Y:FP32[3]"])
    assert refusal(define(live, call("child"))) == (
        f"{head}[request id: <id_unknown>] unexpected shape for input 'X' for model 'child'. Expected "
        f"[3], got [2]."
    )
    define(live, ECHO, name="child")
    assert refusal(define(live, call("child", inputs="[]"))) == (
        f"{head}[request id: <id_unknown>] expected 1 inputs but got 0 inputs for model 'child'. Got "
        f"input(s) [], "
        "but missing required input(s) ['X']. Please provide all required input(s)."
    )
    assert refusal(define(live, call("child", outputs="['NOPE']"))) == (
        f"{head}unexpected inference output 'NOPE' for model 'child'"
    )


def test_a_childs_error_arrives_verbatim(live: LiveTarget) -> None:
    define(live, "raise ValueError('in the child')", name="child")
    with pytest.raises(ModelExecutionError) as caught:
        define(live, call("child")).infer(X=[1, 2])
    # What the model was told is what it raised again; what is shown of it needs no more than the cause.
    assert caught.value.wire_text.startswith(
        "Failed to process the request(s) for model 'm_0', message: TritonModelException: "
        "Failed to process the request(s) for model 'child_0', message: ValueError: in the child"
    )
    assert "/tmp" not in caught.value.cause.replace("child/1", "")


def test_a_model_that_calls_itself(live: LiveTarget) -> None:
    assert refusal(define(live, call("m"))) == "BlsDeadlockError: m -> m"
    define(live, call("pipeline"), name="rank")
    assert "BlsDeadlockError: rank -> pipeline -> rank" in refusal(
        define(live, call("rank"), name="pipeline")
    )


def test_a_second_instance_lets_a_model_call_itself(live: LiveTarget) -> None:
    model = define(live, "if x[0] == 0: " + "return [reply(None, x)]\nx[0] -= 1\n" + call("m"), instances=2)
    assert model.infer(X=[0, 5])["Y"].tolist() == [0.0, 5.0]


def test_a_child_that_hangs_is_stopped_with_its_caller(live: LiveTarget) -> None:
    child = define(live, "if x[1]: time.sleep(100)\n" + ECHO, name="child")
    model = define(live, call("child"))
    with pytest.raises(InferTimeout, match=r"m did not answer within 0\.5 s"):
        model.infer(X=[1, 1], timeout=0.5)
    assert child.infer(X=[1, 0], timeout=20)["Y"].tolist() == [1.0, 0.0]
    assert model.infer(X=[1, 0], timeout=20)["Y"].tolist() == [2.0, 1.0]


def test_a_child_that_dies_is_an_error_of_the_call(live: LiveTarget) -> None:
    child = define(live, "if x[1]: os._exit(4)\n" + ECHO, name="child")
    model = define(live, call("child"))
    assert refusal(model) == f"child died (exit code 4) in execute; restarted with {child.src}"
    assert model.infer(X=[1, 0])["Y"].tolist() == [2.0, 1.0]


def test_a_caller_that_dies_leaves_the_child_alone(live: LiveTarget) -> None:
    child = define(live, "time.sleep(0.5)\n" + ECHO, name="child")
    model = define(
        live,
        "import threading\nthreading.Timer(0.1, os._exit, (5,)).start()\n" + call("child"),
    )
    with pytest.raises(StubCrashedError, match=r"m died \(exit code 5\) in execute"):
        model.infer(X=[1, 2])
    assert child.infer(X=[1, 2])["Y"].tolist() == [1.0, 2.0]


def test_metrics_and_model_control(live: LiveTarget, printed: list[str]) -> None:
    define(live, ECHO, name="other")
    model = define(
        live,
        """
self.counter.increment(2)
for attempt in (
    lambda: self.counter.set(1),
    lambda: pb_utils.load_model("nosuch"),
    lambda: pb_utils.is_model_ready("other", "abc"),
):
    try:
        attempt()
    except pb_utils.TritonModelException as error:
        print(error)
print(self.counter.value(), pb_utils.is_model_ready("other"), pb_utils.is_model_ready("other", "2"))
pb_utils.load_model("other")
"""
        + ECHO,
        more="""
        def initialize(self, args):
            kind = pb_utils.MetricFamily.COUNTER
            self.family = pb_utils.MetricFamily(name="seen", description="d", kind=kind)
            self.counter = self.family.Metric(labels={"a": "b"})
        """,
    )
    model.infer(X=[1, 2])
    said = "Failed to process the request for model 'm_0', message: "
    assert printed == [
        f"m: Failed to set metric value: {said}TRITONSERVER_METRIC_KIND_COUNTER does not support Set",
        f"m: Failed to load model: {said}failed to load 'nosuch', failed to poll from model repository",
        f"m: Failed to check model readiness: {said}failed to get model version from specified version "
        f"string 'abc' "
        "(details: stol), version should be an integral value > 0",
        "m: 2.0 True False",
    ]
    assert live.workbench.metrics.dump().splitlines()[-1] == 'seen{a="b"} 2'
    live.unload("m")
    assert live.workbench.metrics.dump() == ""
