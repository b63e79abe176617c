"""One file, written completely or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path

from workbench.server_errors import ExportError

__all__ = ["write_file"]


def write_file(path: Path, data: bytes, *, mode: int = 0o644, force: bool = False) -> None:
    """Write one file completely or not at all.

    Raises:
        ExportError: something is there and `force` is not given, or the disk refuses.
    """
    if path.is_symlink() or (path.exists() and not (force and path.is_file())):
        what = "is a link" if path.is_symlink() else "is there already"
        raise ExportError(f"{path.name} {what}", hint="--force replaces a file, or choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as stage:
            ready = Path(stage) / path.name
            ready.write_bytes(data)
            ready.chmod(mode)
            ready.rename(path)
    except OSError as error:
        raise ExportError(f"cannot write {path.name}: {error.strerror}") from None
