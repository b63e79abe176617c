"""What `execute` may return, what it may raise, and what the client then gets. Sections 1.5, 6.1 to 6.5."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from tests.conformance.lab import Lab, agrees, upstream_breaks
from tests.conformance.targets import Model, Pending, Target, config, loaded, text_input, until

_OK = "pb_utils.InferenceResponse([said('fine')])"
_COUNT = (
    "Number of InferenceResponse objects do not match the number of InferenceRequest objects."
    " InferenceRequest(s) size is:1, and InferenceResponse(s) size is:%d\n"
)
_ENTRY = (
    "Expected an 'InferenceResponse' object in the execute function return list, found type '<class '%s'>'."
)
_LIST = "Expected a list in the execute return, found type '<class '%s'>'."


def _function(body: str, head: str = "def execute(self, requests):") -> str:
    lines = body.split("\n")
    return "\n".join([head, *(f"    {line}" for line in lines)])


def _fails(lab: Lab, detail: str) -> str:
    return f"Failed to process the request(s) for model '{lab.model().instance}', message: {detail}"


@pytest.mark.parametrize(
    "value, detail",
    [
        (f"({_OK},)", _LIST % "tuple"),
        ("iter([])", _LIST % "list_iterator"),
        ("np.array([1])", _LIST % "numpy.ndarray"),
        ("{}", _LIST % "dict"),
        ("'text'", _LIST % "str"),
        ("['text']", _ENTRY % "str"),
        ("[5]", _ENTRY % "int"),
        ("[]", _COUNT % 0),
        (f"[{_OK}, {_OK}]", _COUNT % 2),
    ],
)
def test_wrong_return(lab: Lab, value: str, detail: str) -> None:
    """The whole batch fails; the model stays."""
    answer = lab.infer(_function(f"return {value}"))
    assert (answer.error, answer.code) == (_fails(lab, detail), "INTERNAL")
    assert lab.value("1 + 1") == "2"


@pytest.mark.parametrize("value", ["None", "[None]"])
def test_returning_nothing(target: Target, lab: Lab, value: str) -> None:
    """No answer and no sender taken: an error, where upstream lets the client wait for ever."""
    upstream_breaks(target, "the client waits for ever")
    answer = lab.infer(_function(f"return {value}"))
    assert answer.error is not None
    assert lab.value("1 + 1") == "2"


def test_returning_a_generator(target: Target, lab: Lab) -> None:
    """Up to Python 3.11 asyncio takes a generator for a coroutine, so it is run, and its end counts as None."""
    upstream_breaks(target, "the client waits for ever")
    answer = lab.infer(_function("return (r for r in [])"))
    assert answer.error is not None


def test_undeclared_output(lab: Lab) -> None:
    """Not requested, so dropped; not an error."""
    answer = lab.infer(
        _function("return [pb_utils.InferenceResponse([pb_utils.Tensor('NOPE', np.zeros(1))])]")
    )
    assert (answer.error, answer.outputs) == (None, {})


def test_requested_outputs_only(lab: Lab) -> None:
    code = _function(
        "r = pb_utils.InferenceResponse([said('text'), pb_utils.Tensor('OUT', np.ones(2, dtype=np.float32))])\nreturn [r]"
    )
    assert sorted(lab.infer(code).outputs) == ["OUT", "RESULT"]
    assert sorted(lab.infer(code, outputs=["OUT"]).outputs) == ["OUT"]
    assert sorted(lab.infer(code, outputs=["RESULT"]).outputs) == ["RESULT"]
    assert sorted(lab.infer(code, outputs=["RESULT", "OUT"]).outputs) == ["OUT", "RESULT"]


def test_requested_outputs_decoupled(lab: Lab) -> None:
    code = _function(
        "s = requests[0].get_response_sender()\n"
        "s.send(pb_utils.InferenceResponse([said('text'), pb_utils.Tensor('OUT', np.ones(2, dtype=np.float32))]))\n"
        "s.send(flags=1)"
    )
    (first,) = lab.stream(code, outputs=["OUT"])
    assert sorted(first.outputs) == ["OUT"]
    (first,) = lab.stream(code)
    assert sorted(first.outputs) == ["OUT", "RESULT"]


def test_coroutine(lab: Lab) -> None:
    """`async def execute`, and a plain function that returns a coroutine, are both awaited."""
    body = "await asyncio.sleep(0.01)\nreturn [pb_utils.InferenceResponse([said('awaited')])]"
    code = _function(body, "async def execute(self, requests):")
    assert lab.infer(code).text("RESULT") == "awaited"
    other = (
        code.replace("async def execute", "async def inner")
        + "\ndef execute(self, requests):\n    return inner(self, requests)"
    )
    assert lab.infer(other).text("RESULT") == "awaited"


def test_coroutine_raises(lab: Lab) -> None:
    """Only the coroutine's own frames are shown."""
    answer = lab.infer(
        _function("await asyncio.sleep(0)\nraise ValueError('late')", "async def execute(self, requests):")
    )
    assert answer.error == _fails(lab, "ValueError: late\n\nAt:\n  case.py(3): execute\n")


