"""Folders of models and of Python-based backends that a live target knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.errors import ModelConfigError, ModelNotFound
from workbench.model_config import ModelConfig
from workbench.repository import versions_in
from workbench.session.settings import Settings
from workbench.suggest import did_you_mean, listing
from workbench.text_files import read_text

__all__ = ["ModelFolders"]


class ModelFolders:
    """Repositories and backends, in the order they were made known."""

    def __init__(self) -> None:
        #: Folders of models that can be loaded by name.
        self.repositories: list[Path] = []
        #: Python-based backends by name: folders with a model.py.
        self.backends: dict[str, Path] = {}

    def register_backend(self, folder: str | Path, name: str = "") -> str:
        """See `workbench.targets.live.LiveTarget.register_backend`."""
        path = Path(folder).expanduser().resolve()
        name = name or path.name
        if not (path / "model.py").is_file():
            raise ModelConfigError(
                f"the backend {name} has no model.py",
                hint="a Python-based backend is a folder with a model.py",
            )
        if name == "python":
            raise ModelConfigError("python is the Python backend itself", hint="give the folder another name")
        self.backends[name] = path
        return name

    def find_backend(self, name: str, settings: Settings) -> Path | None:
        """A backend's folder: a registered one, else one of the settings' ``backend-directory``."""
        found = self.backends.get(name)
        if found is None and settings.backend_directory:
            folder = Path(settings.backend_directory).expanduser().resolve() / name
            found = folder if (folder / "model.py").is_file() else None
        return found

    def find_model(self, name: str) -> Path | None:
        """The folder of a model in the first repository that has it."""
        folders = (each / name for each in self.repositories)
        return next((each for each in folders if _is_model(each)), None)

    def open_repository(self, folder: str | Path, name: str = "") -> Iterator[Path]:
        """Make a repository known, and give folders of models to load, one after the other: all, or that of
        one name; the models an ensemble consists of come before it.

        Raises:
            ModelNotFound: there is no such model in the folder.
            ModelConfigError: a configuration is wrong.
        """
        root = Path(folder).expanduser().resolve()
        known = sorted(each.name for each in root.iterdir() if _is_model(each)) if root.is_dir() else []
        if name and name not in known:
            raise ModelNotFound(
                f"no model {name!r} in {root.name}{did_you_mean(name, known)}; {listing(known)}",
                hint="a model is a folder with config.pbtxt, or with 1/model.py",
            )
        if not known:
            raise ModelNotFound(f"{root.name} is no model repository: no folder in it is a model")
        if root not in self.repositories:
            self.repositories.append(root)
        given: set[str] = set()
        for each in [name] if name else known:
            yield from _with_steps(root, each, given, ())


def _with_steps(root: Path, name: str, given: set[str], above: tuple[str, ...]) -> Iterator[Path]:
    """A model's folder after those of the models that its configuration names as steps."""
    if name in given:
        return
    if name in above:
        raise ModelConfigError(f"ensembles contain each other: {' -> '.join([*above, name])}")
    text = root / name / "config.pbtxt"
    config = ModelConfig.from_text(read_text(text, ModelConfigError), name=name) if text.is_file() else None
    if config is not None and config.ensemble_scheduling is not None:
        for step in config.ensemble_scheduling.step:
            if _is_model(root / step.model_name):
                yield from _with_steps(root, step.model_name, given, (*above, name))
    given.add(name)
    yield root / name


def _is_model(folder: Path) -> bool:
    """A folder with a configuration, or with a version of a model in it."""
    if not folder.is_dir() or folder.name.startswith("."):
        return False
    return (folder / "config.pbtxt").is_file() or any(
        (folder / str(version) / "model.py").is_file() for version in versions_in(folder)
    )
