"""A page of JupyterLab, driven as a user would, with waits that hold.

Two rules, learnt from failures. The notebook's idle sign is shown before its kernel is connected, so the
kernel is asked itself. And the promise of a JupyterLab command is never awaited: a dialog would hold it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
from playwright.sync_api import Locator, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.support.lab_server import LabServer

PATIENCE_S = 90.0
ARTIFACTS = Path(__file__).resolve().parents[2] / "build" / "artifacts"

#: The focused notebook's kernel, in a script.
KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
# It is there, connected and idle.
_KERNEL_IS_IDLE = """async () => {
  const panel = window.jupyterapp?.shell.currentWidget;
  if (!panel?.sessionContext) return false;
  await panel.sessionContext.ready;
  const kernel = panel.sessionContext.session?.kernel;
  if (!kernel || kernel.connectionStatus !== 'connected') return false;
  await kernel.info;
  return kernel.status === 'idle';
}"""
_RUN_CELL = """index => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  notebook.activeCellIndex = index;
  notebook.deselectAll();
  window.jupyterapp.commands.execute('notebook:run-cell');
}"""
# A cell that has run has a number, and its outputs are all there once the kernel is idle again.
_CELL = """index => {
  const cell = window.jupyterapp.shell.currentWidget.content.widgets[index].model.sharedModel;
  const outputs = cell.outputs.map(each => each.toJSON?.() ?? each);
  return { count: cell.execution_count, state: cell.executionState, outputs };
}"""


class LabPage:
    """JupyterLab in a browser.

    Attributes:
        page: Playwright's page, for whatever has no helper here.
        server: The server behind it.
    """

    def __init__(self, page: Page, server: LabServer) -> None:
        self.page = page
        self.server = server
        page.set_default_timeout(PATIENCE_S * 1000)

    # -- notebooks -----------------------------------------------------------------------------------------

    def open(self, notebook: Path, name: str | None = None) -> None:
        """Open a fresh copy of a notebook file, without its outputs, and wait for its kernel."""
        content = nbformat.read(notebook, as_version=4)
        for cell in content.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        self._open(content, name or notebook.name)

    def open_cells(self, *sources: str, name: str = "test.ipynb", trusted: bool = True) -> None:
        """Open a new notebook of these code cells, and wait for its kernel.

        Args:
            sources: The cells.
            name: The file's name.
            trusted: Whether the file was saved by JupyterLab here, or came from elsewhere.
        """
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        self._open(nbformat.v4.new_notebook(cells=cells, metadata=kernel), name, trusted)

    def _open(self, content: Any, name: str, trusted: bool = True) -> None:
        if trusted:
            saved = {"type": "notebook", "format": "json", "content": content}
            self.server.request("PUT", f"contents/{quote(name)}", saved)
        else:
            nbformat.write(content, self.server.notebooks / name)
        if self.page.url.startswith(self.server.url):
            self.page.evaluate(
                "path => { window.jupyterapp.commands.execute('docmanager:open', { path }); }", name
            )
        else:
            address = f"{self.server.url}{self.server.page}/{quote(name)}"
            self.page.goto(f"{address}?token={self.server.token}&reset")
        self.wait(
            lambda: self.page.evaluate("() => window.jupyterapp?.shell.currentWidget?.context?.path") == name,
            f"{name} to be opened",
        )
        self.wait_for_kernel()

    def wait_for_kernel(self) -> None:
        """Until the focused notebook's kernel is connected and idle."""
        self.wait(lambda: bool(self.page.evaluate(_KERNEL_IS_IDLE)), "the kernel to be idle")

    def start(self, index: int) -> None:
        """Start the cell at `index` of the focused notebook, and do not wait for it."""
        self.page.evaluate(_RUN_CELL, index)

    def run(self, index: int) -> list[dict[str, Any]]:
        """Run the cell at `index` and return its outputs, errors included."""
        before = self._cell(index)["count"]
        self.start(index)
        self.wait(
            lambda: (now := self._cell(index))["count"] not in (None, before) and now["state"] != "running",
            f"cell {index} to run",
        )
        self.wait_for_kernel()
        return self.outputs(index)

    def run_all(self) -> list[list[dict[str, Any]]]:
        """Run the code cells one after the other; the outputs of each."""
        kinds = self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.content.widgets.map(each => each.model.type)"
        )
        return [self.run(index) for index, kind in enumerate(kinds) if kind == "code"]

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """The outputs of the cell at `index`, as they would be saved."""
        return list(self._cell(index)["outputs"])

    def output_area(self, index: int) -> Locator:
        """Where the outputs of the cell at `index` are shown."""
        return (
            self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell")
            .nth(index)
            .locator(".jp-Cell-outputArea")
        )

    @property
    def is_busy(self) -> bool:
        """Whether the focused notebook's kernel runs a cell."""
        return bool(self.page.evaluate(f"() => {KERNEL}.status === 'busy'"))

    def restart_kernel(self) -> None:
        """Restart the focused notebook's kernel and wait for it."""
        self.page.evaluate(f"() => {{ {KERNEL}.restart(); }}")
        self.wait(lambda: not self.page.evaluate(_KERNEL_IS_IDLE), "the kernel to go")
        self.wait_for_kernel()

    def _cell(self, index: int) -> dict[str, Any]:
        return dict(self.page.evaluate(_CELL, index))

    # -- the rest ------------------------------------------------------------------------------------------

    def command(self, name: str, /, **arguments: Any) -> None:
        """Start a JupyterLab command; wait for its effect yourself."""
        self.page.evaluate(
            "([name, args]) => { window.jupyterapp.commands.execute(name, args); }", [name, arguments]
        )

    def theme(self, name: str) -> None:
        """Switch to a theme by its name, ``JupyterLab Dark`` for one."""
        self.command("apputils:change-theme", theme=name)
        self.page.wait_for_function(
            "name => document.body.dataset.jpThemeName === name", arg=name, timeout=PATIENCE_S * 1000
        )

    def wait(self, condition: Callable[[], bool], what: str, patience: float = PATIENCE_S) -> None:
        """Until a condition holds. Raises AssertionError that names it, with the server's last words."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            try:
                if condition():
                    return
            except PlaywrightTimeout:
                pass
            self.page.wait_for_timeout(50)
        log = self.server.log.read_text()[-2000:]
        self.screenshot("waited-in-vain")
        raise AssertionError(f"waited {patience:.0f} s for {what}; the server's log ends\n{log}")

    def screenshot(self, name: str, of: Locator | None = None) -> Path:
        """A picture of the page, or of a part, in ``build/artifacts/NAME.png``."""
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        path = ARTIFACTS / f"{name}.png"
        (of or self.page).screenshot(path=path, animations="disabled")
        return path
