"""Business-logic scripting: calls of other models from inside a model. Section 4."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from tests.conformance.lab import Lab, agrees, upstream_breaks
from tests.conformance.targets import Model, Target, config, source_of

_INPUTS = [("IN", "INT32", [-1])]
_OUTPUTS = [("OUT", "INT32", [-1]), ("TEXT", "BYTES", [1])]


class Children(NamedTuple):
    plain: Model
    stream: Model


@pytest.fixture(scope="module")
def children(target: Target) -> Children:
    if "bls" not in target.features:
        pytest.skip("this host carries no calls between models")
    source = source_of("bls_children")
    plain = target.load(source, config(_INPUTS, _OUTPUTS), name="child")
    stream = target.load(source, config(_INPUTS, _OUTPUTS, decoupled=True), name="child_stream")
    return Children(plain, stream)


_HELPERS = """
def tensor(value, dtype=np.int32, name='IN'):
    return pb_utils.Tensor(name, np.array(value, dtype=dtype))
def call(model, value=(1, 2), outputs=('OUT',), inputs=None, **options):
    return pb_utils.InferenceRequest(inputs=[tensor(value)] if inputs is None else inputs,
                                     requested_output_names=list(outputs), model_name=model, **options)
def out(response, name='OUT'):
    if response.has_error():
        return 'error: ' + response.error().message()
    found = pb_utils.get_output_tensor_by_name(response, name)
    return None if found is None else found.as_numpy().tolist()
def every(responses):
    return [out(r) for r in responses]
"""


def _run(lab: Lab, children: Children, code: str, kind: str = "default") -> str:
    import textwrap

    names = f"C, D = {children.plain.name!r}, {children.stream.name!r}\n"
    code = names + _HELPERS + textwrap.dedent(code)
    if "\n" not in textwrap.dedent(code).strip():
        code = f"result = ({code})"
    return lab.run(code)


def _value(lab: Lab, children: Children, expression: str) -> str:
    return _run(lab, children, f"result = ({expression})")


# Plain calls.


def test_exec(lab: Lab, children: Children) -> None:
    assert _value(lab, children, "out(call(C).exec())") == "[2, 4]"


def test_exec_hundred_times(lab: Lab, children: Children) -> None:
    assert _value(lab, children, "all(out(call(C, [i]).exec()) == [2 * i] for i in range(100))") == "True"


def test_stream_hundred_times(lab: Lab, target: Target, children: Children) -> None:
    upstream_breaks(target, "of many streams one now and then comes out wrong, and the process dies of it")
    expression = "all(every(call(D, [2]).exec(decoupled=True)) == [[0], [2], None] for _ in range(100))"
    assert _value(lab, children, expression) == "True"


def test_request_used_again(lab: Lab, children: Children) -> None:
    assert (
        _run(lab, children, "r = call(C)\nresult = [out(r.exec()) for _ in range(3)]")
        == "[[2, 4], [2, 4], [2, 4]]"
    )


def test_request_input_passed_on(lab: Lab, target: Target, children: Children) -> None:
    """A tensor of the request, untouched, as a child's input; and a child's output as an output."""
    import numpy as np

    text = config([("X", "FP32", [-1])], [("OUT", "FP32", [-1])])
    source = """\
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        out = []
        for r in requests:
            child = pb_utils.InferenceRequest(inputs=r.inputs(), requested_output_names=["OUT"], model_name="%s")
            out.append(pb_utils.InferenceResponse(child.exec().output_tensors()))
        return out
