"""What models print and log: under the cell that asked, or in the logs."""

from __future__ import annotations

import pytest

from tests.support.live import source
from tests.support.notebook import Notebook
from workbench import api
from workbench.errors import ModelNotFound, WorkbenchUsageError

SIGNATURE = "--in X:FP32[2] --out Y:FP32[2]"
TALKING = source(
    """\
print("printed", flush=False)
sys.stderr.write("to stderr\\n")
logging.getLogger("lib").warning("from %s", "logging")
logging.getLogger("lib").info("below the level")
pb_utils.Logger.log_error("from pb_utils")
os.write(1, b"past Python\\n")
print("printed last")
return [reply(r, x) for r in requests]""",
    more="def finalize(self):\n    print('good bye')",
).replace("import os, sys", "import logging, os, sys")


def ask(notebook: Notebook) -> None:
    notebook.run("%triton infer m X=[1,2]")


def test_output_is_under_the_cell_in_order_and_logs_have_levels(
    notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook.run(f"%%triton model m {SIGNATURE}\n{TALKING}")
    capsys.readouterr()
    ask(notebook)
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("[m]")] == [
        "[m] printed",
        "[m] to stderr",
        "[m] from logging",
        "[m] past Python",
        "[m] printed last",
    ]
    line = TALKING.splitlines().index('        pb_utils.Logger.log_error("from pb_utils")') + 2
    assert repr(notebook.run("%triton logs m")) == (
        f"Logs m: 2 lines\n  [m] WARNING model.py:{line - 2} from logging\n"
        f"  [m] ERROR model.py:{line} from pb_utils"
    )
    assert [each["line"] for each in notebook.run("%triton logs").to_data()["lines"]] == [line - 2, line]


def test_a_models_own_configuration_of_logging_holds(
    notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TALKING.replace(
        "class TritonPythonModel",
        "logging.basicConfig(level=10, format='%(levelname)s|%(message)s')\n\nclass TritonPythonModel",
    )
    notebook.run(f"%%triton model m {SIGNATURE}\n{text}")
    capsys.readouterr()
    ask(notebook)
    shown = capsys.readouterr().out
    assert "[m] WARNING|from logging\n[m] INFO|below the level\n" in shown
    assert [each.level for each in notebook.run("%triton logs m").records] == ["warning", "info", "error"]
    assert [each.text for each in notebook.run("%triton logs m --level warning --n 1").records] == [
        "from pb_utils"
    ]
    notebook.run("%triton reset")


def test_output_of_no_request_goes_to_the_logs(
    notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook.run(f"%%triton model m {SIGNATURE}\n{TALKING}")
    capsys.readouterr()
    notebook.run("%triton unload m")
    assert "good bye" not in capsys.readouterr().out
    assert repr(notebook.run("%triton logs m")) == "Logs m: 1 line\n  [m] OUTPUT good bye"
    assert repr(notebook.run("%triton logs m --level warning")) == "Logs m: none"


def test_following_and_clearing(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.run(f"%%triton model m {SIGNATURE}\n{TALKING}")
    assert repr(notebook.run("%triton logs --follow --level error")) == "Logs: none"
    capsys.readouterr()
    ask(notebook)
    assert capsys.readouterr().out.count("[m] ERROR model.py:") == 1
    view = notebook.run("%triton logs --clear")
    assert (len(view), view.dropped) == (0, 2)
    ask(notebook)
    assert "ERROR" not in capsys.readouterr().out  # it was the end of following, too
    assert [each["seq"] for each in notebook.run("%triton logs").to_data()["lines"]] == [3, 4]
    assert len(api.model("m").logs(level="error")) == 1
    assert "<table" in notebook.run("%triton logs")._repr_mimebundle_()["text/html"]


def test_mistakes(notebook: Notebook) -> None:
    notebook.run(f"%%triton model m {SIGNATURE}\n{TALKING}")
    with pytest.raises(ModelNotFound, match="no model 'n'"):
        notebook.run("%triton logs n")
    with pytest.raises(WorkbenchUsageError, match="--n is a number of lines"):
        notebook.run("%triton logs --n -1")
