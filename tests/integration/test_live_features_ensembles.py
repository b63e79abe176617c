"""Ensembles over live models."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.support.live import ECHO, define, source
from workbench.errors import InferTimeout, ModelConfigError, ModelExecutionError, ModelNotFound
from workbench.session.mocks import MockModel
from workbench.session.model import Model
from workbench.targets.live import LiveTarget

DOUBLE = "return [reply(r, 2 * take(r)) for r in requests]"
INCREMENT = "return [reply(r, 1 + take(r)) for r in requests]"


def step(model: str, take: str, give: str) -> str:
    """A step with the model's input X and output Y."""
    maps = f'input_map {{ key: "X" value: "{take}" }} output_map {{ key: "Y" value: "{give}" }}'
    return f'step {{ model_name: "{model}" model_version: -1 {maps} }}\n'


def ensemble(*steps: str, name: str = "e", outputs: tuple[str, ...] = ("Y",)) -> str:
    tensor = 'name: "{}" data_type: TYPE_FP32 dims: [ 2 ]'
    text = f'name: "{name}"\nplatform: "ensemble"\ninput {{ {tensor.format("X")} }}\n'
    text += "".join(f"output {{ {tensor.format(each)} }}\n" for each in outputs)
    return f"{text}ensemble_scheduling {{\n{''.join(steps)}}}\n"


@pytest.fixture
def chain(live: LiveTarget) -> Model:
    """(2 x) + 1"""
    define(live, DOUBLE, name="double")
    define(live, INCREMENT, name="increment")
    return live.define("e", config=ensemble(step("increment", "T", "Y"), step("double", "X", "T")))


def test_a_chain(chain: Model, live: LiveTarget) -> None:
    result = chain.infer(X=[1, 2])
    assert result["Y"].tolist() == [3.0, 5.0]
    assert repr(result) == "InferResult e: 1 response\n  Y  FP32[2]  [3. 5.]"
    assert repr(chain) == f"Model e  READY  live  {chain.src}  in: X FP32[2]  out: Y FP32[2]"
    assert [each["Y"].tolist() for each in chain.stream(X=[1, 2])] == [[3.0, 5.0]]
    assert live.metadata("e")["platform"] == "ensemble"


def test_outputs_outlive_the_models(chain: Model, live: LiveTarget) -> None:
    result = chain.infer(X=[1, 2])
    live.workbench.reset()
    assert result["Y"].tolist() == [3.0, 5.0]


def test_a_model_calls_an_ensemble(chain: Model, live: LiveTarget) -> None:
    text = """
a = pb_utils.get_input_tensor_by_name(requests[0], 'X')
q = pb_utils.InferenceRequest(model_name='e', requested_output_names=['Y'], inputs=[a])
r = q.exec()
if r.has_error(): raise pb_utils.TritonModelException(r.error().message())
return [reply(None, pb_utils.get_output_tensor_by_name(r, 'Y').as_numpy())]
"""
    caller = define(live, text)
    assert caller.infer(X=[1, 2])["Y"].tolist() == [3.0, 5.0]
    define(live, "raise ValueError('no')", name="double")
    with pytest.raises(ModelExecutionError) as caught:
        caller.infer(X=[1, 2])
    assert (
        "in ensemble 'e', Failed to process the request(s) for model 'double_0', message: ValueError: no"
        in caught.value.wire_text
    )


def test_an_ensemble_of_an_ensemble(chain: Model, live: LiveTarget) -> None:
    outer = live.define("outer", config=ensemble(step("e", "X", "T"), step("e", "T", "Y"), name="outer"))
    assert outer.infer(X=[0, 1])["Y"].tolist() == [3.0, 7.0]


def test_independent_steps_run_at_the_same_time(live: LiveTarget, tmp_path: Path) -> None:
    # Each waits until the other has begun: one after the other they would wait for ever.
    meet = """
import os
open(os.path.join({folder!r}, {mine!r}), "w").close()
while not os.path.exists(os.path.join({folder!r}, {other!r})): time.sleep(0.005)
"""
    for mine, other in (("left", "right"), ("right", "left")):
        body = meet.format(folder=str(tmp_path), mine=mine, other=other)
        define(live, body + ECHO, name=mine)
    define(live, DOUBLE, name="double")
    config = ensemble(
        step("left", "X", "L"),
        step("right", "X", "R"),
        step("double", "L", "Y"),
        step("double", "R", "Z"),
        outputs=("Y", "Z"),
    )
    result = live.define("e", config=config).infer(X=[1, 2], timeout=20)
    assert (result["Y"].tolist(), result["Z"].tolist()) == ([2.0, 4.0], [2.0, 4.0])


