"""A request to a model on a server, and what the server's configuration says it must look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench import datatypes
from workbench.messages import InferResult
from workbench.model_config import ModelConfig
from workbench.tensor_spec import TensorSpec

__all__ = ["Encoded", "Prepared", "declared_config"]

#: name, datatype, shape, values
Encoded = tuple[str, str, tuple[int, ...], Any]


@dataclass(frozen=True)
class Prepared:
    """A request to a server's model, checked and encoded: it can be sent more than once."""

    config: ModelConfig
    encoded: tuple[Encoded, ...]
    notes: tuple[str, ...]

    def result(self, responses: Sequence[Any], options: Mapping[str, Any]) -> InferResult:
        """The answer as users see it."""
        return InferResult(
            self.config.name,
            responses,
            declared=self.config.outputs,
            batched=bool(self.config.max_batch_size),
            notes=self.notes,
            request_id=options.get("request_id", ""),
        )


def declared_config(name: str, found: Mapping[str, Any]) -> ModelConfig:
    """Inputs, outputs and what else requests depend on, of any model, Python or not.

    Args:
        name: The model.
        found: Its configuration as a server gives it.
    """

    def specs(key: str) -> list[TensorSpec]:
        return [
            TensorSpec(
                each["name"],
                datatypes.find(each["data_type"]),
                tuple(int(dim) for dim in each["dims"]),
                optional=bool(each.get("optional", False)),
            )
            for each in found.get(key, [])
        ]

    return ModelConfig.from_specs(
        name,
        specs("input"),
        specs("output"),
        max_batch_size=int(found.get("max_batch_size", 0)),
        decoupled=bool(found.get("model_transaction_policy", {}).get("decoupled", False)),
    )
