"""Find a Triton server on this machine, or fetch one into our cache.

NVIDIA publishes the server only as a container image, but the PyPI wheel ``nvidia-pytriton`` carries a
complete one. As a dependency that wheel would pin old versions of NumPy and of the client, so it is
unpacked aside, without its dependencies, into ``$XDG_CACHE_HOME/triton-workbench/servers``. Beside it lies
the *reference environment*, a virtual environment with ``numpy<2``: NVIDIA's stubs up to 24.10 return
zero-length tensors, without an error, under NumPy 2.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from workbench.cache import cache_folder, locked
from workbench.errors import WorkbenchError

#: release → (version of nvidia-pytriton, server version). Newest first: the first is the default.
PACKAGES: dict[str, tuple[str, str]] = {
    "24.10": ("0.7.0", "2.51.0"),
    "24.07": ("0.5.10", "2.48.0"),
}
DEFAULT_RELEASE = next(iter(PACKAGES))

_MANIFEST = "install.json"
_MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
_TAG = f"cp{sys.version_info.major}{sys.version_info.minor}"

Progress = Callable[[str], None]


class ServerInstallError(WorkbenchError):
    """No usable server: the text says which and why."""

    exit_code = 3


class ServerUnavailableError(ServerInstallError):
    """The package cannot be had here: it does not run on this machine, or it could not be downloaded."""


@dataclass(frozen=True)
class ServerInstall:
    """A Triton server on this machine.

    Attributes:
        binary: The ``tritonserver`` executable.
        root: The installation's folder, ``/opt/tritonserver`` in the server image.
        backends: What goes to ``--backend-directory``.
        release: ``24.10`` and so on; None where the installation does not say.
        reference_env: Virtual environment with ``numpy<2`` for NVIDIA's stubs; None for an installation not
            of our making.
    """

    binary: Path
    root: Path
    backends: Path
    release: str | None
    reference_env: Path | None


def cache_dir() -> Path:
    """Folder of our servers: ``$XDG_CACHE_HOME`` (``~/.cache``) ``/triton-workbench/servers``."""
    return cache_folder("servers")


def libpython_dir() -> Path | None:
    """Folder of this Python's shared library, which NVIDIA's stubs are linked to; None if there is none."""
    name = sysconfig.get_config_var("INSTSONAME")
    if not name or ".so" not in str(name):
        return None
    candidates = [sysconfig.get_config_var("LIBDIR"), Path(sys.base_prefix) / "lib"]
    return next((Path(folder) for folder in candidates if folder and (Path(folder) / name).exists()), None)


def find_server(release: str | None = None, *, at: str = "") -> ServerInstall:
    """The server to use: ``TRITON_SERVER`` (binary or folder), PATH, ``/opt/tritonserver``, then our cache.

    Args:
        release: Accept this release only, as ``24.10``. Default: whichever comes first; of the cache, the
            newest.
        at: Look here only: a binary, or a folder that holds ``bin/tritonserver``.

    Raises:
        ServerInstallError: none was found, or ``TRITON_SERVER`` names something that is not a server.
    """
    if at:
        chosen = _at(Path(at).expanduser())
        if chosen is None:
            raise ServerInstallError(
                f"there is no tritonserver at {at!r}",
                hint="the binary, or the folder that holds bin/tritonserver",
            )
        return chosen
    for install in _candidates():
        if release is None or install.release == release:
            return install
    wanted = f"Triton server {release}" if release else "Triton server"
    hint = f"set TRITON_SERVER to the binary of a {wanted}"
    if release is None or release in PACKAGES:
        hint = f"run `workbench server install{f' --release {release}' if release else ''}`, or {hint}"
    raise ServerInstallError(
        f"no {wanted} on this machine (looked at TRITON_SERVER, PATH, /opt/tritonserver and the cache)",
        hint=hint,
    )


def _candidates() -> Iterator[ServerInstall]:
    named = os.environ.get("TRITON_SERVER")
    if named:
        install = _at(Path(named).expanduser())
        if install is None:
            raise ServerInstallError(
                f"TRITON_SERVER is {named!r}, where there is no tritonserver",
                hint="set it to the binary or to the folder that holds bin/tritonserver, or unset it",
            )
        yield install
    on_path = shutil.which("tritonserver")
    for place in (on_path and Path(on_path), Path("/opt/tritonserver")):
        install = _at(place) if place else None
        if install:
            yield install
    for known in PACKAGES:
        install = _at(_place(known, cache_dir()))
        if install:
            yield install


def _place(release: str, base: Path) -> Path:
    # The stub and the reference environment belong to one Python, so the folder does too.
    return base / f"{release}-{_TAG}"


def _at(path: Path) -> ServerInstall | None:
    """The installation that a binary or a folder belongs to, or None."""
    path = path.resolve()
    if path.is_file():
        binary = path if os.access(path, os.X_OK) else None
    else:
        names = ("bin/tritonserver", "pytriton/tritonserver/bin/tritonserver")
        binary = next((path / name for name in names if os.access(path / name, os.X_OK)), None)
    if binary is None:
        return None
    root = binary.parent.parent
    ours = next((folder for folder in root.parents if (folder / _MANIFEST).is_file()), None)
    if ours is None:
        return ServerInstall(binary, root, root / "backends", _release_of(root), None)
    manifest = json.loads((ours / _MANIFEST).read_text())
    return ServerInstall(binary, root, root / "backends", manifest["release"], ours / "reference-env")


def _release_of(root: Path) -> str | None:
    """Release of an installation not of our making, from the version file that the server image carries."""
    try:
        version = (root / "TRITON_VERSION").read_text().strip()
    except OSError:
        return None
    from workbench._host import find_release

    try:
        return find_release(version).name
    except ValueError:
        return None


def install_server(
    release: str = DEFAULT_RELEASE,
    directory: Path | None = None,
    *,
    progress: Progress = lambda text: None,
) -> ServerInstall:
    """Fetch a server into our cache, unless it is there, and try it.

    The work is done in a folder of its own, which takes its final name only after the server has started
    and told its version: an interrupted or failed install leaves nothing that could be mistaken for a
    server.

    Args:
        release: One of `PACKAGES`.
        directory: Folder to use in place of `cache_dir()`. Such a server is found through ``TRITON_SERVER``
            only.
        progress: Called with a line of text before each slow step.

    Raises:
        ServerInstallError: this machine cannot run it, the download failed, or the server did not start.
    """
    if release not in PACKAGES:
        raise ServerInstallError(
            f"there is no package of Triton {release}", hint=f"choose one of {', '.join(PACKAGES)}"
        )
    base = (directory or cache_dir()).expanduser().resolve()
    place = _place(release, base)
    _check_machine(release)
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServerInstallError(
            f"cannot make the folder {base.name}: {error.strerror}",
            hint="--dir names another; the cache lies where XDG_CACHE_HOME says, or in ~/.cache",
        ) from None
    with locked(base / f".{place.name}.lock"):
        installed = _at(place)
        if installed:
            return installed
        if place.exists():
            shutil.rmtree(place)
        work = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=base))
        try:
            _fill(work, place, release, progress)
            work.rename(place)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    installed = _at(place)
    assert installed is not None
    return installed


def _fill(work: Path, place: Path, release: str, progress: Progress) -> None:
    package, version = PACKAGES[release]
    progress(f"fetching nvidia-pytriton {package}, which holds Triton {release}")
    _pip("install", "--no-deps", "--target", str(work), f"nvidia-pytriton=={package}")
    root = work / "pytriton" / "tritonserver"
    stub = root / "python_backend_stubs" / _MINOR / "triton_python_backend_stub"
    if not stub.is_file():
        have = sorted((p.name for p in stub.parents[1].iterdir()), key=lambda name: int(name.split(".")[1]))
        raise ServerUnavailableError(
            f"Triton {release}'s package has no stub for Python {_MINOR}, only for {', '.join(have)}",
            hint="run the workbench with one of these, or set TRITON_SERVER to an installation that has one",
        )
    target = shutil.copy(stub, root / "backends" / "python")
    Path(target).chmod(0o755)
    # The server image has this file at the same place; a stub reads from it which release its parent is.
    (root / "TRITON_VERSION").write_text(version + "\n")

    progress("making the reference environment with numpy<2")
    _make_reference_env(work / "reference-env", place / "reference-env")

    progress(f"starting Triton {release} once")
    manifest = {"release": release, "server_version": version, "package": package, "python": _MINOR}
    (work / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    _try(work, version)


def _make_reference_env(folder: Path, final: Path) -> None:
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    for script in (folder / "bin").glob("[Aa]ctivate*"):
        script.write_text(script.read_text().replace(str(folder), str(final)))
    _pip("install", "numpy<2", python=folder / "bin" / "python3")


def _try(work: Path, version: str) -> None:
    from workbench.targets.process_server import ServerProcess, ServerStartError

    install = _at(work)
    assert install is not None
    with tempfile.TemporaryDirectory(prefix="wb-empty-repository-") as repository:
        try:
            with ServerProcess(repository, install) as server:
                answer = server.version
        except ServerStartError as error:
            raise ServerInstallError(
                f"the fetched server does not start: {error.reason}\n{error.log_tail}",
                hint="`ldd` on the tritonserver binary shows a library that is missing",
            ) from error
    if answer != version:
        raise ServerInstallError(
            f"the fetched server says version {answer}, {version} was expected",
            hint="report this: the package has changed",
        )


def _check_machine(release: str) -> None:
    hint = "set TRITON_SERVER to a server of this machine, or connect to one elsewhere"
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise ServerUnavailableError(
            f"Triton {release}'s package is for Linux on x86_64, "
            f"this is {sys.platform} on {platform.machine()}",
            hint=hint,
        )
    name, _, number = (os.confstr("CS_GNU_LIBC_VERSION") or "none 0").partition(" ")
    if name != "glibc" or tuple(map(int, number.split("."))) < (2, 35):
        raise ServerUnavailableError(
            f"Triton {release}'s package needs glibc 2.35 or newer, this is {name} {number}", hint=hint
        )
    if libpython_dir() is None and sys.version_info < (3, 13):  # the stub for 3.13 carries its own
        raise ServerUnavailableError(
            f"NVIDIA's stub needs the shared library of Python {_MINOR}, and {sys.base_prefix} has none",
            hint="use a Python built with --enable-shared (on Debian: apt install libpython3-dev)",
        )


def _pip(*arguments: str, python: Path | None = None) -> None:
    """Run pip, or uv where the environment has no pip (as those that uv makes)."""
    target = ["--python", str(python)] if python else []
    uv = shutil.which("uv")
    # Not by importlib.util: setuptools looks on there, and warns whoever has imported distutils.
    if PathFinder.find_spec("pip"):
        quiet = ["-q", "--disable-pip-version-check", "--no-input"]
        command = [sys.executable, "-m", "pip", *target, *arguments, *quiet]
    elif uv:
        command = [uv, "pip", *arguments, *(target or ["--python", sys.executable]), "-q"]
    else:
        raise ServerUnavailableError(
            "neither pip nor uv is at hand to fetch the server",
            hint="run `python -m ensurepip` and try again",
        )
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        raise ServerUnavailableError(
            f"`{' '.join(arguments)}` failed: " + "\n  ".join(lines[-5:] or ["no output"]),
            hint="check the network and pip's settings (`pip config list`), then run the command again",
        )
