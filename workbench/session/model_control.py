"""``pb_utils.load_model``, ``unload_model`` and ``is_model_ready``, for the models of this session."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench import _host
    from workbench.session.model_host import ModelHost

__all__ = ["ModelControl"]


class ModelControl:
    """Texts of refusals: pb_utils contract §2.11; the stub puts who asked in front."""

    def __init__(
        self,
        find: Callable[[str], ModelHost | None],
        load: Callable[[str, str, Mapping[str, bytes]], bool],
        is_ready: Callable[[str, int], bool],
    ) -> None:
        """Take how to find a model, how to load one by name (False for an unknown name), and whether a
        version (-1: any) is ready.
        """
        self._find = find
        self._load = load
        self._is_ready = is_ready

    def handle(self, call: _host.ControlCall) -> bool | None:
        """Do what the call says. Raises WorkbenchError to refuse."""
        if call.operation == "load":
            self._load_model(call.model_name, call.config, call.files)
            return None
        if call.operation == "unload":
            self._unload(call.model_name)
            return None
        return self._ready(call.model_name, call.model_version)

    def _load_model(self, name: str, config: str, files: Mapping[str, bytes]) -> None:
        if not self._load(name, config, files):
            raise WorkbenchError(f"failed to load '{name}', failed to poll from model repository")

    def _unload(self, name: str) -> None:
        host = self._find(name)
        if host is not None:
            # As on a server it goes on after the call has returned; the caller may be the model itself.
            threading.Thread(target=host.unload, name=f"workbench-unload-{name}", daemon=True).start()

    def _ready(self, name: str, version: str) -> bool:
        wanted = -1
        if version:
            try:
                wanted = int(version)
            except ValueError:
                raise WorkbenchError(
                    f"failed to get model version from specified version string '{version}' (details: stol), "
                    "version should be an integral value > 0"
                ) from None
            if wanted < 0:
                raise WorkbenchError(
                    f"failed to get model version from specified version string '{version}', "
                    "version should be an integral value > 0"
                )
        return self._is_ready(name, wanted)