"""
    identity = source_of("identity").replace('"IN"', '"X"')
    child = target.load(identity, text, name="passed_child")
    model = target.load(source % child.name, text, name="passed")
    value = np.arange(5, dtype=np.float32)
    assert model.infer(X=value).outputs["OUT"].tolist() == value.tolist()
    target.drop(model.name)


def test_zero_length(lab: Lab, children: Children) -> None:
    code = "r = call(C, np.zeros((0,)), outputs=['OUT']).exec()\nresult = (out(r), r.output_tensors()[0].shape())"
    assert _run(lab, children, code) == "([], [0])"


def test_outputs_outlive_the_response(lab: Lab, children: Children) -> None:
    code = """
        t = call(C, range(5000)).exec().output_tensors()[0]
        gc.collect()
        view = np.from_dlpack(t)
        del t
        gc.collect()
        for _ in range(20):
            call(C, range(5000)).exec()
        result = int(view.sum())
    """
    assert _run(lab, children, code) == str(sum(range(5000)) * 2)


def test_all_outputs(lab: Lab, children: Children) -> None:
    code = "result = sorted(t.name() for t in call(C, outputs=[]).exec().output_tensors())"
    assert _run(lab, children, code) == "['OUT', 'TEXT']"


def test_what_the_child_sees(lab: Lab, children: Children) -> None:
    code = """
        r = call(C, outputs=['TEXT'], request_id='r9', correlation_id=5, flags=1, timeout=11000000000,
                 parameters={'b': True, 'i': 7, 's': 'x'}).exec()
        result = json.loads(out(r, 'TEXT')[0])
    """
    seen = eval(_run(lab, children, code))
    expected = {"id": "r9", "correlation": 5, "flags": 1, "timeout": 11000000000, "outputs": ["TEXT"]}
    assert seen == {**expected, "parameters": {"b": True, "i": 7, "s": "x"}}


def test_text_correlation_id(lab: Lab, children: Children) -> None:
    code = "result = json.loads(out(call(C, outputs=['TEXT'], correlation_id='abc').exec(), 'TEXT')[0])['correlation']"
    assert _run(lab, children, code) == "'abc'"


def test_preferred_memory(lab: Lab, children: Children) -> None:
    code = """
        results = []
        for kind in (pb_utils.TRITONSERVER_MEMORY_CPU, pb_utils.TRITONSERVER_MEMORY_CPU):
            r = call(C, preferred_memory=pb_utils.PreferredMemory(kind)).exec()
            results.append((r.output_tensors()[0].is_cpu(), out(r)))
        result = results
    """
    assert _run(lab, children, code) == "[(True, [2, 4]), (True, [2, 4])]"


def test_large_tensors(lab: Lab, children: Children) -> None:
    """Forty megabytes each way, five times over, within a region that does not keep them."""
    code = """
        import c_python_backend_utils as c
        ok = []
        for i in range(5):
            value = np.full(10_000_000, i, dtype=np.int32)
            r = call(C, inputs=[pb_utils.Tensor('IN', value)]).exec()
            ok.append(int(r.output_tensors()[0].as_numpy().sum()) == i * 20_000_000)
            del r
        result = ok
    """
    assert _run(lab, children, code) == str([True] * 5)


# Errors are answers.


@pytest.mark.parametrize(
    "call, expected",
    [
        ("call('nosuch')", "Model nosuch - Error when running inference: Failed for execute the inference request."
                           " Model 'nosuch' is not ready."),
        ("call(C, model_version=9)", "Model {C} - Error when running inference: Failed for execute the inference request."
                                     " Model '{C}' is not ready."),
        ("call(C, inputs=[])", "Model {C} - Error when running inference: [request id: <id_unknown>] expected 1 inputs but"
                               " got 0 inputs for model '{C}'. Got input(s) [], but missing required input(s) ['IN']."
                               " Please provide all required input(s)."),
        ("call(C, inputs=[], request_id='r5')", "Model {C} - Error when running inference: [request id: r5] expected 1 inputs"
                                                " but got 0 inputs for model '{C}'. Got input(s) [], but missing required"
                                                " input(s) ['IN']. Please provide all required input(s)."),
        ("call(C, inputs=[tensor([1], np.int64)])", "Model {C} - Error when running inference: [request id: <id_unknown>]"
         " inference input 'IN' data-type is 'INT64', but model '{C}' expects 'INT32'"),
        ("call(C, outputs=['NOPE'])", "Model {C} - Error when running inference: unexpected"
                                      " inference output 'NOPE' for model '{C}'"),
        ("call(D)", "Model {D} - Error when running inference: Model {D} is using the decoupled. The current BLS request call"
                    " doesn't support models using the decoupled transaction policy. Please use 'decoupled=True' argument to"
                    " the 'exec' or 'async_exec' calls for decoupled models.'"),
        ("call(C, [-1])", "the child refused"),
        ("call(C, [-2])", "Failed to process the request(s) for model '{X}', message: ValueError: the child raised\n\nAt:\n…"),
    ],
    ids=["unknown", "version", "missing-input", "missing-input-id", "datatype", "output", "decoupled", "error", "raises"],
)  # fmt: skip
@pytest.mark.parametrize("how", ["exec", "async_exec", "exec-decoupled"])
def test_error(lab: Lab, children: Children, call: str, expected: str, how: str) -> None:
    """Never raised; the same text by every road."""
    if how == "exec-decoupled" and call == "call(D)":
        pytest.skip("this is how it is meant")
    run = {
        "exec": "r = {}.exec()",
        "async_exec": "async def main():\n    return await {}.async_exec()\nr = asyncio.run(main())",
        "exec-decoupled": "rs = list({}.exec(decoupled=True))\nr = rs[0]",
    }[how]
    code = (
        run.replace("{}", call)
        + "\nresult = json.dumps([r.has_error(), len(r.output_tensors()), r.error().message()])"
    )
    failed, outputs, text = json.loads(eval(_run(lab, children, code)))
    wanted = expected.replace("{C}", children.plain.name).replace("{D}", children.stream.name)
    wanted = wanted.replace("{X}", children.plain.instance)
    assert (failed, outputs) == (True, 0)
    assert agrees(text, wanted), text


def test_error_code_of_the_child(lab: Lab, target: Target, children: Children) -> None:
    """Kept since 25.04; INTERNAL before, whoever the parent is."""
    code = _run(lab, children, "result = int(call(C, [-1]).exec().error().code())")
    assert code == ("1" if target.release < "25.04" and target.host == "server" else "2")


def test_error_then_success(lab: Lab, children: Children) -> None:
    assert (
        _value(lab, children, "(call('nosuch').exec().has_error(), out(call(C).exec()))") == "(True, [2, 4])"
    )


def test_iterator_of_an_error_has_one_item(lab: Lab, children: Children) -> None:
    assert _value(lab, children, "[r.has_error() for r in call('nosuch').exec(decoupled=True)]") == "[True]"


# async_exec.


def test_async_exec(lab: Lab, children: Children) -> None:
    code = """
        async def main():
            request = call(C)
            first = await request.async_exec()
            return [out(first), out(request.exec())]
        result = asyncio.run(main())
    """
    assert _run(lab, children, code) == "[[2, 4], [2, 4]]"


def test_async_exec_many(lab: Lab, children: Children) -> None:
    code = """
        async def main():
            return [out(r) for r in await asyncio.gather(*(call(C, [i]).async_exec() for i in range(20)))]
        result = asyncio.run(main())
    """
    assert _run(lab, children, code) == str([[2 * i] for i in range(20)])


def test_async_exec_decoupled(lab: Lab, children: Children) -> None:
    code = """
        async def main():
            streams = await asyncio.gather(*(call(D, [n]).async_exec(decoupled=True) for n in (1, 2, 3)))
            return [every(each) for each in streams]
        result = asyncio.run(main())
    """
    assert _run(lab, children, code) == "[[[0], None], [[0], [2], None], [[0], [2], [4], None]]"


def test_async_exec_in_a_coroutine(lab: Lab, children: Children) -> None:
    """On the stub's own event loop."""
    code = f"""C = {children.plain.name!r}
{_HELPERS}
async def execute(self, requests):
    found = await asyncio.gather(*(call(C, [i]).async_exec() for i in range(4)))
    return [pb_utils.InferenceResponse([said([out(r) for r in found])])]
"""
    assert lab.infer(code).text("RESULT") == "[[0], [2], [4], [6]]"


