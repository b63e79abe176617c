"""ModelsView: the models of this kernel, and what can be done with one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.session.logs import OUTPUT_TO_LOGS
from workbench.session.model_data import models_data
from workbench.widgets.base import View, module, style

if TYPE_CHECKING:
    from workbench.session.model import Model
    from workbench.session.model_table import ModelTable
    from workbench.session.workbench import Workbench

__all__ = ["ModelsView", "show"]

_MOST = 100  # rows


class ModelsView(View):
    """The table follows the session while it is on a screen. Actions run in a thread of their own."""

    _esm = module("models_view")
    _css = style("models_view")

    def __init__(self, table: ModelTable, workbench: Workbench) -> None:
        """
        Args:
            table: What is shown where widgets are not.
            workbench: Whose models are followed.
        """
        self._workbench = workbench
        self._busy: dict[str, str] = {}  # model: what is being done with it
        self._message = ""
        self._changed = True
        self._end = workbench.changes.subscribe(lambda name, error: self._change())
        super().__init__(table._repr_mimebundle_(), self._data(), self._next)
        if hasattr(self.comm, "_reply_subshell_for"):
            # ipykernel delivers a page's messages to the shell that sent on the comm last: that of the cell,
            # which may be busy. Where the page sends them is where they shall be served.
            self.comm._reply_subshell_for = lambda data, default: default

    def close(self) -> None:
        self._end()
        super().close()

    def act(self, kind: str, content: Mapping[str, Any]) -> None:
        action = _ACTIONS.get(kind)
        name = str(content.get("model", ""))
        if action is None or name in self._busy or name not in self._workbench.models:
            return
        self._busy[name] = kind
        self._change()
        thread = threading.Thread(
            target=self._run, args=(name, action), name=f"workbench-{kind}", daemon=True
        )
        thread.start()

    def _run(self, name: str, action: Callable[[Model], str]) -> None:
        OUTPUT_TO_LOGS.set(True)  # no cell asked for what models print now
        try:
            message = action(self._workbench.model(name))
        except WorkbenchError as error:
            message = "\n".join(error.render())
        finally:
            self._busy.pop(name, None)
        self._message = message
        self._change()

    def _change(self) -> None:
        self._changed = True

    def _next(self) -> dict[str, Any] | None:
        if not self._changed:
            return None
        return self._data()

    def _data(self) -> dict[str, Any]:
        self._changed = False  # before looking: what changes meanwhile is looked at again
        models = models_data(self._workbench)
        return {
            "models": models[:_MOST],
            "more": len(models[_MOST:]),
            "ready": sum(each["state"] == "READY" for each in models),
            "busy": dict(self._busy),
            "message": self._message,
        }


def _unload(model: Model) -> str:
    model.unload()
    return f"{model.name} is unloaded"


_ACTIONS: dict[str, Callable[[Any], str]] = {
    "reload": lambda model: repr(model.reload()),
    "replay": lambda model: repr(model.replay()),
    "unload": _unload,
}


def show(table: ModelTable, workbench: Workbench) -> None:
    """Display the models of a session."""
    from IPython.display import display

    display(ModelsView(table, workbench))
