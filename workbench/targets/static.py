"""A target that runs nothing: models become folders, and that is all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry
from workbench.session.model import Model
from workbench.session.model_host import ModelHost, nothing_declared
from workbench.session.settings import Settings
from workbench.session.workbench import Workbench
from workbench.targets.live import LiveTarget

__all__ = ["static_target"]


def static_target(folder: Path) -> LiveTarget:
    """A live target whose models are written into `folder` and never started: what it makes of sources,
    signatures and configurations is what a kernel would make of them.
    """
    return _StaticTarget(_StaticWorkbench(folder))


class _StaticTarget(LiveTarget):
    def _begin_watch(self, *args: Any) -> None:
        """Nothing runs that a saved file could take the place of."""


class _StaticHost(ModelHost):
    """A model that is kept, not served."""

    def __init__(self, entry: ModelEntry) -> None:
        super().__init__(entry.name)
        self._kept = entry

    @property
    def config(self) -> ModelConfig:
        return self._kept.config

    @property
    def entry(self) -> ModelEntry:
        return self._kept


class _StaticWorkbench(Workbench):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._kept_in = folder

    @property
    def folder(self) -> Path:
        return self._kept_in

    def load(
        self, entry: ModelEntry, *, discard: Callable[[ModelEntry], None], settings: Settings | None = None
    ) -> Model:
        if entry.config.declares_nothing and not (
            entry.config.is_ensemble or entry.source.mentions_auto_complete
        ):
            raise nothing_declared(entry.name)
        self.hosts[entry.name] = _StaticHost(entry)
        return Model(self, entry.name)

    def close(self) -> Any:
        """There is nothing to stop; the folder is the caller's."""
