"""The first notebook in JupyterLab, as a user runs it."""

from __future__ import annotations

from pathlib import Path

from tests.support.lab_page import LabPage

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def test_first_notebook_runs_and_shows_results(lab: LabPage) -> None:
    lab.open(NOTEBOOKS / "01_first_five_minutes.ipynb")

    outputs = [output for cell in lab.run_all() for output in cell]

    texts = ["".join(each.get("data", {}).get("text/plain", "")) for each in outputs]
    assert any(text.startswith("Model add_sub  READY  live") for text in texts)
    assert lab.page.locator(".jp-OutputArea-output table", has_text="READY").first.is_visible()
    lab.screenshot("notebook-01")


def test_kernel_restart_leaves_a_notebook_that_runs_again(lab: LabPage) -> None:
    lab.open_cells("%load_ext workbench\n%triton models", "value = 41", "value + 1")
    lab.run(1)
    lab.restart_kernel()

    assert lab.run(2)[0]["ename"] == "NameError"
    assert "Models: none" in lab.run(0)[0]["data"]["text/plain"]
