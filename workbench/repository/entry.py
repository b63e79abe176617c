"""`ModelSource` and `ModelConfig` → a model directory, private to this user."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from workbench.errors import ModelConfigError, ModelLoadError
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.repository.versions import choose_version, versions_in
from workbench.text_files import read_text

__all__ = ["backend_folder", "backend_source", "open_entry", "remove_entry", "write_entry"]


def write_entry(
    root: Path,
    source: ModelSource,
    config: ModelConfig,
    *,
    version: int = 1,
    files: Mapping[str, bytes] | None = None,
    backend_dir: Path | None = None,
) -> ModelEntry:
    """Write ``<root>/<n>/<model>/config.pbtxt`` and ``…/<version>/model.py``.

    Each revision has a folder of its own: the one it replaces may still be serving, or be wanted for a
    restart.

    Args:
        root: A private folder (mode 0700) of the session.
        source: What model.py says.
        config: What config.pbtxt says.
        version: The version folder's number, at least 1.
        files: More files, by their path in the model's directory.
        backend_dir: Of the Python-based backend that serves the model, which then has no file of its own.

    Raises:
        ModelConfigError: a path leads out of the model's directory, or two of them cannot be together;
            nothing is left then.
    """
    for number in range(1, 1 << 30):
        revision = root / str(number)
        try:
            revision.mkdir(mode=0o700)
            break
        except FileExistsError:
            continue
    entry = ModelEntry(config.name, revision / config.name, source, config, version, backend_dir=backend_dir)
    try:
        _write_files(entry, files or {})
    except BaseException:
        remove_entry(entry)
        raise
    return entry


def _write_files(entry: ModelEntry, files: Mapping[str, bytes]) -> None:
    source, config, version = entry.source, entry.config, entry.version
    entry.model_file.parent.mkdir(mode=0o700, parents=True)
    texts = {"config.pbtxt": config.to_text().encode()}
    if entry.backend_dir is None and not config.is_ensemble:
        texts |= {f"{version}/{name}": each.text.encode() for name, each in source.siblings}
        texts[f"{version}/{config.filename}"] = source.text.encode()
    for path, data in {**files, **texts}.items():
        file = entry.path / path
        if not path or ".." in file.parts or not file.is_relative_to(entry.path):
            raise ModelConfigError(
                f"{config.name}: the file path {path!r} leads out of the model's directory"
            )
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(file, data)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise ModelConfigError(
                f"{config.name}: the file path {path!r} is in the way of another, or in the place of a folder"
            ) from None


def open_entry(
    folder: Path,
    config: ModelConfig | None = None,
    *,
    version: int | None = None,
    find_backend: Callable[[str], Path | None] = lambda name: None,
) -> ModelEntry:
    """A model directory as it lies, used in place and never changed.

    Args:
        folder: ``<repository>/<model>``.
        config: In place of the folder's config.pbtxt.
        version: Which version folder; what ``version_policy`` says by default.
        find_backend: The folder of a Python-based backend by name.

    Raises:
        ModelConfigError: config.pbtxt is wrong.
        ModelLoadError: there is no version folder with the model's file in it, or that cannot be read.
    """
    folder = folder.resolve()
    if config is None:
        text = folder / "config.pbtxt"
        # Without one the model has to declare itself, in auto_complete_config.
        config = (
            ModelConfig.from_text(read_text(text, ModelConfigError), name=folder.name)
            if text.is_file()
            else ModelConfig.from_specs(folder.name)
        )
    chosen = version if version is not None else choose_version(config, versions_in(folder))
    if config.is_ensemble:
        # It has no file of its own: what it consists of is its configuration.
        return ModelEntry(
            config.name,
            folder,
            ModelSource(config.to_text(), "config.pbtxt"),
            config,
            chosen or 1,
            owned=False,
        )
    backend_dir = backend_folder(config, find_backend)
    if backend_dir is not None:
        source = backend_source(config, backend_dir)
        return ModelEntry(
            config.name, folder, source, config, chosen or 1, owned=False, backend_dir=backend_dir
        )
    file = folder / str(chosen) / config.filename
    if not file.is_file():
        raise ModelLoadError(
            f"{folder.name} has no {chosen or '<version>'}/{config.filename}",
            hint=f"a model directory holds 1/{config.filename}",
        )
    source = ModelSource(read_text(file, ModelLoadError), f"{chosen}/{config.filename}")
    return ModelEntry(config.name, folder, source, config, chosen, owned=False)


def backend_folder(config: ModelConfig, find_backend: Callable[[str], Path | None]) -> Path | None:
    """The folder of the Python-based backend that serves a model; None for the Python backend itself.

    Raises:
        ModelConfigError: there is no such backend here.
    """
    if config.backend in ("", "python"):
        return None
    folder = find_backend(config.backend)
    if folder is None:
        raise ModelConfigError(
            f"{config.name}: no Python-based backend {config.backend!r} here",
            hint='wb.register_backend("<folder with its model.py>"), or write backend: "python"',
        )
    return folder


def backend_source(config: ModelConfig, folder: Path) -> ModelSource:
    """The source of the Python-based backend in a folder. Raises ModelLoadError if it cannot be read."""
    return ModelSource(read_text(folder / "model.py", ModelLoadError), f"{config.backend}/model.py")


def remove_entry(entry: ModelEntry) -> None:
    """Delete a folder that `write_entry` made. A folder of the user's is left alone."""
    if entry.owned:
        shutil.rmtree(entry.path.parent, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
