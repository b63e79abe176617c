"""Menus of the panel: what was clicked is what is meant, whatever cell is active. What is off is not done."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Locator, expect

from tests.support.lab_page import LabPage
from tests.support.triton_panel import LOAD, TritonPanel, model_cell

ONE, TWO = model_cell("one", "y = x * 2"), model_cell("two", "y = x * 3")
KEEPER = """%%triton model keeper --in X:FP32[-1] --out Y:FP32[-1]
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def initialize(self, args):
        self.kept = []
    def execute(self, requests):
        inputs = [pb_utils.get_input_tensor_by_name(each, "X").as_numpy() for each in requests]
        outputs = [pb_utils.Tensor("Y", each) for each in inputs]
        self.kept += outputs
        return [pb_utils.InferenceResponse([each]) for each in outputs]"""


def choose(lab: LabPage, node: Locator, entry: str) -> None:
    node.click(button="right")
    lab.page.locator(".lm-Menu-item", has_text=re.compile(f"^{entry}")).click()


@pytest.fixture
def two_models(panel: TritonPanel) -> TritonPanel:
    panel.open(ONE, TWO)
    panel.wait_for_state("two", "ready")
    return panel


def test_a_rows_menu_means_the_row(lab: LabPage, two_models: TritonPanel) -> None:
    two_models.activate(1)  # the cell of the other model
    choose(lab, two_models.row("two"), "Unload")
    expect(lab.page.locator(".jp-Dialog-header")).to_have_text("Unload two")
    two_models.accept()
    lab.wait(lambda: two_models.row("two").count() == 0, "two to be gone")
    two_models.wait_for_state("one", "ready")


def test_a_cells_menu_means_the_cell(lab: LabPage, two_models: TritonPanel) -> None:
    two_models.row("two").click()
    cell = lab.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell").nth(1)
    choose(lab, cell.locator(".cm-content"), "Export")
    expect(lab.page.locator(".jp-Dialog-header")).to_have_text("Export one")
    lab.page.keyboard.press("Escape")


def test_a_block_leads_to_its_line(lab: LabPage, panel: TritonPanel) -> None:
    panel.open(KEEPER, "%triton infer keeper X=np.ones(60000) -q")
    region = panel.section("Shm").locator("details", has_text="keeper")
    region.wait_for()
    block = region.locator("[data-triton-line]").first
    choose(lab, block, "Go to Line")
    line = int(block.get_attribute("data-triton-line") or 0)
    lab.wait(lambda: panel.cursor() == {"cell": 1, "line": line}, "the cursor to be at the line")


HIDE_CLIPBOARD = (
    "() => Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true })"
)


@pytest.mark.parametrize("secure", [True, False])
def test_the_trace_that_is_shown_is_copied(lab: LabPage, panel: TritonPanel, secure: bool) -> None:
    """Also on a page that is not served over TLS, where browsers have no `navigator.clipboard`."""
    panel.open(ONE, TWO, "%triton trace one X=[1,2]", "%triton trace two X=[1,2]")
    trace = panel.section("Trace")
    chosen = trace.locator("select")
    lab.wait(lambda: chosen.locator("option").count() == 2, "two traces")
    chosen.select_option(index=1)  # the older one
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lab.page.evaluate("() => { window.kept = navigator.clipboard; return window.kept.writeText('{}'); }")
    if not secure:
        lab.page.evaluate(HIDE_CLIPBOARD)
    choose(lab, trace.locator(".jp-TritonTrace-row").first, "Copy as JSON")
    lab.wait(
        lambda: json.loads(lab.page.evaluate("window.kept.readText()") or "{}").get("model") == "one",
        "the trace that is shown to be copied",
    )


def test_what_is_off_is_not_done_and_says_why(lab: LabPage, panel: TritonPanel) -> None:
    """A program, or a notification that is still there, may execute a command that menus show as off."""
    lab.open_cells("value = 1", LOAD)
    panel.show()
    for name, words in {
        "stop-all": "Stop All Stubs: Load the extension in the kernel first",
        "reload": "Reload Model: Load the extension in the kernel first",
        "go-to-failing-line": "Go to Failing Line: No line is known to have failed",
        "copy-trace": "Copy as JSON: There is no trace",
    }.items():
        lab.command(f"triton-workbench:{name}")
        panel.notification(words).wait_for()
    lab.run(1)
    panel.wait_for_status("Triton 0 ready")
    lab.command("triton-workbench:export")
    panel.notification("Export Model: Choose a model").wait_for()
    assert lab.page.locator(".jp-Dialog").count() == 0
