"""``%triton`` in a shell: what cells show, and what they raise."""

from __future__ import annotations

from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter

from tests.support.notebook import CELL, Notebook, traceback_of
from workbench import api
from workbench.errors import (
    InputError,
    ModelConfigError,
    ModelExecutionError,
    ModelLoadError,
    ModelNotFound,
    WorkbenchUsageError,
)
from workbench.messages import InferResult
from workbench.session.model import Model


def test_loading_is_silent_and_can_be_repeated(
    notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook.run("%load_ext workbench")
    notebook.run("%reload_ext workbench")
    assert capsys.readouterr().out in (
        "",
        "The workbench extension is already loaded. To reload it, use:\n  %reload_ext workbench\n",
    )
    assert repr(notebook.run("%triton models")) == "Models: none; a %%triton model cell defines one"


def test_the_first_five_minutes(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    model = notebook.run(CELL)
    assert isinstance(model, Model)
    assert repr(model) == (
        f"Model add_sub  READY  live  {model.src}  in: INPUT0 FP32[4], INPUT1 FP32[4]  out: SUM FP32[4], "
        f"DIFF FP32[4]"
    )
    capsys.readouterr()
    result = notebook.run("r = %triton infer add_sub INPUT0=[1,2,3,4] INPUT1=np.ones(4)\nr")
    assert repr(result) == (
        "InferResult add_sub: 1 response\n  SUM   FP32[4]  [2. 3. 4. 5.]\n  DIFF  FP32[4]  [0. 1. 2. 3.]"
    )
    assert capsys.readouterr().out.startswith("[add_sub] serving\n")
    assert api.model("add_sub").source.splitlines()[0] == f"# {CELL.splitlines()[0]}"


def test_an_error_is_shown_at_the_cells_line(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.run("\n\n" + CELL)  # blank lines count in the notebook
    number = len(notebook.shell.history_manager.input_hist_raw) - 1
    shown = traceback_of(
        notebook, capsys, "%triton infer add_sub INPUT0=[1,2,3,4] INPUT1=[0,0,0,0]", ModelExecutionError
    )
    assert shown == [
        "[add_sub] serving",
        "ModelExecutionError: ZeroDivisionError: float division by zero (add_sub)",
        "  add_sub.execute, request 1 of 1",
        f"  Cell In[{number}], line 12, in TritonPythonModel.execute",
        '         10 b = pb_utils.get_input_tensor_by_name(r, "INPUT1").as_numpy()',
        '         11 print("serving")',
        "  ---->  12 q = 1 / float(b[0])",
        "  inputs: INPUT0 FP32[4], INPUT1 FP32[4]",
        "  hint: %triton replay add_sub --last-error   (or %triton debug add_sub)",
    ]


def test_a_failed_reload_keeps_serving(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    src = notebook.run(CELL).src
    broken = CELL.replace("def execute(self, requests):", "def execute(self, requests)")
    shown = traceback_of(notebook, capsys, broken, ModelLoadError)
    assert shown[0].endswith(f"; {src} keeps serving")
    assert any(line.endswith("line 4, in <module>") for line in shown)
    assert notebook.run("%triton infer add_sub INPUT0=[1,2,3,4] INPUT1=[1,1,1,1]")["SUM"][0] == 2


@pytest.mark.parametrize(
    ("line", "error", "text"),
    [
        (
            "infer add_sub INPUTO=[1,2,3,4]",
            InputError,
            "add_sub has no input 'INPUTO' (did you mean INPUT0?)",
        ),
        ("infer add_sub INPUT0=[1,2,3] INPUT1=[1,2,3,4]", InputError, "INPUT0 is FP32[4], got FP32[3]"),
        ("infer add_sub INPUT0=[1,2,3,4]", InputError, "add_sub needs input INPUT1 FP32[4]"),
        ("infer add_sub INPUT0=nosuch", InputError, "INPUT0: NameError: name 'nosuch' is not defined"),
        ("infer add_sub INPUT0=[1,", InputError, "INPUT0: SyntaxError: '[' was never closed"),
        ("infer ad_sub INPUT0=1", ModelNotFound, "no model 'ad_sub' (did you mean add_sub?); known: add_sub"),
        ("infer add_sub --seq 1:begin", WorkbenchUsageError, "cannot read --seq '1:begin'"),
        ("infer add_sub --on moon", WorkbenchUsageError, "unknown target 'moon'"),
        ("infre add_sub", WorkbenchUsageError, "unknown subcommand 'infre' (did you mean infer?)"),
        ("model other", WorkbenchUsageError, "no source for the model"),
        ("infer add_sub X='1", WorkbenchUsageError, "cannot split the line: No closing quotation"),
    ],
)
def test_mistakes_are_one_clear_error(
    notebook: Notebook, line: str, error: type[Exception], text: str
) -> None:
    notebook.run(CELL)
    with pytest.raises(error) as caught:
        notebook.run(f"%triton {line}")
    assert str(caught.value) == text


def test_expressions_of_the_notebook(notebook: Notebook) -> None:
    notebook.run(CELL)
    notebook.run("ones = [1, 1, 1, 1]")
    for cell in (
        "%triton infer add_sub INPUT0=ones INPUT1='[each * 2 for each in ones]'",
        '%triton infer add_sub INPUT0=ones INPUT1="np.full((4,), 2)"',
        "%%triton infer add_sub INPUT0=ones\n{\n  'INPUT1': [2] * 4,\n}",
    ):
        assert notebook.run(cell)["SUM"].tolist() == [3, 3, 3, 3]


def test_results_can_be_kept_and_silenced(notebook: Notebook) -> None:
    notebook.run(CELL)
    line = "%triton infer add_sub INPUT0=[1,2,3,4] INPUT1=[1,1,1,1]"
    assert notebook.run(f"{line} -q") is None
    assert notebook.run(f"{line};") is None
    assert notebook.run(f"{line} -q -o kept") is None
    assert isinstance(notebook.shell.user_ns["kept"], InferResult)
    with pytest.raises(WorkbenchUsageError, match="-o takes a variable's name"):
        notebook.run(f"{line} -o a.b")


def test_config_cells(notebook: Notebook) -> None:
    tensor = "{ name: '%s' data_type: TYPE_FP32 dims: 4 }"
    body = (
        f"max_batch_size: 2\ninput [{tensor % 'INPUT0'}, {tensor % 'INPUT1'}]\n"
        f"output [{tensor % 'SUM'}, {tensor % 'DIFF'}]\n"
    )
    assert notebook.run(f"%%triton config add_sub\n{body}").max_batch_size == 2
    bare = "%%triton model add_sub\n" + CELL.split("\n", 1)[1].replace("float(b[0])", "float(b[0, 0])")
    assert notebook.run(bare).config.max_batch_size == 2
    # On a live model the new configuration takes over at once.
    notebook.run("%%triton config add_sub\n" + body.replace("max_batch_size: 2", "max_batch_size: 8"))
    assert notebook.run("%triton config add_sub").max_batch_size == 8
    assert api.model("add_sub").config.max_batch_size == 8
    assert '"max_batch_size": 8' in repr(notebook.run("%triton config add_sub --json"))
    with pytest.raises(ModelConfigError, match="both a configuration and a signature"):
        notebook.run(bare.replace("model add_sub", "model add_sub --config add_sub --in INPUT0:FP32[4]"))
    with pytest.raises(ModelConfigError, match=r"config\.pbtxt line 3: a model configuration has no field"):
        notebook.run("\n%%triton config add_sub\nmax_batch: 1")


def test_this_cell_and_files(notebook: Notebook, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell = CELL.split("\n", 1)
    plain = f"%triton model plain --this-cell --in INPUT0:FP32[4] INPUT1:FP32[4] --out SUM:FP32[4]\n{cell[1]}"
    assert notebook.run(plain) is None
    assert capsys.readouterr().out.count("Model plain  READY") == 1  # a cell shows its last value only
    first, rest = plain.split("\n", 1)
    notebook.run(f"{rest}\n{first}")
    assert capsys.readouterr().out.count("Model plain  READY") == 1
    notebook.run(f"{plain}\n%triton models")
    assert capsys.readouterr().out.count("Model plain  READY") == 1
    notebook.run(f"{first};\n{rest}")
    assert not capsys.readouterr().out
    notebook.run(plain)
    assert api.model("plain").source.splitlines()[1:] == plain.splitlines()[1:]
    assert "TritonPythonModel" in notebook.shell.user_ns  # the cell ran as Python too
    file = tmp_path / "model.py"
    file.write_text(cell[1])
    notebook.run(f"%triton model filed --file {file} --in INPUT0:FP32[4] INPUT1:FP32[4] --out SUM:FP32[4]")
    assert notebook.run("%triton infer filed INPUT0=[1,2,3,4] INPUT1=[1,1,1,1]")["SUM"][3] == 5


def test_models_status_unload_reset(notebook: Notebook) -> None:
    notebook.run(CELL)
    notebook.run(CELL.replace("model add_sub", "model second"))
    src = api.model("add_sub").src
    assert repr(notebook.run("%triton models")).splitlines()[:2] == [
        "Models: 2",
        f"  add_sub  READY  live  {src}  in: INPUT0 FP32[4], INPUT1 FP32[4]  out: SUM FP32[4], DIFF FP32[4]",
    ]
    assert repr(notebook.run("%triton status")).startswith("Status: stub own, protocol ")
    assert notebook.run("%triton unload add_sub") is None
    with pytest.raises(ModelNotFound):
        notebook.run("%triton unload add_sub")
    assert notebook.run("%triton reset") is None
    assert len(notebook.run("%triton models")) == 0
    notebook.run(CELL)
    assert api.model("add_sub").state == "READY"


def test_doctor(notebook: Notebook) -> None:
    report = notebook.run("%triton doctor")
    assert report.ok
    assert {"python", "shared memory", "workbench"} <= {each.name for each in report.checks}
    assert '"ok": true' in repr(notebook.run("%triton doctor --json"))


def test_help(notebook: Notebook) -> None:
    overview = repr(notebook.run("%triton"))
    assert "%triton infer " in overview
    assert repr(notebook.run("%triton -h")) == overview
    assert "--max-batch N" in repr(notebook.run("%triton model -h"))
    assert notebook.shell.magics_manager.magics["line"]["triton"].__doc__ == overview


def test_unloading_takes_everything_away(notebook: Notebook) -> None:
    notebook.run(CELL)
    workbench = api.current()
    notebook.run("%unload_ext workbench")
    assert workbench.closed
    assert "triton" not in notebook.shell.magics_manager.magics["cell"]
    notebook.run("%load_ext workbench")
    assert repr(notebook.run("%triton models")) == "Models: none; a %%triton model cell defines one"


def test_completion(notebook: Notebook) -> None:
    notebook.run(CELL)

    def complete(line: str) -> list[str]:
        """The line's last word, as each completion would leave it."""
        with provisionalcompleter():
            found = list(notebook.shell.Completer.completions(line, len(line)))
        return [(line[: each.start] + each.text).split(" ")[-1] for each in found]

    assert complete("%triton inf") == ["infer"]
    assert complete("%%triton mod") == ["model", "models"]
    assert complete("%triton infer ad") == ["add_sub"]
    assert complete("r = %triton infer add_sub INP") == ["INPUT0=", "INPUT1="]
    assert complete("%triton infer add_sub INPUT0=[1] IN") == ["INPUT1="]
    assert complete("%triton infer add_sub --ti") == ["--timeout"]
    assert complete("%triton replay ad") == ["add_sub"]
    assert complete("%triton infer --timeout 5 ad") == ["add_sub"]
    assert complete("%triton infer add_sub --on lo") == ["local"]
    assert complete("%triton logs --level wa") == ["warning"]
    notebook.run("some_input = [1, 2, 3, 4]")
    assert "INPUT0=some_input" in complete("%triton infer add_sub INPUT0=some_in")
    notebook.run("%unload_ext workbench")
    assert "infer" not in complete("%triton inf")
    notebook.run("%load_ext workbench")
