"""What users see of what a model's execute raises: the whole text, at the lines of the cell."""

from __future__ import annotations

import sys

import pytest

from tests.support.failing import EXECUTE, HEAD, HINT, model_of
from workbench.errors import ModelExecutionError
from workbench.model_source import ModelSource
from workbench.session.model import Model
from workbench.targets.live import LiveTarget

CALL = """
x = pb_utils.get_input_tensor_by_name(requests[0], "X")
r = pb_utils.InferenceRequest(model_name="CALLEE", requested_output_names=["Y"], inputs=[x]).exec()
if r.has_error():
    raise pb_utils.TritonModelException(r.error().message())
"""


def failure(model: Model) -> ModelExecutionError:
    with pytest.raises(ModelExecutionError) as caught:
        model.infer(X=[1, 0])
    return caught.value


def test_raised_from_another(live: LiveTarget) -> None:
    body = """
    try:
        weights()
    except KeyError as error:
        raise RuntimeError("no weights") from error
    """
    error = failure(model_of(live, body, 'def weights():\n    return {}["w"]'))
    assert error.render() == [
        "ModelExecutionError: RuntimeError: no weights (m)",
        HEAD,
        f"  Cell In[2], line 10, {EXECUTE}",
        "          8     weights()",
        "          9 except KeyError as error:",
        '  ---->  10     raise RuntimeError("no weights") from error',
        "  caused by KeyError: 'w'",
        f"  Cell In[2], line 8, {EXECUTE}",
        "          6 def execute(self, requests):",
        "          7     try:",
        "  ---->   8         weights()",
        "  Cell In[2], line 4, in weights",
        "          2 import triton_python_backend_utils as pb_utils",
        "          3 def weights():",
        '  ---->   4     return {}["w"]',
        "  inputs: X FP32[2]",
        HINT,
    ]
    assert [(each.link, each.text) for each in error.causes] == [("caused by", "KeyError: 'w'")]


def test_raised_while_handling_another(live: LiveTarget) -> None:
    lines = failure(model_of(live, 'try:\n    {}["a"]\nexcept KeyError:\n    1 / 0')).render()
    assert lines[0] == "ModelExecutionError: ZeroDivisionError: division by zero (m)"
    assert lines[6:9] == [
        "  while handling KeyError: 'a'",
        f"  Cell In[2], line 7, {EXECUTE}",
        "          5 def execute(self, requests):",
    ]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")
def test_a_group(live: LiveTarget) -> None:
    body = """
    errors = []
    for key in "ab":
        try:
            {}[key]
        except KeyError as error:
            errors.append(error)
    group = ExceptionGroup("two", errors)
    group.add_note("while reading weights")
    raise group
    """
    error = failure(model_of(live, body))
    assert str(error) == "ExceptionGroup: two (2 sub-exceptions) (m)"
    assert [(each.link, each.text, [frame.line for frame in each.frames]) for each in error.causes] == [
        ("note:", "while reading weights", []),
        ("exception 1 of 2:", "KeyError: 'a'", [9]),
        ("exception 2 of 2:", "KeyError: 'b'", [9]),
    ]


def test_frames_of_libraries_on_request(live: LiveTarget) -> None:
    error = failure(model_of(live, "import json\njson.loads('{')"))
    assert [line for line in error.render() if ", in " in line] == [f"  Cell In[2], line 7, {EXECUTE}"]
    full = [line.rpartition(", in ")[2] for line in error.render(full=True) if ", in " in line]
    assert full == ["TritonPythonModel.execute", "loads", "decode", "raw_decode"]


def test_variables(live: LiveTarget) -> None:
    body = """
    x = pb_utils.get_input_tensor_by_name(requests[0], "X")
    a = x.as_numpy()
    long, text, table = list(range(10**5)), "y" * 10**5, {"k": [1.5, None]}
    odd = Odd()
    raise ValueError(a[0])
    """
    more = "class Odd:\n    def __repr__(self):\n        raise TypeError('never called')"
    error = failure(model_of(live, body, more))
    assert error.frames[0].locals == {
        "self": "<TritonPythonModel>",
        "requests": "[<InferenceRequest>]",
        "x": "<Tensor X [2]>",
        "a": "float32[2] [1.0, 0.0]",
        "long": "[0, 1, 2, 3, 4, 5, ...]",
        "text": "'" + "y" * 37 + "..." + "y" * 38 + "'",
        "table": "{'k': [1.5, None]}",
        "odd": "<Odd>",
    }