def test_async_exec_without_a_loop(lab: Lab, children: Children) -> None:
    assert _value(lab, children, "call(C).async_exec()") == "RuntimeError: no running event loop"


def test_many_decoupled_streams_at_once(lab: Lab, target: Target, children: Children) -> None:
    """Thirty streams from one coroutine."""
    code = """
        async def main():
            streams = await asyncio.gather(*(call(D, [3]).async_exec(decoupled=True) for _ in range(30)))
            return sum(len(every(each)) for each in streams)
        result = asyncio.run(main())
    """
    assert _run(lab, children, code) == "120"


# Response iterators.


@pytest.mark.parametrize(
    "code, expected",
    [
        ("result = every(call(D, [4]).exec(decoupled=True))", "[[0], [2], [4], [6], None]"),
        ("it = call(D, [2]).exec(decoupled=True)\nresult = (iter(it) is it, type(it).__name__)", "(True, 'ResponseIterator')"),
        ("it = call(D, [2]).exec(decoupled=True)\nresult = [out(next(it)) for _ in range(3)]\ntry:\n    next(it)\n"
         "except StopIteration:\n    result.append('stop')", "[[0], [2], None, 'stop']"),
        ("it = call(D, [3]).exec(decoupled=True)\nfirst = every(it)\nresult = (first == every(it) == every(it), len(first))",
         "(True, 4)"),
        ("it = call(D, [4]).exec(decoupled=True)\nseen = []\nfor r in it:\n    seen.append(out(r))\n    if len(seen) == 2: break\n"
         "for r in it:\n    seen.append(out(r))\nresult = seen", "[[0], [2], [4], [6], None]"),
        ("it = call(D, [2]).exec(decoupled=True)\nresult = bool(it)", "True"),
        ("result = every(call(C, [5]).exec(decoupled=True))", "[[10]]"),
        ("it = call(D, [20]).exec(decoupled=True)\nnext(it)\ndel it\ngc.collect()\nresult = out(call(C, [1]).exec())", "[2]"),
        ("result = every(call(D, [0]).exec(decoupled=True))", "[None]"),
        ("result = every(call(D, [-1]).exec(decoupled=True))[0]", "'error: the child refused'"),
    ],
    ids=["for", "iter", "next", "replay", "resume", "bool", "not-decoupled", "dropped", "empty", "error"],
)  # fmt: skip
def test_iterator(lab: Lab, children: Children, code: str, expected: str) -> None:
    assert _run(lab, children, code) == expected


