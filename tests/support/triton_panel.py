"""The extension's parts on a page of JupyterLab, as a user finds them."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator

from tests.support.lab_page import LabPage

LOAD = "%load_ext workbench"
_EDIT = """([index, text]) => {
  window.jupyterapp.shell.currentWidget.content.widgets[index].model.sharedModel.setSource(text);
}"""
_CURSOR = """() => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  const selection = notebook.activeCell.editor.getSelection();
  return { cell: notebook.activeCellIndex, line: selection.start.line + 1 };
}"""
_ACTIVATE = """index => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  notebook.activeCellIndex = index;
  notebook.scrollToItem(index);
}"""


def model_cell(name: str, body: str) -> str:
    """A cell with a model that has one input and one output; `body` is what execute does with `x`.

    The body's first line is line 7 of the cell.
    """
    lines = "\n".join("                " + line for line in body.splitlines())
    return f"""%%triton model {name} --in X:FP32[-1] --out Y:FP32[-1]
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        def answer(request):
                x = pb_utils.get_input_tensor_by_name(request, "X").as_numpy()
{lines}
                return pb_utils.InferenceResponse([pb_utils.Tensor("Y", y)])
        return [answer(request) for request in requests]
"""


class TritonPanel:
    """Panel, status bar, marks and toolbars of the extension in one page."""

    def __init__(self, lab: LabPage) -> None:
        self.lab = lab
        self.node = lab.page.locator("#triton-workbench-panel")

    def show(self) -> None:
        self.lab.command("triton-workbench:show-panel")
        self.node.wait_for()

    def open(
        self, *cells: str, run: int | None = None, name: str = "test.ipynb", trusted: bool = True
    ) -> None:
        """Show a new notebook beside the panel: its first cell, 0, loads the extension, `cells` follow.

        Args:
            cells: The others.
            run: How many of the others are run after the first; all by default.
            name, trusted: As for `LabPage.open_cells`.
        """
        self.lab.open_cells(LOAD, *cells, name=name, trusted=trusted)
        self.show()
        for index in range(1 + (len(cells) if run is None else run)):
            self.lab.run(index)

    def section(self, name: str) -> Locator:
        """``Models``, ``Trace``, ``Shm``, ``Servers`` or ``Logs``, opened."""
        found = self.node.locator(f".jp-Triton{name}")
        if not found.is_visible():
            title = {"Shm": "Shared Memory"}.get(name, name)
            self.node.locator(".jp-AccordionPanel-title", has_text=title).first.click()
            found.wait_for()
        return found

    def row(self, model: str) -> Locator:
        return self.section("Models").locator(f'tr[data-triton-model="{model}"]')

    def wait_for_state(self, model: str, state: str) -> None:
        """Until the row of a model says `state`, word for word."""
        mark = self.row(model).locator(".jp-TritonState")
        self.lab.wait(
            lambda: mark.count() == 1 and mark.inner_text().split(maxsplit=1)[1] == state,
            f"{model} to be {state}",
        )

    @property
    def status(self) -> str:
        """The status bar's words."""
        return self.lab.page.locator(".jp-TritonStatus-button").inner_text()

    def wait_for_status(self, text: str) -> None:
        self.lab.wait(lambda: self.status == text, f"the status bar to say {text!r}")

    def mark(self, index: int) -> str | None:
        """The mark beside the cell at `index` of the focused notebook."""
        cell = self.lab.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell").nth(index)
        node = cell.locator("> .jp-TritonMark")
        return node.get_attribute("data-mark") if node.count() else None

    def wait_for_mark(self, index: int, mark: str | None) -> None:
        self.lab.wait(lambda: self.mark(index) == mark, f"the mark {mark} beside cell {index}")

    def edit(self, index: int, text: str) -> None:
        self.lab.page.evaluate(_EDIT, [index, text])

    def activate(self, index: int) -> None:
        self.lab.page.evaluate(_ACTIVATE, index)

    def cell_button(self, command: str) -> Locator:
        """A button of the active cell's toolbar."""
        return self.lab.page.locator(
            ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-cell-toolbar "
            f'[data-command="triton-workbench:{command}"]'
        )

    def notebook_button(self, command: str) -> Locator:
        return self.lab.page.locator(
            ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-NotebookPanel-toolbar "
            f'[data-command="triton-workbench:{command}"]'
        )

    def notification(self, text: str) -> Locator:
        return self.lab.page.locator(".Toastify__toast", has_text=text)

    def accept(self) -> None:
        """Press the button of the open dialog that goes on."""
        self.lab.page.locator(".jp-Dialog button.jp-mod-accept, .jp-Dialog button.jp-mod-warn").click()
        self.lab.page.locator(".jp-Dialog").wait_for(state="detached")

    def cursor(self) -> dict[str, Any]:
        """The active cell's index and the line (from 1) that is selected in it."""
        return dict(self.lab.page.evaluate(_CURSOR))
