"""The debugger, Ctrl-C and time limits where users meet them: a kernel with a prompt, and a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.support.kernel import SECONDS, Outcome, RealKernel, real_kernel

CELL = """%%triton model m --in X:FP32[2] --out Y:FP32[2]
import time
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        x = pb_utils.get_input_tensor_by_name(requests[0], "X").as_numpy()
        if x[0] == 1:
            breakpoint()
            x = x * 10
        if x[0] == 2:
            print("sleeping")
            time.sleep(600)
        if x[0] == 3:
            raise ValueError(f"no {x[0]}")
        y = x / int(x[1])
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", y)])]
"""
ANSWER = "InferResult m: 1 response\n  Y  FP32[2]  "


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[RealKernel]:
    with real_kernel(tmp_path) as kernel:
        outcome = kernel.run(CELL)
        assert outcome.result.startswith("Model m  READY"), outcome
        yield kernel


def test_the_debugger_asks_in_the_notebook(kernel: RealKernel) -> None:
    assert kernel.run("%triton debug m", []).result == (
        "Debug m: breakpoint() opens pdb in the cell that sends the request; %triton debug m --off ends it"
    )
    outcome = kernel.run("%triton infer m X=[1,5]", ["p x", "n", "p x", "c"])
    assert outcome.prompts == ["(Pdb) "] * 4
    assert outcome.result == ANSWER + "[0.2 1.]"
    assert "> Cell In[" in outcome.stdout
    assert "execute()\n-> x = x * 10\n" in outcome.stdout
    assert "array([10., 50.], dtype=float32)\n" in outcome.stdout
    # `q`, and the stop button, end the debugging and not the model.
    for answers in (["q"], [None]):
        outcome = kernel.run("%triton infer m X=[1,5]", list(answers))
        assert outcome.evalue == "the debugger ended the request (m)"
        assert kernel.run("%triton infer m X=[5,5]", []).result == ANSWER + "[1. 1.]"
    # Not attached any more: an error, and no wait.
    kernel.run("%triton debug m --off", [])
    assert kernel.run("%triton infer m X=[1,5]", []).evalue == (
        "NoDebugger: breakpoint() was reached, and no debugger is attached (m)"
    )
    # After an error: that request again, where it fails.
    assert kernel.run("%triton infer m X=[3,0]", []).ename == "ModelExecutionError"
    outcome = kernel.run("%triton debug m", ["p int(x[1])", "q"])
    assert outcome.stdout.endswith('(14)execute()\n-> raise ValueError(f"no {x[0]}")\n0\n')
    assert outcome.result.startswith("Debug m: the last failed request, sent again, ended with ")


def test_without_a_user(kernel: RealKernel) -> None:
    outcome = kernel.run("%triton debug m")
    assert outcome.ename == "DebuggerError"
    assert outcome.evalue == "the debugger needs input, and nobody is there to give it"
    assert outcome.traceback == (
        "DebuggerError: the debugger needs input, and nobody is there to give it\n"
        "  hint: %triton debug m --port auto, and attach an IDE"
    )
    kernel.run("%triton debug m", [])
    outcome = kernel.run("%triton infer m X=[1,5]")
    assert outcome.evalue == "NoDebugger: the debugger needs input, and nobody is there to give it (m)"


@pytest.mark.parametrize("attached", [False, True])
def test_the_stop_button_ends_a_model_that_hangs(kernel: RealKernel, attached: bool) -> None:
    if attached:
        kernel.run("%triton debug m", [])
    interrupted = False

    def interrupt(outcome: Outcome) -> None:
        nonlocal interrupted
        if "sleeping" in outcome.stdout and not interrupted:
            interrupted = True
            kernel.manager.interrupt_kernel()

    outcome = kernel.run("%triton infer m X=[2,5]", [], on_output=interrupt)
    assert interrupted
    assert outcome.ename == "KeyboardInterrupt"
    assert kernel.run("%triton infer m X=[5,5]", []).result == ANSWER + "[1. 1.]"


def test_a_time_limit_shows_where_the_model_was(kernel: RealKernel) -> None:
    outcome = kernel.run("%triton infer m X=[2,5] --timeout 1")
    assert outcome.ename == "InferTimeout"
    assert outcome.evalue.startswith("m did not answer within 1 s; its process is restarted with src:")
    lines = outcome.traceback.splitlines()
    assert lines[1].startswith("  Cell In[")
    assert lines[1].endswith("], line 12, in TritonPythonModel.execute")
    assert lines[4] == "  ---->  12     time.sleep(600)"
    assert lines[-1] == "  hint: allow more with --timeout 120"
    assert kernel.run("%triton infer m X=[5,5]").result == ANSWER + "[1. 1.]"


def test_in_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(CELL.split("\n", 1)[1])
    child = pexpect.spawn(
        sys.executable,
        ["-m", "IPython", "--simple-prompt", "--no-banner", "--no-confirm-exit", "--colors=nocolor"],
        cwd=str(tmp_path),
        encoding="utf-8",
        timeout=SECONDS,
        env={**os.environ, "IPYTHONDIR": str(tmp_path / "ipython"), "TERM": "dumb"},
    )
    try:
        child.expect_exact("In [1]: ")
        child.sendline("%load_ext workbench")
        child.expect_exact("In [2]: ")
        child.sendline(
            "import workbench as wb; from pathlib import Path; "
            "model = wb.define('m', Path('m.py'), ['X:FP32[2]'], ['Y:FP32[2]'])"
        )
        child.expect_exact("In [3]: ")
        child.sendline("%triton debug m")
        child.expect_exact("opens pdb")
        child.expect_exact("In [4]: ")
        child.sendline("%triton infer m X=[1,5]")
        child.expect_exact("(Pdb) ")
        child.sendline("x[0] = 50")
        child.expect_exact("(Pdb) ")
        child.sendline("c")
        child.expect_exact("Y  FP32[2]  [10. 1.]")
        child.expect_exact("In [5]: ")
        child.sendline("%triton infer m X=[1,5]")
        child.expect_exact("(Pdb) ")
        child.sendintr()
        child.expect_exact("the debugger ended the request (m)")
        child.expect_exact("In [6]: ")
        child.sendline("%triton debug m --off")
        child.expect_exact("In [7]: ")
        child.sendline("%triton infer m X=[2,5]")
        child.expect_exact("[m] sleeping")
        child.sendintr()
        child.expect_exact("KeyboardInterrupt")
        child.expect_exact("In [8]: ")
        child.sendline("%triton infer m X=[5,5]")
        child.expect_exact("Y  FP32[2]  [1. 1.]")
        child.expect_exact("In [9]: ")
        child.sendline("exit")
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