def test_iterator_error_before_the_end(lab: Lab, target: Target, children: Children) -> None:
    """An error response that is not the last one."""
    if target.host == "server":
        pytest.skip(
            "NVIDIA's server, with either stub: the iterator waits for ever after an error that is not the last one"
        )
    assert (
        _value(lab, children, "every(call(D, [-6]).exec(decoupled=True))")
        == "['error: the child refused', None]"
    )


def test_iterator_raises_mid_stream(lab: Lab, children: Children) -> None:
    found = _value(lab, children, "every(call(D, [-2]).exec(decoupled=True))")
    assert "ValueError: the child raised" in found


def _cancellable(target: Target) -> None:
    if target.release < "25.04":
        pytest.skip("iterators can be cancelled from 25.04 on")


def test_iterator_cancel(lab: Lab, target: Target, children: Children) -> None:
    _cancellable(target)
    code = """
        it = call(D, [-4]).exec(decoupled=True)
        next(it)
        it.cancel()
        it.cancel()
        last = [r for r in it if r.has_error()]
        it.cancel()
        result = (len(last), last[0].error().message(), int(last[0].error().code()))
    """
    assert _run(lab, children, code) == "(1, 'stopped', 7)"


def test_iterator_cancel_ignored(lab: Lab, target: Target, children: Children) -> None:
    _cancellable(target)
    code = "it = call(D, [-5]).exec(decoupled=True)\nnext(it)\nit.cancel()\nresult = len(every(it))"
    assert _run(lab, children, code) == "20"


def test_iterator_cancel_after_the_end(lab: Lab, target: Target, children: Children) -> None:
    _cancellable(target)
    code = "it = call(D, [2]).exec(decoupled=True)\nresult = every(it)\nit.cancel()\nit.cancel()"
    assert _run(lab, children, code) == "[[0], [2], None]"


# Threads, nesting, memory.


def test_threads(lab: Lab, children: Children) -> None:
    """Eight threads of the model call at the same time; the GIL is free while they wait."""
    code = """
        found = [None] * 8
        def work(i):
            found[i] = all(out(call(C, [i]).exec()) == [2 * i] for _ in range(5))
        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for t in threads: t.start()
        for t in threads: t.join()
        result = all(found)
    """
    assert _run(lab, children, code) == "True"


