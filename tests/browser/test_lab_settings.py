"""Settings take effect while the page is open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.lab_page import LabPage
from tests.support.triton_panel import LOAD, TritonPanel, model_cell

HALVE = model_cell("halve", "y = x / 2")
TRACE = "%triton trace halve X=[1,2]"
# The settings as the extension was given them by JupyterLab: setting one is what the settings editor does.
_SOURCE = """[...jupyterapp.shell.widgets('left')].find(each => each.id === 'triton-workbench-panel')
  .context.follower.settings.source"""


class Settings:
    def __init__(self, lab: LabPage) -> None:
        self._lab = lab
        self._changed: set[str] = set()

    def __setitem__(self, name: str, value: Any) -> None:
        self._changed.add(name)
        self._lab.page.evaluate(f"([name, value]) => {_SOURCE}.set(name, value)", [name, value])

    def reset(self) -> None:
        for name in self._changed:
            self._lab.page.evaluate(f"name => {_SOURCE}.remove(name)", name)


@pytest.fixture
def settings(lab: LabPage) -> Iterator[Settings]:
    settings = Settings(lab)
    yield settings
    settings.reset()


def test_what_is_shown_follows_the_settings(lab: LabPage, panel: TritonPanel, settings: Settings) -> None:
    panel.open(HALVE, TRACE, TRACE)
    panel.wait_for_mark(1, "ready")
    status = lab.page.locator(".jp-TritonStatus")
    trace = panel.section("Trace")
    durations = trace.locator(".jp-TritonTrace-duration")
    lab.wait(lambda: trace.locator("option").count() == 2, "two traces")

    settings["showCellMarks"] = False
    panel.wait_for_mark(1, None)
    settings["showStatusBar"] = False
    lab.wait(lambda: not status.is_visible(), "the status bar to be without it")
    settings["timeUnit"] = "us"
    lab.wait(lambda: durations.first.inner_text().endswith("µs"), "durations in microseconds")
    settings["timeUnit"] = "s"
    lab.wait(lambda: durations.first.inner_text().endswith(" s"), "durations in seconds")
    settings["maxTraces"] = 1
    lab.wait(lambda: trace.locator("option").count() == 1, "one trace")

    settings["showCellMarks"] = True
    panel.wait_for_mark(1, "ready")
    settings["showStatusBar"] = True
    lab.wait(status.is_visible, "the status bar to show it")


def test_attaching_follows_the_setting(lab: LabPage, panel: TritonPanel, settings: Settings) -> None:
    lab.open_cells("value = 1", name="first.ipynb")
    panel.show()
    settings["autoAttach"] = False
    lab.open_cells(LOAD, HALVE, name="second.ipynb")
    lab.run(0)
    lab.run(1)
    lab.page.wait_for_timeout(1000)
    assert panel.status == "Triton"
    assert panel.node.get_by_role("button", name="Load Extension in Kernel").is_visible()

    settings["autoAttach"] = True
    panel.wait_for_state("halve", "ready")


def test_the_settings_editor_works_on_the_open_page(lab: LabPage, panel: TritonPanel) -> None:
    lab.open_cells("value = 1")
    panel.show()
    lab.command("settingeditor:open", query="Triton")
    switch = lab.page.locator(".jp-SettingsPanel").get_by_label("Show in the status bar")
    switch.uncheck()
    lab.wait(lambda: not lab.page.locator(".jp-TritonStatus").is_visible(), "the status bar to be without it")
    switch.check()
    lab.wait(lab.page.locator(".jp-TritonStatus").is_visible, "the status bar to show it")