_RAISING = """\
import triton_python_backend_utils as pb_utils


class Odd(Exception):
    def __str__(self):
        return "odd text"


def helper(what):
    if what == b"helper":
        raise ValueError("boom from helper")
    if what == b"cause":
        try:
            {}["missing"]
        except KeyError as error:
            raise RuntimeError("outer") from error
    if what == b"exit":
        raise SystemExit(4)
    if what == b"interrupt":
        raise KeyboardInterrupt("stop")
    if what == b"own":
        raise Odd()
    if what == b"model":
        raise pb_utils.TritonModelException("refused")
    if what == b"unicode":
        raise ValueError("día ☃")
    undefined_name


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            helper(pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()[0])
"""


@pytest.fixture(scope="module")
def raising(target: Target) -> Iterator[Model]:
    with loaded(
        target, _RAISING, config([("IN", "BYTES", [1])], [("OUT", "BYTES", [1])]), name="raising"
    ) as model:
        yield model


@pytest.mark.parametrize(
    "what, text, line",
    [
        ("helper", "ValueError: boom from helper", 11),
        ("cause", "RuntimeError: outer", 16),
        ("exit", "SystemExit: 4", 18),
        ("interrupt", "KeyboardInterrupt: stop", 20),
        ("own", "Odd: odd text", 22),
        ("model", "TritonModelException: refused", 24),
        ("unicode", "ValueError: día ☃", 26),
        ("name", "NameError: name 'undefined_name' is not defined", 27),
    ],
)
def test_exception_text(target: Target, raising: Model, what: str, text: str, line: int) -> None:
    """Bare class name, text, then the frames, innermost first, without causes. The stub logs the same."""
    mark = target.log_mark()
    answer = raising.infer(IN=text_input(what))
    wanted = (
        f"Failed to process the request(s) for model '{raising.instance}', message: {text}\n\nAt:\n"
        f"  {raising.file}({line}): helper\n  {raising.file}(33): execute\n"
    )
    assert (answer.error, answer.code) == (wanted, "INTERNAL")
    if what != "unicode":  # how a server escapes it is its own affair
        until(lambda: any(each.text == wanted for each in target.log_lines(mark)))
        assert [each.level for each in target.log_lines(mark) if each.text == wanted] == ["E"]


def test_failed_batch_fails_every_request(target: Target) -> None:
    """Two requests in one batch, one of them raising: both get the same text; afterwards the model works."""
    source = """\
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        values = [pb_utils.get_input_tensor_by_name(r, "IN").as_numpy() for r in requests]
        if any(v[0, 0] < 0 for v in values):
            raise ValueError(f"batch of {len(requests)}")
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", v)]) for v in values]
"""
    model = target.load(
        source, _batching([("IN", "INT32", [1])], [("OUT", "INT32", [1])], 2), name="batch_raise"
    )
    answers = [p.result() for p in [model.send(IN=np.array([[v]], dtype=np.int32)) for v in (1, -1)]]
    start = f"Failed to process the request(s) for model '{model.instance}', message: ValueError: batch of 2\n\nAt:\n"
    assert [agrees(a.error or "", start + "…") for a in answers] == [True, True]
    answers = [p.result() for p in [model.send(IN=np.array([[v]], dtype=np.int32)) for v in (1, 2)]]
    assert sorted(int(a.outputs["OUT"][0, 0]) for a in answers) == [1, 2]
    target.drop(model.name)


