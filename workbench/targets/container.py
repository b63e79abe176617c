"""A Triton server in a container, by docker or podman, whichever is there.

The engine's own program is called, with a list of words and no shell in between. It stays in the foreground
as a server would and hands SIGTERM on; what it leaves when it is killed itself, its container, is removed by
name (see `workbench.targets.server_guard`).
"""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.server_install import ServerInstall, ServerInstallError
from workbench.targets.server_command import HOST, Wanted, arguments

__all__ = ["ENGINES", "REPOSITORY", "Container", "find_container"]

#: Engines; the first one that works and has the image is used.
ENGINES = ("docker", "podman")
#: Where a container has the model repository.
REPOSITORY = "/models"

#: The layout of NVIDIA's images.
_IN_IMAGE = ServerInstall(
    Path("tritonserver"), Path("/opt/tritonserver"), Path("/opt/tritonserver/backends"), None, None
)
_NO_IMAGE = re.compile(r"no such (image|object)|image not known|does not exist", re.IGNORECASE)
_ASK_SECONDS = 60.0
_EXAMPLE = "an image is called like nvcr.io/nvidia/tritonserver:24.10-py3"
#: Docker gives a container 64 MiB, which is one model's region.
_SHM_BYTES = 1 << 30


@dataclass(frozen=True)
class Container:
    """A server that an engine runs.

    Attributes:
        engine: Path of ``docker`` or ``podman``.
        image: The image, as the engine calls it.
        shm_size: Bytes of the container's ``/dev/shm``, in which its models' regions are.
        user: Whose rights the server has, ``UID:GID``. Default: the caller's, so that what is readable for
            the caller, and nothing more, is readable there.
    """

    engine: str
    image: str
    shm_size: int = _SHM_BYTES
    user: str = ""
    holds_ports: bool = False
    is_podman: bool = False  # also where it is called docker

    @property
    def install(self) -> ServerInstall:
        return _IN_IMAGE

    @property
    def name(self) -> str:
        """``docker`` or ``podman``."""
        return Path(self.engine).name

    def command(self, wanted: Wanted) -> list[str]:
        """``docker run``: the ports are published on this machine's loopback only; the repository cannot be
        written; nothing is fetched; the container is gone once the server is.

        Other containers of the engine's network reach the server at its address there.
        """
        user = self.user or f"{os.getuid()}:{os.getgid()}"
        command = [
            *(self.engine, "run", "--rm", f"--name={wanted.name}", "--pull=never"),
            # Inside, the server has to listen on all addresses: the engine's network comes in from outside.
            *(f"--publish={HOST}:{port}:{port}" for port in wanted.ports),
            f"--mount={_mount(wanted.repository)}",
            f"--shm-size={self.shm_size}",
            f"--user={user}",
        ]
        if self.is_podman:
            # Where SELinux is on, a container reads no file of the user's; to label them would change them.
            command.append("--security-opt=label=disable")
            if user.partition(":")[0] != "0":
                # Without this the caller's number is somebody else's there. Root has no other numbers.
                command.append("--userns=keep-id")
        # The number has no home folder there, and what models put into theirs shall not fail for that.
        env = {"HOME": "/tmp", **wanted.env}  # noqa: S108 - a path in the container
        command += [f"--env={key}={value}" for key, value in sorted(env.items())]
        command += [self.image, str(_IN_IMAGE.binary), f"--id={wanted.name}"]
        return command + arguments("0.0.0.0", REPOSITORY, wanted)  # noqa: S104 - in the container

    def environment(self, wanted: Wanted) -> dict[str, str]:
        return dict(os.environ)

    def remains(self, wanted: Wanted) -> list[str]:
        return [self.engine, "rm", "--force", wanted.name]

    def explain(self, ending: str, log: str) -> str:
        if ending == "exit code 125":
            return f"{self.name} did not start a container of {self.image}: {_said(log)}"
        if ending in ("exit code 126", "exit code 127"):
            return f"{self.image} holds no tritonserver that can be run: {_said(log)}"
        return f"the container of {self.image} ended with {ending}"


def find_container(
    image: str, *, shm_size: int = 0, which: Callable[[str], str | None] = shutil.which
) -> Container:
    """An engine of this machine that has the image.

    Args:
        image: As the engine calls it: ``nvcr.io/nvidia/tritonserver:24.10-py3``.
        shm_size: Bytes of the container's ``/dev/shm``; 0: 1 GiB.
        which: Finds a program.

    Raises:
        ServerInstallError: there is no engine, it does not work, or it does not have the image.
    """
    if image.startswith("-"):  # it would be read as an option
        raise ServerInstallError(f"{image!r} is no name of an image", hint=_EXAMPLE)
    engines = [found for found in map(which, ENGINES) if found]
    if not engines:
        raise ServerInstallError(
            f"--image {image} needs {' or '.join(ENGINES)}, and neither is on PATH",
            hint="install one of them, or leave --image out: `workbench server install` fetches a server",
        )
    refusals: list[ServerInstallError] = []
    for engine in engines:
        try:
            return _checked(Container(engine, image, shm_size or _SHM_BYTES))
        except ServerInstallError as refusal:
            refusals.append(refusal)
    # Where one of two works, what it says is worth more than that the other one does not.
    raise next((each for each in refusals if isinstance(each, _NoImageError)), refusals[0])


class _NoImageError(ServerInstallError):
    """The engine works."""


def _checked(found: Container) -> Container:
    """Asked whether it works and has the image. Raises ServerInstallError."""
    engine, image = found.engine, found.image
    try:
        # Distributions install podman under the other's name, too.
        is_podman = "podman" in _ask(engine, "--version").stdout.lower()
        found = replace(found, is_podman=is_podman)
        asked = _ask(engine, "image", "inspect", "--format={{.Id}}", image)
    except subprocess.TimeoutExpired:
        raise ServerInstallError(
            f"{found.name} does not answer", hint=f"`{found.name} info` should; is its service running?"
        ) from None
    except OSError as error:
        raise ServerInstallError(f"{engine} cannot be run: {error.strerror}") from None
    if asked.returncode == 0:
        return found
    if _NO_IMAGE.search(asked.stderr):
        raise _NoImageError(
            f"{found.name} has no image {image} on this machine",
            hint=f"`{found.name} pull {image}` fetches it",
        )
    raise ServerInstallError(
        f"{found.name} does not work here: {_said(asked.stderr) or f'exit code {asked.returncode}'}",
        hint=f"`{found.name} info` should work in a terminal",
    )


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_ASK_SECONDS,
    )


def _mount(repository: Path) -> str:
    """The value of ``--mount``, which is a line of CSV: a path may hold a comma."""
    line = io.StringIO()
    fields = ("type=bind", f"source={repository}", f"target={REPOSITORY}", "readonly")
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _said(log: str) -> str:
    """The first line of an engine that is about the matter."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "")
