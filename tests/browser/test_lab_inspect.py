"""What the panel shows while cells run, and what it does on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lab_page import LabPage
from tests.support.leaks import shared_server
from tests.support.triton_panel import TritonPanel, model_cell
from workbench.server_install import ServerInstall
from workbench.targets.process_server import ServerProcess

KEEPER = model_cell(
    "keeper", 'kept = getattr(self, "kept", [])\nself.kept = [*kept, pb_utils.Tensor("K", x + 1)]\ny = x * 2'
)
# Runs until the test writes the file: what the panel shows meanwhile came while a cell was running.
BUSY = """import os, time
while not os.path.exists("enough"):
    r = %triton infer keeper X=[1,2]
    time.sleep(0.2)
"""


@pytest.fixture(scope="module")
def server(triton_2410: ServerInstall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with shared_server(triton_2410, tmp_path_factory.mktemp("models")) as server:
        yield server


@pytest.fixture
def busy(lab: LabPage, panel: TritonPanel, enough: Path) -> TritonPanel:
    """A kernel that is busy with requests to a model, until the test ends."""
    panel.open(KEEPER, BUSY, run=1)
    lab.start(2)
    lab.wait(lambda: lab.is_busy, "the cell to run")
    return panel


def test_panel_counts_requests_while_a_cell_runs(lab: LabPage, busy: TritonPanel) -> None:
    count = busy.row("keeper").locator("td").nth(1)
    first = int(count.inner_text())
    lab.wait(lambda: int(count.inner_text()) > first + 1, "requests to be counted")
    assert lab.is_busy


def test_shared_memory_is_watched_while_a_cell_runs(lab: LabPage, busy: TritonPanel) -> None:
    region = busy.section("Shm").locator("details", has_text="keeper")
    region.wait_for()
    before = region.locator("summary").inner_text()
    lab.wait(lambda: region.locator("summary").inner_text() != before, "memory to be kept")
    assert region.locator("svg rect").count() > 0
    assert region.get_by_role("option").count() > 0
    assert lab.is_busy


def test_replay_from_the_notebooks_toolbar_says_how_it_went(panel: TritonPanel) -> None:
    panel.open(KEEPER, "%triton infer keeper X=[1,2]")
    panel.activate(1)
    panel.notebook_button("replay").click()
    panel.notification("Replay keeper").wait_for()


@pytest.mark.server
def test_push_to_a_real_server_and_back(lab: LabPage, panel: TritonPanel, server: ServerProcess) -> None:
    first, second = model_cell("pushed", "y = x * 2"), model_cell("pushed", "y = x * 5")
    panel.open(first, "%triton infer pushed X=[1,2]", "%triton infer pushed X=[1,2] --on staging", run=2)
    panel.wait_for_state("pushed", "ready")

    lab.command("triton-workbench:connect", url=f"http://{server.http_address}")
    panel.accept()
    panel.section("Servers").get_by_text("staging", exact=True).wait_for()

    for source in (first, second):
        panel.edit(1, source)
        lab.run(1)
        lab.run(2)
        lab.command("triton-workbench:push", model="pushed", server="staging")
        panel.accept()
        panel.notification("Push pushed").first.wait_for()
        lab.page.locator(".Toastify__close-button, .jp-Notification-Toast-Close").first.click()
        panel.notification("Push pushed").first.wait_for(state="detached")
    assert "[5. 10.]" in str(lab.run(3))

    panel.section("Servers").get_by_role("button", name="Roll Back: pushed").click()
    panel.accept()
    panel.notification("Roll Back pushed").first.wait_for()
    assert "[2. 4.]" in str(lab.run(3))


def test_trace_is_taken_and_read_by_keyboard_while_a_cell_runs(lab: LabPage, busy: TritonPanel) -> None:
    lab.command("triton-workbench:trace-last", model="keeper")
    tree = busy.section("Trace").get_by_role("treegrid")
    tree.wait_for()
    assert tree.get_by_role("row").first.get_attribute("aria-level") == "1"

    def rows_after(key: str) -> int:
        tree.press(key)  # again if JupyterLab has given the focus to the cell that it runs meanwhile
        return tree.get_by_role("row").count()

    lab.wait(lambda: rows_after("ArrowLeft") == 1, "the calls to be hidden")
    lab.wait(lambda: rows_after("ArrowRight") > 1, "the calls to be shown")