def test_from_a_thread_of_a_decoupled_model(lab: Lab, children: Children) -> None:
    """Plain, asynchronous and streamed calls from a response thread, with logging."""
    code = f"""C, D = {children.plain.name!r}, {children.stream.name!r}
{_HELPERS}
def execute(self, requests):
    sender = requests[0].get_response_sender()
    def work():
        pb_utils.Logger.log_info("from a response thread")
        async def main():
            return await call(C, [3]).async_exec()
        texts = [out(call(C).exec()), out(asyncio.run(main())), every(call(D, [2]).exec(decoupled=True))]
        for text in texts:
            sender.send(pb_utils.InferenceResponse([said(text)]))
        sender.send(flags=1)
    threading.Thread(target=work).start()
"""
    answers = lab.stream(code)
    assert [a.text("RESULT") for a in answers if a.outputs] == ["[2, 4]", "[6]", "[[0], [2], None]"]


@pytest.mark.parametrize("count", [4, 2, 0, 1])
def test_stream_passed_on(lab: Lab, children: Children, count: int) -> None:
    """A decoupled model hands on the responses of a decoupled child."""
    code = f"""D = {children.stream.name!r}
{_HELPERS}
def execute(self, requests):
    sender = requests[0].get_response_sender()
    for r in call(D, [{count}]).exec(decoupled=True):
        if r.output_tensors():
            sender.send(pb_utils.InferenceResponse([said(out(r))]))
    sender.send(flags=1)
"""
    answers = lab.stream(code)
    assert [a.text("RESULT") for a in answers if a.outputs] == [f"[{2 * i}]" for i in range(count)]


def test_parameters_through_nested_calls(target: Target, children: Children) -> None:
    """Each level adds a parameter; the innermost sees them all."""
    import numpy as np

    source = """\
import json
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        self.name = args["model_name"]

    def execute(self, requests):
        out = []
        for r in requests:
            level = int(pb_utils.get_input_tensor_by_name(r, "IN").as_numpy()[0])
            seen = json.loads(r.parameters())
            if level:
                seen[f"level{level}"] = [True, level, "text"][level %% 3]
                child = pb_utils.InferenceRequest(
                    inputs=[pb_utils.Tensor("IN", np.array([level - 1], dtype=np.int32))],
                    requested_output_names=["TEXT"], model_name="%s", parameters=seen)
                out.append(pb_utils.InferenceResponse(child.exec().output_tensors()))
            else:
                text = np.array([json.dumps(seen).encode()], dtype=object)
                out.append(pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", text)]))
        return out
"""
    # A call needs a free instance of the model it names: a chain of models, not one that calls itself.
    text = config([("IN", "INT32", [1])], [("TEXT", "BYTES", [1])])
    name = ""
    for level in range(4):
        model = target.load(source % name, text, name=f"nested_{level}")
        name = model.name
    answer = model.infer(IN=np.array([3], dtype=np.int32))
    assert answer.error is None
    assert json.loads(answer.text("TEXT")) == {"level3": True, "level2": "text", "level1": 1}


def test_no_memory_is_kept(lab: Lab, target: Target, children: Children) -> None:
    """Free bytes of the caller's region are the same before and after calls of every kind."""
    upstream_breaks(target, "the process died once under these many asynchronous calls")
    code = """
        import c_python_backend_utils as c
        async def main():
            await asyncio.gather(*(call(C, [i]).async_exec() for i in range(8)))
        def round():
            out(call(C, range(1000)).exec())
            every(call(D, [3]).exec(decoupled=True))
            call('nosuch').exec()
            asyncio.run(main())
            gc.collect()
            time.sleep(0.1)
        round()
        before = c.shared_memory.free_memory()
        rounds = 10
        for _ in range(rounds):
            round()
        until = time.monotonic() + 3
        while c.shared_memory.free_memory() < before and time.monotonic() < until:
            time.sleep(0.05)
        result = (c.shared_memory.free_memory() - before) / rounds
    """
    # A message on its way holds a few bytes; what is left behind by every round is more.
    assert float(_run(lab, children, code)) > -16


