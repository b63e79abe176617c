"""The edit loop in JupyterLab: a model is defined, edited, reloaded and broken, and the page says so."""

from __future__ import annotations

from tests.support.lab_page import LabPage
from tests.support.triton_panel import LOAD, TritonPanel, model_cell

DOUBLE = model_cell("double", "y = x * 2")
TRIPLE = model_cell("double", "y = x * 3")
BROKEN = DOUBLE.replace("class TritonPythonModel:", "import nowhere_to_be_found\nclass TritonPythonModel:")
INFER = "%triton infer double X=[1,2]"


def test_edit_loop(lab: LabPage, panel: TritonPanel) -> None:
    panel.open(DOUBLE, INFER, run=1)
    panel.wait_for_state("double", "ready")
    panel.wait_for_status("Triton 1 ready")
    panel.wait_for_mark(1, "ready")
    assert panel.mark(0) is None

    panel.edit(1, TRIPLE)
    panel.wait_for_mark(1, "edited")

    panel.activate(1)
    panel.cell_button("reload").click()
    panel.wait_for_mark(1, "ready")
    panel.wait_for_state("double", "ready")
    assert "[3. 6.]" in str(lab.run(2))

    # A cell that defines no model has no such buttons.
    panel.activate(2)
    lab.wait(lambda: not panel.cell_button("reload").is_visible(), "the button to go")


def test_failed_load_leads_to_its_line(lab: LabPage, panel: TritonPanel) -> None:
    panel.open(DOUBLE, INFER, run=1)
    panel.wait_for_state("double", "ready")

    panel.edit(1, BROKEN)
    assert lab.run(1)[0]["ename"] == "ModelLoadError"
    panel.wait_for_state("double", "ready, last load failed")
    panel.wait_for_status("Triton 1 ready, 1 failed")
    panel.wait_for_mark(1, "failed")
    assert "[2. 4.]" in str(lab.run(2))  # the revision before still serves

    panel.activate(0)
    panel.section("Models").get_by_role("button", name="Go to Line 3: double").click()
    lab.wait(lambda: panel.cursor() == {"cell": 1, "line": 3}, "the cursor to be at the failing line")


def test_kernel_restart_leaves_stale_data_and_a_way_back(lab: LabPage, panel: TritonPanel) -> None:
    panel.open(DOUBLE)
    panel.wait_for_state("double", "ready")

    lab.restart_kernel()
    panel.node.locator(".jp-TritonNotice-stale").wait_for()
    assert panel.row("double").is_visible()
    panel.wait_for_status("Triton stale")

    panel.node.get_by_role("button", name="Load Extension in Kernel").click()
    panel.wait_for_status("Triton 0 ready")
    assert panel.row("double").count() == 0
    lab.run(1)
    panel.wait_for_state("double", "ready")


def test_page_reload_finds_the_kernel_again(lab: LabPage, panel: TritonPanel) -> None:
    panel.open(DOUBLE)
    panel.wait_for_state("double", "ready")
    panel.section("Logs")
    lab.page.evaluate("() => { window.jupyterapp.commands.execute('docmanager:save'); }")
    lab.wait(
        lambda: not lab.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.model.dirty"),
        "the notebook to be saved",
    )

    lab.page.evaluate("() => window.jupyterapp.restored")
    lab.page.wait_for_timeout(1500)  # JupyterLab writes its layout a second after the last change
    lab.page.goto(lab.page.url.split("?")[0].replace("&reset", ""))
    panel.node.wait_for()
    panel.wait_for_state("double", "ready")
    panel.wait_for_mark(1, "ready")
    assert panel.node.locator(".jp-TritonLogs").is_visible()


def test_panel_follows_the_focused_notebook(lab: LabPage, panel: TritonPanel) -> None:
    lab.open_cells(LOAD, DOUBLE, name="first.ipynb")
    panel.show()
    assert panel.node.get_by_role("button", name="Load Extension in Kernel").is_visible()
    lab.run(0)
    lab.run(1)
    panel.wait_for_state("double", "ready")

    lab.open_cells(LOAD, model_cell("other", "y = -x"), name="second.ipynb")
    lab.wait(lambda: panel.row("double").count() == 0, "the panel to show the second notebook")
    lab.run(0)
    lab.run(1)
    panel.wait_for_state("other", "ready")

    lab.page.get_by_role("tab", name="first.ipynb").click()
    panel.wait_for_state("double", "ready")
    assert panel.row("other").count() == 0


def test_load_button_finds_a_kernel_without_the_extension(lab: LabPage, panel: TritonPanel) -> None:
    lab.open_cells("value = 1")
    panel.show()
    panel.node.get_by_role("button", name="Load Extension in Kernel").click()
    panel.wait_for_status("Triton 0 ready")
    assert "No models" in panel.section("Models").inner_text()
