"""The local target: a real server that this kernel starts when it is first asked for, and ends."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from workbench.repository.stub_files import launcher_files
from workbench.server_install import ServerInstall
from workbench.targets.client import ServerClient
from workbench.targets.process_server import ServerProcess
from workbench.targets.remote import ServerTarget

__all__ = ["LocalTarget"]


class LocalTarget(ServerTarget):
    """A server on loopback, in explicit mode, with an empty repository.

    Every model goes there with our stub, which runs this kernel's Python: so it finds the packages that the
    live model has. With ``stub="nvidia"`` the server's own stub runs it, in the reference environment.
    Auto-completion is off, which takes a second off every load: models come with complete configurations.

    Raises (on making it):
        ServerInstallError: there is no server on this machine.
        ServerStartError: it does not come up.
    """

    def __init__(
        self,
        name: str = "local",
        install: ServerInstall | None = None,
        *,
        stub: str = "own",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="wb-local-")
        self.process = ServerProcess(
            self._folder.name, install, env=env, auto_complete=False, stop_timeout=3.0
        )
        files: dict[str, bytes | Path] = {}
        if stub == "own":
            files = launcher_files(sys.executable).files
            if self.process.install.release:
                files["triton_release"] = f"{self.process.install.release}\n".encode()
        try:
            self.process.start()
        except BaseException:
            self._folder.cleanup()
            raise
        client = ServerClient(f"http://{self.process.http_address}")
        super().__init__(name, client, stub_files=files)

    @property
    def release(self) -> str:
        """``24.10``, or "" where the installation does not say."""
        return self.process.install.release or ""

    def logs(self, name: str, count: int = 50) -> list[str]:
        """The last lines of the server's log that have the model's name in them."""
        return [line for line in self.process.log_text().splitlines() if name in line][-count:]

    def close(self) -> None:
        """End the server. May be called again."""
        self.process.stop()
        self._folder.cleanup()