def _batching(
    inputs: Sequence[tuple[str, str, Sequence[int]]],
    outputs: Sequence[tuple[str, str, Sequence[int]]],
    size: int,
) -> str:
    """A batch of exactly `size` starts at once; a smaller one waits long enough to be noticed."""
    extra = (
        f"dynamic_batching {{ preferred_batch_size: [ {size} ] max_queue_delay_microseconds: 20000000 }}\n"
    )
    return config(inputs, outputs, max_batch_size=size, extra=extra)


def test_error_response_in_a_batch(target: Target) -> None:
    """Error responses concern their own request only, verbatim and unlogged."""
    source = """\
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        out = []
        for r in requests:
            v = pb_utils.get_input_tensor_by_name(r, "IN").as_numpy()
            if v[0, 0] % 2:
                out.append(pb_utils.InferenceResponse([], pb_utils.TritonError(f"odd {v[0, 0]} of {len(requests)}")))
            else:
                out.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", v)]))
        return out
"""
    model = target.load(
        source, _batching([("IN", "INT32", [1])], [("OUT", "INT32", [1])], 3), name="batch_error"
    )
    mark = target.log_mark()
    sent: list[Pending] = [model.send(IN=np.array([[v]], dtype=np.int32)) for v in (1, 2, 3)]
    first, second, third = [each.result() for each in sent]
    assert (first.error, third.error) == ("odd 1 of 3", "odd 3 of 3")
    assert (second.error, second.outputs["OUT"].tolist()) == (None, [[2]])
    assert "odd 1" not in target.log_text(mark)
    target.drop(model.name)


def test_batch_is_a_list_of_requests(target: Target) -> None:
    """Requests keep their own shapes and come as a list; ragged ones too."""
    source = """\
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        out = []
        for r in requests:
            shape = list(pb_utils.get_input_tensor_by_name(r, "IN").shape())
            text = f"{len(requests)} {shape}".encode()
            out.append(pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", np.array([[text]] * shape[0], dtype=object))]))
        return out
"""
    model = target.load(
        source, _batching([("IN", "INT32", [2])], [("TEXT", "BYTES", [1])], 4), name="batch_list"
    )
    sent = [model.send(IN=np.zeros((rows, 2), dtype=np.int32)) for rows in (1, 2, 1)]
    answers = [each.result() for each in sent]
    assert [a.outputs["TEXT"][0, 0] for a in answers] == [b"3 [1, 2]", b"3 [2, 2]", b"3 [1, 2]"]
    target.drop(model.name)


_CODES = [
    "UNKNOWN",
    "INTERNAL",
    "NOT_FOUND",
    "INVALID_ARG",
    "UNAVAILABLE",
    "UNSUPPORTED",
    "ALREADY_EXISTS",
    "CANCELLED",
]


@pytest.mark.parametrize("code", _CODES)
def test_error_code(lab: Lab, code: str) -> None:
    text = f"error code: {code}"
    answer = lab.infer(
        _function(
            f"return [pb_utils.InferenceResponse([], pb_utils.TritonError({text!r}, pb_utils.TritonError.{code}))]"
        )
    )
    assert (answer.error, answer.code) == (text, code)


def test_error_code_unknown_name(lab: Lab) -> None:
    answer = lab.infer(
        _function(
            "return [pb_utils.InferenceResponse([], pb_utils.TritonError('x', pb_utils.TritonError.NOPE))]"
        )
    )
    assert answer.error is not None
    assert "AttributeError" in answer.error


def test_error_code_default(lab: Lab) -> None:
    answer = lab.infer(_function("return [pb_utils.InferenceResponse([], pb_utils.TritonError('plain'))]"))
    assert (answer.error, answer.code) == ("plain", "INTERNAL")


