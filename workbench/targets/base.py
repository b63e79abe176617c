"""What every place a model can run in offers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from workbench.messages import InferResult
from workbench.model_config import ModelConfig
from workbench.model_source import ModelSource

__all__ = ["Target"]


class Target(Protocol):
    """A place models run in: live stubs, a server we start, a server elsewhere."""

    @property
    def name(self) -> str:
        """``live``, ``local``, or what a connected server is called."""

    def load(self, name: str, source: ModelSource | None, config: ModelConfig | None) -> None:
        """Load or load again. Raises ModelLoadError; what served before goes on serving."""

    def unload(self, name: str) -> None: ...
    def ready(self, name: str) -> bool: ...
    def metadata(self, name: str) -> dict[str, Any]:
        """KServe model metadata: name, versions, platform, inputs, outputs."""

    def config(self, name: str) -> ModelConfig: ...
    def infer(self, name: str, inputs: Mapping[str, Any], /, **options: Any) -> InferResult: ...
    def stream(self, name: str, inputs: Mapping[str, Any], /, **options: Any) -> Iterator[InferResult]: ...
    def statistics(self, name: str) -> dict[str, int]:
        """Counts since the model was loaded: ``success``, ``failure``."""

    def logs(self, name: str, count: int = 50) -> Sequence[str]: ...
    def index(self) -> list[dict[str, Any]]:
        """Models as a repository index has them: name, version, state, reason."""

    def metrics(self) -> str:
        """Metrics as Prometheus text."""
