"""Stub processes that a warm process forked."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time

from workbench._line import Line
from workbench.launch.output import OutputReader

__all__ = ["ForkedProcess"]

_UNKNOWN = 255  # the exit code of a stub whose warm process, which alone could know, died before it


class ForkedProcess:
    """A stub that is a grandchild of this process. Its parent reaps it and writes its exit code to a pipe."""

    def __init__(self, pid: int, pidfd: int, status: int, output: int, line: Line) -> None:
        """Take over three descriptors, of the process, and the read ends of its exit code and its output, and
        the line to it.
        """
        self.line = line
        self._pid = pid
        self._pidfd = pidfd
        self._status = status
        self._code: int | None = None
        self._killed = False
        self._orphaned = False
        self._lock = threading.Lock()
        self.output = OutputReader(output, str(pid))

    @property
    def pid(self) -> int:
        return self._pid

    def poll(self) -> int | None:
        return self.wait(0.0)

    def wait(self, timeout: float) -> int | None:
        end = time.monotonic() + max(timeout, 0.0)
        while self._code is None:
            orphaned = self._orphaned
            ready = select.poll()
            ready.register(self._pidfd if orphaned else self._status, select.POLLIN)
            if not ready.poll(max(end - time.monotonic(), 0.0) * 1e3):
                return None
            with self._lock:
                if self._code is None and self._orphaned == orphaned:
                    self._take()
        return self._code

    def kill(self) -> None:
        self._killed = True
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        with self._lock:
            if self._code is None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._pidfd, number)

    def close(self) -> None:
        self.output.close()
        self.line.close()
        with self._lock:
            for descriptor in (self._pidfd, self._status):
                if descriptor >= 0:
                    os.close(descriptor)
            self._pidfd = self._status = -1
            if self._code is None:
                self._code = -signal.SIGKILL if self._killed else _UNKNOWN

    def _take(self) -> None:
        if self._orphaned:
            self._code = -signal.SIGKILL if self._killed else _UNKNOWN
        elif data := os.read(self._status, 4):
            self._code = int.from_bytes(data, "little", signed=True)
        else:
            self._orphaned = True
