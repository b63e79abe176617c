"""The extension for people who see little or use no mouse: its dialogs, and the panel at 200 %."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator

from tests.support.accessibility import clipped, violations
from tests.support.lab_page import LabPage
from tests.support.triton_panel import TritonPanel, model_cell

CELLS = (
    model_cell("a_model_with_a_rather_long_name", "y = x * 2"),
    model_cell("broken", "y = x").replace("class Tri", "import nowhere\nclass Tri"),
    "%triton infer a_model_with_a_rather_long_name X=[1,2]",
)


@pytest.fixture
def panel(panel: TritonPanel) -> TritonPanel:
    panel.open(*CELLS)
    panel.wait_for_state("broken", "failed")
    return panel


def dialog(lab: LabPage, command: str) -> Locator:
    lab.command(f"triton-workbench:{command}", model="a_model_with_a_rather_long_name")
    found = lab.page.locator(".jp-Dialog")
    found.wait_for()
    return found


def leave(lab: LabPage) -> None:
    lab.page.keyboard.press("Escape")
    lab.page.locator(".jp-Dialog").wait_for(state="detached")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_dialogs_have_no_serious_fault(lab: LabPage, panel: TritonPanel, theme: str) -> None:
    lab.theme(theme)
    for command in ("connect", "export", "verify", "parity", "unload", "open-documentation"):
        found = dialog(lab, command)
        if command == "connect":  # with what is said of empty fields
            found.get_by_label("Address").fill("")
            found.get_by_label("Address").press("Enter")
        assert violations(found) == [], command
        lab.screenshot(f"lab-dialog-{command}-{theme.split()[1].lower()}", found)
        leave(lab)


def test_the_table_of_models_fits_a_panel_of_usual_width(panel: TritonPanel) -> None:
    widths = panel.section("Models").evaluate("node => [node.scrollWidth, node.clientWidth]")
    assert widths[0] <= widths[1], widths


def test_nothing_is_clipped_at_200_percent(lab: LabPage, panel: TritonPanel) -> None:
    # Zoom halves the pixels of a style sheet that a window has: 1280 by 900 become these.
    lab.page.set_viewport_size({"width": 640, "height": 450})
    for name in ("Models", "Trace", "Shm", "Servers", "Logs"):
        panel.section(name)
        lab.screenshot("lab-zoom", panel.node)
        assert clipped(panel.node) == [], name
    for command in ("connect", "export", "unload"):
        assert clipped(dialog(lab, command)) == [], command
        leave(lab)


def test_a_control_out_of_sight_would_be_found(panel: TritonPanel) -> None:
    """That the test above can fail."""
    panel.node.evaluate(
        """node => {
          const box = document.createElement('div');
          box.style.cssText = 'position: fixed; top: 50px; width: 10px; height: 20px; overflow: clip';
          box.innerHTML = '<button style="width: 90px">too wide</button>';
          node.append(box);
        }"""
    )
    (found,) = clipped(panel.node)
    assert "too wide" in found
