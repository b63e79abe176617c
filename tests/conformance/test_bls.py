"""Business-logic scripting: calls of other models from inside a model. Section 4."""

from __future__ import annotations

import json

import pytest

from tests.conformance.bls import HELPERS, Children, run, value
from tests.conformance.lab import Lab, agrees, upstream_breaks
from tests.conformance.targets import Target

# Plain calls.


def test_exec(lab: Lab, children: Children) -> None:
    assert value(lab, children, "out(call(C).exec())") == "[2, 4]"


def test_exec_hundred_times(lab: Lab, children: Children) -> None:
    assert value(lab, children, "all(out(call(C, [i]).exec()) == [2 * i] for i in range(100))") == "True"


def test_request_used_again(lab: Lab, children: Children) -> None:
    assert (
        run(lab, children, "r = call(C)\nresult = [out(r.exec()) for _ in range(3)]")
        == "[[2, 4], [2, 4], [2, 4]]"
    )


def test_zero_length(lab: Lab, children: Children) -> None:
    code = "r = call(C, np.zeros((0,)), outputs=['OUT']).exec()\nresult = (out(r), r.output_tensors()[0].shape())"
    assert run(lab, children, code) == "([], [0])"


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
    assert run(lab, children, code) == str(sum(range(5000)) * 2)


def test_all_outputs(lab: Lab, children: Children) -> None:
    code = "result = sorted(t.name() for t in call(C, outputs=[]).exec().output_tensors())"
    assert run(lab, children, code) == "['OUT', 'TEXT']"


def test_what_the_child_sees(lab: Lab, children: Children) -> None:
    code = """
        r = call(C, outputs=['TEXT'], request_id='r9', correlation_id=5, flags=1, timeout=11000000000,
                 parameters={'b': True, 'i': 7, 's': 'x'}).exec()
        result = json.loads(out(r, 'TEXT')[0])
    """
    seen = eval(run(lab, children, code))
    expected = {"id": "r9", "correlation": 5, "flags": 1, "timeout": 11000000000, "outputs": ["TEXT"]}
    assert seen == {**expected, "parameters": {"b": True, "i": 7, "s": "x"}}


def test_text_correlation_id(lab: Lab, children: Children) -> None:
    code = "result = json.loads(out(call(C, outputs=['TEXT'], correlation_id='abc').exec(), 'TEXT')[0])['correlation']"
    assert run(lab, children, code) == "'abc'"


def test_preferred_memory(lab: Lab, children: Children) -> None:
    """A wish, asked with and without the place; where there is no GPU, the answer lies in main memory."""
    code = """
        result = []
        for where in ((), (0,)):
            wish = pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, *where)
            r = call(C, preferred_memory=wish).exec()
            result.append((r.output_tensors()[0].is_cpu(), out(r)))
    """
    assert run(lab, children, code) == "[(True, [2, 4]), (True, [2, 4])]"


def test_large_tensors(lab: Lab, children: Children) -> None:
    """Forty megabytes each way, five times over."""
    code = """
        ok = []
        for i in range(5):
            value = np.full(10_000_000, i, dtype=np.int32)
            r = call(C, inputs=[pb_utils.Tensor('IN', value)]).exec()
            ok.append(int(r.output_tensors()[0].as_numpy().sum()) == i * 20_000_000)
            del r
        result = ok
    """
    assert run(lab, children, code) == str([True] * 5)


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
    ask = {
        "exec": "r = {}.exec()",
        "async_exec": "async def main():\n    return await {}.async_exec()\nr = asyncio.run(main())",
        "exec-decoupled": "rs = list({}.exec(decoupled=True))\nr = rs[0]",
    }[how]
    code = (
        ask.replace("{}", call)
        + "\nresult = json.dumps([r.has_error(), len(r.output_tensors()), r.error().message()])"
    )
    failed, outputs, text = json.loads(eval(run(lab, children, code)))
    wanted = expected.replace("{C}", children.plain.name).replace("{D}", children.stream.name)
    wanted = wanted.replace("{X}", children.plain.instance)
    assert (failed, outputs) == (True, 0)
    assert agrees(text, wanted), text


def test_error_code_of_the_child(lab: Lab, target: Target, children: Children) -> None:
    """Kept since 25.04; INTERNAL before, whoever the parent is."""
    code = run(lab, children, "result = int(call(C, [-1]).exec().error().code())")
    assert code == ("1" if target.release < "25.04" and target.host == "server" else "2")


def test_error_then_success(lab: Lab, children: Children) -> None:
    assert (
        value(lab, children, "(call('nosuch').exec().has_error(), out(call(C).exec()))") == "(True, [2, 4])"
    )


# async_exec.


def test_async_exec(lab: Lab, children: Children) -> None:
    code = """
        async def main():
            request = call(C)
            first = await request.async_exec()
            return [out(first), out(request.exec())]
        result = asyncio.run(main())
    """
    assert run(lab, children, code) == "[[2, 4], [2, 4]]"


def test_async_exec_many(lab: Lab, children: Children) -> None:
    code = """
        async def main():
            return [out(r) for r in await asyncio.gather(*(call(C, [i]).async_exec() for i in range(20)))]
        result = asyncio.run(main())
    """
    assert run(lab, children, code) == str([[2 * i] for i in range(20)])


def test_async_exec_in_a_coroutine(lab: Lab, children: Children) -> None:
    """On the stub's own event loop."""
    code = f"""C = {children.plain.name!r}
{HELPERS}
async def execute(self, requests):
    found = await asyncio.gather(*(call(C, [i]).async_exec() for i in range(4)))
    return [pb_utils.InferenceResponse([said([out(r) for r in found])])]
"""
    assert lab.infer(code).text("RESULT") == "[[0], [2], [4], [6]]"


def test_async_exec_without_a_loop(lab: Lab, children: Children) -> None:
    assert value(lab, children, "call(C).async_exec()") == "RuntimeError: no running event loop"


# Threads and memory.


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
    assert run(lab, children, code) == "True"


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
        until = time.monotonic() + 20
        while c.shared_memory.free_memory() < before and time.monotonic() < until:
            time.sleep(0.05)
        result = (c.shared_memory.free_memory() - before) / rounds
    """
    # A message on its way holds a few bytes; what is left behind by every round is more.
    assert float(run(lab, children, code)) > -16


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
        ready = select.select([reader], [], [], 25)[0]
        text = os.read(reader, 100).decode() if ready else 'stuck'
        if not ready:
            os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(reader)
        result = (text, out(call(C).exec()))
    """
    assert run(lab, children, code) in (
        f"('{text}', [2, 4])" for text in ("ok", "error", "TritonModelException")
    )
