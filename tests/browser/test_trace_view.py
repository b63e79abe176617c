"""TraceView in JupyterLab."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from tests.support.accessibility import violations
from tests.support.lab_page import LabPage
from tests.support.pipeline import EMBED, PIPELINE, RANK, TOKENIZE

_BROKEN = PIPELINE.replace("            out.append(", "            score /= 0\n            out.append(")
_CELLS = (
    "%load_ext workbench",
    f"%%triton model tokenize --in TEXT:STRING[1] --out IDS:INT64[8]\n{TOKENIZE}",
    f"%%triton model embed --in IDS:INT64[8] --out VECTOR:FP32[384]\n{EMBED}",
    f"%%triton model rank --decoupled --in VECTOR:FP32[384] --out SCORE:FP32[1]\n{RANK}",
    f"%%triton model pipeline --in TEXT:STRING[1] --out SCORE:FP32[1]\n{PIPELINE}",
    "t = %triton trace pipeline TEXT='[\"hi\"]'\nt.view()",
    f"%%triton model broken --in TEXT:STRING[1] --out SCORE:FP32[1]\n{_BROKEN}",
    "f = %triton trace broken TEXT='[\"hi\"]'\nf.view()",
)


def test_tree_timeline_tensors_search_and_export(lab: LabPage) -> None:
    lab.open_cells(*_CELLS)
    for index in range(5):
        assert not [each for each in lab.run(index) if each["output_type"] == "error"]
    lab.run(5)
    view = lab.output_area(5).locator(".jp-TritonTrace")
    expect(view.get_by_role("treegrid")).to_be_visible()
    rows = view.locator("tbody tr[data-span]")
    expect(rows).to_have_count(12)  # the request, three calls, and of each waiting and executing
    expect(view.locator("strong").first).to_contain_text("Trace pipeline: ok, 3 calls")
    bars = view.locator(".jp-TritonTrace-bar")
    expect(bars).to_have_count(12)

    # Keys: down to the first call, its tensors and line below; left folds, right unfolds.
    rows.first.focus()
    for _ in range(3):
        lab.page.keyboard.press("ArrowDown")
    detail = view.locator(".jp-TritonTrace-detail")
    expect(detail).to_contain_text("tokenize exec")
    expect(detail).to_contain_text("STRING[1]")
    expect(detail).to_contain_text("INT64[8]")
    expect(detail.get_by_role("button")).to_contain_text("Go to Cell In[5], line 13")
    lab.page.keyboard.press("ArrowLeft")
    expect(rows).to_have_count(10)
    lab.page.keyboard.press("ArrowRight")
    expect(rows).to_have_count(12)
    lab.page.keyboard.press("End")
    expect(rows.last).to_be_focused()

    search = view.get_by_label("Search the trace")
    search.fill("vector")
    expect(view.get_by_role("status")).to_contain_text("2 of 12 spans")
    expect(rows).to_have_count(4)  # and what they hang on
    search.fill("")
    view.get_by_role("button", name="Critical path").click()
    expect(view.get_by_role("button", name="Critical path")).to_have_attribute("aria-pressed", "true")
    expect(view.get_by_role("status")).to_contain_text("of 12 spans")
    view.get_by_role("button", name="Critical path").click()

    for label, key in (("Export for Perfetto", "traceEvents"), ("Export as OTLP", "resourceSpans")):
        with lab.page.expect_download() as download:
            view.get_by_role("button", name=label).click()
        assert key in json.loads(download.value.path().read_text())

    rows.nth(3).click()
    lab.screenshot("trace-view", of=view)
    assert violations(view) == []
    lab.theme("JupyterLab Dark")
    assert violations(view) == []
    lab.screenshot("trace-view-dark", of=view)

    # A failure: marked with a sign and in words, not by colour alone.
    lab.run(6)
    lab.run(7)
    failed = lab.output_area(7).locator(".jp-TritonTrace")
    expect(failed.locator("strong").first).to_contain_text("failed")
    expect(failed.locator("tbody tr").first).to_contain_text("✗ failed")
    expect(failed.locator(".jp-TritonTrace-bar.jp-mod-failed").first).to_be_visible()
    lab.screenshot("trace-view-failed", of=failed)
