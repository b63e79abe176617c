"""Which libpython an executable is linked to."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

__all__ = ["linked_libpython", "linked_minor"]


def linked_libpython(executable: Path) -> tuple[str, Path | None]:
    """``libpython3.11.so.1.0`` and where the loader finds it (None: nowhere); "" for an executable linked to
    none.
    """
    try:
        done = subprocess.run(
            ["ldd", str(executable)],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError:  # no ldd here: nothing can be said
        return "", None
    for line in done.stdout.splitlines():
        name, _, rest = line.strip().partition(" => ")
        if name.startswith("libpython3."):
            place = rest.rsplit(" (", 1)[0]
            return name, Path(place).resolve() if place.startswith("/") else None
    return "", None


def linked_minor(executable: Path) -> str:
    """``3.11`` for an executable linked to libpython3.11; "" for one linked to none."""
    name, _ = linked_libpython(executable)
    return name.removeprefix("libpython").partition(".so")[0].rstrip("m")
