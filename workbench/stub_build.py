"""Build the stub as one executable for an interpreter: ``workbench stub build``.

The sources come with the package (``workbench/stub_src``), or lie beside it in a checkout. What was built is
kept in ``$XDG_CACHE_HOME/triton-workbench/stubs``, under a key made of the sources and the interpreter.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from workbench.cache import cache_folder, locked
from workbench.libpython import linked_libpython
from workbench.server_errors import StubBuildError

__all__ = ["NAME", "StubBuild", "build_stub", "built_stub", "stub_cache"]

NAME = "triton_python_backend_stub"
_EXTRA_HINT = "pip install 'triton-workbench[stub]' brings what the build needs"
_PROBE = """
import json, os, sys, sysconfig
var = sysconfig.get_config_var
print(json.dumps({
    "minor": "%d.%d" % sys.version_info[:2],
    "version": sys.version,
    "kind": sys.implementation.name,
    "headers": os.path.isfile(os.path.join(sysconfig.get_paths()["include"], "Python.h")),
    "soabi": var("SOABI"),
    "prefix": sys.base_prefix,
    "libpython": var("INSTSONAME") if var("Py_ENABLE_SHARED") else None,
    "folders": [each for each in (var("LIBDIR"), os.path.join(sys.base_prefix, "lib")) if each],
}))
"""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class StubBuild:
    """A stub executable. ``python`` is its minor version, ``libpython`` the library it is linked to."""

    path: Path
    python: str
    libpython: Path

    def __repr__(self) -> str:
        return f"Stub for python {self.python}: {self.path}\n  libpython  {self.libpython}"


def stub_cache() -> Path:
    """Folder of built stubs: ``$XDG_CACHE_HOME`` (``~/.cache``) ``/triton-workbench/stubs``."""
    return cache_folder("stubs")


def build_stub(python: Path, *, progress: Progress = lambda text: None, prebuilt: bool = True) -> StubBuild:
    """The stub for an interpreter: the installed one if that fits, else built, or taken from the cache.

    Args:
        python: The interpreter: headers and a shared library of it must be here.
        progress: Called with a line of text before the build, which takes about a minute.
        prebuilt: False builds even where the installed executable would do.

    Raises:
        StubBuildError: the interpreter does not run or lacks something, a tool is missing, or the build
            failed.
    """
    # Not resolved: a virtual environment's interpreter is a link to another one.
    python = Path(shutil.which(python) or python).expanduser().absolute()
    facts = _probe(python)
    library = _library(python, facts)
    installed = Path(str(resources.files("workbench").joinpath("bin").joinpath(NAME)))
    if prebuilt and installed.is_file() and linked_libpython(installed)[1] == library:
        return StubBuild(installed, facts["minor"], library)
    sources = _sources()
    place = stub_cache() / f"{facts['minor']}-{_key(sources, facts)}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with locked(place.parent / f".{place.name}.lock"):
        built = place / NAME
        if not built.is_file():
            progress(f"building the stub for python {facts['minor']}; this takes about a minute")
            _build(sources, python, place)
    _, linked = linked_libpython(built)
    if linked != library:
        raise StubBuildError(
            f"the stub was linked to {linked or 'no libpython'}, not to {library.name} of {python.name}",
            hint=f"the loader finds another library of that name first; remove {place} to build anew",
        )
    return StubBuild(built, facts["minor"], library)


def built_stub(python: Path) -> Path | None:
    """The executable for an interpreter, if `build_stub` has made it before. Nothing is built."""
    try:
        facts = _probe(python)
        built = stub_cache() / f"{facts['minor']}-{_key(_sources(), facts)}" / NAME
    except StubBuildError:
        return None
    return built if built.is_file() else None


def _probe(python: Path) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", _PROBE], capture_output=True, text=True, check=True, timeout=60
        )
        facts: dict[str, Any] = dict(json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        raise StubBuildError(f"{python} is no Python interpreter", hint="--python PATH names one") from None
    if facts["kind"] != "cpython":
        raise StubBuildError(f"{python} is {facts['kind']}; the stub runs on CPython")
    return facts


def _library(python: Path, facts: dict[str, Any]) -> Path:
    if not facts["headers"]:
        raise StubBuildError(
            f"python {facts['minor']} at {python} has no headers (Python.h)",
            hint="on Debian: apt install python3-dev; or use the launcher, which needs none",
        )
    name = facts["libpython"]
    candidates = [Path(folder, name) for folder in facts["folders"]] if name else []
    found = next((each for each in candidates if each.exists()), None)
    if found is None:
        raise StubBuildError(
            f"python {facts['minor']} at {python} has no shared library to link to",
            hint="on Debian: apt install libpython3-dev; or use the launcher, which needs none",
        )
    return found.resolve()


def _sources() -> Path:
    package = resources.files("workbench")
    shipped = Path(str(package.joinpath("stub_src")))
    beside = Path(str(package.joinpath("__init__.py"))).parent.parent / "stub"
    for folder in (beside, shipped):
        if (folder / "CMakeLists.txt").is_file() and (folder / "runtime" / "main.cpp").is_file():
            return folder
    raise StubBuildError(
        "the stub's sources are not in this installation", hint="install the workbench again"
    )


def _key(sources: Path, facts: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for path in sorted(sources.rglob("*")):
        if path.suffix in (".cpp", ".hpp") or path.name == "CMakeLists.txt":
            digest.update(str(path.relative_to(sources)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _build(sources: Path, python: Path, place: Path) -> None:
    cmake, ninja = _tool("cmake"), _tool("ninja")
    boost = _package("boost_headers").get_include()
    pybind11 = _package("pybind11").get_cmake_dir()
    jobs = str(len(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory(prefix=".build-", dir=place.parent) as folder:
        work = Path(folder) / "work"
        _run(
            [
                *(cmake, "-S", str(sources), "-B", str(work), "-G", "Ninja"),
                f"-DCMAKE_MAKE_PROGRAM={ninja}",
                "-DCMAKE_BUILD_TYPE=Release",
                # The path of libpython goes into the file: a loader may find another one of that name.
                "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",
                "-DWORKBENCH_WERROR=OFF",
                f"-DPython_EXECUTABLE={python}",
                f"-DBOOST_INCLUDEDIR={boost}",
                f"-Dpybind11_DIR={pybind11}",
            ]
        )
        _run([cmake, "--build", str(work), "--target", NAME, "-j", jobs])
        ready = Path(folder) / "ready"
        ready.mkdir()
        shutil.copy(work / NAME, ready / NAME)
        ready.rename(place)


def _run(command: list[str]) -> None:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate()
    except BaseException:
        # The compilers too: they are children of children, and would go on for minutes.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if process.returncode:
        lines = said.decode(errors="replace").splitlines()
        told = [line for line in lines if "error" in line.lower()] or lines
        raise StubBuildError(
            f"the stub could not be built: {Path(command[0]).name} ended with {process.returncode}",
            output=[*told[:5], *lines[-5:]],
        )


def _tool(name: str) -> str:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    found = shutil.which(name, path=path)
    if found is None:
        raise StubBuildError(f"{name} is not installed", hint=_EXTRA_HINT)
    return found


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise StubBuildError(f"the package {name} is not installed", hint=_EXTRA_HINT) from None
