"""`ModelSource` and `ModelConfig` → a model directory, private to this user."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from workbench.errors import ModelLoadError
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource

__all__ = ["open_entry", "remove_entry", "write_entry"]


def write_entry(root: Path, source: ModelSource, config: ModelConfig, *, version: int = 1) -> ModelEntry:
    """Write ``<root>/<n>/<model>/config.pbtxt`` and ``…/<version>/model.py``.

    Each revision has a folder of its own: the one it replaces may still be serving, or be wanted for a
    restart.

    Args:
        root: A private folder (mode 0700) of the session.
        source: What model.py says.
        config: What config.pbtxt says.
        version: The version folder's number, at least 1.
    """
    for number in range(1, 1 << 30):
        revision = root / str(number)
        try:
            revision.mkdir(mode=0o700)
            break
        except FileExistsError:
            continue
    entry = ModelEntry(config.name, revision / config.name, source, config, version)
    entry.model_file.parent.mkdir(mode=0o700, parents=True)
    _write(entry.model_file, source.text)
    _write(entry.path / "config.pbtxt", config.to_text())
    return entry


def open_entry(folder: Path, config: ModelConfig | None = None, *, version: int | None = None) -> ModelEntry:
    """A model directory as it lies, used in place and never changed.

    Args:
        folder: ``<repository>/<model>``.
        config: In place of the folder's config.pbtxt.
        version: Which version folder; the highest by default.

    Raises:
        ModelConfigError: config.pbtxt is wrong.
        ModelLoadError: there is no version folder with the model's file in it.
    """
    folder = folder.resolve()
    if config is None:
        text = folder / "config.pbtxt"
        # Without one the model has to declare itself, in auto_complete_config.
        config = (
            ModelConfig.from_text(text.read_text(encoding="utf-8"), name=folder.name)
            if text.is_file()
            else ModelConfig.from_specs(folder.name)
        )
    found = sorted(int(each.name) for each in folder.iterdir() if each.is_dir() and _is_version(each.name))
    chosen = version if version is not None else (found[-1] if found else 0)
    file = folder / str(chosen) / config.filename
    if not file.is_file():
        raise ModelLoadError(
            f"{folder.name} has no {chosen or '<version>'}/{config.filename}",
            hint=f"a model directory holds 1/{config.filename}",
        )
    source = ModelSource(file.read_text(encoding="utf-8"), f"{chosen}/{config.filename}")
    return ModelEntry(config.name, folder, source, config, chosen, owned=False)


def remove_entry(entry: ModelEntry) -> None:
    """Delete a folder that `write_entry` made. A folder of the user's is left alone."""
    if entry.owned:
        shutil.rmtree(entry.path.parent, ignore_errors=True)


def _is_version(name: str) -> bool:
    return name.isdecimal() and not name.startswith("0")


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(text)
