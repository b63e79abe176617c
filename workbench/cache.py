"""The folder where what takes long to make or to fetch is kept, and one maker at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["cache_folder", "locked"]


def cache_folder(what: str) -> Path:
    """``$XDG_CACHE_HOME`` (``~/.cache``) ``/triton-workbench/<what>``; it need not be there."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "triton-workbench" / what


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, waiting for other processes that do."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