def test_a_function_that_calls_itself(live: LiveTarget) -> None:
    lines = failure(model_of(live, "f(1)", "def f(v):\n    return f(v)")).render()
    assert lines[2] == f"  Cell In[2], line 7, {EXECUTE}"
    assert lines[6] == "  Cell In[2], line 4, in f"
    assert lines[10].startswith("  ... ")
    assert lines[10].endswith(" more of the same")
    assert len(lines) == 13


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ValueError('x' * 10**6)", f"ValueError: {'x' * 1988}... (1000012 characters) (m)"),
        ("raise ValueError('one\\ntwo')", "ValueError: one\ntwo (m)"),
        ("raise ValueError(b'\\xff'.decode('utf-8', 'surrogateescape'))", "ValueError: \\udcff (m)"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt (m)"),
        ("raise SystemExit(3)", "SystemExit: 3 (m)"),
        ("raise type('E', (Exception,), {'__str__': None})()", "E: <unprintable E object> (m)"),
        ("return [(lambda v: v / 0)(v) for v in [1]]", "ZeroDivisionError: division by zero (m)"),
    ],
)
def test_messages(live: LiveTarget, body: str, message: str) -> None:
    error = failure(model_of(live, body))
    assert str(error) == message
    assert error.frames[0].line == 6


def test_a_thread_of_the_model(live: LiveTarget, printed: list[str]) -> None:
    body = """
    from concurrent.futures import ThreadPoolExecutor
    from threading import Thread
    other = Thread(target=work)
    other.start()
    other.join()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()
    """
    error = failure(model_of(live, body, "def work():\n    return 1 / 0"))
    assert [frame.line for frame in error.frames if frame.is_model] == [13, 4]
    # Nobody waits for the other one: its traceback is printed, and names the cell.
    assert 'm:   File "Cell In[2]", line 4, in work' in printed


def test_a_coroutine(live: LiveTarget) -> None:
    text = """import asyncio
class TritonPythonModel:
    async def execute(self, requests):
        await self.work(requests)
    async def work(self, requests):
        await asyncio.sleep(0.01)
        raise ValueError("late")
"""
    for decoupled in (False, True):
        model = live.define(
            "m", ModelSource(text, "Cell In[2]"), ["X:FP32[2]"], ["Y:FP32[2]"], decoupled=decoupled
        )
        assert failure(model).render() == [
            "ModelExecutionError: ValueError: late (m)",
            HEAD,
            f"  Cell In[2], line 4, {EXECUTE}",
            "          2 class TritonPythonModel:",
            "          3     async def execute(self, requests):",
            "  ---->   4         await self.work(requests)",
            "  Cell In[2], line 7, in TritonPythonModel.work",
            "          5 async def work(self, requests):",
            "          6     await asyncio.sleep(0.01)",
            '  ---->   7     raise ValueError("late")',
            "  inputs: X FP32[2]",
            HINT,
        ]


# Other models.


def test_a_chain_of_models(live: LiveTarget) -> None:
    model_of(live, "q = 1 / 0", name="leaf", cell=6)
    model_of(live, CALL.replace("CALLEE", "leaf"), name="child", cell=7)
    error = failure(model_of(live, CALL.replace("CALLEE", "child")))
    assert error.render() == [
        "ModelExecutionError: TritonModelException: TritonModelException: "
        "ZeroDivisionError: division by zero (m)",
        HEAD,
        f"  Cell In[2], line 9, {EXECUTE}",
        '          7 r = pb_utils.InferenceRequest(model_name="child", requested_output_names=["Y"], '
        "inputs=[x]).exec()",
        "          8 if r.has_error():",
        "  ---->   9     raise pb_utils.TritonModelException(r.error().message())",
        "  caused by TritonModelException: ZeroDivisionError: division by zero (child)",
        f"  Cell In[7], line 9, {EXECUTE}",
        '          7 r = pb_utils.InferenceRequest(model_name="leaf", requested_output_names=["Y"], '
        "inputs=[x]).exec()",
        "          8 if r.has_error():",
        "  ---->   9     raise pb_utils.TritonModelException(r.error().message())",
        "  caused by ZeroDivisionError: division by zero (leaf)",
        f"  Cell In[6], line 6, {EXECUTE}",
        "          4 class TritonPythonModel:",
        "          5     def execute(self, requests):",
        "  ---->   6         q = 1 / 0",
        "  inputs: X FP32[2]",
        HINT,
    ]
    assert error.causes[1].frames[0].locals["self"] == "<TritonPythonModel>"


def test_an_error_passed_on(live: LiveTarget) -> None:
    model_of(live, "q = 1 / 0", name="child", cell=7)
    body = CALL.replace("CALLEE", "child").replace(
        "raise pb_utils.TritonModelException(r.error().message())",
        "return [pb_utils.InferenceResponse(error=r.error())]",
    )
    assert failure(model_of(live, body)).render() == [
        "ModelExecutionError: ZeroDivisionError: division by zero (m)",
        "  m answered request 1 of 1 with an error, code INTERNAL",
        "  caused by ZeroDivisionError: division by zero (child)",
        f"  Cell In[7], line 6, {EXECUTE}",
        "          4 class TritonPythonModel:",
        "          5     def execute(self, requests):",
        "  ---->   6         q = 1 / 0",
        "  inputs: X FP32[2]",
    ]
