"""TraceView: a trace as a tree beside a timeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.trace.cut import cut_data
from workbench.trace.files import FORMATS, dumps
from workbench.widgets.base import View, module, style

if TYPE_CHECKING:
    from workbench.trace.trace import Trace

__all__ = ["TraceView", "show"]


class TraceView(View):
    """Tree (left) and timeline (right) of a trace; per call its tensors and its line; search, critical path,
    export.
    """

    _esm = module("trace_view")
    _css = style("trace_view")

    def __init__(self, trace: Trace) -> None:
        super().__init__(trace._repr_mimebundle_(), cut_data(trace.to_data()))
        self._trace = trace

    def act(self, kind: str, content: Mapping[str, Any]) -> None:
        """The buttons: ``export`` sends back the text of a file."""
        if kind == "export" and content.get("format") in FORMATS:
            name = f"{self._trace.model}.{content['format']}.json"
            self.send({"kind": "file", "name": name, "text": dumps(self._trace, content["format"])})


def show(trace: Trace) -> None:
    """Display a trace under the running cell."""
    from IPython.display import display

    display(TraceView(trace))
