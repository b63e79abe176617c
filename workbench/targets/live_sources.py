"""What a live model is made from, and its configuration and folder made from that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from workbench.capture import check_source
from workbench.errors import ModelConfigError, ModelLoadError
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.repository import (
    backend_folder,
    backend_source,
    choose_version,
    is_version,
    open_entry,
    write_entry,
)
from workbench.tensor_spec import TensorSpec
from workbench.text_files import read_text

__all__ = ["Known", "from_files", "given_config", "make_entry"]


@dataclass(frozen=True)
class Known:
    """What a model was last made from; enough to make it again."""

    source: ModelSource | Path | None  # None: an ensemble, or served by a Python-based backend
    config: ModelConfig | None
    backend_config: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)
    version: int = 1  # of a source that is no folder


def given_config(
    name: str,
    stored: ModelConfig | None,
    inputs: Sequence[str | TensorSpec],
    outputs: Sequence[str | TensorSpec],
    config: ModelConfig | str | Path | None,
    options: Mapping[str, Any],
) -> ModelConfig | None:
    """What was given as configuration, or None if nothing was.

    Args:
        name: The model.
        stored: What was given apart from the model, for want of anything else.
        inputs: Specs of a signature.
        outputs: The same.
        config: A configuration, its text, or a file with it.
        options: More of a signature; see `ModelConfig.from_specs`.

    Raises:
        ModelConfigError: it is wrong, or there are two.
    """
    if config is None and stored is not None and not inputs and not outputs:
        config = stored
    if config is None:
        if inputs or outputs or options:
            return ModelConfig.from_specs(name, inputs, outputs, **options)
        return None
    if inputs or outputs or options:
        raise ModelConfigError(
            f"{name} has both a configuration and a signature",
            hint="give one of them: config, or inputs and outputs",
        )
    if isinstance(config, Path):
        config = read_text(config, ModelConfigError)
    return ModelConfig.from_text(config, name=name) if isinstance(config, str) else config.named(name)


def make_entry(
    name: str,
    known: Known,
    root: Path,
    files: Mapping[str, ModelSource],
    serving: str,
    find_backend: Callable[[str], Path | None],
) -> ModelEntry:
    """The folder of a model, made if its source is none.

    Args:
        name: The model.
        known: What it is made from.
        root: Where folders are made.
        files: More files to lie beside its model.py, by name.
        serving: What serves under the name, for errors.
        find_backend: The folder of a Python-based backend, by name.

    Raises:
        ModelConfigError, ModelLoadError: source or configuration is wrong.
    """
    if isinstance(known.source, Path):
        folder, version = known.source.resolve(), None
        if is_version(folder.name) and not (folder / "config.pbtxt").is_file():
            folder, version = folder.parent, int(folder.name)
        if folder.name != name:
            raise ModelConfigError(
                f"the folder {folder.name} holds {folder.name}, not {name}",
                hint="folder and model share a name",
            )
        return open_entry(folder, known.config, version=version, find_backend=find_backend)
    config = known.config or ModelConfig.from_specs(name)
    if known.source is not None:
        siblings = dict(known.source.siblings) | dict(files)
        whole = replace(known.source, siblings=tuple(siblings.items()))
        check_source(name, whole, serving=serving)
        return write_entry(root, whole, config, version=known.version, files=known.files)
    if config.is_ensemble:
        return write_entry(root, ModelSource(config.to_text(), "config.pbtxt"), config)
    backend_dir = backend_folder(config, find_backend)
    if backend_dir is None:
        raise ModelLoadError(
            f"{name} has no source", hint="give the text of a model.py, a file, a folder or a class"
        )
    source = backend_source(config, backend_dir)
    return write_entry(
        root, source, config, version=known.version, files=known.files, backend_dir=backend_dir
    )


def from_files(config: ModelConfig, files: Mapping[str, bytes], settings: Mapping[str, Any]) -> Known:
    """A model out of ``file:<path>`` entries alone, as `load_model` gives them."""
    plain: dict[str, bytes] = {}
    for key, data in files.items():
        if not key.startswith("file:"):
            raise ModelConfigError(f"the file {key!r} has another form than file:1/{config.filename}")
        plain[key.removeprefix("file:")] = data
    versions = sorted({int(each.split("/")[0]) for each in plain if is_version(each.split("/")[0])})
    version = choose_version(config, versions)
    text = plain.pop(f"{version}/{config.filename}", None)
    if text is None:
        raise ModelLoadError(
            f"{config.name} has no {version or 1}/{config.filename} among its files",
            cause=f"at least one version must be available under the version policy of model '{config.name}'",
        )
    return Known(ModelSource(text.decode(), config.filename), config, settings, plain, version)
