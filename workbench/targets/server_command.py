"""The command that starts a server of this machine: its words, its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from workbench.server_install import ServerInstall, libpython_dir

__all__ = ["HOST", "Installed", "Starter", "Wanted", "arguments"]

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Wanted:
    """What one start of a server asks for.

    Attributes:
        name: Tells this server from all others of the machine.
        repository: Absolute path of the model repository.
        ports: HTTP, gRPC, metrics.
        options: More arguments for the server, complete.
        env: More environment variables for the server and its stubs.
    """

    name: str
    repository: Path
    ports: tuple[int, int, int]
    options: tuple[str, ...]
    env: Mapping[str, str]


class Starter(Protocol):
    """A way to start a server."""

    @property
    def install(self) -> ServerInstall:
        """Where its files are, as the server itself sees them."""

    @property
    def holds_ports(self) -> bool:
        """Whether the started process is the server, and so holds its ports."""

    def command(self, wanted: Wanted) -> list[str]:
        """The words; the process stays in the foreground, and ends on SIGTERM."""

    def environment(self, wanted: Wanted) -> dict[str, str]:
        """The environment of that process."""

    def remains(self, wanted: Wanted) -> list[str]:
        """A command that removes what may be left when the process is gone; [] for nothing."""

    def explain(self, ending: str, log: str) -> str:
        """Why a start ended, in one line, from how it did and the end of its log."""


def arguments(host: str, repository: str, wanted: Wanted) -> list[str]:
    """What every server is started with.

    Args:
        host: The address it listens on.
        repository: Where it finds the repository.
        wanted: The rest.
    """
    http, grpc, metrics = wanted.ports
    return [
        f"--model-repository={repository}",
        "--model-control-mode=explicit",
        f"--http-address={host}",
        f"--grpc-address={host}",
        f"--metrics-address={host}",
        f"--http-port={http}",
        f"--grpc-port={grpc}",
        f"--metrics-port={metrics}",
        *wanted.options,
    ]


@dataclass(frozen=True)
class Installed:
    """A server installed on this machine.

    Attributes:
        install: Which.
        python_env: Prefix of the environment that NVIDIA's stubs shall find their packages in.
    """

    install: ServerInstall
    python_env: Path | None = None
    holds_ports: bool = True

    def command(self, wanted: Wanted) -> list[str]:
        return [
            str(self.install.binary),
            f"--backend-directory={self.install.backends}",
            *arguments(HOST, str(wanted.repository), wanted),
        ]

    def environment(self, wanted: Wanted) -> dict[str, str]:
        env = dict(os.environ)
        library = libpython_dir()
        if library:
            env["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, (str(library), env.get("LD_LIBRARY_PATH"))))
        if self.python_env:
            env["PATH"] = os.pathsep.join((str(self.python_env / "bin"), env.get("PATH", os.defpath)))
        env.update(wanted.env)
        return env

    def remains(self, wanted: Wanted) -> list[str]:
        return []

    def explain(self, ending: str, log: str) -> str:
        return f"tritonserver ended with {ending}"
