"""Notebooks → repositories without a kernel: what comes out is what a kernel exports."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.support.models import contents
from tests.support.notebook import Notebook, write_notebook
from workbench.commands import main

IMPORTS = "import math\nimport numpy as np\nfrom math import sqrt as root\nFACTOR = 2.5\nUNUSED = [1]\n"
FUNCTIONS = """
def halve(x):
    return x / FACTOR / 1.25 * root(1)

def scale(x):
    '''Uses another function, a module and a constant.'''
    return halve(x) * np.float32(FACTOR) * math.pi
"""
SCALED = """
%%triton model scaled --in X:FP32[2] --out Y:FP32[2] \\
    --with scale
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "X").as_numpy()
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("Y", scale(x))]))
        return answers
"""
CONFIG = """%%triton config named
input { name: "X" data_type: TYPE_INT32 dims: [ 3 ] }
output { name: "Y" data_type: TYPE_INT32 dims: [ 3 ] }
max_batch_size: 4
dynamic_batching { max_queue_delay_microseconds: 100 }
"""
MODEL = """
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        x = requests[0].inputs()[0].as_numpy()
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", x)]) for _ in requests]
"""
THIS_CELL = (
    f"{MODEL}\n%triton model here --this-cell --in X:FP32[1] --out Y:FP32[1] --param a=b --instances 2\n"
)
HEAD = "%%triton model m --in X:FP32[1] --out Y:FP32[1]"
FILE = "%%triton file words.txt --model here\none\ntwo\n"
CELLS = [
    "%load_ext workbench",
    IMPORTS,
    FUNCTIONS,
    SCALED,
    CONFIG,
    f"%%triton model other --config named{MODEL}",
    FILE,
    THIS_CELL,
    "m = %triton model outside --file model.py --in X:FP32[1] --out Y:FP32[1]",
]


def test_the_same_bytes_as_a_kernel_exports(
    notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    for cell in CELLS[1:]:
        notebook.run(cell)
    notebook.run("%triton export scaled other here outside ./live")
    path = write_notebook(tmp_path / "models.ipynb", CELLS)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    capsys.readouterr()
    threads = set(threading.enumerate())
    assert main(["extract", str(path), "-o", str(tmp_path / "static")]) == 0
    assert not [each for each in set(threading.enumerate()) - threads if "watch" in each.name]
    assert capsys.readouterr().out.startswith("Export here, other, outside, scaled -> static: ")
    live, static = contents(tmp_path / "live"), contents(tmp_path / "static")
    assert sorted(live) == sorted(static)
    assert {name for name in live if live[name] != static[name]} == set()
    assert static["here/1/words.txt"][1] == b"one\ntwo\n"
    assert b"def halve" in static["scaled/1/notebook_helpers.py"][1]


def test_one_model_of_several_and_the_last_of_a_name(tmp_path: Path) -> None:
    first = f"%%triton model m --in X:FP32[1] --out Y:FP32[1]{MODEL}"
    path = write_notebook(
        tmp_path / "nb.ipynb",
        [
            first,
            "%%triton model broken\ndef (:",
            first.replace("FP32", "INT8"),
            first.replace("FP32", "BOOL"),
        ],
        c3=["raises-exception"],
    )
    assert main(["extract", str(path), "-o", str(tmp_path / "repo"), "--model", "m"]) == 0
    assert sorted(each.name for each in (tmp_path / "repo").iterdir()) == ["m"]
    assert "TYPE_INT8" in (tmp_path / "repo/m/config.pbtxt").read_text()
    assert main(["export", str(path), "-o", str(tmp_path / "other"), "--model", "m", "--for", "24.10"]) == 0
    assert (tmp_path / "other/m/1/model.py").read_bytes() == (tmp_path / "repo/m/1/model.py").read_bytes()


@pytest.mark.parametrize(
    ("cells", "code", "said"),
    [
        ([], 2, "nb.ipynb holds no models"),
        (["%load_ext workbench\n%triton infer m X=1"], 2, "nb.ipynb holds no models"),
        (["x = 1", f"{HEAD}\nclass A: pass"], 1, "nb.ipynb cell 3: m has no class"),
        (["%%triton model m --nosuch\n"], 2, "nb.ipynb cell 2: %triton model: unknown option '--nosuch'"),
        (["%%triton model ../m --in X:FP32[1] --out Y:FP32[1]\n"], 1, "cell 2: illegal model name '../m'"),
        ([f"%%triton model m{MODEL}"], 1, "cell 2: m declares no inputs or outputs"),
        (
            [f"{HEAD}{MODEL}", "%%triton file ../x.py --model m\n"],
            1,
            "cell 3: '../x.py' is no name for a file beside model.py",
        ),
        (
            ["import os\nhandle = os.open", "def f():\n    return value()\nvalue = object()",
             f"{HEAD} --with f{MODEL}"],
            1,
            "cell 4: f uses value, a value: only the kernel has it",
        ),
        ([f"{HEAD} --with g{MODEL}"], 1, "cell 2: the notebook has no 'g'"),
        (["%triton model m --file nosuch.py --in X:FP32[1] --out Y:FP32[1]"], 1, "cannot read nosuch.py"),
    ],
)  # fmt: skip
def test_notebooks_that_are_refused(
    tmp_path: Path, cells: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_notebook(tmp_path / "nb.ipynb", cells)
    assert main(["extract", str(path), "-o", str(tmp_path / "repo")]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "repo").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no json", "nb.ipynb is no notebook: it is not JSON"),
        ("[1, 2]", "nb.ipynb is no notebook: it is JSON of another form"),
        ('{"nbformat": 4}', "nb.ipynb is no notebook: it is JSON of another form"),
        ('{"nbformat": 3, "worksheets": []}', "nb.ipynb has the notebook format 3"),
        ("[" * 100_000, "nb.ipynb is no notebook: it is not JSON"),
    ],
)
def test_files_that_are_no_notebook(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "nb.ipynb").write_text(text)
    assert main(["extract", str(tmp_path / "nb.ipynb"), "-o", str(tmp_path / "repo")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "repo").exists()


def test_a_model_that_is_not_in_the_notebook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_notebook(
        tmp_path / "nb.ipynb", [f"%%triton model scaler --in X:FP32[1] --out Y:FP32[1]{MODEL}"]
    )
    assert main(["extract", str(path), "-o", str(tmp_path / "repo"), "--model", "scalar"]) == 2
    assert "nb.ipynb has no model 'scalar' (did you mean scaler?)" in capsys.readouterr().err
    assert main(["extract", str(tmp_path / "nosuch.ipynb"), "-o", str(tmp_path / "repo")]) == 2
    assert "cannot read nosuch.ipynb: No such file or directory" in capsys.readouterr().err


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_notebook(tmp_path / "nb.ipynb", [f"%%triton model m --in X:FP32[1] --out Y:FP32[1]{MODEL}"])
    arguments = ["extract", str(path), "-o", str(tmp_path / "repo")]
    assert main(arguments) == 0
    before = contents(tmp_path / "repo")
    assert main(arguments) == 1
    assert "repo/m is there already" in capsys.readouterr().err
    assert contents(tmp_path / "repo") == before
    assert main([*arguments, "--force"]) == 0
