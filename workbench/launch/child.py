"""A stub that is a child of this process."""

from __future__ import annotations

import subprocess

from workbench._line import Line
from workbench.launch.output import OutputReader

__all__ = ["ChildProcess"]


class ChildProcess:
    """A child process with its output on one pipe; see `workbench.launch.base.StubProcess`."""

    def __init__(self, process: subprocess.Popen[bytes], output: int, line: Line | None) -> None:
        """Take over the process, the read end of its output, and the line to it."""
        self.line = line
        self._process = process
        self.output = OutputReader(output, str(process.pid))

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.poll()

    def wait(self, timeout: float) -> int | None:
        try:
            return self._process.wait(max(timeout, 0.0))
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def close(self) -> None:
        self.output.close()
        if self.line is not None:
            self.line.close()
