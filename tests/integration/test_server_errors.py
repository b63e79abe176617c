"""What a real server says of a model's failure is shown as if the model had run here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.notebook import Notebook, traceback_of
from workbench.errors import ModelExecutionError
from workbench.server_errors import PushError
from workbench.server_install import ServerInstall
from workbench.targets.process_server import ServerProcess

pytestmark = pytest.mark.server

HEAD = "import triton_python_backend_utils as pb_utils\n"
CELL = (
    "%%triton model NAME --in X:FP32[2] --out Y:FP32[2] --on there\n" + HEAD + "class TritonPythonModel:\n"
    "    def execute(self, requests):\n"
)
CALL = """        x = pb_utils.get_input_tensor_by_name(requests[0], "X")
        r = pb_utils.InferenceRequest(model_name="CALLEE", requested_output_names=["Y"], inputs=[x]).exec()
        if r.has_error():
            raise pb_utils.TritonModelException(r.error().message())
"""


@pytest.fixture(scope="module")
def server(triton_2410: ServerInstall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("empty"), triton_2410, stop_timeout=3.0) as server:
        yield server


@pytest.fixture
def notebook(notebook: Notebook, server: ServerProcess) -> Notebook:
    notebook.run(f"%triton connect http://{server.http_address} --as there")
    return notebook


def number(notebook: Notebook) -> int:
    """Of the cell that ran last."""
    return len(notebook.shell.history_manager.input_hist_raw) - 1


def test_a_chain_of_models_on_a_server(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    cells = {}
    for name, body in (
        ("leaf", "        q = 1 / 0\n"),
        ("middle", CALL.replace("CALLEE", "leaf")),
        ("top", CALL.replace("CALLEE", "middle")),
    ):
        notebook.run(CELL.replace("NAME", name) + body)
        cells[name] = number(notebook)
    shown = traceback_of(notebook, capsys, "%triton infer top X=[1,2] --on there", ModelExecutionError)
    places = [line for line in shown if line.startswith(("  caused by", "  Cell", "  hint", "Model"))]
    assert places == [
        "ModelExecutionError: TritonModelException: TritonModelException: "
        "ZeroDivisionError: division by zero (top)",
        f"  Cell In[{cells['top']}], line 8, in TritonPythonModel.execute",
        "  caused by TritonModelException: ZeroDivisionError: division by zero (middle)",
        f"  Cell In[{cells['middle']}], line 8, in TritonPythonModel.execute",
        "  caused by ZeroDivisionError: division by zero (leaf)",
        f"  Cell In[{cells['leaf']}], line 5, in TritonPythonModel.execute",
    ]
    for name in cells:
        notebook.run(f"%triton unload {name} --on there")


def test_a_load_that_a_server_refuses(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    cell = CELL.replace("NAME", "m") + "        return []\n    def initialize(self, args):\n        load()\n"
    text = cell.replace(HEAD, HEAD + "def load():\n    raise OSError('no weights')\n")
    shown = traceback_of(notebook, capsys, text, PushError)
    here = number(notebook)
    assert shown == [
        "PushError: OSError: no weights (m); there does not serve it",
        f"  Cell In[{here}], line 9, in TritonPythonModel.initialize",
        "          7     return []",
        "          8 def initialize(self, args):",
        "  ---->   9     load()",
        f"  Cell In[{here}], line 4, in load",
        "          2 import triton_python_backend_utils as pb_utils",
        "          3 def load():",
        "  ---->   4     raise OSError('no weights')",
    ]
