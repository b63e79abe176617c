"""What a process inherits, or imports read, when it starts: a warm process is of use while none of it has
changed.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.machinery import all_suffixes
from pathlib import Path

__all__ = ["Situation", "Surroundings", "is_late"]

# Set by shells and test runners all the time; nothing that is imported reads them.
_BOOKKEEPING = frozenset({"_", "COLUMNS", "LINES", "OLDPWD", "PWD", "SHLVL", "PYTEST_CURRENT_TEST"})
# Read when a stub starts, not when it imports.
_LATE_PREFIX = "TRITON_WORKBENCH_"

_LIMITS = sorted(value for name, value in vars(resource).items() if name.startswith("RLIMIT_"))
_SUFFIXES = tuple(all_suffixes())


def is_late(name: str) -> bool:
    """Whether an environment variable may differ between a warm process and the stubs it forks."""
    return name in _BOOKKEEPING or name.startswith(_LATE_PREFIX)


@dataclass(frozen=True)
class Situation:
    """Two processes started in equal situations import the same and inherit the same.

    ``folder`` is where a warm process is to be started: the working folder if PYTHONPATH has relative
    entries, which a new interpreter makes absolute, else the root, so as to hold on to nothing.
    """

    environment: Mapping[str, str]
    limits: tuple[tuple[int, int], ...]
    processors: frozenset[int]
    umask: int
    folder: str
    installed: tuple[int, ...]  # when each folder of installed modules changed, ns

    @classmethod
    def now(cls, environment: Mapping[str, str], folders: Collection[str]) -> Situation:
        """Of a process that this one would start now.

        Args:
            environment: What it would be given, without what is added for one stub.
            folders: Folders of installed modules: installing or removing a package changes them.
        """
        early = {name: value for name, value in environment.items() if name not in _BOOKKEEPING}
        return cls(
            early,
            tuple(resource.getrlimit(each) for each in _LIMITS),
            frozenset(os.sched_getaffinity(0)),
            _umask(),
            _start_folder(environment),
            tuple(_changed(each) for each in folders),
        )


class Surroundings:
    """Modules of the user's that hide installed ones: a new process would import those instead."""

    def __init__(self, names: Collection[str]) -> None:
        """Names of top-level modules that have been imported ahead."""
        self._names = frozenset(names)
        self._clean: dict[str, int] = {}  # folder to when it last changed, for folders found to hide nothing

    def hides(self, environment: Mapping[str, str], folder: str) -> str:
        """The first module found in the working folder or on PYTHONPATH that goes before an installed one, or
        "".
        """
        extra = environment.get("PYTHONPATH", "")
        for each in [folder, *(extra.split(os.pathsep) if extra else ())]:
            path = str(Path(folder, each))
            changed = _changed(path)
            if self._clean.get(path) == changed:
                continue
            found = self._first_hidden(path)
            if found:
                return found
            self._clean[path] = changed
        return ""

    def _first_hidden(self, path: str) -> str:
        try:
            entries = list(os.scandir(path))
        except OSError:
            return ""
        for entry in entries:
            name, dot, _ = entry.name.partition(".")
            if name not in self._names:
                continue
            if dot:
                if entry.name.endswith(_SUFFIXES):
                    return name
            elif any(Path(entry.path, f"__init__{suffix}").exists() for suffix in _SUFFIXES):
                return name
        return ""


def _changed(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


def _start_folder(environment: Mapping[str, str]) -> str:
    path = environment.get("PYTHONPATH", "")
    relative = path and not all(Path(each).is_absolute() for each in path.split(os.pathsep))
    return str(Path.cwd()) if relative else os.sep


def _umask() -> int:
    # Asking the system call would set it, and other threads are making files.
    with Path("/proc/self/status").open() as status:
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0