def test_calls_while_warming_up(target: Target, children: Children) -> None:
    """A warm-up request runs `execute`, so calls are allowed; it is a request like any other, without an id."""
    if "warmup" not in target.features:
        pytest.skip("this host makes no warm-up requests")
    source = f"""\
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    seen = []
    def execute(self, requests):
        out = []
        for r in requests:
            child = pb_utils.InferenceRequest(
                inputs=[pb_utils.Tensor("IN", np.array([1], dtype=np.int32))], requested_output_names=["OUT"],
                model_name="{children.plain.name}")
            self.seen.append((len(requests), r.request_id(), child.exec().has_error()))
            text = np.array([[str(self.seen).encode()]], dtype=object)
            out.append(pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", text)]))
        return out
"""
    import numpy as np

    warmup = 'model_warmup [ { name: "w" batch_size: 2 inputs { key: "IN" value { data_type: TYPE_INT32 dims: [1] zero_data: true } } } ]\n'
    text = config([("IN", "INT32", [1])], [("TEXT", "BYTES", [1])], max_batch_size=2, extra=warmup)
    model = target.load(source, text, name="warm")
    answer = model.infer(IN=np.array([[5]], dtype=np.int32), request_id="mine")
    assert answer.outputs["TEXT"][0, 0].decode() == "[(2, '', False), (2, '', False), (1, 'mine', False)]"


def test_queue_timeout_of_a_child(lab: Lab, target: Target, children: Children) -> None:
    """Only the child's queue policy enforces a timeout: a busy child with such a policy refuses."""
    if "batching" not in target.features:
        pytest.skip("this host has no queue policies")
    source = """\
import time
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        time.sleep(0.3)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", r.inputs()[0].as_numpy())]) for r in requests]
"""
    extra = """dynamic_batching {
      default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 60000000 allow_timeout_override: true } }
    """
    child = target.load(
        source,
        config([("IN", "INT32", [1])], [("OUT", "INT32", [1])], max_batch_size=1, extra=extra),
        name="slow",
    )
    code = f"""
        S = {child.name!r}
        found = []
        def first():
            found.append(out(call(S, [[1]]).exec()))
        thread = threading.Thread(target=first)
        thread.start()
        time.sleep(0.1)
        late = out(call(S, [[2]], timeout=5).exec())
        thread.join()
        result = ('Request timeout expired' in late, found)
    """
    assert _run(lab, children, code) == "(True, [[[1]]])"
    target.drop(child.name)


def test_circle(target: Target) -> None:
    """A model that calls itself with no instance free: an error, where upstream waits for ever."""
    if target.host == "server":
        pytest.skip("whether an instance is free is for NVIDIA's server to know; it waits for ever")
    import numpy as np

    text = config([("IN", "INT32", [1])], [("TEXT", "BYTES", [1])])
    name = target.fresh_name("circle")
    source = f"""\
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        child = pb_utils.InferenceRequest(inputs=requests[0].inputs(), requested_output_names=["TEXT"], model_name="{name}")
        response = child.exec()
        text = response.error().message() if response.has_error() else "answered"
        return [pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", np.array([text.encode()], dtype=object))])]
"""
    model = target.load(source, text, name=name, exact_name=True)
    answer = model.infer(IN=np.array([1], dtype=np.int32))
    assert answer.error is None
    assert name in answer.text("TEXT")
    assert answer.text("TEXT") != "answered"


def test_forked_worker(lab: Lab, target: Target, children: Children) -> None:
    """A call from a forked child process: answered, or refused; never stuck."""
    upstream_breaks(target, "a forked worker's call hangs on 24.10 with Python 3.11")
    code = """
        import os
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                r = call(C).exec()
                text = 'error' if r.has_error() else 'ok'
            except Exception as e:
                text = type(e).__name__
            os.write(writer, text.encode())
            os._exit(0)
        os.close(writer)
        import select
        ready = select.select([reader], [], [], 10)[0]
        text = os.read(reader, 100).decode() if ready else 'stuck'
        if not ready:
            os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(reader)
        result = (text, out(call(C).exec()))
    """
    assert _run(lab, children, code) in (
        f"('{text}', [2, 4])" for text in ("ok", "error", "TritonModelException")
    )
