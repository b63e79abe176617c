"""Response senders in both modes, and the errors of a decoupled `execute`. Section 5."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conformance.lab import Lab, agrees, upstream_breaks
from tests.conformance.targets import Answer, Target, config, until

_CLOSED = "TritonModelException: Unable to send response. Response sender has been closed."
_MORE = (
    "TritonModelException: Unable to send response. Non-decoupled model cannot send more than one response."
)
_EARLY = (
    "TritonModelException: Unable to send response."
    " Non-decoupled model cannot send complete final before sending a response."
)
_R = "pb_utils.InferenceResponse([said('%s')])"


def _execute(*lines: str, head: str = "def execute(self, requests):") -> str:
    body = [
        "sender = requests[0].get_response_sender()",
        "FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL",
        *lines,
    ]
    return "\n".join([head, *(f"    {line}" for each in body for line in each.split("\n"))])


def _texts(answers: list[Answer]) -> list[str]:
    """What a stream brought: texts; ``-`` for a response without outputs; ``!`` and the text of an error."""
    return [f"!{a.error}" if a.error else a.text("RESULT") if a.outputs else "-" for a in answers]


def _try(statement: str) -> str:
    return f"try:\n    {statement}\n    kept['raised'] = 'nothing'\nexcept BaseException as e:\n    kept['raised'] = type(e).__name__ + ': ' + str(e)"


def _later(*lines: str) -> str:
    body = "\n".join(f"    {line}" for each in lines for line in each.split("\n"))
    return f"def later():\n    time.sleep(0.1)\n{body}\nthreading.Thread(target=later, daemon=True).start()"


# The checks of send, in their order.


@pytest.mark.parametrize(
    "call, raised",
    [
        ("sender.send(flags=5)", "TritonModelException: Unable to send response. Unsupported flag provided."),
        (f"sender.send({_R % 'x'}, flags=2)", "TritonModelException: Unable to send response. Unsupported flag provided."),
        ("sender.send()", "TritonModelException: Inference Response object must be provided when the response flags is set"
                          " to zero."),
        ("sender.send(None, 0)", "TritonModelException: Inference Response object must be provided when the response flags"
                                 " is set to zero."),
        ("sender.send('text')", "TypeError: …"),
        ("pb_utils.InferenceRequest(inputs=[], requested_output_names=['A'], model_name='m').get_response_sender().send("
         f"{_R % 'x'})", "TritonModelException: Unable to send response. Response sender has no reference to the decoupled"
                         " state of the model."),
    ],
)  # fmt: skip
def test_send_checks(lab: Lab, call: str, raised: str) -> None:
    answers = lab.stream(_execute(_try(call), f"sender.send({_R % 'went on'}, flags=FINAL)"))
    assert _texts(answers) == ["went on"]
    kept = lab.stream(_execute("sender.send(pb_utils.InferenceResponse([said(kept['raised'])]), FINAL)"))[
        0
    ].text("RESULT")
    assert agrees(kept, raised), kept


def test_send_after_final(lab: Lab) -> None:
    """Closed is closed, exact text; nothing reaches the client."""
    answers = lab.stream(_execute("sender.send(flags=FINAL)", _try(f"sender.send({_R % 'late'})")))
    assert _texts(answers) == []
    assert _kept(lab, "decoupled") == _CLOSED


def _kept(lab: Lab, kind: str) -> str:
    """What `_try` caught, asked for by another request."""
    found = ""

    def ask() -> bool:
        nonlocal found
        if kind == "default":
            found = lab.run("result = kept.get('raised')").strip("'\"")
        else:
            code = _execute("sender.send(pb_utils.InferenceResponse([said(kept.get('raised'))]), FINAL)")
            found = lab.stream(code)[0].text("RESULT")
        return found != "None"

    until(ask)
    return found


@pytest.fixture(autouse=True)
def _fresh(lab: Lab) -> None:
    lab.run("kept.pop('raised', None)")
    lab.stream(_execute("kept.pop('raised', None)", "sender.send(flags=FINAL)"))


# Decoupled models. Each runs as a plain function and as a coroutine.

_HEADS = {"plain": "def execute(self, requests):", "coroutine": "async def execute(self, requests):"}
_heads = pytest.mark.parametrize("head", list(_HEADS.values()), ids=list(_HEADS))


@pytest.mark.parametrize(
    "lines, expected",
    [
        pytest.param(["sender.send(flags=FINAL)"], [], id="zero-pre"),
        pytest.param([_later("sender.send(flags=FINAL)")], [], id="zero-post"),
        pytest.param([f"sender.send({_R % 'a'}, flags=FINAL)"], ["a"], id="one-pre"),
        pytest.param([f"sender.send({_R % 'a'})", "sender.send(flags=FINAL)"], ["a"], id="one-pre-and-final"),
        pytest.param([_later(f"sender.send({_R % 'a'}, flags=FINAL)")], ["a"], id="one-post"),
        pytest.param([f"sender.send({_R % 'a'})", f"sender.send({_R % 'b'}, FINAL)"], ["a", "b"], id="two-pre"),
        pytest.param([_later(f"sender.send({_R % 'a'})", f"sender.send({_R % 'b'}, FINAL)")], ["a", "b"], id="two-post"),
        pytest.param(
            [f"sender.send({_R % 'a'})", _later(*[f"sender.send({_R % x})" for x in "bc"], f"sender.send({_R % 'd'}, FINAL)")],
            ["a", "b", "c", "d"],
            id="pre-and-post",
        ),
        pytest.param([f"for i in range(40): sender.send({_R % '%d'!r} and pb_utils.InferenceResponse([said(i)]))",
                      "sender.send(flags=FINAL)"], [*map(str, range(40))], id="forty"),
    ],
)  # fmt: skip
@_heads
def test_decoupled(lab: Lab, lines: list[str], expected: list[str], head: str) -> None:
    answers = lab.stream(_execute(*lines, head=head))
    assert _texts(answers) == expected


def _decoupled_return_error(lab: Lab) -> str:
    instance = lab.model("decoupled").instance
    return (
        f"Failed to process the request(s) for model '{instance}', message: Python model '{instance}' is using the decoupled"
        " mode and the execute function must return None."
    )


@pytest.mark.parametrize("value", [f"[{_R % 'x'}]", "[]", "5"])
def test_decoupled_return_value(lab: Lab, value: str) -> None:
    answers = lab.stream(_execute(f"return {value}"))
    assert _texts([a for a in answers if not a.empty]) == [f"!{_decoupled_return_error(lab)}"]


def test_decoupled_return_value_after_final(target: Target, lab: Lab) -> None:
    """The sent response stands, the error is only logged."""
    text = _decoupled_return_error(lab)
    mark = target.log_mark()
    assert _texts(lab.stream(_execute(f"sender.send({_R % 'a'}, FINAL)", f"return [{_R % 'b'}]"))) == ["a"]
    until(lambda: any(line.text == text for line in target.log_lines(mark)))
    assert any(line.text == text and line.level == "E" for line in target.log_lines(mark))


def test_decoupled_return_value_closes_the_sender(lab: Lab) -> None:
    """The error is delivered; a response sent later finds the sender closed."""
    answers = lab.stream(_execute(_later(_try(f"sender.send({_R % 'late'})")), f"return [{_R % 'b'}]"))
    assert _texts([a for a in answers if not a.empty]) == [f"!{_decoupled_return_error(lab)}"]
    assert _kept(lab, "decoupled") == _CLOSED


def test_decoupled_raises(lab: Lab) -> None:
    """What was sent stands; then an error ends the stream."""
    answers = lab.stream(_execute(f"sender.send({_R % 'a'})", "raise ValueError('mid-stream')"))
    texts = _texts([a for a in answers if not a.empty])
    assert texts[0] == "a"
    start = f"!Failed to process the request(s) for model '{lab.model('decoupled').instance}', message: ValueError: mid-stream\n\nAt:\n"
    assert len(texts) == 2
    assert texts[1].startswith(start)


def test_decoupled_raises_ten_times(lab: Lab) -> None:
    """Each request gets the error; the model stays ready and works."""
    for _ in range(10):
        answers = [a for a in lab.stream(_execute("raise ValueError('Intentional Error')")) if not a.empty]
        assert len(answers) == 1
        assert "Intentional Error" in (answers[0].error or "")
    assert lab.model("decoupled").ready
    assert _texts(lab.stream(_execute(f"sender.send({_R % 'fine'}, FINAL)"))) == ["fine"]


def test_decoupled_raises_after_final(target: Target, lab: Lab) -> None:
    mark = target.log_mark()
    assert _texts(lab.stream(_execute(f"sender.send({_R % 'a'}, FINAL)", "raise ValueError('unseen')"))) == [
        "a"
    ]
    assert "ValueError: unseen" in target.wait_log("ValueError: unseen", mark)


def test_decoupled_coroutine_raises(target: Target, lab: Lab) -> None:
    """Logged as a Python traceback."""
    mark = target.log_mark()
    code = _execute(
        f"sender.send({_R % 'a'})", "sender.send(flags=FINAL)", "await asyncio.sleep(0.05)", "raise ValueError('nobody hears')",
        head=_HEADS["coroutine"],
    )  # fmt: skip
    assert _texts(lab.stream(code)) == ["a"]
    text = target.wait_log("ValueError: nobody hears", mark)
    assert "Traceback (most recent call last):" in text
    assert "ValueError: nobody hears" in text


def test_decoupled_coroutine_raises_with_open_sender(target: Target, lab: Lab) -> None:
    upstream_breaks(target, "the request stays open for ever when a coroutine raises before the final flag")
    code = _execute("await asyncio.sleep(0.05)", "raise ValueError('heard')", head=_HEADS["coroutine"])
    answers = [a for a in lab.stream(code) if not a.empty]
    assert len(answers) == 1
    assert "ValueError: heard" in (answers[0].error or "")


def test_decoupled_error_response(lab: Lab) -> None:
    """An error response is a response: others may follow it."""
    code = _execute(
        "sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError('partial')))",
        f"sender.send({_R % 'after'})",
        "sender.send(flags=FINAL)",
    )
    assert _texts(lab.stream(code)) == ["!partial", "after"]


def test_decoupled_execute_error(lab: Lab) -> None:
    """A first request answered with an error, a second answered well."""
    code = _execute("sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError('first')), FINAL)")
    assert _texts(lab.stream(code))[0] == "!first"
    assert _texts(lab.stream(_execute(f"sender.send({_R % 'second'}, FINAL)"))) == ["second"]


def test_decoupled_requests_overlap(lab: Lab) -> None:
    """`execute` returns while its request is open; the next request runs meanwhile, and may finish first."""
    slow = lab.send(
        _execute("def later():\n    time.sleep(1.0)\n    sender.send(" + _R % "slow" + ", FINAL)\n"
                 "threading.Thread(target=later, daemon=True).start()"),
        kind="decoupled", stream=True,
    )  # fmt: skip
    quick = lab.stream(_execute(f"sender.send({_R % 'quick'}, FINAL)"))
    order_known = lab.stream(_execute(f"sender.send({_R % 'open'}, FINAL)"))
    assert (_texts(quick), _texts(order_known)) == (["quick"], ["open"])
    assert _texts(slow.responses()) == ["slow"]


def test_coroutines_overlap(lab: Lab) -> None:
    """Four requests wait for one another: only possible if their coroutines run at the same time."""
    code = _execute(
        "kept['n'] = kept.get('n', 0) + 1",
        "while kept['n'] < 4: await asyncio.sleep(0.01)",
        f"sender.send({_R % 'together'}, FINAL)",
        head=_HEADS["coroutine"],
    )
    lab.stream(_execute("kept['n'] = 0", "sender.send(flags=FINAL)"))
    sent = [lab.send(code, kind="decoupled", stream=True) for _ in range(4)]
    assert [_texts(each.responses()) for each in sent] == [["together"]] * 4


def test_short_coroutine_overtakes_a_long_one(lab: Lab) -> None:
    lab.stream(_execute("kept['go'] = False", "sender.send(flags=FINAL)"))
    long = _execute(
        "while not kept['go']: await asyncio.sleep(0.01)",
        f"sender.send({_R % 'long'}, FINAL)",
        head=_HEADS["coroutine"],
    )
    short = _execute(
        "await asyncio.sleep(0.01)",
        "kept['go'] = True",
        f"sender.send({_R % 'short'}, FINAL)",
        head=_HEADS["coroutine"],
    )
    first = lab.send(long, kind="decoupled", stream=True)
    assert _texts(lab.stream(short)) == ["short"]
    assert _texts(first.responses()) == ["long"]


# Default-mode models with senders.


@pytest.mark.parametrize(
    "lines, expected, raised",
    [
        pytest.param([f"return [{_R % 'returned'}]"], "returned", None, id="on-return"),
        pytest.param([f"sender.send({_R % 'sent'}, FINAL)", "return None"], "sent", None, id="pre-return"),
        pytest.param([f"sender.send({_R % 'sent'}, FINAL)", "return [None]"], "sent", None, id="pre-return-list"),
        pytest.param([f"sender.send({_R % 'sent'})", "sender.send(flags=FINAL)", "return None"], "sent", None,
                     id="separate-final"),
        pytest.param([_later(f"sender.send({_R % 'sent'}, FINAL)"), "return None"], "sent", None, id="post-return"),
        pytest.param([_later(f"sender.send({_R % 'sent'}, FINAL)"), "return [None]"], "sent", None, id="post-return-list"),
        pytest.param([f"sender.send({_R % 'sent'}, FINAL)", f"return [{_R % 'returned'}]"], "sent", None,
                     id="pre-and-on-return"),
        pytest.param([_later(_try(f"sender.send({_R % 'late'}, FINAL)")), f"return [{_R % 'returned'}]"], "returned",
                     _CLOSED, id="on-and-post-return"),
        pytest.param([f"sender.send({_R % 'first'})", _try(f"sender.send({_R % 'second'}, FINAL)"),
                      "sender.send(flags=FINAL)", "return None"], "first", _MORE, id="two-pre-return"),
    ],
)  # fmt: skip
@_heads
def test_default_mode(lab: Lab, lines: list[str], expected: str, raised: str | None, head: str) -> None:
    answer = lab.infer(_execute(*lines, head=head))
    assert (answer.error, answer.text("RESULT")) == (None, expected)
    if raised:
        assert _kept(lab, "default") in (raised, _MORE)


@_heads
def test_default_mode_final_only(lab: Lab, head: str) -> None:
    """A final flag without a response raises in the model; the batch fails with it."""
    answer = lab.infer(_execute("sender.send(flags=FINAL)", "return None", head=head))
    assert answer.error is not None
    assert "Non-decoupled model cannot send complete final before sending a response" in answer.error


def test_default_mode_final_first_text(lab: Lab) -> None:
    lab.infer(_execute(_try("sender.send(flags=FINAL)"), f"sender.send({_R % 'x'}, FINAL)", "return None"))
    assert _kept(lab, "default") == _EARLY


def test_default_mode_error_by_sender(lab: Lab) -> None:
    code = _execute(
        "sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError('sent', pb_utils.TritonError.NOT_FOUND)), FINAL)",
        "return None",
    )
    answer = lab.infer(code)
    assert (answer.error, answer.code) == ("sent", "NOT_FOUND")


# Batches whose requests are answered differently.

_MIXED = '''\
import threading
import time
import numpy as np
import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


def response(text):
    return pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", np.array([[text.encode()]], dtype=object))])


class TritonPythonModel:
    """What each request wants is in IN: how many before the return, on it, after it."""

    def execute(self, requests):
        returned = []
        after = []
        for request in requests:
            before, on, post = pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()[0]
            sender = request.get_response_sender()
            last = before + post
            for i in range(before):
                sender.send(response(f"before {i}"), flags=FINAL if i + 1 == last else 0)
            returned.append(response(f"returned of {len(requests)}") if on else None)
            if post:
                after.append((sender, post))
            elif not before and not on:
                sender.send(flags=FINAL)

        def later():
            time.sleep(0.1)
            for sender, count in after:
                for i in range(count):
                    sender.send(response(f"after {i}"), flags=FINAL if i + 1 == count else 0)

        threading.Thread(target=later).start()
        return None if self.decoupled else returned

    def initialize(self, args):
        import json

        self.decoupled = pb_utils.using_decoupled_model_transaction_policy(json.loads(args["model_config"]))
'''


def _mixed(target: Target, decoupled: bool, plans: list[list[int]]) -> list[list[str]]:
    size = len(plans)
    extra = (
        f"dynamic_batching {{ preferred_batch_size: [ {size} ] max_queue_delay_microseconds: 20000000 }}\n"
    )
    text = config(
        [("IN", "INT32", [3])],
        [("TEXT", "BYTES", [1])],
        max_batch_size=size,
        decoupled=decoupled,
        extra=extra,
    )
    model = target.load(_MIXED, text, name="mixed")
    sent = [model.send(IN=np.array([plan], dtype=np.int32), stream=decoupled) for plan in plans]
    found = [[f"!{a.error}" if a.error else a.outputs["TEXT"][0, 0].decode() for a in each.responses() if not a.empty]
             for each in sent]  # fmt: skip
    target.drop(model.name)
    return found


def test_batch_of_differently_answered_requests(target: Target) -> None:
    """Returned, sent before the return, and sent after it: three requests in one batch."""
    found = _mixed(target, False, [[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    assert found == [["returned of 3"], ["before 0"], ["after 0"]]


def test_decoupled_batch_of_differently_answered_requests(target: Target) -> None:
    """Seven decoupled requests in one batch, each with a number of responses of its own."""
    plans = [[0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 0, 2], [2, 0, 0], [1, 0, 3], [3, 0, 1]]
    found = _mixed(target, True, plans)
    assert found == [
        [f"before {i}" for i in range(b)] + [f"after {i}" for i in range(a)] for b, _, a in plans
    ]
