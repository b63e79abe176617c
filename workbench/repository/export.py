"""Models → folders that any Triton server loads.

The same model gives the same names, contents and modes. Times are those of the writing: a server tells by
them that something changed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import preview
from workbench.config_checks import check_model_name
from workbench.model_source import ModelEntry
from workbench.repository.environment_files import (
    ModelEnvironment,
    environment_notes,
    model_environment,
)
from workbench.repository.kserve import MANIFEST, inference_service
from workbench.repository.model_files import REQUESTS, is_stub_file, model_files, required_packages
from workbench.repository.stub_files import StubFiles, check_release, stub_files
from workbench.server_errors import ExportError
from workbench.session.replay import save_requests

if TYPE_CHECKING:
    from workbench.session.recorder import RecordedRequest

__all__ = ["ExportReport", "export"]

#: The last release whose own stub returns zero-length outputs under NumPy 2 (seen with 24.07 and 24.10).
_LAST_OLD_STUB = (24, 10)


@dataclass(frozen=True)
class ExportReport:
    """What was written. ``files`` are paths inside ``directory``, with what there is to say of each."""

    models: tuple[str, ...]
    directory: Path
    files: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        count = len(self.files)
        head = f"Export {', '.join(self.models)} -> {self.directory.name}: "
        lines = [head + f"{count} file{'' if count == 1 else 's'}"]
        lines += preview.columns([[name, about] for name, about in self.files], "    ")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def to_data(self) -> dict[str, Any]:
        """Models, folder, files and notes, for JSON."""
        return {
            "models": list(self.models),
            "directory": str(self.directory),
            "files": [{"path": path, "about": about} for path, about in self.files],
            "notes": list(self.notes),
        }

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self))


def export(
    entries: Sequence[ModelEntry],
    directory: Path,
    *,
    release: str = "",
    stub: str = "",
    python: str = "",
    env: str = "none",
    requests: Mapping[str, Sequence[RecordedRequest]] | None = None,
    kserve: str = "",
    force: bool = False,
) -> ExportReport:
    """Write model directories into a repository folder: all of them, or none.

    Args:
        entries: The models; their configurations are written as they are, auto-completed ones completed.
        directory: The repository; made if it is not there.
        release: The Triton release it is for, ``25.08``; written beside the stub.
        stub: ``launcher`` or ``elf`` puts our stub into each model's folder, "" leaves it to the server.
        python: Of an environment that is packed, its interpreter (this one by default). Else see
            `stub_files`.
        env: ``pack`` puts the environment of `python` into the repository as an archive, ``dir`` as a folder;
            else a path, see `plan_environment`. Several models share one archive.
        requests: Recorded requests by model, written beside them for `verify`.
        kserve: Where the repository will be stored (``gs://…``): a manifest for KServe is written too.
        force: Replace model directories that are there.

    Raises:
        ExportError: a name is not fit for a folder, something is in the way, stub and environment have
            different Pythons, or the disk refuses.
        StubBuildError: ``elf`` cannot be built here.
    """
    directory = directory.expanduser().absolute()
    if python and not stub and env not in ("pack", "dir"):
        raise ExportError(
            "an interpreter is chosen for the stub or the environment only",
            hint="--stub launcher, --stub elf, or --env pack",
        )
    if release:
        check_release(release)
    names = [entry.name for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ExportError(f"{twice[0]} is given twice", hint="one model of a name fits into a repository")
    for entry in entries:
        _check_place(entry, directory, force)
    # Everything that can be refused is refused before the slow part, packing.
    environment = model_environment(entries, env, python) if env != "none" else None
    extra = stub_files(stub, release, python, environment) if stub else None
    manifest = inference_service(entries, directory.name, kserve, release) if kserve else None
    if manifest is not None and (directory / MANIFEST).exists() and not force:
        raise ExportError(f"{directory.name}/{MANIFEST} is there already", hint="--force replaces it")
    try:
        with _staging(directory) as stage:
            written: list[tuple[str, str]] = []
            packed = environment.write(stage) if environment is not None else None
            for entry in entries:
                recorded = (requests or {}).get(entry.name, ())
                made = packed.entry(entry) if packed is not None else entry
                rows = _write_model(made, stage / entry.name, extra, recorded)
                rows += packed.place(stage / entry.name) if packed is not None else []
                written += sorted(rows, key=lambda row: (not row[0].endswith("config.pbtxt"), row[0]))
            written += packed.shared_row() if packed is not None else []
            if manifest is not None:
                (stage / MANIFEST).write_text(manifest)
                written.append((MANIFEST, "KServe InferenceService"))
            _move_in(stage, directory)
    except OSError as error:
        name = Path(error.filename or directory).name
        raise ExportError(f"cannot write {directory.name}: {name}: {error.strerror}") from None
    return ExportReport(
        tuple(entry.name for entry in entries),
        directory,
        tuple(written),
        _notes(entries, release, extra, environment),
    )


def _check_place(entry: ModelEntry, directory: Path, force: bool) -> None:
    place = directory / check_model_name(entry.name)
    shown = f"{directory.name}/{entry.name}"
    if place.is_symlink():
        raise ExportError(f"{shown} is a link", hint="remove it, or export somewhere else")
    if not entry.owned and place.exists() and place.samefile(entry.path):
        raise ExportError(f"{shown} is where {entry.name} is served from", hint="export somewhere else")
    if not place.exists():
        return
    if not force:
        raise ExportError(f"{shown} is there already", hint="--force replaces it")
    if not (place / "config.pbtxt").is_file():
        raise ExportError(
            f"{shown} is no model directory: it has no config.pbtxt", hint="export somewhere else"
        )


@contextmanager
def _staging(directory: Path) -> Iterator[Path]:
    """A folder on the same file system, gone afterwards; so is `directory` if made and still empty."""
    made = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=".export-", dir=directory))
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if made and not any(directory.iterdir()):
            directory.rmdir()


def _write_model(
    entry: ModelEntry, folder: Path, stub: StubFiles | None, requests: Sequence[RecordedRequest]
) -> list[tuple[str, str]]:
    files = model_files(entry)
    executable = {name for name, data in files.items() if isinstance(data, Path) and os.access(data, os.X_OK)}
    if stub is not None:
        files = {name: data for name, data in files.items() if not is_stub_file(name)} | stub.files
        executable = (executable & files.keys()) | stub.executable
    details = dict(stub.details) if stub is not None else {}
    # A server wants the version folder also of a model that has no file in it.
    (folder / str(entry.version)).mkdir(parents=True)
    for name, data in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, Path):
            shutil.copyfile(data, place)
        else:
            place.write_bytes(data)
        place.chmod(0o755 if name in executable else 0o644)
    if requests:
        count = save_requests(folder / REQUESTS, {entry.name: requests})
        (folder / REQUESTS).chmod(0o644)
        details[REQUESTS] = f"{count} request{'' if count == 1 else 's'}, for verify"
    for each in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        each.chmod(0o755)
    names = {*files, *([REQUESTS] if requests else [])}
    return [(f"{entry.name}/{name}", details.get(name, "")) for name in names]


def _move_in(stage: Path, directory: Path) -> None:
    """Put everything into its place; if one thing cannot be, put back what was there."""
    names = sorted(each.name for each in stage.iterdir() if each.name[0] != ".")
    try:
        for name in names:
            place = directory / name
            if place.exists() or place.is_symlink():
                place.rename(stage / f".old-{name}")
            (stage / name).rename(place)
    except BaseException:  # Ctrl-C too: the staging folder, with what was there, is about to be removed
        for name in names:
            if not (stage / name).exists():
                _remove(directory / name)
            old = stage / f".old-{name}"
            if old.exists():
                old.rename(directory / name)
        raise


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _notes(
    entries: Sequence[ModelEntry],
    release: str,
    stub: StubFiles | None,
    environment: ModelEnvironment | None,
) -> tuple[str, ...]:
    notes = []
    needed = {name for entry in entries for name in required_packages(entry)}
    if environment is not None:
        notes += environment_notes(environment, entries, stub.python if stub is not None else "")
    elif stub is not None:
        packages = ", ".join(sorted(needed | {"numpy"}))
        notes.append(f"the server's machine must have python {stub.python} with {packages}")
    elif needed:
        notes.append(f"the server's machine must have {', '.join(sorted(needed))}")
    if stub is None and release and tuple(map(int, release.split("."))) <= _LAST_OLD_STUB:
        notes.append(f"the stub of {release} returns empty outputs under numpy 2; --stub launcher does not")
    for entry in entries:
        if entry.config.declares_nothing and not entry.config.is_ensemble:
            notes.append(f"{entry.name} gets its inputs and outputs from auto_complete_config, on the server")
    for entry in entries if environment is None else ():
        path = entry.config.parameters.get("EXECUTION_ENV_PATH", "")
        if path and (not path.startswith("$$TRITON_MODEL_DIRECTORY") or ".." in path.split("/")):
            notes.append(f"{entry.name} uses an execution environment outside its folder")
    return tuple(notes)
