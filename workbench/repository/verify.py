"""Exported models on a clean server: do they load, and do they answer."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import preview
from workbench.errors import Frame, WorkbenchError
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.repository.entry import open_entry
from workbench.repository.model_files import REQUESTS, STUB_NAME
from workbench.server_errors import VerifyError
from workbench.session.environments import wanted_environment
from workbench.session.replay import load_requests
from workbench.targets.client import ServerClient, ServerRefused
from workbench.targets.process_server import ServerProcess
from workbench.targets.recorded import recorded_difference
from workbench.targets.remote import ServerTarget
from workbench.targets.server_texts import load_failure

if TYPE_CHECKING:
    from workbench.server_install import ServerInstall
    from workbench.session.recorder import RecordedRequest

__all__ = ["VerifyReport", "verify"]


@dataclass(frozen=True)
class VerifyReport:
    """Every model loaded. ``rows`` are name, state and what was checked; ``release`` is the server's."""

    directory: Path
    release: str
    rows: tuple[tuple[str, ...], ...]

    def __repr__(self) -> str:
        count = len(self.rows)
        head = f"Verify {self.directory.name}: {count} of {count} models ready, Triton {self.release or '?'}"
        return "\n".join([head, *preview.columns(self.rows)])

    def to_data(self) -> dict[str, Any]:
        """Release and models, for JSON."""
        models = [{"name": name, "state": state, "checked": rest} for name, state, *rest in self.rows]
        return {"directory": str(self.directory), "release": self.release, "models": models}

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self))


def verify(
    directory: Path,
    *,
    requests: Mapping[str, Sequence[RecordedRequest]] | None = None,
    python: str = "",
    install: ServerInstall | None = None,
    sources: Mapping[str, ModelSource] | None = None,
) -> VerifyReport:
    """Start a server on a repository, load every model, send requests, end the server.

    The server works on a copy made of links: it leaves nothing in the folder.

    Args:
        directory: The repository.
        requests: Recorded requests by model; answers must be equal to the recorded ones. By default those
            that `export` wrote into the models' folders.
        python: Interpreter in whose environment models run that bring none. By default this one's if every
            model brings a stub, or the bare one that this one is made from if every model brings an
            environment too; else the reference environment of the server's own stub.
        install: The server. Default: `find_server()`.
        sources: Sources by model, for the names of their cells in errors.

    Raises:
        VerifyError: there is no model, one does not load, or one answers otherwise.
        ServerInstallError: no server on this machine.
        ServerStartError: the server does not come up.
    """
    directory = directory.expanduser().absolute()
    folders = _models(directory)
    if not folders:
        raise VerifyError(f"{directory.name} holds no models", hint="a model directory holds config.pbtxt")
    if requests is None:
        requests = _requests(folders)
    unknown = sorted(set(requests) - {each.name for each in folders})
    if unknown:
        raise VerifyError(
            f"there are requests for {', '.join(unknown)}, which {directory.name} does not hold"
        )
    environment = None
    if python:
        environment = Path(python).expanduser().absolute().parent.parent
    elif all((each / STUB_NAME).is_file() for each in folders):
        environment = Path(sys.base_prefix if all(map(_brings_environment, folders)) else sys.prefix)
    with (
        _linked(directory) as copy,
        ServerProcess(copy, install, python_env=environment, stop_timeout=5.0) as server,
    ):
        target = ServerTarget("the server", ServerClient(f"grpc://{server.grpc_address}"))
        rows: list[tuple[str, ...]] = []
        failed: dict[str, tuple[str, tuple[Frame, ...]]] = {}
        for folder in folders:
            try:
                target.client.load(folder.name)
            except ServerRefused as refused:
                entry = _entry(folder, (sources or {}).get(folder.name))
                failed[folder.name] = load_failure(str(refused), entry)
        for name in (each.name for each in folders if each.name not in failed):
            sent, difference = _send(target, name, requests.get(name, ()))
            if difference:
                failed[name] = difference, ()
            rows.append(
                (name, "READY", *([f"{sent} request{'' if sent == 1 else 's'} equal"] if sent else []))
            )
        release = server.install.release or ""
    if failed:
        name, (cause, frames) = next(iter(sorted(failed.items())))
        hint = ""
        if cause.startswith("ModuleNotFoundError"):
            hint = "--python PATH chooses the environment models run in; on the server it needs the package"
        raise VerifyError(
            f"{cause.strip()} ({name})",
            cause=cause,
            frames=frames,
            failures={each: found[0].strip().splitlines()[0] for each, found in sorted(failed.items())},
            hint=hint,
        )
    return VerifyReport(directory, release, tuple(rows))


def _models(directory: Path) -> list[Path]:
    if not directory.is_dir():
        raise VerifyError(f"{directory.name} is no folder", hint="%triton export writes one")
    return sorted(
        each for each in directory.iterdir() if (each / "config.pbtxt").is_file() and each.name[0] != "."
    )


def _requests(folders: Sequence[Path]) -> dict[str, Sequence[RecordedRequest]]:
    found: dict[str, Sequence[RecordedRequest]] = {}
    for folder in folders:
        if (folder / REQUESTS).is_file():
            found[folder.name] = load_requests(folder / REQUESTS).get(folder.name, [])
    return found


def _brings_environment(folder: Path) -> bool:
    try:
        entry = open_entry(folder)
    except (WorkbenchError, OSError):
        return False  # the server will say what is wrong with it
    return bool(wanted_environment(entry))


@contextmanager
def _linked(directory: Path) -> Iterator[Path]:
    """A copy of a folder whose files are links to the same data where the file system allows that."""
    with tempfile.TemporaryDirectory(prefix="wb-verify-") as folder:
        copy = Path(folder) / "repository"
        copy.mkdir()
        for each in sorted(directory.iterdir()):
            if each.name.startswith("."):
                continue
            if not each.is_dir():
                _link(str(each), str(copy / each.name))
                continue
            # Links stay links: the folder of an environment lives by them. Only one out of the repository is
            # followed, since it would lead elsewhere from the copy.
            shutil.copytree(
                each.resolve(),
                copy / each.name,
                symlinks=True,
                copy_function=_link,
                ignore=shutil.ignore_patterns(".*", "__pycache__"),
            )
            _follow_leaving(each.resolve(), copy / each.name)
        yield copy


def _follow_leaving(source: Path, copy: Path) -> None:
    """Put the absolute target into relative links that lead out of a copied folder."""
    for link in (each for each in copy.rglob("*") if each.is_symlink()):
        original = source / link.relative_to(copy)
        target = original.parent / original.readlink()
        if not original.readlink().is_absolute() and not target.resolve().is_relative_to(source):
            link.unlink()
            link.symlink_to(target.resolve())


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _entry(folder: Path, source: ModelSource | None) -> ModelEntry:
    try:
        entry = open_entry(folder)
    except (WorkbenchError, OSError):
        # The server said what is wrong; there is only nothing to point at.
        return ModelEntry(folder.name, folder, ModelSource(""), ModelConfig.from_specs(folder.name))
    if source is not None and source.text == entry.source.text:
        return ModelEntry(entry.name, entry.path, source, entry.config, entry.version, owned=False)
    return entry


def _send(target: ServerTarget, name: str, records: Sequence[RecordedRequest]) -> tuple[int, str]:
    for number, record in enumerate(records, 1):
        difference = recorded_difference(target, name, record)
        if difference:
            return number, f"request {number} {difference}"
    return len(records), ""
