"""From a stub's texts to errors at the cell's lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import RequestInfo, WorkbenchUsageError
from workbench.launch import exit_reason
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.session import failures

TEXT = """# %%triton model m
import numpy as np
class TritonPythonModel:
    def execute(self, requests):
        return self.work(requests)
    def work(self, requests):
        raise ValueError("boom")
"""
ROOT = Path("/tmp/workbench-x")


@pytest.fixture
def entry() -> ModelEntry:
    config = ModelConfig.from_specs("m", ["X:FP32[2]"], ["Y:FP32[2]"])
    return ModelEntry("m", ROOT / "3" / "m", ModelSource(TEXT, "Cell In[2]"), config)


REQUEST = RequestInfo("m", "X FP32[2]")


def test_the_innermost_frame_comes_first_on_the_wire() -> None:
    cause, frames = failures.parse_detail(
        "ValueError: a\nb\n\nAt:\n  /r/m.py(5): helper\n  /r/m.py(7): execute\n"
    )
    assert cause == "ValueError: a\nb"
    assert frames == [("/r/m.py", 7, "execute"), ("/r/m.py", 5, "helper")]


def test_a_failed_batch_is_shown_in_the_cell(entry: ModelEntry) -> None:
    wire = (
        "Failed to process the request(s) for model 'm_0', message: ValueError: boom\n\nAt:\n"
        f"  {ROOT}/3/m/1/model.py(7): work\n  /usr/lib/x.py(3): wrapper\n"
        f"  {ROOT}/3/m/1/model.py(5): execute\n"
    )
    error = failures.execution_error(entry, 1, wire, REQUEST)
    assert str(error) == "ValueError: boom (m)"
    assert error.code == "INTERNAL"
    assert [frame.function for frame in error.frames] == [
        "TritonPythonModel.execute",
        "wrapper",
        "TritonPythonModel.work",
    ]
    assert error.render() == [
        "ModelExecutionError: ValueError: boom (m)",
        "  m.execute, request 1 of 1",
        "  Cell In[2], line 5, in TritonPythonModel.execute",
        "          3 class TritonPythonModel:",
        "          4     def execute(self, requests):",
        "  ---->   5         return self.work(requests)",
        "  Cell In[2], line 7, in TritonPythonModel.work",
        "          5     return self.work(requests)",
        "          6 def work(self, requests):",
        '  ---->   7     raise ValueError("boom")',
        "  inputs: X FP32[2]",
        "  hint: %triton replay m --last-error   (or %triton debug m)",
    ]
    assert any("/usr/lib/x.py" in line for line in error.render(full=True))


def test_nothing_of_the_machine_is_in_the_text(entry: ModelEntry) -> None:
    wire = (
        "Failed to process the request(s) for model 'm_0', message: "
        f"FileNotFoundError: {ROOT}/3/m/w.bin; {ROOT}/12/other/1/model.py(3): execute"
    )
    assert str(failures.execution_error(entry, 1, wire, REQUEST)) == (
        "FileNotFoundError: m/w.bin; other/1/model.py(3): execute (m)"
    )


def test_a_wrong_return_value_is_shown_at_execute(entry: ModelEntry) -> None:
    wire = (
        "Failed to process the request(s) for model 'm_0', message: "
        "Expected a list in the execute return, found type '<class 'tuple'>'."
    )
    error = failures.execution_error(entry, 1, wire, REQUEST)
    assert [(frame.line, frame.function) for frame in error.frames] == [(4, "TritonPythonModel.execute")]
    assert error.hint == "end execute with: return [response for each request]"


def test_the_models_own_error_is_verbatim(entry: ModelEntry) -> None:
    error = failures.execution_error(entry, 2, "no such user", REQUEST)
    assert (str(error), error.code, error.frames) == ("no such user (m)", "NOT_FOUND", ())


def test_a_load_error_names_who_serves(entry: ModelEntry) -> None:
    text = f"ModuleNotFoundError: No module named 'x'\n\nAt:\n  {ROOT}/3/m/1/model.py(2): <module>\n"
    error = failures.load_error(entry, text, serving="src:1234567")
    assert str(error) == "ModuleNotFoundError: No module named 'x' (m); src:1234567 keeps serving"
    assert error.frames[0].line == 2
    assert error.hint.startswith("%pip install")


def test_a_syntax_error_found_by_the_stub_has_its_line(entry: ModelEntry) -> None:
    error = failures.load_error(entry, "SyntaxError: invalid syntax (model.py, line 3)", serving="")
    assert [frame.line for frame in error.frames] == [3]


def test_a_crash_dump_gives_the_line_and_hides_the_rest(entry: ModelEntry) -> None:
    output = [
        "Fatal Python error: Segmentation fault",
        "",
        "Thread 0x00007f0000000001 (most recent call first):",
        '  File "/usr/lib/threading.py", line 1 in wait',
        "Current thread 0x00007f0000000002 (most recent call first):",
        '  File "/usr/lib/ctypes.py", line 9 in string_at',
        f'  File "{ROOT}/3/m/1/model.py", line 7 in work',
        f'  File "{ROOT}/3/m/1/model.py", line 5 in execute',
        "last words",
    ]
    error = failures.crashed(entry, "SIGSEGV", "in execute", "restarted with src:1234567", output)
    assert str(error) == "m died (SIGSEGV) in execute; restarted with src:1234567"
    assert [frame.line for frame in error.frames] == [5, 7]
    assert error.output == ("last words",)


@pytest.mark.parametrize(
    ("code", "text"), [(-11, "SIGSEGV"), (-9, "SIGKILL"), (3, "exit code 3"), (None, "not answering")]
)
def test_exit_reasons(code: int | None, text: str) -> None:
    assert exit_reason(code) == text


def test_usage_errors_are_errors_of_ipython_too() -> None:
    from IPython.core.error import UsageError

    error = WorkbenchUsageError("no", hint="do this")
    assert isinstance(error, UsageError)
    assert error._render_traceback_() == ["WorkbenchUsageError: no", "  hint: do this"]
