"""What an environment is: a folder with ``bin/activate``, an interpreter, and packages for it."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import WorkbenchError

__all__ = [
    "Environment",
    "ExecutionEnvironmentError",
    "environment_at",
    "interpreter_prefix",
    "minor_of",
    "packages_in",
]

_LIBRARY = re.compile(r"lib/python(\d+\.\d+)/")


class ExecutionEnvironmentError(WorkbenchError):
    """An execution environment cannot be used, packed or unpacked."""


@dataclass(frozen=True)
class Environment:
    """A folder with an interpreter that runs here.

    ``python`` is its minor version, ``kind`` is ``venv`` or ``conda``.
    """

    path: Path
    python: str
    kind: str

    @property
    def interpreter(self) -> Path:
        return self.path / "bin" / "python3"


def environment_at(path: Path, *, name: str = "") -> Environment:
    """The environment in a folder; its interpreter is run once.

    Args:
        path: The folder.
        name: What to call it in errors, in place of its name.

    Raises:
        ExecutionEnvironmentError: something that a server needs is missing in it.
    """
    name = name or path.name
    if not (path / "bin" / "activate").is_file():
        raise ExecutionEnvironmentError(
            f"{name} has no bin/activate: the Python environment should contain an 'activate' script",
            hint="venv-pack -o env.tar.gz, or conda-pack, makes a complete one",
        )
    python = path / "bin" / "python3"
    if not python.exists():
        there = f"a link to {python.readlink()}, which is not here" if python.is_symlink() else "missing"
        raise ExecutionEnvironmentError(
            f"{name}: bin/python3 is {there}",
            hint="a virtual environment needs the Python it was made from at the same place",
        )
    kind = "conda" if (path / "conda-meta").is_dir() else "venv"
    return Environment(path, minor_of(python), kind)


def minor_of(python: Path) -> str:
    """``3.11`` of an interpreter.

    Raises:
        ExecutionEnvironmentError: it does not run.
    """
    return _ask(python, "'%d.%d' % sys.version_info[:2]")


def interpreter_prefix(python: Path) -> Path:
    """The folder of the environment that an interpreter belongs to.

    Raises:
        ExecutionEnvironmentError: it does not run.
    """
    return Path(_ask(python, "sys.prefix"))


def packages_in(names: list[str]) -> tuple[str, int, set[str]]:
    """What an environment holds, by the paths of its files.

    Returns:
        Its Python ("3.11", "" if there is none), how many packages are installed, and the names that can be
        imported.
    """
    python, installed, importable = "", set(), set()
    for name in names:
        match = _LIBRARY.match(name)
        if match is None:
            continue
        python = python or match[1]
        head, _, rest = name[match.end() :].partition("/")
        if head != "site-packages" or not rest:
            continue
        first = rest.split("/")[0]
        if first.endswith((".dist-info", ".egg-info")):
            installed.add(first)
        else:
            importable.add(first.split(".")[0])
    return python, len(installed), importable


def _ask(python: Path, expression: str) -> str:
    # Its own packages only: what lies in the user's folder does not travel.
    environment = {**os.environ, "PYTHONNOUSERSITE": "1"}
    environment.pop("PYTHONHOME", None)
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", f"import sys; print({expression})"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError):
        raise ExecutionEnvironmentError(
            f"{python.name} is no Python interpreter that runs here", hint="--python PATH names one"
        ) from None
    return done.stdout.strip()
