"""The command line's verbs on model folders: the magics' arguments, text and JSON, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.models import write_model
from tests.support.notebook import write_notebook
from workbench.commands import main
from workbench.server_install import ServerInstall
from workbench.targets.process_server import ServerProcess

EXAMPLES = Path(__file__).parents[2] / "examples"
ADD_SUB = str(EXAMPLES / "add_sub")
INPUTS = ["INPUT0=[1,2,3,4]", "INPUT1=np.ones(4)"]

BROKEN = """import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        raise ValueError("no such luck")
"""
CONFIG = """backend: "python"
input { name: "X" data_type: TYPE_FP32 dims: 1 }
output { name: "Y" data_type: TYPE_FP32 dims: 1 }
"""


def test_infer_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["infer", ADD_SUB, *INPUTS]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "InferResult add_sub: 1 response"
    assert said[1].split() == ["OUTPUT0", "FP32[4]", "[2.", "3.", "4.", "5.]"]


def test_infer_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["infer", ADD_SUB, *INPUTS, "--json", "--id", "r1"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["model"] == "add_sub"
    assert data["responses"][0]["outputs"][0] == {
        "name": "OUTPUT0",
        "datatype": "FP32",
        "shape": [4],
        "data": [2.0, 3.0, 4.0, 5.0],
    }


def test_a_models_error_is_shown_at_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_model(tmp_path, "broken", BROKEN, CONFIG)
    assert main(["infer", str(folder), "X=[1]"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("workbench: error: ValueError: no such luck (broken)")
    assert "line 4, in TritonPythonModel.execute" in said
    assert 'raise ValueError("no such luck")' in said


def test_an_error_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_model(tmp_path, "broken", BROKEN, CONFIG)
    assert main(["infer", str(folder), "X=[1]", "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["type"] == "ModelExecutionError"
    assert error["frames"][-1]["line"] == 4


HEAD = "%%triton model {} --in X:FP32[1] --out Y:FP32[1]\nimport triton_python_backend_utils as pb_utils\n"
ECHO = """class TritonPythonModel:
    def execute(self, requests):
        x = [pb_utils.get_input_tensor_by_name(each, "X").as_numpy() for each in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", each)]) for each in x]
"""
CALLER = """class TritonPythonModel:
    def execute(self, requests):
        x = pb_utils.get_input_tensor_by_name(requests[0], "X")
        call = pb_utils.InferenceRequest(model_name="echo", requested_output_names=["Y"], inputs=[x])
        return [pb_utils.InferenceResponse(call.exec().output_tensors())]
"""


def test_models_of_a_notebook_that_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = tmp_path / "ran"
    cells = [f"open({str(ran)!r}, 'w')", HEAD.format("asks") + CALLER, HEAD.format("echo") + ECHO]
    path = write_notebook(tmp_path / "models.ipynb", cells)
    assert main(["infer", str(path), "X=[3]", "--model", "asks"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["Y", "FP32[1]", "[3.]"]
    assert main(["run", str(path), "--model", "echo"]) == 0
    assert capsys.readouterr().out.startswith("Model echo  READY  live")
    assert not ran.exists()
    assert main(["infer", str(path), "X=[3]"]) == 2
    said = capsys.readouterr().err
    assert "models.ipynb holds 2 models; known: asks, echo" in said
    assert "--model asks says which" in said
    assert main(["infer", str(path), "X=[3]", "--model", "nosuch"]) == 2
    assert "models.ipynb has no model 'nosuch'; known: asks, echo" in capsys.readouterr().err
    assert main(["infer", str(path), "X=[3]", "--model", "ecko"]) == 2
    assert "models.ipynb has no model 'ecko' (did you mean echo?); known:" in capsys.readouterr().err


def test_a_notebooks_error_is_shown_at_its_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = ["1 + 1", HEAD.format("broken") + BROKEN.split("\n", 1)[1]]
    path = write_notebook(tmp_path / "models.ipynb", cells)
    assert main(["infer", str(path), "X=[1]"]) == 1
    said = capsys.readouterr().err
    assert "ValueError: no such luck (broken)" in said
    assert "cell 3, line 5, in TritonPythonModel.execute" in said


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["infer"], "workbench infer: the following arguments are required: NAME"),
        (["infer", ADD_SUB, "--tiemout", "3"], "unknown option '--tiemout' (did you mean --timeout?)"),
        (["infer", "no/such/folder"], "there is no model folder no/such/folder"),
    ],
)
def test_usage_errors_end_with_two(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert text in capsys.readouterr().err


def test_help_is_that_of_the_magic(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["infer", "-h"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("usage: workbench infer")
    assert "--timeout S" in said
    assert "%triton" not in said.split("options", 1)[0]


def test_recorded_requests_are_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import workbench as wb

    wb.load_repository(EXAMPLES, "add_sub")
    wb.model("add_sub").infer(INPUT0=[1, 2, 3, 4], INPUT1=[1, 1, 1, 1])
    from workbench.session.replay import save_requests

    recorder = wb.current().hosts["add_sub"].recorder
    save_requests(tmp_path / "requests.zip", {"add_sub": recorder.requests})
    wb.current().close()

    assert main(["replay", ADD_SUB, "--load", str(tmp_path / "requests.zip"), "--assert-equal"]) == 0
    assert "1 equal" in capsys.readouterr().out


def test_calls_between_models_of_a_repository(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["infer", str(EXAMPLES / "bls_sync"), "MODEL_NAME=['add_sub']", *INPUTS, "--also", "add_sub"]
    assert main(words) == 0
    assert "OUTPUT0" in capsys.readouterr().out


def test_config_lint_and_bench(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", ADD_SUB, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["backend"] == "python"
    assert main(["lint", ADD_SUB, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []
    assert main(["bench", ADD_SUB, *INPUTS, "--n", "5", "--warmup", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["requests"] == 5


def test_run_says_what_became_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", ADD_SUB]) == 0
    assert "add_sub  READY" in capsys.readouterr().out
    folder = write_model(tmp_path, "broken", "import nosuchmodule\n", CONFIG)
    assert main(["run", str(folder)]) == 1
    assert "nosuchmodule" in capsys.readouterr().err


@pytest.mark.server
def test_push_and_parity_by_address(
    triton_2410: ServerInstall, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ServerProcess(tmp_path, triton_2410, auto_complete=False, stop_timeout=3.0) as server:
        url = f"http://127.0.0.1:{server.http_port}"
        assert main(["push", ADD_SUB, "--to", url]) == 0
        assert "READY" in capsys.readouterr().out
        assert main(["infer", "add_sub", *INPUTS, "--on", url]) == 0
        assert "[2. 3. 4. 5.]" in capsys.readouterr().out
