"""Views of results in JupyterLab: opened, driven by mouse and keyboard, readable in every theme."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect

from tests.support.accessibility import check_themes
from tests.support.lab_page import LabPage

MODEL = """%%triton model pixels --in X:FP32[-1] --out IMAGE:FP32[-1,-1,3] --out SUM:FP32[1]
import numpy as np
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        out = []
        for r in requests:
            x = pb_utils.get_input_tensor_by_name(r, "X").as_numpy()
            pb_utils.Logger.log_info(f"request of {len(x)} values")
            if x[0] < 0:
                pb_utils.Logger.log_warn("a negative value")
                raise ValueError("negative")
            row = np.linspace(0, 1, 24, dtype=np.float32)
            image = np.stack([np.outer(row, row), np.outer(row, 1 - row), np.outer(1 - row, row)], axis=-1)
            tensors = [pb_utils.Tensor("IMAGE", image), pb_utils.Tensor("SUM", x.sum(keepdims=True))]
            out.append(pb_utils.InferenceResponse(tensors))
        return out"""


def opened(lab: LabPage, name: str, *cells: str) -> Locator:
    """Run cells; the view is in the output of the last."""
    lab.open_cells("%load_ext workbench", MODEL, *cells, name=f"{name}.ipynb")
    for index in range(len(cells) + 2):
        lab.run(index)
    view = lab.output_area(len(cells) + 1).locator(f".jp-Triton{name}")
    view.wait_for()
    return view


def add_cell(lab: LabPage, source: str) -> None:
    """A new cell at the end."""
    lab.page.evaluate(
        "source => { const { model } = window.jupyterapp.shell.currentWidget.content;"
        " model.sharedModel.addCell({ cell_type: 'code', source }); }",
        source,
    )


def test_models_view_follows_the_session_and_acts_while_a_cell_runs(lab: LabPage) -> None:
    view = opened(
        lab,
        "Models",
        "%triton infer pixels X=[1] -q",
        "get_ipython().run_line_magic('triton', 'models').view()",
    )
    expect(view.locator("strong").first).to_have_text("Models: 1 of 1 ready")
    row = view.get_by_role("row", name=re.compile("pixels"))
    expect(row).to_contain_text("✓ READY")
    lab.screenshot("models_view", view)

    # While a cell runs, its requests are counted and a button is served.
    add_cell(
        lab,
        "import time, workbench\nmodel = workbench.model('pixels')\n"
        "for _ in range(4): model.infer(X=[2])\n"
        "while model.config.name in workbench.current().models: time.sleep(0.05)",
    )
    lab.start(4)
    expect(row).to_contain_text("5")
    view.get_by_role("button", name="Replay pixels").click()
    message = view.get_by_role("status")
    expect(message).to_contain_text("Replay pixels: 5 requests, 5 equal")

    # By keyboard, and the one that takes something away asks again.
    view.get_by_role("button", name="Reload pixels").focus()
    lab.page.keyboard.press("Enter")
    expect(message).to_contain_text("Model pixels  READY")
    expect(view.get_by_role("button", name="Reload pixels")).to_be_focused()
    check_themes(lab, "models_view", view)
    view.get_by_role("button", name="Unload pixels").click()
    view.get_by_role("button", name="Really unload pixels").click()
    expect(message).to_have_text("pixels is unloaded")
    expect(view.locator("strong").first).to_have_text("Models: none")
    lab.wait_for_kernel()


def test_log_view_follows_and_is_filtered(lab: LabPage) -> None:
    view = opened(
        lab,
        "Log",
        "for n in range(3): get_ipython().run_line_magic('triton', f'infer pixels X=[{n}] -q')",
        "lines = %triton logs\nlines.view()",
    )
    lines = view.locator(".jp-TritonLog-line")
    expect(lines.filter(has_text="request of 1 values")).to_have_count(3)
    add_cell(lab, "%triton infer pixels X=[-1]")
    assert lab.run(4)[0]["ename"] == "ModelExecutionError"
    warning = lines.filter(has_text="a negative value")
    expect(warning).to_have_count(1)
    expect(warning).to_contain_text("WARNING")
    expect(warning.get_by_role("button", name="Line 11")).to_be_visible()
    lab.screenshot("log_view", view)

    view.get_by_label("Level").select_option("warning")
    expect(lines.filter(has_text="request of")).to_have_count(0)
    expect(warning).to_have_count(1)
    view.get_by_label("Level").select_option("info")
    view.get_by_role("searchbox").fill("no such words")
    expect(lines).to_have_count(0)
    view.get_by_role("searchbox").fill("")
    expect(lines.first).to_be_visible()

    view.get_by_role("button", name="Copy").click()
    expect(view.get_by_role("status")).to_contain_text(re.compile("copied|selected"))
    follow = view.get_by_role("button", name="Follow")
    follow.press("Enter")
    expect(follow).to_have_attribute("aria-pressed", "false")
    check_themes(lab, "log_view", view)


def test_bench_view_compares_with_the_run_before(lab: LabPage) -> None:
    bench = "%triton bench pixels X=[1] --n 60 --warmup 2"
    view = opened(lab, "Bench", f"{bench} -q", f"result = {bench}\nresult.view()")
    bars = view.get_by_role("group", name="Bars").locator("> g")
    expect(bars).to_have_count(40)
    counts = [int(str(each.get_attribute("aria-label")).split(" ", 1)[0]) for each in bars.all()]
    assert sum(counts) == 60
    expect(view.get_by_role("columnheader", name="change")).to_be_visible()
    lab.screenshot("bench_view", view)

    bars.first.focus()
    lab.page.keyboard.press("ArrowRight")
    expect(bars.nth(1)).to_be_focused()
    expect(view.get_by_role("status")).to_contain_text("of 60 requests took")
    view.get_by_role("button", name="Compare with the Run Before").click()
    expect(view.get_by_role("columnheader", name="change")).to_have_count(0)
    check_themes(lab, "bench_view", view)


def test_infer_view_shows_figures_and_images(lab: LabPage) -> None:
    view = opened(lab, "Infer", "%triton infer pixels X=[1,2,3] --view")
    image = view.locator("details", has_text="IMAGE")
    expect(image).to_contain_text("FP32[24,24,3]")
    expect(image.get_by_role("img", name="Histogram of IMAGE from 0 to 1")).to_be_visible()
    canvas = image.locator("canvas")
    assert canvas.get_attribute("aria-label") == "IMAGE, image"
    corner = canvas.evaluate("each => [...each.getContext('2d').getImageData(23, 23, 1, 1).data]")
    assert corner == [255, 0, 0, 255]
    expect(view.locator("details", has_text="SUM")).to_contain_text("[6.]")
    lab.screenshot("infer_view", view)

    image.locator("summary").focus()
    lab.page.keyboard.press("Enter")
    expect(canvas).to_be_hidden()
    lab.page.keyboard.press("Enter")
    expect(canvas).to_be_visible()
    check_themes(lab, "infer_view", view)
