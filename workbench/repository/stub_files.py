"""Our stub, to lie in a model's folder: which files, for which interpreter and release."""

from __future__ import annotations

import importlib.util
import re
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import _host, environments
from workbench.repository.model_files import STUB_NAME
from workbench.server_errors import ExportError

if TYPE_CHECKING:
    from workbench.repository.environment_files import ModelEnvironment

__all__ = ["StubFiles", "check_release", "launcher_files", "minor_of", "stub_files"]

_RELEASE_FILE = "triton_release"
_PYTHON_FILE = "triton_stub_python"
_OWN_MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class StubFiles:
    """Files by name, those to be executable among them, and what to say of each."""

    files: dict[str, bytes | Path]
    executable: frozenset[str]
    details: dict[str, str]
    python: str  # "3.11"


def check_release(release: str) -> str:
    """Give a release back as ``25.08``, or raise ExportError if it is none that is known."""
    try:
        if not re.fullmatch(r"\d\d\.\d\d", release):
            raise ValueError
        _host.find_release(release)
    except ValueError:
        known = f"{_host.RELEASES[0].name} to {_host.RELEASES[-1].name}"
        raise ExportError(f"unknown release {release!r}", hint=f"--for takes releases {known}") from None
    return release


def stub_files(
    kind: str, release: str, python: str = "", environment: ModelEnvironment | None = None
) -> StubFiles:
    """The stub for one model's folder.

    Args:
        kind: ``launcher`` (a script, and the extension module beside it) or ``elf`` (one executable).
        release: What goes into the marker file ``triton_release``; "" for none: the stub then asks its
            server.
        python: For ``launcher`` the interpreter on the server's machine, by default ``python3`` on its PATH
            (an execution environment's ``bin`` comes first there). For ``elf`` the interpreter to build for.
        environment: The environment the stub is to run in: it brings the interpreter.

    Raises:
        ExportError: that interpreter is here, or in the environment, and has another minor version than the
            stub.
        StubBuildError: the executable cannot be built.
    """
    if environment is None:
        made = launcher_files(python) if kind == "launcher" else _elf(python)
    elif kind == "launcher":
        _check_minor(_OWN_MINOR, environment.plan.python)
        made = launcher_files()  # without a path: python3 on PATH is the environment's
    else:
        chosen = python or str(environment.plan.interpreter or sys.executable)
        _check_minor(minor_of(Path(chosen)), environment.plan.python)
        made = _elf(chosen)
    made.details[STUB_NAME] = f"protocol {release or 'of the server'}, python {made.python}"
    if release:
        made.files[_RELEASE_FILE] = f"{release}\n".encode()
    return made


def _check_minor(stub: str, environment: str) -> None:
    if stub != environment:
        raise ExportError(
            f"the stub is for Python {stub}, the environment has {environment}",
            hint=f"--stub elf --python PATH, an interpreter {environment}, builds one for it",
        )


def launcher_files(python: str = "") -> StubFiles:
    """The launcher with the module it runs; see `stub_files`."""
    spec = importlib.util.find_spec("workbench._stub")
    if spec is None or spec.origin is None:
        raise ExportError("the stub's extension module is not installed", hint="install the workbench again")
    module = Path(spec.origin)
    launcher = resources.files("workbench").joinpath("backend").joinpath(STUB_NAME).read_bytes()
    files: dict[str, bytes | Path] = {STUB_NAME: launcher, module.name: module}
    if python:
        found = minor_of(Path(python)) if Path(python).exists() else _OWN_MINOR
        if found != _OWN_MINOR:
            raise ExportError(
                f"the stub is for Python {_OWN_MINOR}, {python} is {found}",
                hint=f"--stub elf --python {python} builds one for it",
            )
        files[_PYTHON_FILE] = f"{python}\n".encode()
    return StubFiles(files, frozenset({STUB_NAME}), {module.name: f"python {_OWN_MINOR}"}, _OWN_MINOR)


def minor_of(python: Path) -> str:
    """``3.11`` of an interpreter.

    Raises:
        ExportError: it does not run.
    """
    try:
        return environments.minor_of(python)
    except environments.ExecutionEnvironmentError:
        raise ExportError(
            f"{python} is no Python interpreter that runs here", hint="--python PATH names one"
        ) from None


def _elf(python: str) -> StubFiles:
    from workbench.stub_build import build_stub

    built = build_stub(Path(python or sys.executable))
    return StubFiles({STUB_NAME: built.path}, frozenset({STUB_NAME}), {}, built.python)
