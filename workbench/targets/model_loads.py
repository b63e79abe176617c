"""What models load by ``pb_utils.load_model``: known models, those of repositories, and others' files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from workbench.errors import ModelConfigError, ModelLoadError, WorkbenchError
from workbench.model_config import ModelConfig
from workbench.session.workbench import Workbench
from workbench.targets.live_sources import Known, from_files
from workbench.targets.model_folders import ModelFolders

__all__ = ["ModelLoads"]


class _Load(Protocol):
    def __call__(self, name: str, known: Known, *, remember: bool = True) -> Any: ...


class ModelLoads:
    """Loads models for models.

    Args:
        workbench: The session.
        folders: Where models lie.
        known: What each model was last made from.
        load: Loads one; ``remember``: this is what it is from now on.
    """

    def __init__(
        self, workbench: Workbench, folders: ModelFolders, known: Mapping[str, Known], load: _Load
    ) -> None:
        self._workbench = workbench
        self._folders = folders
        self._known = known
        self._load = load
        #: Models loaded with another configuration or other files than their own.
        self.overridden: set[str] = set()

    def load(self, name: str, config: str, files: Mapping[str, bytes]) -> bool:
        """Load a model by name.

        Args:
            name: The model.
            config: A configuration in place of its own, as JSON; "" for none.
            files: ``file:<path>`` → content, in place of its folder.

        Returns:
            Whether there is such a model.

        Raises:
            WorkbenchError: it does not load; the text is what a server says.
        """
        known = self._known.get(name)
        if known is None:
            folder = self._folders.find_model(name)
            known = Known(folder, None, {}) if folder is not None else None
        if files and not config:
            raise WorkbenchError(
                f"failed to load '{name}', override model directory requires a model configuration: give "
                "config with files"
            )
        if known is None and not files:
            return False
        try:
            if not config:
                assert known is not None
                if not self._is_current(name, known):
                    self._load(name, known)
                return True
            override = ModelConfig.from_json(config, name=name)
            if files:
                known = from_files(override, files, known.backend_config if known else {})
            assert known is not None
            self._load(name, replace(known, config=override), remember=False)
            self.overridden.add(name)
        except ModelLoadError as error:
            raise WorkbenchError(
                f"load failed for model '{name}': version {known.version if known else 1} is at UNAVAILABLE "
                f"state: Internal: {error.cause};\n"
            ) from None
        except ModelConfigError as error:
            raise WorkbenchError(f"failed to load '{name}': {error}") from None
        return True

    def _is_current(self, name: str, known: Known) -> bool:
        """Whether what serves is what a load would bring: then a server does nothing."""
        host = self._workbench.find(name)
        if host is None or host.state != "READY" or host.failure is not None or name in self.overridden:
            return False
        if not isinstance(known.source, Path):
            return True
        try:
            text = host.entry.code_file.read_text(encoding="utf-8")
        except OSError:
            return False
        return text == host.entry.source.text
