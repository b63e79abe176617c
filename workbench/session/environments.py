"""Execution environments of live models: found, unpacked once, and kept as long as the session."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from workbench.environments import Environment, ExecutionEnvironmentError, environment_at, unpack
from workbench.errors import ModelLoadError
from workbench.launch import Launcher, SpawnLauncher, cold_launcher
from workbench.launch.environment import environment_launcher
from workbench.model_source import ModelEntry
from workbench.session import failures

__all__ = ["EnvironmentCache", "wanted_environment"]

_PARAMETER = "EXECUTION_ENV_PATH"
_MACRO = "$$TRITON_MODEL_DIRECTORY"
# Beside the model.py of a Python-based backend: for models that name no environment.
_BACKEND_ARCHIVE = "pb_exec_env_model.py.tar.gz"

_State = tuple[int, int]  # modification time in ns, size


class EnvironmentCache:
    """Environments by the path of their archive. An archive that has changed is unpacked again, into
    another folder: who runs in the old one goes on.
    """

    def __init__(self, folder: Callable[[], Path]) -> None:
        """Take a way to the session's private folder, which is removed with the session."""
        self._folder = folder
        self._lock = threading.Lock()
        self._unpacked: dict[Path, tuple[_State, Environment]] = {}
        self._count = 0

    def launcher(
        self, entry: ModelEntry, release: str, base: Launcher, *, serving: str = ""
    ) -> SpawnLauncher | None:
        """What starts the stubs of a model that has an execution environment; None for any other.

        Args:
            entry: The model.
            release: The Triton release whose way of activating is taken; "" is the newest.
            base: Whose stub it is.
            serving: The revision that goes on answering, for the error.

        Raises:
            ModelLoadError: the environment is not there, is broken, or has another Python than the stub.
        """
        value = wanted_environment(entry)
        if not value:
            return None
        try:
            environment = self._open(value, entry)
            cold = base if isinstance(base, SpawnLauncher) else cold_launcher()
            return environment_launcher(environment, cold, release, entry.path)
        except ExecutionEnvironmentError as error:
            raise ModelLoadError(
                f"{error} ({entry.name}){failures.keeps(serving)}",
                cause=str(error),
                serving=serving,
                hint=error.hint,
            ) from None

    def _open(self, value: str, entry: ModelEntry) -> Environment:
        try:
            path = Path(value.replace(_MACRO, str(entry.path))).resolve(strict=True)
        except (OSError, ValueError):
            raise ExecutionEnvironmentError(
                f"Failed to get the canonical path for {value}.",
                hint=f"write {_PARAMETER} as an absolute path, or {_MACRO}/env.tar.gz",
            ) from None
        if path.is_dir():
            return environment_at(path)
        with self._lock:  # two models that name one archive unpack it once
            status = path.stat()
            state = status.st_mtime_ns, status.st_size
            known = self._unpacked.get(path)
            if known is None or known[0] != state:
                known = self._unpacked[path] = state, self._unpack(path)
            return known[1]

    def _unpack(self, archive: Path) -> Environment:
        root = self._folder() / "environments"
        root.mkdir(mode=0o700, exist_ok=True)
        self._count += 1
        folder = root / str(self._count)
        unpack(archive, folder)
        try:
            return environment_at(folder, name=archive.name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def wanted_environment(entry: ModelEntry) -> str:
    """The path of a model's execution environment as it is written, or "": its own, or that of its
    Python-based backend.
    """
    value = entry.config.parameters.get(_PARAMETER, "")
    if not value and entry.backend_dir is not None:
        archive = entry.backend_dir / _BACKEND_ARCHIVE
        return str(archive) if archive.is_file() else ""
    return value
