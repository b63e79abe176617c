"""What the session needs of a way to start stubs."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import Protocol

from workbench._line import Line
from workbench.launch.output import OutputReader

__all__ = ["Launcher", "StubProcess", "exit_reason"]


class StubProcess(Protocol):
    """One stub process. Whoever started it reaps it."""

    @property
    def pid(self) -> int: ...
    @property
    def output(self) -> OutputReader:
        """Its standard output and error, one stream."""

    @property
    def line(self) -> Line | None:
        """The private line to a stub of ours; None to a stub that knows of none."""

    def poll(self) -> int | None:
        """Exit code (negative: the signal), or None while it runs."""

    def wait(self, timeout: float) -> int | None:
        """Wait for the end; None if it did not come in `timeout` seconds."""

    def kill(self) -> None:
        """SIGKILL, the only signal a stub obeys. Does nothing to a process that has ended."""

    def send_signal(self, number: int) -> None:
        """Any other signal."""

    def close(self) -> None:
        """Give up the pipe, its thread and the line. The process must have ended."""


class Launcher(Protocol):
    """A way to start stubs."""

    @property
    def stub(self) -> str:
        """``own`` or ``nvidia``."""

    @property
    def release(self) -> str:
        """The protocol release its stub speaks, or "" for one that speaks all."""

    @property
    def python_lib(self) -> str:
        """Folder with triton_python_backend_utils.py, an argument of the stub."""

    def start(
        self, arguments: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | None = None
    ) -> StubProcess:
        """Start a stub with these arguments (argv[1:]).

        Args:
            arguments: As the channel gives them.
            env: Added to this process's environment.
            cwd: Working folder; this process's by default, as under a server.
        """

    def close(self) -> None:
        """End everything kept warm."""


def exit_reason(code: int | None) -> str:
    """``SIGSEGV``, ``exit code 3``, or ``not answering`` for a process that still runs."""
    if code is None:
        return "not answering"
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
