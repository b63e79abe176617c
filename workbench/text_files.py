"""Text files of users."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import WorkbenchError

__all__ = ["read_text"]


def read_text(path: Path, refusal: type[WorkbenchError]) -> str:
    """What is in a file, which must be UTF-8.

    Args:
        path: The file.
        refusal: The error to raise.

    Raises:
        WorkbenchError: `refusal`, if it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise refusal(f"cannot read {path.name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise refusal(f"cannot read {path.name}: not UTF-8 text", hint="save it in UTF-8") from None
