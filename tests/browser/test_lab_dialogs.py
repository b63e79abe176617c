"""Dialogs: what they ask for, and what they say about what is missing."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.support.lab_page import LabPage
from tests.support.triton_panel import LOAD, TritonPanel, model_cell


@pytest.fixture
def dialog(lab: LabPage, panel: TritonPanel) -> Locator:
    """The dialog of "Connect to Server..."."""
    panel.open()
    panel.wait_for_status("Triton 0 ready")
    lab.command("triton-workbench:connect", url="http://127.0.0.1:9")
    return lab.page.locator(".jp-Dialog")


@pytest.mark.parametrize("by", ["Enter", "button"])
def test_an_empty_field_that_is_needed_is_named(lab: LabPage, dialog: Locator, by: str) -> None:
    address, name = dialog.get_by_label("Address"), dialog.get_by_label("Name", exact=True)
    name.fill("")
    address.fill("  ")
    if by == "Enter":
        address.press("Enter")
    else:
        dialog.get_by_role("button", name="Connect").click()

    expect(dialog.get_by_role("alert").first).to_have_text("Address must not be empty")
    expect(dialog.get_by_role("alert").nth(1)).to_have_text("Name must not be empty")
    expect(address).to_have_attribute("aria-invalid", "true")
    expect(address).to_be_focused()

    address.fill("http://127.0.0.1:9")
    expect(dialog.get_by_role("alert").first).to_have_text("")
    name.fill("nobody")
    name.press("Enter")
    dialog.wait_for(state="detached")
    TritonPanel(lab).notification("ServerUnreachable").wait_for()


def test_a_dialog_with_an_empty_field_can_be_left(dialog: Locator) -> None:
    dialog.get_by_label("Address").fill("")
    dialog.get_by_label("Address").press("Enter")
    dialog.get_by_role("button", name="Cancel").click()
    dialog.wait_for(state="detached")


def test_commands_that_ask_first_say_so(lab: LabPage, panel: TritonPanel) -> None:
    panel.open(model_cell("gone", "y = x"))
    panel.wait_for_state("gone", "ready")
    for name in ("unload", "stop-all", "export", "verify", "connect"):
        command = f"triton-workbench:{name}"
        assert lab.page.evaluate("name => jupyterapp.commands.label(name)", command).endswith("...")
        lab.command(command, model="gone")
        lab.page.locator(".jp-Dialog").wait_for()
        lab.page.keyboard.press("Escape")
        lab.page.locator(".jp-Dialog").wait_for(state="detached")


def test_arguments_fill_the_fields(lab: LabPage, dialog: Locator) -> None:
    lab.page.keyboard.press("Escape")
    given = {"url": "http://127.0.0.1:9", "name": "prod", "header": "Authorization=TOKEN", "protect": True}
    lab.command("triton-workbench:connect", **given)
    for label, value in (
        ("Address", given["url"]),
        ("Name", "prod"),
        ("Header from a variable", given["header"]),
    ):
        expect(dialog.get_by_label(label, exact=True)).to_have_value(str(value))
    expect(dialog.get_by_label("Protect from pushes by mistake")).to_be_checked()
    lab.page.keyboard.press("Escape")

    lab.command("triton-workbench:export", model="any", dir="out", release="24.10", stub=True)
    expect(dialog.get_by_label("Folder")).to_have_value("out")
    expect(dialog.get_by_label("For Triton release")).to_have_value("24.10")
    expect(dialog.get_by_label("With a stub process of ours")).to_be_checked()


def test_the_documentation_is_said_to_be_where_it_is(lab: LabPage, panel: TritonPanel) -> None:
    lab.open_cells(LOAD, "%triton", "%triton infer --help", "import workbench; help(workbench)")
    panel.show()
    lab.command("triton-workbench:open-documentation")
    words = lab.page.locator(".jp-Dialog pre")
    expect(words).to_contain_text("%triton infer --help")
    expect(words).to_contain_text("import workbench; help(workbench)")
    lab.page.keyboard.press("Escape")
    for cell in range(4):  # what it names is there
        assert all(each["output_type"] != "error" for each in lab.run(cell))
