"""Business-logic scripting with decoupled models: iterators over their responses. Section 4."""

from __future__ import annotations

import pytest

from tests.conformance.bls import HELPERS, Children, run, value
from tests.conformance.lab import Lab, upstream_breaks
from tests.conformance.targets import Target


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
    assert run(lab, children, code) == expected


def test_iterator_of_an_error_has_one_item(lab: Lab, children: Children) -> None:
    assert value(lab, children, "[r.has_error() for r in call('nosuch').exec(decoupled=True)]") == "[True]"


def test_iterator_error_before_the_end(lab: Lab, target: Target, children: Children) -> None:
    """An error response that is not the last one."""
    if target.host == "server":
        pytest.skip(
            "NVIDIA's server, with either stub: the iterator waits for ever after an error that is not the last one"
        )
    assert (
        value(lab, children, "every(call(D, [-6]).exec(decoupled=True))")
        == "['error: the child refused', None]"
    )


def test_iterator_raises_mid_stream(lab: Lab, children: Children) -> None:
    found = value(lab, children, "every(call(D, [-2]).exec(decoupled=True))")
    assert "ValueError: the child raised" in found


def test_stream_hundred_times(lab: Lab, target: Target, children: Children) -> None:
    upstream_breaks(target, "of many streams one now and then comes out wrong, and the process dies of it")
    expression = "all(every(call(D, [2]).exec(decoupled=True)) == [[0], [2], None] for _ in range(100))"
    assert value(lab, children, expression) == "True"


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
    assert run(lab, children, code) == "(1, 'stopped', 7)"


def test_iterator_cancel_ignored(lab: Lab, target: Target, children: Children) -> None:
    _cancellable(target)
    code = "it = call(D, [-5]).exec(decoupled=True)\nnext(it)\nit.cancel()\nresult = len(every(it))"
    assert run(lab, children, code) == "20"


def test_iterator_cancel_after_the_end(lab: Lab, target: Target, children: Children) -> None:
    _cancellable(target)
    code = "it = call(D, [2]).exec(decoupled=True)\nresult = every(it)\nit.cancel()\nit.cancel()"
    assert run(lab, children, code) == "[[0], [2], None]"


def test_async_exec_decoupled(lab: Lab, children: Children) -> None:
    code = """
        async def main():
            streams = await asyncio.gather(*(call(D, [n]).async_exec(decoupled=True) for n in (1, 2, 3)))
            return [every(each) for each in streams]
        result = asyncio.run(main())
    """
    assert run(lab, children, code) == "[[[0], None], [[0], [2], None], [[0], [2], [4], None]]"


def test_many_decoupled_streams_at_once(lab: Lab, children: Children) -> None:
    """Thirty streams from one coroutine."""
    code = """
        async def main():
            streams = await asyncio.gather(*(call(D, [3]).async_exec(decoupled=True) for _ in range(30)))
            return sum(len(every(each)) for each in streams)
        result = asyncio.run(main())
    """
    assert run(lab, children, code) == "120"


def test_from_a_thread_of_a_decoupled_model(lab: Lab, children: Children) -> None:
    """Plain, asynchronous and streamed calls from a response thread, with logging."""
    code = f"""C, D = {children.plain.name!r}, {children.stream.name!r}
{HELPERS}
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
{HELPERS}
def execute(self, requests):
    sender = requests[0].get_response_sender()
    for r in call(D, [{count}]).exec(decoupled=True):
        if r.output_tensors():
            sender.send(pb_utils.InferenceResponse([said(out(r))]))
    sender.send(flags=1)
"""
    answers = lab.stream(code)
    assert [a.text("RESULT") for a in answers if a.outputs] == [f"[{2 * i}]" for i in range(count)]
