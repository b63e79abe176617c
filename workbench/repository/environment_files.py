"""An execution environment in a repository: where it lies, and what the models' configurations say of it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.environments import ExecutionEnvironmentError, unpack
from workbench.environments.pack import EnvironmentPlan, plan_environment
from workbench.model_source import ModelEntry
from workbench.repository.model_files import required_packages
from workbench.server_errors import ExportError

__all__ = ["ModelEnvironment", "PackedEnvironment", "environment_notes", "model_environment"]

_ARCHIVE, _FOLDER = "env.tar.gz", "env"
_MACRO = "$$TRITON_MODEL_DIRECTORY"


@dataclass(frozen=True)
class ModelEnvironment:
    """An environment for some of the models, not yet packed."""

    plan: EnvironmentPlan
    models: tuple[str, ...]
    as_folder: bool

    @property
    def about(self) -> str:
        """``python 3.11, 14 packages``."""
        count = self.plan.packages
        return f"python {self.plan.python}, {count} package{'' if count == 1 else 's'}"

    def write(self, stage: Path) -> PackedEnvironment:
        """Pack it into a staging folder.

        Raises:
            ExportError: the packer refuses.
        """
        archive = stage / f".{_ARCHIVE}"
        try:
            self.plan.write(archive)
        except ExecutionEnvironmentError as error:
            raise ExportError(str(error), hint=error.hint) from None
        name = _ARCHIVE
        if len(self.models) > 1:
            # At the top of the repository, for all of them. The name is the content's, so that another export
            # into the same repository never changes what models there run in.
            with archive.open("rb") as file:
                digest = hashlib.sha256()
                while block := file.read(1 << 20):
                    digest.update(block)
            name = f"env-{digest.hexdigest()[:12]}.tar.gz"
            archive.rename(stage / name)
        return PackedEnvironment(self, stage, name)


@dataclass(frozen=True)
class PackedEnvironment:
    """A packed environment in the staging folder; ``name`` is the file's."""

    environment: ModelEnvironment
    stage: Path
    name: str

    @property
    def _shared(self) -> bool:
        return len(self.environment.models) > 1

    def entry(self, entry: ModelEntry) -> ModelEntry:
        """The model with a configuration that names the environment."""
        if entry.name not in self.environment.models:
            return entry
        inside = _FOLDER if self.environment.as_folder else self.name
        path = f"{_MACRO}/../{self.name}" if self._shared else f"{_MACRO}/{inside}"
        return replace(entry, config=entry.config.with_signature(parameters={"EXECUTION_ENV_PATH": path}))

    def place(self, folder: Path) -> list[tuple[str, str]]:
        """Put it into the folder of its only model; gives rows of the report."""
        if folder.name not in self.environment.models or self._shared:
            return []
        archive = self.stage / f".{_ARCHIVE}"
        if self.environment.as_folder:
            try:
                unpack(archive, folder / _FOLDER)
            except ExecutionEnvironmentError as error:
                raise ExportError(str(error), hint=error.hint) from None
            (folder / _FOLDER).chmod(0o755)
            return [(f"{folder.name}/{_FOLDER}/", self.environment.about)]
        archive.chmod(0o644)
        archive.rename(folder / _ARCHIVE)
        return [(f"{folder.name}/{_ARCHIVE}", self.environment.about)]

    def shared_row(self) -> list[tuple[str, str]]:
        """The report's row of an archive that several models share."""
        if not self._shared:
            return []
        (self.stage / self.name).chmod(0o644)
        return [(self.name, self.environment.about)]


def model_environment(entries: Sequence[ModelEntry], wanted: str, python: str) -> ModelEnvironment:
    """Examine the environment that models are to run in; see `plan_environment`.

    Raises:
        ExportError: there is none, it cannot be packed, or it has no NumPy, which every model needs.
    """
    models = tuple(
        entry.name for entry in entries if not entry.config.is_ensemble and entry.backend_dir is None
    )
    if not models:
        raise ExportError("an environment is for models with a model.py; there is none among these")
    as_folder = wanted == "dir"
    if as_folder and len(models) > 1:
        raise ExportError(
            "an environment as a folder lies in one model's folder; these are several models",
            hint="--env pack: they share one archive",
        )
    try:
        plan = plan_environment(wanted, python or sys.executable)
    except ExecutionEnvironmentError as error:
        raise ExportError(str(error), hint=error.hint) from None
    if "numpy" not in plan.importable:
        raise ExportError(
            "the environment has no numpy, which every model needs", hint="pip install numpy, in it"
        )
    return ModelEnvironment(plan, models, as_folder)


def environment_notes(environment: ModelEnvironment, entries: Iterable[ModelEntry], stub: str) -> list[str]:
    """What the server's machine must have besides, and what models may miss."""
    plan, notes = environment.plan, []
    if plan.base:
        notes.append(
            "a virtual environment brings no interpreter: the server's machine must have "
            f"python {plan.python} at the same place"
        )
    if not stub:
        notes.append(f"the server's own stub must be for python {plan.python}; --stub brings one")
    needed = {name for each in entries for name in required_packages(each)}
    missing = sorted(needed - plan.importable)
    if missing:
        notes.append(f"{', '.join(missing)}: imported, but not in the environment")
    return notes
