"""``infer --stream``: each response under the cell as it comes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workbench import preview
from workbench.messages import InferResponse, InferResult

if TYPE_CHECKING:
    from workbench.session.model import Model

__all__ = ["StreamedResult", "infer_streamed"]


class StreamedResult(InferResult):
    """All responses of a request. In the cell that printed them as they came it shows its head only."""

    __slots__ = ("_is_printing_cell",)

    def __init__(self, model: str, request_id: str, is_printing_cell: Callable[[], bool]) -> None:
        super().__init__(model, [], request_id=request_id)
        self._is_printing_cell = is_printing_cell

    def add(self, result: InferResult) -> InferResponse:
        """Take over the response of a result that has one."""
        self.responses.append(result.responses[0])
        self._declared = result._declared
        return self.responses[-1]

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        if self._is_printing_cell():
            return preview.mimebundle(repr(self).split("\n", 1)[0])
        return super()._repr_mimebundle_(**options)


def infer_streamed(
    model: Model, inputs: Mapping[str, Any], options: Mapping[str, Any], is_printing_cell: Callable[[], bool]
) -> StreamedResult:
    """Send a request, print each response when it comes.

    Raises:
        What `Model.stream` raises, after the responses that came before it were printed.
    """
    whole = StreamedResult(model.name, options.get("request_id", ""), is_printing_cell)
    for each in model.stream(inputs, **options):
        response = whole.add(each)
        rows = [
            [tensor.name, tensor.type_text, preview.format_values(tensor.numpy())]
            for tensor in response.values()
        ]
        for row in rows or [["(no outputs)"]]:
            # One stream per cell, and responses come in order: the output is the same on every run.
            sys.stdout.write(f"[{len(whole.responses) - 1}]  {'  '.join(row)}\n")
    return whole
