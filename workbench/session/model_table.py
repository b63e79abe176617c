"""Models as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from workbench import preview
from workbench.errors import WorkbenchError
from workbench.model_config import ModelConfig

if TYPE_CHECKING:
    from workbench.session.mocks import MockModel
    from workbench.session.model import Model
    from workbench.session.workbench import Workbench

__all__ = ["HEAD", "ModelTable", "signature"]

#: Of the columns of a model's row.
HEAD = ["model", "state", "target", "source", "signature"]


class ModelTable(Mapping[str, "Model"]):
    """Models by name, shown as a table."""

    def __init__(self, models: Sequence[Model | MockModel], workbench: Workbench | None = None) -> None:
        self._models = {each.name: each for each in models}
        self._workbench = workbench

    def __getitem__(self, name: str) -> Model:
        return cast("Model", self._models[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def view(self) -> None:
        """Display the models of the session as they change, with what can be done with each."""
        from workbench.widgets.models_view import show

        if self._workbench is None:
            raise WorkbenchError("these models belong to no session", hint="%triton models")
        show(self, self._workbench)

    def _rows(self) -> list[list[str]]:
        return [each.summary() for each in self._models.values()]

    def __repr__(self) -> str:
        if not self._models:
            return "Models: none; a %%triton model cell defines one"
        return "\n".join([f"Models: {len(self)}", *preview.columns(self._rows())])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self), preview.html_table(self._rows(), HEAD, caption="Models"))


def signature(config: ModelConfig) -> str:
    """Inputs and outputs on one line, and what is special: ``in: A FP32[4]  out: SUM FP32[4]``."""
    inputs = ", ".join(map(str, config.inputs)) or "-"
    outputs = ", ".join(map(str, config.outputs)) or "-"
    extra = []
    if config.max_batch_size:
        extra.append(f"max batch {config.max_batch_size}")
    if len(config.instances) > 1:
        extra.append(f"{len(config.instances)} instances")
    if config.decoupled:
        extra.append("decoupled")
    return "  ".join([f"in: {inputs}", f"out: {outputs}", *([", ".join(extra)] if extra else [])])
