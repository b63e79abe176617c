"""What a notebook may need of a machine: a GPU, a Triton server, packages."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import shlex
from collections.abc import Iterable

from packaging.requirements import InvalidRequirement, Requirement

from workbench.errors import WorkbenchError, WorkbenchUsageError

__all__ = ["RequirementSkipped", "missing", "requirements_of"]


class RequirementSkipped(WorkbenchError):  # noqa: N818 - the name users were promised
    """This machine lacks what a notebook needs. ``workbench test --skip-missing`` makes a skip of it."""

    exit_code = 3


def missing(words: Iterable[str]) -> list[str]:
    """Why each requirement that is not met is not; [] if all are.

    Args:
        words: ``gpu``, ``server``, or a package with or without a version: ``torch``, ``numpy>=2``.

    Raises:
        WorkbenchUsageError: a word is none of these.
    """
    reasons = []
    for word in words:
        reason = {"gpu": _gpu, "server": _server}.get(word, lambda word=word: _package(word))()
        if reason:
            reasons.append(reason)
    return reasons


def requirements_of(cell: str) -> list[str]:
    """The words of the ``%triton require`` lines in a cell's text."""
    words: list[str] = []
    for line in cell.splitlines():
        parts = line.split("#", 1)[0].split(None, 2)
        if parts[:2] == ["%triton", "require"] and len(parts) == 3:
            with contextlib.suppress(ValueError):  # a quote that is not closed: running the cell says so
                words += shlex.split(parts[2])
    return words


def _gpu() -> str:
    count = ctypes.c_int()
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        if driver.cuInit(0) == 0:
            driver.cuDeviceGetCount(ctypes.byref(count))
    except OSError:
        pass
    return "" if count.value else "no GPU"


def _server() -> str:
    from workbench.server_install import ServerInstallError, find_server

    try:
        find_server()
    except ServerInstallError:
        return "no Triton server (workbench server install fetches one)"
    return ""


def _package(word: str) -> str:
    try:
        wanted = Requirement(word)
    except InvalidRequirement:
        raise WorkbenchUsageError(
            f"cannot read the requirement {word!r}", hint="gpu, server, or a package: 'numpy>=2'"
        ) from None
    try:
        found = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        return f"no package {wanted.name}"
    if not wanted.specifier.contains(found, prereleases=True):
        return f"{wanted.name} {found}, not {wanted.specifier}"
    return ""
