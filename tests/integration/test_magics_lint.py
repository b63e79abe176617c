"""``%triton lint``: the cell's lines, the release, and models that did not load."""

from __future__ import annotations

import pytest

from tests.support.notebook import CELL, Notebook
from workbench.errors import LintError, ModelLoadError, ModelNotFound, WorkbenchUsageError


def test_a_portable_model(notebook: Notebook) -> None:
    notebook.run(CELL)
    assert (
        repr(notebook.run("%triton lint add_sub --for 24.10 --strict")) == "Lint add_sub: portable to 24.10"
    )
    release = repr(notebook.run("%triton status")).split("protocol ")[1].split(",")[0]
    assert repr(notebook.run("%triton lint add_sub")) == f"Lint add_sub: portable to {release}"
    with pytest.raises(WorkbenchUsageError, match="unknown release 'newest'"):
        notebook.run("%triton lint add_sub --for newest")
    with pytest.raises(ModelNotFound):
        notebook.run("%triton lint nosuch")


def test_findings_are_at_the_cells_lines(notebook: Notebook) -> None:
    notebook.run("scale = 2")
    notebook.run("\n\n" + CELL.replace("a + b", "scale * a + b"))
    report = notebook.run("%triton lint add_sub")
    # Line 11 of the cell, and two blank lines above the magic.
    assert [(each.code, each.line) for each in report] == [("W401", 13)]
    with pytest.raises(LintError, match="1 finding for"):
        notebook.run("%triton lint add_sub --strict")


def test_the_release_decides(notebook: Notebook) -> None:
    notebook.run(
        CELL.replace("InferenceResponse(outputs)", "InferenceResponse(outputs, parameters={'a': 1})")
    )
    assert len(notebook.run("%triton lint add_sub")) == 0
    (finding,) = notebook.run("%triton lint add_sub --for 25.01")
    assert finding.text == "InferenceResponse(parameters=...) needs release 25.02, not 25.01"


def test_a_model_that_does_not_load_is_judged_too(notebook: Notebook) -> None:
    with pytest.raises(ModelLoadError):
        notebook.run(
            CELL.replace("def execute(self, requests):", "def execute(self, requests=pb_utils.Tensor):")
        )
    assert [each.code for each in notebook.run("%triton lint add_sub")] == ["W101"]
