"""An environment → ``env.tar.gz``: by venv-pack or conda-pack, then written again so that bytes repeat."""

from __future__ import annotations

import importlib
import json
import shutil
import tarfile
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.environments.archive import read_members, rewrite
from workbench.environments.prefix import (
    ExecutionEnvironmentError,
    interpreter_prefix,
    minor_of,
    packages_in,
)

__all__ = ["EnvironmentPlan", "plan_environment"]

_EXTRA_HINT = "pip install 'triton-workbench[env]' brings venv-pack and conda-pack"
# Compiled files hold the times of their sources. Python makes them again.
_LEFT_OUT = ("__pycache__/", ".pyc")


@dataclass(frozen=True)
class EnvironmentPlan:
    """An environment that is to travel, examined but not yet packed.

    Attributes:
        python: Its minor version.
        packages: How many packages are installed in it.
        importable: Names that can be imported from them.
        base: Where the interpreter must be that a virtual environment links to; "" if it brings its own.
        interpreter: An interpreter of it that runs here, or None for an archive that is given.
    """

    python: str
    packages: int
    importable: frozenset[str]
    base: str
    interpreter: Path | None
    write: Callable[[Path], None]


def plan_environment(wanted: str, python: str) -> EnvironmentPlan:
    """Find and examine an environment. Nothing is packed or written.

    Args:
        wanted: ``pack`` (or ``dir``): the environment of `python`. Else a path: of an environment's folder,
            or of an archive that venv-pack or conda-pack made.
        python: An interpreter of the environment, by its path or as on PATH.

    Raises:
        ExecutionEnvironmentError: there is none, it cannot be packed, or its packer is not installed.
    """
    if wanted in ("pack", "dir"):
        # Not resolved: a virtual environment's interpreter is a link to another one.
        found = Path(shutil.which(python) or python).expanduser().absolute()
        return _plan_folder(interpreter_prefix(found))
    path = Path(wanted).expanduser().absolute()
    if path.is_dir():
        return _plan_folder(path)
    if not path.is_file():
        raise ExecutionEnvironmentError(
            f"there is no environment {wanted}", hint="--env pack, or a folder, or an archive .tar.gz"
        )
    return _plan_archive(path)


def _plan_archive(path: Path) -> EnvironmentPlan:
    members = read_members(path)
    names = [each.name.removeprefix("./") for each in members]
    if "bin/activate" not in names:
        raise ExecutionEnvironmentError(
            f"{path.name} has no bin/activate at its top",
            hint="venv-pack -o env.tar.gz, or conda-pack, makes a complete one",
        )
    python, packages, importable = packages_in(names)
    if not python:
        raise ExecutionEnvironmentError(f"{path.name} holds no Python: no lib/python3.* in it")
    base = next((each.linkname for each in members if each.issym() and each.linkname[:1] == "/"), "")
    return EnvironmentPlan(
        python, packages, frozenset(importable), base, None, lambda target: _copy(path, target)
    )


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as given, target.open("xb") as file:
        shutil.copyfileobj(given, file, 1 << 20)


def _plan_folder(prefix: Path) -> EnvironmentPlan:
    conda = (prefix / "conda-meta").is_dir()
    if not conda and not (prefix / "pyvenv.cfg").is_file():
        raise ExecutionEnvironmentError(
            f"{prefix.name} is neither a virtual environment nor one of conda",
            hint="python3 -m venv env && env/bin/pip install numpy; then --env pack --python env/bin/python",
        )
    interpreter = prefix / "bin" / "python3"
    if not interpreter.exists():
        interpreter = prefix / "bin" / "python"
    library = next(iter(sorted(prefix.glob("lib/python3.*/site-packages"))), None)
    if library is None:
        raise ExecutionEnvironmentError(f"{prefix.name} holds no Python: no lib/python3.* in it")
    inner = [str(each.relative_to(prefix)) for each in library.iterdir()]
    _, packages, importable = packages_in(inner)
    base = ""
    if not conda:
        _check_venv(prefix)
        base = str(interpreter.resolve())
    _check_editable(library)
    pack = _packer("conda_pack" if conda else "venv_pack")
    write = (lambda target: _conda(pack, prefix, target)) if conda else (lambda t: _venv(pack, prefix, t))
    return EnvironmentPlan(minor_of(interpreter), packages, frozenset(importable), base, interpreter, write)


def _check_venv(prefix: Path) -> None:
    settings = _settings((prefix / "pyvenv.cfg").read_text(encoding="utf-8"))
    if settings.get("include-system-site-packages", "").lower() == "true":
        raise ExecutionEnvironmentError(
            f"{prefix.name} also uses the system's packages, which would not travel with it",
            hint="make it without --system-site-packages",
        )


def _check_editable(library: Path) -> None:
    found = []
    for each in sorted(library.glob("*.dist-info/direct_url.json")):
        try:
            if json.loads(each.read_text(encoding="utf-8"))["dir_info"]["editable"]:
                found.append(each.parent.name.partition("-")[0])
        except (KeyError, ValueError, TypeError, OSError):
            continue
    if found:
        raise ExecutionEnvironmentError(
            f"{', '.join(found)} {'is' if len(found) == 1 else 'are'} installed in place (editable): "
            "its files lie elsewhere and would not travel",
            hint="pip install it without -e, or name another environment: --python PATH",
        )


def _venv(pack: Any, prefix: Path, target: Path) -> None:
    with _work(target) as folder, _refusals(pack.VenvPackException):
        pack.pack(str(prefix), output=str(folder / "env.tar"), format="tar")
        rewrite(folder / "env.tar", target, _without_command, _left_out)


def _conda(pack: Any, prefix: Path, target: Path) -> None:
    with _work(target) as folder, _refusals(pack.CondaPackException), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # conda's cache of packages may be gone: the files are here
        pack.pack(prefix=str(prefix), output=str(folder / "env.tar"), format="tar", ignore_missing_files=True)
        rewrite(folder / "env.tar", target, lambda member, data: data, _left_out)


@contextmanager
def _work(target: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=".pack-", dir=target.parent) as folder:
        yield Path(folder)


@contextmanager
def _refusals(kind: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kind as error:
        raise ExecutionEnvironmentError(f"the environment cannot be packed: {error}") from None


def _left_out(name: str) -> bool:
    return f"{name}/".endswith(_LEFT_OUT[0]) or name.endswith(_LEFT_OUT[1]) or f"/{_LEFT_OUT[0]}" in name


def _without_command(member: tarfile.TarInfo, data: bytes) -> bytes:
    """pyvenv.cfg without the lines that say where and how the environment was made."""
    if member.name.removeprefix("./") != "pyvenv.cfg":
        return data
    lines = data.decode().splitlines(keepends=True)
    return "".join(each for each in lines if each.partition("=")[0].strip() != "command").encode()


def _settings(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines())
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _packer(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        name = module.replace("_", "-")
        raise ExecutionEnvironmentError(f"{name} is not installed", hint=_EXTRA_HINT) from None
