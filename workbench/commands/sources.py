"""What the command line runs: model folders and notebooks, made live for the length of one command."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from workbench.errors import WorkbenchUsageError
from workbench.suggest import listing
from workbench.targets.live import LiveTarget

__all__ = ["open_model"]


def open_model(target: LiveTarget, word: str, *, model: str = "", also: Sequence[str] = ()) -> str:
    """Load the model that words of the command line name.

    Args:
        target: Where it becomes live.
        word: Path of a model folder, ``models/add_sub``, or of a notebook, which is read and not run.
        model: Which of a notebook's models, if it has several. All of them are loaded, since they may call
            each other.
        also: Other models of the same repository, for models that call them. They are loaded first.

    Returns:
        The model's name.

    Raises:
        WorkbenchUsageError: there is no such folder or notebook, or it is not said which model is meant.
        ModelNotFound: it holds no model.
        ModelConfigError, ModelLoadError: a model is wrong, or failed to load.
    """
    path = Path(word).expanduser().resolve()
    if path.suffix == ".ipynb":
        return _open_notebook(target, path, word, model)
    if not path.is_dir():
        raise WorkbenchUsageError(
            f"there is no model folder {word}", hint="give a path, for example models/add_sub"
        )
    for name in also:
        target.load_repository(path.parent, name)
    target.load_repository(path.parent, path.name)
    return path.name


def _open_notebook(target: LiveTarget, path: Path, word: str, model: str) -> str:
    from workbench.magics.notebook_cells import missing_model, notebook_entries

    work = Path(tempfile.mkdtemp(dir=target.workbench.folder, prefix="notebook-"))  # goes with the session
    entries = {each.name: each for each in notebook_entries(path, work)}
    if not model and len(entries) == 1:
        model = next(iter(entries))
    if not model:
        raise WorkbenchUsageError(
            f"{word} holds {len(entries)} models; {listing(entries)}",
            hint=f"--model {next(iter(entries))} says which",
        )
    if model not in entries:
        raise missing_model(word, model, list(entries))
    for name in sorted(entries, key=lambda each: each == model):  # it last: it may call the others
        entry = entries[name]
        made = entry.path.is_relative_to(work)  # else a folder that a cell names, used in place
        target.define(name, entry.source if made else entry.path, config=entry.config)
    return model
