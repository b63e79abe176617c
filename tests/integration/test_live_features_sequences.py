"""Sequence batching, and requests that a model asks back. Texts and order: a 24.10 server's."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from tests.support.live import define, source
from workbench.errors import InputError, ModelConfigError, ModelExecutionError
from workbench.session.model import Model
from workbench.targets.live import LiveTarget

IO = """
input { name: "X" data_type: TYPE_FP32 dims: [ 2 ] }
output { name: "Y" data_type: TYPE_FP32 dims: [ 2 ] }
"""
CONTROLS = """
control_input { name: "START" control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } }
control_input { name: "END" control { kind: CONTROL_SEQUENCE_END fp32_false_true: [ 0, 1 ] } }
control_input { name: "READY" control { kind: CONTROL_SEQUENCE_READY bool_false_true: [ false, true ] } }
control_input { name: "CORRID" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } }
"""

#: Adds up what a sequence sends, by correlation id, and prints what each request says of itself.
SUM = """
import json
out = []
print("batch", len(requests))
for r in requests:
    known = {t.name(): t.as_numpy().ravel().tolist() for t in r.inputs()}
    print(json.dumps([r.correlation_id(), r.flags(), known], default=bytes.decode))
    key = r.correlation_id()
    if r.flags() & 1: self.sums[key] = 0
    self.sums[key] = self.sums.get(key, 0) + take(r)
    out.append(reply(r, self.sums[key]))
return out
"""
AGAIN = """
import json
out = []
for r in requests:
    known = {t.name(): t.as_numpy().ravel().tolist() for t in r.inputs() if t.name() != "X"}
    print(json.dumps([r.request_id(), r.correlation_id(), r.flags(), known]))
    count = self.sums[r.request_id()] = self.sums.get(r.request_id(), 0) + 1
    if count < 3:
        r.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
        out.append(None)
    else:
        out.append(reply(r, take(r) + count))
return out
"""
STATE = "def initialize(self, args):\n    self.sums = {}\n"


def sequence_model(
    live: LiveTarget, options: str, *, body: str = SUM, more: str = "", name: str = "m"
) -> Model:
    return live.define(name, source(body, more=STATE), config=f"{more}{IO}sequence_batching {{ {options} }}")


def told(printed: list[str]) -> list[object]:
    return [json.loads(line.removeprefix("m: ")) for line in printed if "[" in line]


def refusal(model: Model, **options: Any) -> str:
    with pytest.raises(ModelExecutionError) as caught:
        model.infer(X=[1, 2], **options)
    assert caught.value.code == "INVALID_ARG"
    return str(caught.value)


def test_a_sequence(live: LiveTarget, printed: list[str]) -> None:
    model = sequence_model(live, CONTROLS)
    answers = [
        model.infer(X=[1, 2], sequence=(3, start, end))["Y"].tolist()
        for start, end in ((True, False), (False, False), (False, True))
    ]
    assert answers == [[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]
    x = {"X": [1.0, 2.0]}
    assert told(printed) == [
        [3, 1, {"READY": [True], "CORRID": [3], "END": [0.0], "START": [1], **x}],
        [3, 0, {"READY": [True], "CORRID": [3], "END": [0.0], "START": [0], **x}],
        [3, 2, {"READY": [True], "CORRID": [3], "END": [1.0], "START": [0], **x}],
    ]
    assert list(told(printed)[0][2]) == ["READY", "CORRID", "END", "START", "X"]  # type: ignore[index]


def test_what_a_server_refuses(live: LiveTarget) -> None:
    model = sequence_model(live, "max_sequence_idle_microseconds: 200000")
    assert refusal(model) == (
        "inference request to model 'm' must specify a non-zero or non-empty correlation ID (m)"
    )
    no_start = (
        "inference request for sequence 3 to model 'm' must specify the START flag on the first request of "
        "the sequence (m)"
    )
    assert refusal(model, sequence=(3, False, False)) == no_start
    model.infer(X=[1, 2], sequence=(3, True, True))
    assert refusal(model, sequence=(3, False, False)) == no_start
    model.infer(X=[1, 2], sequence=(3, True, False))
    time.sleep(0.4)
    with pytest.raises(ModelExecutionError) as caught:
        model.infer(X=[1, 2], sequence=(3, False, False))
    assert str(caught.value) == no_start
    assert caught.value.hint.startswith("it was idle for more than 0.2 s")
    # One that begins again under its old name is a new one.
    model.infer(X=[1, 2], sequence=(3, True, False))
    assert model.infer(X=[5, 5], sequence=(3, True, False))["Y"].tolist() == [5.0, 5.0]


def test_text_identities(live: LiveTarget, printed: list[str]) -> None:
    model = sequence_model(live, CONTROLS.replace("TYPE_UINT64", "TYPE_STRING"))
    assert model.infer(X=[1, 2], sequence=("abc", True, True))["Y"].tolist() == [1.0, 2.0]
    assert told(printed)[0][2]["CORRID"] == ["abc"]  # type: ignore[index]
    model = sequence_model(live, CONTROLS)
    with pytest.raises(InputError, match="m takes correlation ids as UINT64, got the text 'abc'"):
        model.infer(X=[1, 2], sequence=("abc", True, True))


def test_a_sequence_stays_on_its_instance(live: LiveTarget) -> None:
    text = (
        "import os\nreturn [reply(r, np.array([os.getpid() % 10000, 0], dtype=np.float32)) for r in requests]"
    )
    model = sequence_model(live, "", body=text, more="instance_group { count: 2 }")
    pids = {
        key: [model.infer(X=[0, 0], sequence=(key, number == 0, False))["Y"][0] for number in range(3)]
        for key in (1, 2)
    }
    assert all(len(set(each)) == 1 for each in pids.values())
    assert pids[1][0] != pids[2][0]


def test_sequences_wait_for_a_slot(live: LiveTarget) -> None:
    model = sequence_model(live, "max_sequence_idle_microseconds: 60000000")
    model.infer(X=[1, 2], sequence=(1, True, False))
    done: list[object] = []
    waiting = threading.Thread(
        target=lambda: done.append(model.infer(X=[7, 7], sequence=(2, True, True))["Y"].tolist())
    )
    waiting.start()
    waiting.join(0.3)
    assert not done
    assert model.infer(X=[1, 2], sequence=(1, False, True))["Y"].tolist() == [2.0, 4.0]
    waiting.join(60)
    assert done == [[7.0, 7.0]]


def test_slots_of_a_batch_without_a_request_are_not_ready(live: LiveTarget, printed: list[str]) -> None:
    model = sequence_model(live, CONTROLS, more="max_batch_size: 4\n")
    model.infer(X=[1, 2], sequence=(3, True, False))
    model.infer(X=[1, 2], sequence=(4, True, False))
    nothing = {"READY": [False], "CORRID": [0], "END": [0.0], "START": [0], "X": [0.0, 0.0]}
    assert told(printed)[1] == [0, 0, nothing]
    assert told(printed)[2][:2] == [4, 1]  # type: ignore[index]


def test_a_request_comes_back_until_it_is_answered(live: LiveTarget, printed: list[str]) -> None:
    model = sequence_model(live, "iterative_sequence: true" + CONTROLS, body=AGAIN)
    assert model.infer(X=[1, 2], request_id="r", sequence=(5, True, False))["Y"].tolist() == [4.0, 5.0]
    rest = {"READY": [True], "CORRID": [5], "END": [0.0]}
    assert told(printed) == [
        ["r", 5, 1, {**rest, "START": [1]}],
        ["r", 5, 0, {**rest, "START": [0]}],
        ["r", 5, 0, {**rest, "START": [0]}],
    ]
    # A request that says nothing of sequences is one of its own.
    assert model.infer(X=[1, 2], request_id="s")["Y"].tolist() == [4.0, 5.0]
    # One that ends its sequence cannot come back: on a server its client waits for ever.
    assert "must specify the START flag" in refusal(model, request_id="t", sequence=(6, True, True))


def test_a_decoupled_model_answers_between_iterations(live: LiveTarget) -> None:
    body = """
