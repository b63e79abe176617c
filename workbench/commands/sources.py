"""What the command line runs: model folders, made live for the length of one command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workbench.errors import WorkbenchUsageError
from workbench.targets.live import LiveTarget

__all__ = ["open_model"]


def open_model(target: LiveTarget, word: str, *, also: Sequence[str] = ()) -> str:
    """Load the model folder that a word of the command line names.

    Args:
        target: Where it becomes live.
        word: Path of a model folder: ``models/add_sub``.
        also: Other models of the same repository, for models that call them. They are loaded first.

    Returns:
        The model's name.

    Raises:
        WorkbenchUsageError: there is no such folder.
        ModelNotFound: it holds no model.
        ModelConfigError, ModelLoadError: the model is wrong, or failed to load.
    """
    folder = Path(word).expanduser().resolve()
    if not folder.is_dir():
        raise WorkbenchUsageError(
            f"there is no model folder {word}", hint="give a path, for example models/add_sub"
        )
    for name in also:
        target.load_repository(folder.parent, name)
    target.load_repository(folder.parent, folder.name)
    return folder.name
