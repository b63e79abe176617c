"""The plain launcher: a new process for every stub."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from workbench._line import VARIABLE, line_pair
from workbench.errors import WorkbenchError
from workbench.launch.child import ChildProcess

__all__ = ["BOOT", "SpawnLauncher", "cold_launcher", "nvidia_launcher"]

#: The program that a new interpreter runs to be our stub.
BOOT = "from workbench._stub_boot import run; run()"


class SpawnLauncher:
    """Starts ``command + arguments`` each time."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        stub: str,
        python_lib: Path,
        release: str = "",
        env: Mapping[str, str] | None = None,
        inherit: bool = True,
    ) -> None:
        """Take the command. With ``inherit`` False, `env` is all of a stub's environment."""
        self.command = tuple(command)
        self._env = dict(env or {})
        self._inherit = inherit
        self.stub = stub
        self.release = release
        self.python_lib = str(python_lib)

    def start(
        self, arguments: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | None = None
    ) -> ChildProcess:
        environment = self.environment(env)
        line, theirs = line_pair() if self.stub == "own" else (None, None)
        if theirs is not None:
            environment[VARIABLE] = str(theirs.fileno())
        read, write = os.pipe2(os.O_CLOEXEC)
        try:
            process = subprocess.Popen(
                [*self.command, *arguments],
                stdin=subprocess.DEVNULL,
                # One pipe for both keeps the order in which a model printed and warned.
                stdout=write,
                stderr=write,
                env=environment,
                cwd=cwd,
                pass_fds=[theirs.fileno()] if theirs is not None else [],
                # Ctrl-C in a terminal is for the kernel; what it means for the stub is the session's to
                # decide.
                start_new_session=True,
            )
        except BaseException:
            os.close(read)
            if line is not None:
                line.close()
            raise
        finally:
            os.close(write)
            if theirs is not None:
                theirs.close()
        return ChildProcess(process, read, line)

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """All of a stub's environment, with what is added for it."""
        merged = {**(os.environ if self._inherit else {}), **self._env, **(env or {})}
        if merged.get("MPLBACKEND", "").startswith("module://matplotlib_inline"):
            del merged["MPLBACKEND"]  # the kernel's: it needs a kernel to draw to
        return merged

    def close(self) -> None:
        """Nothing is kept between starts."""


def cold_launcher() -> SpawnLauncher:
    """Our stub, run by the interpreter that runs the kernel: the model finds the packages the notebook
    finds.
    """
    with resources.as_file(resources.files("workbench") / "backend") as folder:
        return SpawnLauncher([sys.executable, "-c", BOOT], stub="own", python_lib=Path(folder))


def nvidia_launcher(release: str | None = None) -> SpawnLauncher:
    """NVIDIA's stub out of a server on this machine, with that server's reference environment.

    Raises:
        WorkbenchError: no such server here, or it has no stub.
    """
    from workbench import server_install

    server = server_install.find_server(release)
    folder = server.backends / "python"
    stub = folder / "triton_python_backend_stub"
    if not stub.is_file():
        raise WorkbenchError(
            f"the Triton server in {server.root} has no {stub.name}", "workbench server install"
        )
    env: dict[str, str] = {}
    if server.reference_env is not None:
        env["PATH"] = f"{server.reference_env / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
        env["VIRTUAL_ENV"] = str(server.reference_env)
    library = server_install.libpython_dir()
    if library is not None:
        old = os.environ.get("LD_LIBRARY_PATH", "")
        env["LD_LIBRARY_PATH"] = f"{library}{os.pathsep}{old}" if old else str(library)
    return SpawnLauncher([str(stub)], stub="nvidia", python_lib=folder, release=server.release or "", env=env)