r = requests[0]
left = self.sums[r.request_id()] = self.sums.get(r.request_id(), int(x[0])) - 1
sender = r.get_response_sender()
sender.send(reply(r, x * 0 + left))
if left: r.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
else: sender.send(flags=1)
"""
    more = "model_transaction_policy { decoupled: true }\n"
    model = sequence_model(live, "iterative_sequence: true", body=body, more=more)
    result = model.infer(X=[3, 0], request_id="a")
    assert [each["Y"].tolist()[0] for each in result.responses if each] == [2.0, 1.0, 0.0]


def test_asking_back_without_the_configuration_for_it(live: LiveTarget) -> None:
    model = define(live, AGAIN, more=STATE)
    with pytest.raises(ModelExecutionError) as caught:
        model.infer(X=[1, 2], request_id="r")
    assert str(caught.value) == (
        "Request is released with TRITONSERVER_REQUEST_RELEASE_RESCHEDULE, while the model is not configured "
        "to handle such a flag. (m)"
    )
    assert "iterative_sequence" in caught.value.hint


def test_a_model_calls_a_sequence_model(live: LiveTarget) -> None:
    sequence_model(live, CONTROLS, name="child")
    text = """
out = []
a = pb_utils.get_input_tensor_by_name(requests[0], 'X')
for flags in (1, 0, 2, 0):
    r = pb_utils.InferenceRequest(model_name='child', requested_output_names=['Y'], inputs=[a], flags=flags,
                                  correlation_id=9).exec()
    print(r.error().message() if r.has_error() else r.output_tensors()[0].as_numpy().tolist())
return [reply(None, x)]
"""
    printed: list[str] = []
    live.workbench.on_output = lambda model, line: printed.append(line) if model == "m" else None
    define(live, text).infer(X=[1, 2])
    assert printed == [
        "[1.0, 2.0]",
        "[2.0, 4.0]",
        "[3.0, 6.0]",
        "Model child - Error when running inference: inference request for sequence 9 to model 'child' must "
        "specify the START flag on the first request of the sequence",
    ]


def test_a_crash_ends_the_sequences_it_held(live: LiveTarget) -> None:
    model = sequence_model(live, "", body="if x[1]: os._exit(3)\n" + SUM)
    model.infer(X=[1, 0], sequence=(1, True, False))
    with pytest.raises(Exception, match="m died"):
        model.infer(X=[1, 1], sequence=(1, False, False))
    assert "must specify the START flag" in refusal(model, sequence=(1, False, False))
    assert model.infer(X=[1, 0], sequence=(1, True, True), timeout=20)["Y"].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            'control_input { name: "X" control { int32_false_true: [0, 1] } }',
            "control input X is declared as input",
        ),
        ('control_input { name: "S" control { } }', "control input S needs int32_false_true"),
        ('state { input_name: "S" output_name: "T" data_type: TYPE_FP32 dims: [ 1 ] }', "has a state"),
    ],
)
def test_bad_descriptions(live: LiveTarget, options: str, message: str) -> None:
    with pytest.raises(ModelConfigError, match=message):
        sequence_model(live, options)
