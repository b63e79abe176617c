"""LogWidget: what models log, as it comes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from workbench.widgets.base import View, module, style

if TYPE_CHECKING:
    from workbench.session.log_view import LogView

__all__ = ["LogWidget", "show"]

_MOST_LINES = 500
_MOST_BYTES = 90_000
_MOST_TEXT = 400  # characters of one line
_LEVELS = ("verbose", "info", "warning", "error")


class LogWidget(View):
    """Lines of one model or of all, followed while it is on a screen. The level is chosen in the page."""

    _esm = module("log_view")
    _css = style("log_view")

    def __init__(self, logs: LogView) -> None:
        """
        Args:
            logs: What is shown where widgets are not; its model and level are where the view begins.
        """
        self._ring = logs.ring
        self._model = logs.model
        self._level = logs.level
        self._changed = True
        self._end = self._ring.subscribe(lambda record: self._change())
        super().__init__(logs._repr_mimebundle_(), self._data(), self._next)

    def close(self) -> None:
        self._end()
        super().close()

    def _change(self) -> None:
        self._changed = True

    def _next(self) -> dict[str, Any] | None:
        return self._data() if self._changed else None

    def _data(self) -> dict[str, Any]:
        from workbench.session.log_view import LogView

        self._changed = False  # before looking: what comes meanwhile is looked at again
        found = LogView(self._ring, self._model, _MOST_LINES, _LEVELS[0]).to_data()
        lines: list[dict[str, Any]] = []
        room = _MOST_BYTES
        for each in reversed(found["lines"]):
            if len(each["text"]) > _MOST_TEXT:
                each["text"] = each["text"][: _MOST_TEXT - 1] + "…"
            room -= len(json.dumps(each))
            if room < 0:
                break
            lines.insert(0, each)
        earlier = lines[0]["seq"] - 1 if lines and not self._model else 0
        return {"lines": lines, "earlier": earlier, "model": self._model, "level": self._level}


def show(logs: LogView) -> None:
    """Display lines of the logs, and those to come."""
    from IPython.display import display

    display(LogWidget(logs))
