"""The extension in Notebook 7: the parts that it has a place for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.lab_page import LabPage
from tests.support.lab_server import LabServer, lab_server
from tests.support.triton_panel import TritonPanel, model_cell

pytest.importorskip("notebook", reason="Notebook 7 is not installed (`pip install notebook`)")

DOUBLE, TRIPLE = model_cell("double", "y = x * 2"), model_cell("double", "y = x * 3")


@pytest.fixture(scope="module")
def lab_of_file(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """Notebook 7 in place of JupyterLab."""
    with lab_server(tmp_path_factory.mktemp("notebook"), app="notebook") as server:
        yield server


def test_panel_marks_toolbars_and_commands_are_there(lab: LabPage, panel: TritonPanel) -> None:
    panel.open(DOUBLE, "%triton infer double X=[1,2]", run=1)
    panel.wait_for_state("double", "ready")
    panel.wait_for_mark(1, "ready")
    assert lab.page.locator(".jp-TritonStatus").count() == 0  # there is no status bar

    panel.edit(1, TRIPLE)
    panel.wait_for_mark(1, "edited")
    panel.activate(1)
    panel.cell_button("reload").click()
    panel.wait_for_mark(1, "ready")
    assert "[3. 6.]" in str(lab.run(2))

    panel.notebook_button("replay").click()
    panel.notification("Replay double").wait_for()
    lab.screenshot("notebook7")
