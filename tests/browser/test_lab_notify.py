"""Notifications: what happened away from any output, while cells run too, each with one thing to do."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator

from tests.support.lab_page import LabPage
from tests.support.triton_panel import TritonPanel, model_cell

CRASHES = model_cell("fragile", "import os\nos._exit(3) if x[0] == 7 else None\ny = x")
KEEPER = model_cell("keeper", 'self.kept = [*getattr(self, "kept", []), request]\ny = x * 2')
UNTIL = """while not os.path.exists("enough"):
    time.sleep(0.2)
"""
# Nothing in the output says it: the cell catches the error and runs on.
CAUGHT = f"""import os, time
try:
    r = %triton infer fragile X=[7]
except Exception:
    pass
{UNTIL}"""
# Each crash starts a new process, so the next one can be sent soon. Not at once: JupyterLab takes a while to
# draw its first notification, and shows no change of it that comes before.
AGAIN_AND_AGAIN = """import time
for _ in range(4):
    try:
        r = %triton infer fragile X=[7]
    except Exception:
        pass
    time.sleep(1)
"""
LEAKS = f"import os, time\n{UNTIL}    r = %triton infer keeper X=[1,2]\n"
UNCAUGHT = "%triton infer fragile X=[7]"
# As in an environment that lacks it.
MISSING = """import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "workbench":
            raise ModuleNotFoundError("No module named 'workbench'")
sys.meta_path.insert(0, Missing())
"""
FOCUS = "path => { jupyterapp.commands.execute('docmanager:open', { path }); }"


def actions(toast: Locator) -> list[str]:
    return toast.locator(".jp-toast-button").all_inner_texts()


def test_a_crash_is_told_while_the_cell_runs_on(lab: LabPage, panel: TritonPanel, enough: Path) -> None:
    panel.open(CRASHES, CAUGHT, run=1)
    panel.wait_for_state("fragile", "ready")
    lab.start(2)
    toast = panel.notification("fragile died")
    toast.wait_for()
    assert lab.is_busy
    assert actions(toast) in (["Go to Line"], ["Show Logs"])
    enough.touch()


def test_a_crash_that_the_cells_output_says_is_not_told_again(lab: LabPage, panel: TritonPanel) -> None:
    panel.open(CRASHES, UNCAUGHT, run=1)
    panel.wait_for_state("fragile", "ready")
    assert lab.run(2)[0]["ename"] == "StubCrashedError"
    lab.page.wait_for_timeout(4000)  # the kernel tells of it four times a second, and there are 2 s of grace
    assert panel.notification("fragile died").count() == 0


def test_a_crash_of_a_job_is_told_once(lab: LabPage, panel: TritonPanel) -> None:
    panel.open(CRASHES, UNCAUGHT, run=1)
    lab.run(2)
    lab.command("triton-workbench:replay-error", model="fragile")
    panel.notification("fragile died").first.wait_for()
    lab.page.wait_for_timeout(4000)
    assert panel.notification("fragile died").count() == 1


def test_crashes_in_a_loop_are_told_in_one_notification(lab: LabPage, panel: TritonPanel) -> None:
    panel.open(CRASHES, AGAIN_AND_AGAIN, run=1)
    panel.wait_for_state("fragile", "ready")
    lab.run(2)
    toast = panel.notification("fragile died")
    lab.wait(lambda: "4 crashes" in "".join(toast.all_inner_texts()), "all crashes to be told")
    assert toast.count() == 1


def test_kept_memory_is_told_while_a_cell_runs(lab: LabPage, panel: TritonPanel, enough: Path) -> None:
    panel.open(KEEPER, LEAKS, run=1)
    lab.start(2)
    toast = panel.notification("keeper keeps shared memory")
    toast.wait_for()
    assert lab.is_busy
    assert actions(toast) == ["Show Shared Memory"]
    enough.touch()


def test_an_extension_that_cannot_be_loaded_can_be_tried_again(lab: LabPage, panel: TritonPanel) -> None:
    lab.open_cells(MISSING, "del sys.meta_path[0]")
    panel.show()
    lab.run(0)
    panel.node.get_by_role("button", name="Load Extension in Kernel").click()
    toast = panel.notification("The extension could not be loaded")
    toast.wait_for()
    assert "ModuleNotFoundError" in toast.inner_text()
    assert actions(toast) == ["Try Again"]
    lab.run(1)
    lab.open_cells("value = 'never run'", name="other.ipynb", trusted=False)
    toast.get_by_role("button", name="Try Again").click()  # where it failed, not where the focus is
    lab.page.evaluate(FOCUS, "test.ipynb")
    panel.wait_for_status("Triton 0 ready")
