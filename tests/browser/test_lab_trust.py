"""A notebook that came from elsewhere: nothing is done in its kernel before the user trusts it."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.support.lab_page import LabPage
from tests.support.triton_panel import TritonPanel, model_cell

LOAD_COMMAND = "triton-workbench:load"
NEGATE = model_cell("negate", "y = -x")


def is_enabled(lab: LabPage, command: str, **arguments: str) -> bool:
    question = "([name, args]) => jupyterapp.commands.isEnabled(name, args)"
    return bool(lab.page.evaluate(question, [command, arguments]))


def trust(lab: LabPage, panel: TritonPanel) -> None:
    panel.node.get_by_role("button", name="Trust Notebook").click()
    panel.accept()


def test_the_extension_is_not_loaded_for_a_notebook_without_trust(lab: LabPage, panel: TritonPanel) -> None:
    lab.open_cells("value = 'never run'", trusted=False)
    panel.show()
    load = panel.node.get_by_role("button", name="Load Extension in Kernel")
    expect(panel.node).to_contain_text("not trusted")
    assert load.count() == 0
    assert not is_enabled(lab, LOAD_COMMAND)
    assert lab.page.evaluate("name => jupyterapp.commands.caption(name)", LOAD_COMMAND).startswith("Trust")

    trust(lab, panel)
    load.click()
    panel.wait_for_status("Triton 0 ready")


def test_one_cell_without_trust_keeps_actions_off(lab: LabPage, panel: TritonPanel) -> None:
    panel.open(NEGATE, "value = 'never run, and without outputs'", run=1, trusted=False)
    panel.wait_for_state("negate", "ready")  # it is shown
    assert not is_enabled(lab, "triton-workbench:reload", model="negate")
    lab.command("triton-workbench:reload", model="negate")  # as a program may, past its being off
    panel.notification("Reload Model: Trust the notebook first").wait_for()
    assert panel.notification("Reload Model").count() == 1

    trust(lab, panel)
    lab.wait(lambda: is_enabled(lab, "triton-workbench:reload", model="negate"), "actions to be on")
    lab.wait(lambda: "not trusted" not in panel.node.inner_text(), "the notice to go")


def test_what_the_user_wrote_or_ran_is_trusted(lab: LabPage, panel: TritonPanel) -> None:
    panel.open(NEGATE + "# mine", trusted=False)
    lab.command("notebook:insert-cell-below")
    panel.wait_for_state("negate", "ready")
    lab.wait(lambda: is_enabled(lab, "triton-workbench:reload", model="negate"), "actions to be on")