def test_requests_keep_their_identity(live: LiveTarget, printed: list[str]) -> None:
    define(
        live, "r = requests[0]\nprint(r.request_id(), r.correlation_id(), r.flags(), r.parameters())\n" + ECHO
    )
    model = live.define("e", config=ensemble(step("m", "X", "Y")))
    model.infer(X=[1, 2], request_id="r7", parameters={"a": 1}, sequence=(5, True, False))
    assert printed == ['m: r7 5 1 {"a":1}']


def test_an_error_is_shown_at_the_models_line(chain: Model, live: LiveTarget) -> None:
    define(live, "raise ValueError('no')", name="double")
    with pytest.raises(ModelExecutionError, match=r"ValueError: no \(double\)") as caught:
        chain.infer(X=[1, 2])
    assert caught.value.where == "double.execute, request 1 of 1, step 2 (double) of ensemble e"
    assert caught.value.frames[-1].function == "TritonPythonModel.execute"
    assert live.statistics("e") == {"success": 0, "failure": 1}


def test_a_timeout_is_the_whole_ensembles(live: LiveTarget) -> None:
    define(live, "if x[0]: time.sleep(100)\n" + ECHO, name="slow")
    model = live.define("e", config=ensemble(step("slow", "X", "Y")))
    with pytest.raises(InferTimeout, match="slow did not answer within"):
        model.infer(X=[1, 2], timeout=0.5)
    assert model.infer(X=[0, 2], timeout=20)["Y"].tolist() == [0.0, 2.0]


def test_a_decoupled_step_answers_once(live: LiveTarget) -> None:
    text = """
sender = requests[0].get_response_sender()
for _ in range(int(x[0])): sender.send(reply(None, x))
sender.send(flags=1)
"""
    define(live, text, name="d", decoupled=True)
    model = live.define("e", config=ensemble(step("d", "X", "Y")))
    assert model.infer(X=[1, 2])["Y"].tolist() == [1.0, 2.0]
    for count in (0, 2):
        with pytest.raises(ModelExecutionError, match=f"d is decoupled and answered {count} times"):
            model.infer(X=[count, 2])


def test_models_that_are_not_there(live: LiveTarget) -> None:
    with pytest.raises(ModelConfigError, match="not available or ambiguous: double"):
        live.define("e", config=ensemble(step("double", "X", "Y")))
    define(live, DOUBLE, name="double")
    model = live.define("e", config=ensemble(step("double", "X", "Y")))
    assert model.ready()
    live.unload("double")
    assert not model.ready()
    with pytest.raises(ModelNotFound, match="e needs double, which is not loaded"):
        model.infer(X=[1, 2])


def test_a_step_that_is_a_mock(live: LiveTarget) -> None:
    mock = MockModel("m", lambda inputs: {"Y": inputs["X"] * 3}, ["X:FP32[2]"], ["Y:FP32[2]"])
    live.workbench.bls.mocks["m"] = mock
    define(live, DOUBLE, name="double")
    model = live.define("e", config=ensemble(step("double", "X", "T"), step("m", "T", "Y")))
    assert model.infer(X=[1, 2])["Y"].tolist() == [6.0, 12.0]


def test_a_batch_goes_through(live: LiveTarget) -> None:
    live.define("b", source(DOUBLE), ["X:FP32[2]"], ["Y:FP32[2]"], max_batch_size=4)
    config = ensemble(step("b", "X", "T"), step("b", "T", "Y")).replace(
        "input {", "max_batch_size: 2\ninput {"
    )
    assert live.define("e", config=config).infer(X=[[1, 2], [3, 4]])["Y"].tolist() == [
        [4.0, 8.0],
        [12.0, 16.0],
    ]


def test_many_at_once(chain: Model) -> None:
    found: dict[int, list[float]] = {}

    def ask(number: int) -> None:
        found[number] = chain.infer(X=[number, 0])["Y"].tolist()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == {number: [2.0 * number + 1, 1.0] for number in range(8)}
