"""Response parameters, from 25.02 on. Sections 2.3 and 9.6."""

from __future__ import annotations

import pytest

from tests.conformance.lab import Lab, agrees
from tests.conformance.targets import Target, config, loaded


@pytest.fixture(autouse=True)
def _needed(target: Target) -> None:
    if target.release < "25.02":
        pytest.skip(f"responses carry parameters from 25.02 on, this is {target.release}")


def _execute(parameters: str) -> str:
    return (
        "def execute(self, requests):\n"
        f"    return [pb_utils.InferenceResponse([said('x')], parameters={parameters}) for _ in requests]"
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"bool": True},
        {"bool": False, "text": "value", "number": -7},
        {"a": 1, "b": "", "c": True, "d": 2**62, "e": "día", "f": False},
    ],
    ids=["none", "one", "three", "many"],
)
def test_values(lab: Lab, parameters: dict[str, bool | int | str]) -> None:
    answer = lab.infer(_execute(repr(parameters)))
    assert (answer.error, answer.parameters) == (None, parameters)


@pytest.mark.parametrize(
    "parameters, raised",
    [
        ("[1]", "TypeError: …, got <class 'list'>"),
        ("{1: 1}", "Expect parameters keys to have type str, found type <class 'int'>"),
        ("{'a': 1.5}", "Expect parameters values to have type bool/int/str, found type <class 'float'>"),
        ("{'a': None}", "Expect parameters values to have type bool/int/str, found type <class 'NoneType'>"),
        ("{'a': [1]}", "Expect parameters values to have type bool/int/str, found type <class 'list'>"),
    ],
    ids=["list", "key", "float", "none", "nested"],
)
def test_refused(lab: Lab, parameters: str, raised: str) -> None:
    got = lab.value(f"pb_utils.InferenceResponse([], parameters={parameters})")
    assert agrees(got, "…" + raised.rsplit("…", 1)[-1]), got


def test_read_back(lab: Lab) -> None:
    code = "r = pb_utils.InferenceResponse([], parameters={'a': 1})\nresult = json.loads(r.parameters())"
    assert lab.run(code) == "{'a': 1}"
    assert lab.value("pb_utils.InferenceResponse([]).parameters()") == "'{}'"


def test_decoupled(lab: Lab) -> None:
    """Each response has its own."""
    code = """
        def execute(self, requests):
            sender = requests[0].get_response_sender()
            for i in range(3):
                sender.send(pb_utils.InferenceResponse([said(i)], parameters={"n": i}))
            sender.send(flags=1)
    """
    assert [a.parameters for a in lab.stream(code) if a.outputs] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_through_calls(target: Target, lab: Lab) -> None:
    """A caller reads the parameters of the response it got."""
    source = """\
import numpy as np
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        out = pb_utils.Tensor("OUT", np.ones(1, dtype=np.float32))
        return [pb_utils.InferenceResponse([out], parameters={"from": "child", "n": 5}) for _ in requests]
"""
    with loaded(
        target, source, config([("IN", "FP32", [1])], [("OUT", "FP32", [1])]), name="speaking"
    ) as child:
        for how in ("exec()", "exec(decoupled=True)"):
            code = f"""
                r = pb_utils.InferenceRequest(inputs=[pb_utils.Tensor("IN", np.ones(1, dtype=np.float32))],
                                              requested_output_names=["OUT"], model_name={child.name!r}).{how}
                r = r if hasattr(r, "parameters") else next(r)
                result = sorted(json.loads(r.parameters()).items())
            """
            assert lab.run(code) == "[('from', 'child'), ('n', 5)]"
