"""ShmView in JupyterLab: opened, driven by mouse and keyboard, live while a cell runs, quiet when hidden."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect

from tests.support.accessibility import check_themes
from tests.support.lab_page import LabPage

MODEL = """%%triton model keeper --in X:FP32[-1] --out Y:FP32[-1]
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def initialize(self, args):
        self.kept = []
    def execute(self, requests):
        tensors = [pb_utils.get_input_tensor_by_name(each, "X") for each in requests]
        doubled = [pb_utils.Tensor("Y", each.as_numpy() * 2) for each in tensors]
        if requests[0].request_id() == "keep":
            self.kept.append(doubled[0])
        return [pb_utils.InferenceResponse([each]) for each in doubled]"""
KEEP = "%triton infer keeper X=np.ones(60000) --id keep -q"
#: The view's own thread, seen from the kernel.
THREADS = "import threading; [t.name for t in threading.enumerate() if t.name == 'workbench-view']"


def opened(lab: LabPage, *more: str) -> Locator:
    """A view on a model that keeps what it answers; further cells follow it."""
    lab.open_cells("%load_ext workbench", MODEL, KEEP, "%triton shm keeper --watch", *more)
    for index in range(4):
        lab.run(index)
    view = lab.output_area(3).locator(".jp-TritonShm")
    view.wait_for()
    return view


def test_the_map_is_driven_and_follows_a_running_cell(lab: LabPage) -> None:
    view = opened(
        lab,
        "import time\nfor _ in range(3):\n    get_ipython().run_line_magic('triton', 'infer keeper "
        "X=np.ones(60000) --id keep -q')\n    time.sleep(1)\ntime.sleep(6)",
        THREADS,
    )
    expect(view.locator("strong")).to_have_text("Shm keeper")
    expect(view).to_contain_text("capacity 64 MiB")
    tensors = view.locator(".jp-TritonShm-block.jp-mod-kept")

    # A block says what it is, and leads to the line that made it.
    expect(tensors.first).to_be_visible()
    count = tensors.count()
    detail = view.locator(".jp-TritonShm-detail")
    with_line = view.locator('.jp-TritonShm-block[aria-label*="cell line 8"]').first
    with_line.click()
    expect(detail).to_contain_text(re.compile(r"KiB tensor, .*of an answer.*cell line 8"))
    expect(detail.get_by_role("button", name="Go to Cell Line 8")).to_be_visible()

    # By keyboard: along the map, and a choice with Enter.
    with_line.focus()
    before = lab.page.evaluate("() => document.activeElement.dataset.block")
    lab.page.keyboard.press("ArrowLeft")
    assert lab.page.evaluate("() => document.activeElement.dataset.block") != before
    lab.page.keyboard.press("Enter")
    lab.page.keyboard.press("Home")
    expect(view.locator(".jp-TritonShm-block").first).to_be_focused()

    view.get_by_role("button", name="Mark", exact=True).click()
    view.get_by_role("button", name="Colour by age").click()
    expect(view.locator(".jp-TritonShm-legend")).to_contain_text("under 1 min")
    view.get_by_role("button", name="Colour by age").click()

    # While the cell runs the map grows: the kernel sends from a thread.
    lab.start(4)
    expect(view.locator(".jp-TritonShm-difference")).to_contain_text(re.compile(r"[1-9]\d* blocks came"))
    lab.wait(lambda: tensors.count() > count, "blocks to appear while the cell runs")
    assert view.locator(".jp-TritonShm-block.jp-mod-new").count() > 0
    lab.wait_for_kernel()

    view.get_by_role("button", name="Pause").click()
    expect(view).to_contain_text("paused")
    shown = view.locator(".jp-TritonShm-map").inner_html()
    lab.run(2)
    lab.page.wait_for_timeout(1000)
    assert view.locator(".jp-TritonShm-map").inner_html() == shown
    view.get_by_role("button", name="Pause").click()
    expect(view).not_to_contain_text("paused")
    lab.wait(lambda: view.locator(".jp-TritonShm-map").inner_html() != shown, "the map to go on")

    lab.screenshot("shm_view", view)


def test_nothing_runs_while_no_view_is_on_the_screen(lab: LabPage) -> None:
    opened(lab, THREADS)
    lab.wait(lambda: "workbench-view" in str(lab.run(4)), "the view to be followed")
    lab.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs'); }")
    lab.wait(lambda: "workbench-view" not in str(lab.run(4)), "the thread to end")


def test_it_can_be_read_in_every_theme(lab: LabPage) -> None:
    view = opened(lab)
    colours = []
    block = view.locator(".jp-TritonShm-block").first
    check_themes(
        lab,
        "shm_view",
        view,
        lambda: colours.append(block.evaluate("each => getComputedStyle(each).backgroundColor")),
    )
    assert len(set(colours)) >= 2