def test_error_response_carries_no_tensors(lab: Lab) -> None:
    answer = lab.infer(
        _function("return [pb_utils.InferenceResponse([said('x')], pb_utils.TritonError('bad'))]")
    )
    assert (answer.error, answer.outputs) == ("bad", {})


def test_optional_inputs(target: Target) -> None:
    """All four combinations of two optional inputs; an absent one is simply not there."""
    source = """\
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        out = []
        for r in requests:
            total = [0 if t is None else int(t.as_numpy()[0])
                     for t in (pb_utils.get_input_tensor_by_name(r, n) for n in ("A", "B"))]
            total.append(len(r.inputs()))
            out.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array(total, dtype=np.int32))]))
        return out
"""
    text = config([("A", "INT32", [1]), ("B", "INT32", [1])], [("OUT", "INT32", [3])], optional=True)
    with loaded(target, source, text) as model:
        one, two = np.array([1], dtype=np.int32), np.array([2], dtype=np.int32)
        assert model.infer().outputs["OUT"].tolist() == [0, 0, 0]
        assert model.infer(A=one).outputs["OUT"].tolist() == [1, 0, 1]
        assert model.infer(B=two).outputs["OUT"].tolist() == [0, 2, 1]
        assert model.infer(A=one, B=two).outputs["OUT"].tolist() == [1, 2, 2]


def test_main_thread_and_signals(target: Target, lab: Lab) -> None:
    """`execute` has the main thread; SIGINT and SIGTERM do nothing to a stub, its host ends it."""
    assert lab.value("threading.current_thread() is threading.main_thread()") == "True"
    busy = lab.send(
        "started = time.monotonic()\nwhile time.monotonic() - started < 0.5: pass\nresult = 'undisturbed'"
    )
    (pid,) = target.stub_pids(lab.model().name)
    for each in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, each)
    assert busy.result().text("RESULT") == "'undisturbed'"
    assert target.stub_pids(lab.model().name) == [pid]


def test_threads_of_the_model_progress_between_requests(lab: Lab) -> None:
    """The GIL is free while the stub waits for the next batch."""
    lab.run(
        "kept['ticks'] = 0\n"
        "def tick():\n"
        "    for _ in range(20):\n"
        "        time.sleep(0.005)\n"
        "        kept['ticks'] += 1\n"
        "threading.Thread(target=tick, daemon=True).start()\n"
    )
    assert until(lambda: lab.value("kept['ticks']") == "20")


def test_holding_the_gil_is_healthy(lab: Lab) -> None:
    """Life is shown by a thread that needs no GIL."""
    code = """
        import re
        started = time.monotonic()
        while time.monotonic() - started < 2.5:
            re.match(r"(a+)+$", "a" * 20 + "b")   # one long call that never lets go of the GIL
        result = "done"
    """
    assert lab.run(code) == "'done'"


def test_many_requests(lab: Lab) -> None:
    assert [lab.value(f"{i} * 2") for i in range(100)] == [str(i * 2) for i in range(100)]


def test_concurrent_clients(lab: Lab) -> None:
    sent = [lab.send(f"result = {i}") for i in range(32)]
    assert [each.result().text("RESULT") for each in sent] == [str(i) for i in range(32)]


def test_source_line_of_wrong_model(target: Target) -> None:
    """A model with a misspelt name: prefix and failure text; the failure is counted where there are metrics."""
    source = "class TritonPythonModel:\n    def execute(self, requests):\n        return lorem_ipsum\n"
    with loaded(
        target, source, config([("IN", "INT32", [1])], [("OUT", "INT32", [1])]), name="wrong_model"
    ) as model:
        answer = model.infer(IN=np.array([1], dtype=np.int32))
        assert answer.error is not None
        assert answer.error.startswith("Failed to process the request(s) for model ")
        assert "NameError: name 'lorem_ipsum' is not defined" in answer.error
        if target.host == "server":
            line = f'nv_inference_request_failure{{model="{model.name}",reason="BACKEND",version="1"}} 1'
            assert until(lambda: line in target.metrics()), target.metrics()
