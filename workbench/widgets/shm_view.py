"""ShmView: a region as a map of its blocks, and its history."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from workbench.errors import ModelNotFound, WorkbenchError
from workbench.widgets.base import View, module, style

if TYPE_CHECKING:
    from workbench.session.shm import LiveShm
    from workbench.shm_inspect.report import ShmReport

__all__ = ["ShmView", "follow", "show"]

_HISTORY = 240  # points: a minute at the highest rate
_PATIENCE = 240  # looks in a row without a region, before it is given up


class ShmView(View):
    """The map follows the region while it is on a screen. Marks, pause and selection are the page's own."""

    _esm = module("shm_view")
    _css = style("shm_view")

    def __init__(self, report: ShmReport, live: LiveShm | None = None) -> None:
        """
        Args:
            report: What is shown first, and where widgets are not.
            live: Where further reports come from; without it nothing moves.
        """
        self._live = live
        self._began = time.monotonic()
        self._missed = 0
        self._history: deque[list[float]] = deque(maxlen=_HISTORY)
        poll = self._next if live is not None else None
        super().__init__(report._repr_mimebundle_(), self._data(report), poll)

    def _data(self, report: ShmReport) -> dict[str, Any]:
        at = round(time.monotonic() - self._began, 2)
        self._history.append([at, report.capacity, report.in_use])
        return {
            "report": report.to_data(),
            "history": list(self._history),
            "cell": report.cell,
            "live": self._live is not None,
        }

    def _next(self) -> dict[str, Any] | None:
        assert self._live is not None
        try:
            report = self._live.read()
        except ModelNotFound:
            raise RuntimeError("the model is unloaded") from None
        except WorkbenchError:
            # Between two revisions, or while a process is restarted, there may be no region to read.
            self._missed += 1
            if self._missed > _PATIENCE:
                raise
            return None
        self._missed = 0
        return self._data(report)


def follow(live: LiveShm) -> ShmView:
    """A view that follows a live model's region."""
    return ShmView(live.report(), live)


def show(report: ShmReport) -> None:
    """Display a report as a map that stands still."""
    from IPython.display import display

    display(ShmView(report))
