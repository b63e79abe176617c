"""Jobs of a kernel that serves the panel between cells only, as kernels older than ipykernel 7 do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.lab_page import KERNEL, LabPage
from tests.support.triton_panel import TritonPanel, model_cell

# Slow while the file is there, so that a replay can be made to last.
MODEL = model_cell("add", 'import os, time\ntime.sleep(1.5 if os.path.exists("{slow}") else 0)\ny = x + 1')
INFER = "import workbench\nfor _ in range(10): workbench.model('add').infer(X=[1, 2])"
BUSY = """import os, time
open("begun", "w").close()
while not os.path.exists("enough"): time.sleep(0.05)"""


@pytest.fixture
def panel(lab: LabPage, panel: TritonPanel, enough: Path) -> Iterator[TritonPanel]:
    """A panel whose messages wait for cells; ten requests are recorded."""
    slow = lab.server.notebooks / "slow"
    panel.open(MODEL.replace("{slow}", str(slow)), INFER, BUSY, run=2)
    panel.wait_for_state("add", "ready")
    # A busy page shows them late: then what the first cell sent would count as the test's.
    lab.wait(lambda: requests(panel) == 10, "the ten requests to be shown")
    lab.page.evaluate(f"() => {{ {KERNEL}.commsOverSubshells = 'disabled'; }}")
    yield panel
    slow.unlink(missing_ok=True)
    (lab.server.notebooks / "begun").unlink(missing_ok=True)


def start_cell(lab: LabPage) -> None:
    """Until the cell says so itself: a kernel is also busy while it serves the panel."""
    lab.start(3)
    lab.wait((lab.server.notebooks / "begun").exists, "the cell to run")


def requests(panel: TritonPanel) -> int:
    return int(panel.row("add").locator("td").nth(1).inner_text())


def test_a_job_that_waits_for_a_cell_is_dropped(lab: LabPage, panel: TritonPanel, enough: Path) -> None:
    start_cell(lab)
    lab.command("triton-workbench:replay", model="add")
    job = panel.node.locator(".jp-TritonNotice-job")
    expect(job).to_contain_text("waits for the running cell")
    before = requests(panel)

    job.get_by_role("button", name="Cancel").click()

    toast = panel.notification("cancelled")
    toast.wait_for()
    assert toast.locator(".jp-toast-button").all_inner_texts() == ["Show Logs"]
    expect(job).to_have_count(0)
    enough.touch()
    lab.wait_for_kernel()
    assert lab.run(2) == []  # whatever was sent before has been served
    lab.wait(lambda: requests(panel) == before + 10, "the cell's requests alone to be counted")


def test_a_job_that_waits_for_a_cell_is_done_after_it(lab: LabPage, panel: TritonPanel, enough: Path) -> None:
    start_cell(lab)
    lab.command("triton-workbench:replay", model="add")
    expect(panel.node.locator(".jp-TritonNotice-job")).to_contain_text("waits for the running cell")
    enough.touch()
    panel.notification("Replay add: ").wait_for()


def test_a_cancel_that_a_cell_holds_up_can_interrupt_it(lab: LabPage, panel: TritonPanel) -> None:
    (lab.server.notebooks / "slow").touch()
    lab.command("triton-workbench:replay", model="add")
    job = panel.node.locator(".jp-TritonNotice-job")
    expect(job).to_contain_text(": running")  # not "waits for the running cell"
    start_cell(lab)

    job.get_by_role("button", name="Cancel").click()
    expect(job).to_contain_text("is cancelled when the running cell ends")
    job.get_by_role("button", name="Interrupt Cell").click()

    panel.notification("cancelled").wait_for()
    expect(job).to_have_count(0)
    assert lab.outputs(3)[0]["ename"] == "KeyboardInterrupt"
