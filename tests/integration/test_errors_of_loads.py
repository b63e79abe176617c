"""What users see of a model that does not load, hangs or dies: the whole text, at the lines of the cell."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.failing import EXECUTE, model_of
from workbench.errors import InferTimeout, ModelLoadError, StubCrashedError
from workbench.model_source import ModelSource
from workbench.targets.live import LiveTarget


def refusal(live: LiveTarget, text: str, **options: Any) -> list[str]:
    with pytest.raises(ModelLoadError) as caught:
        live.define("m", ModelSource(text, "Cell In[2]"), ["X:FP32[2]"], ["Y:FP32[2]"], **options)
    return caught.value.render()


MODEL = """# %%triton model m
{top}
class TritonPythonModel:
{methods}
    def execute(self, requests):
        return []
"""


@pytest.mark.parametrize(
    ("top", "methods", "shown"),
    [
        (
            "import nosuchthing",
            "",
            [
                "ModelLoadError: ModuleNotFoundError: No module named 'nosuchthing' (m)",
                "  Cell In[2], line 2, in <module>",
                "          1 # %%triton model m",
                "  ---->   2 import nosuchthing",
                "  hint: %pip install it: the model uses the packages of this kernel",
            ],
        ),
        (
            "",
            "    def initialize(self, args):\n        raise OSError(2, 'no file')",
            [
                "ModelLoadError: FileNotFoundError: [Errno 2] no file (m)",
                "  Cell In[2], line 5, in TritonPythonModel.initialize",
                "          3 class TritonPythonModel:",
                "          4     def initialize(self, args):",
                "  ---->   5         raise OSError(2, 'no file')",
            ],
        ),
        (
            "",
            "    @staticmethod\n    def auto_complete_config(config):\n"
            "        config.add_input({'name': 'Z'})",
            [
                "ModelLoadError: ValueError: input 'Z' in auto-complete-config function for model 'm' is "
                "missing 'data_type' property. (m)",
                "  Cell In[2], line 6, in TritonPythonModel.auto_complete_config",
                "          4 @staticmethod",
                "          5 def auto_complete_config(config):",
                "  ---->   6     config.add_input({'name': 'Z'})",
            ],
        ),
        (
            "x = (",
            "",
            [
                "ModelLoadError: SyntaxError: '(' was never closed (m)",
                "  Cell In[2], line 2, in <module>",
                "          1 # %%triton model m",
                "  ---->   2 x = (",
            ],
        ),
        (
            "import utils",
            "",
            [
                "ModelLoadError: ZeroDivisionError: division by zero (m)",
                "  Cell In[2], line 2, in <module>",
                "          1 # %%triton model m",
                "  ---->   2 import utils",
                "  Cell In[5], line 3, in <module>",
                "          1 # %%triton file utils.py --model m",
                "          2 def f(v):",
                "  ---->   3     return v / 0",
            ],
        ),
    ],
)
def test_loading(live: LiveTarget, top: str, methods: str, shown: list[str]) -> None:
    if "utils" in top:
        text = "# %%triton file utils.py --model m\ndef f(v):\n    return v / 0\nf(1)\n"
        live.set_file("m", "utils.py", ModelSource(text, "Cell In[5]"))
        shown = [*shown[:4], "  Cell In[5], line 4, in <module>", *_numbered(text, 4), *shown[4:]]
        shown[-4] = "  Cell In[5], line 3, in f"
    assert refusal(live, MODEL.format(top=top, methods=methods)) == shown


def _numbered(text: str, line: int) -> list[str]:
    rows = list(enumerate(text.splitlines(), 1))[line - 3 : line]
    return [f"  {'---->' if number == line else '     '} {number:>3} {row}" for number, row in rows]


def test_a_helper_that_is_no_python(live: LiveTarget) -> None:
    live.files["m"] = {"utils.py": ModelSource("# a file\ndef f(v)\n    return v\n", "Cell In[5]")}
    assert refusal(live, MODEL.format(top="import utils", methods=""))[1:] == [
        "  Cell In[5], line 2, in <module>",
        "          1 # a file",
        "  ---->   2 def f(v)",
    ]


def test_finalize_is_logged(live: LiveTarget) -> None:
    methods = "    def finalize(self):\n        1 / 0"
    text = MODEL.format(top="", methods=methods)
    live.define("m", ModelSource(text, "Cell In[2]"), ["X:FP32[2]"], ["Y:FP32[2]"])
    live.unload("m")
    assert [each.text for each in live.workbench.logs.records("m")] == [
        "ZeroDivisionError: division by zero\n\nAt:\n  Cell In[2](5): finalize\n"
    ]


# Processes.


def test_a_hang(live: LiveTarget) -> None:
    model = model_of(live, "wait()", "import time\ndef wait():\n    time.sleep(600)")
    with pytest.raises(InferTimeout) as caught:
        model.infer(X=[1, 0], timeout=1)
    assert caught.value.render() == [
        f"InferTimeout: m did not answer within 1 s; its process is restarted with {model.src}",
        f"  Cell In[2], line 8, {EXECUTE}",
        "          6 class TritonPythonModel:",
        "          7     def execute(self, requests):",
        "  ---->   8         wait()",
        "  Cell In[2], line 5, in wait",
        "          3 import time",
        "          4 def wait():",
        "  ---->   5     time.sleep(600)",
        "  hint: allow more with --timeout 120",
    ]


@pytest.mark.parametrize(
    ("body", "reason", "place"),
    [
        (
            "import ctypes\nprint('bye')\nctypes.string_at(0)",
            "SIGSEGV",
            [
                f"  Cell In[2], line 8, {EXECUTE}",
                "          6 import ctypes",
                "          7 print('bye')",
                "  ---->   8 ctypes.string_at(0)",
            ],
        ),
        ("import os\nprint('bye')\nos._exit(3)", "exit code 3", []),
    ],
)
def test_a_crash(live: LiveTarget, body: str, reason: str, place: list[str]) -> None:
    model = model_of(live, body)
    with pytest.raises(StubCrashedError) as caught:
        model.infer(X=[1, 0])
    assert caught.value.render() == [
        f"StubCrashedError: m died ({reason}) in execute; restarted with {model.src}",
        *place,
        "  | bye",
        "  hint: a server of release 24.06 or later does not restart a dead stub",
    ]
