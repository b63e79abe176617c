"""One warm process, seen from here: start it, ask it for stubs, end it. Its own side is
`workbench._warm_server`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench._line import line_pair
from workbench.launch.base import StubProcess, exit_reason
from workbench.launch.child import ChildProcess
from workbench.launch.spawn import BOOT
from workbench.launch.warm_process import ForkedProcess
from workbench.launch.warm_situation import Situation, Surroundings

__all__ = ["Report", "WarmServer", "WarmServerError"]

_BOOT = "from workbench._warm_server import run; run()"
_ANSWER_SECONDS = 5.0
_END_SECONDS = 2.0
_LIMIT = 1 << 18


class WarmServerError(Exception):
    """The warm process did not do what was asked; start the stub another way."""


@dataclass(frozen=True)
class Report:
    """What became of the imports.

    Attributes:
        failed: Module and reason, if one could not be imported. The process is of no use then.
        unsafe: Module and reason, if the process must not be forked: it is good for one stub.
        names: All top-level modules it has imported.
    """

    failed: tuple[str, str] | None = None
    unsafe: tuple[str, str] | None = None
    names: tuple[str, ...] = ()


class WarmServer:
    """Serves while its situation lasts. Thread-safe."""

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str], situation: Situation) -> None:
        """Start the process; it imports `modules` in the background.

        Args:
            modules: Dotted names, imported in this order.
            environment: All of it.
            situation: That this process would now start others in.
        """
        self.modules = tuple(modules)
        self.situation = situation
        self.report: Report | None = None
        self._environment = dict(environment)
        self._surroundings = Surroundings(())
        self._lock = threading.Lock()
        self._children: set[int] = set()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # A pipe, as a stub has one, and so that nothing printed by an import goes to the notebook.
        self._output, write = os.pipe2(os.O_CLOEXEC)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, str(theirs.fileno()), str(os.getpid()), *modules],
                stdin=subprocess.DEVNULL,
                stdout=write,
                stderr=write,
                env=self._environment,
                cwd=situation.folder,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except BaseException:
            self._socket.close()
            os.close(self._output)
            raise
        finally:
            theirs.close()
            os.close(write)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def forks(self) -> bool:
        """False: it is a spare, good for one stub."""
        return self.report is not None and self.report.unsafe is None

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def wait_ready(self, timeout: float) -> Report:
        """Wait for the imports. One that kills the process or takes too long has failed."""
        end = time.monotonic() + timeout
        importing = "workbench"
        said = b""
        ready = select.poll()
        ready.register(self._socket, select.POLLIN)
        ready.register(self._output, select.POLLIN)
        report = None
        while report is None:
            events = ready.poll(max(end - time.monotonic(), 0.0) * 1e3)
            if not events:
                report = Report(failed=(importing, f"not imported after {timeout:g} s"))
            for descriptor, _ in events:
                if descriptor == self._output:
                    data = os.read(self._output, 65_536)
                    said = (said + data)[-500:]
                    if not data:
                        ready.unregister(self._output)
                    continue
                try:
                    message = self._socket.recv(_LIMIT)
                except OSError:
                    message = b""
                if not message:
                    self.kill()
                    why = exit_reason(self._process.poll())
                    text = said.decode("utf-8", "replace").strip()
                    report = Report(failed=(importing, f"{why}: {text}" if text else why))
                    break
                content = json.loads(message)
                importing = content.get("importing", importing)
                if "names" in content:
                    report = Report(
                        _pair(content["failed"]), _pair(content["unsafe"]), tuple(content["names"])
                    )
        os.close(self._output)
        self._output = -1
        self._surroundings = Surroundings(report.names)
        self.report = report
        return report

    def hides(self, environment: Mapping[str, str], folder: str) -> str:
        """A module of the user's that goes before one imported here, or ""."""
        return self._surroundings.hides(environment, folder)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], folder: str) -> StubProcess:
        """A stub with these arguments, this environment and working folder.

        Raises:
            WarmServerError: there is none. The process is not to be asked again.
        """
        read, write = os.pipe2(os.O_CLOEXEC)
        mine = [read]
        theirs = [write]
        line, their_line = line_pair()
        try:
            status_read, status_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            mine.append(status_read)
            theirs.append(status_write)
            theirs.append(os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
            theirs.append(their_line.fileno())
            message = json.dumps(
                {
                    "arguments": list(arguments),
                    "env": self._changes(environment),
                    "orig_argv": [sys.executable, "-c", BOOT, *arguments],
                }
            ).encode()
            pid, pidfd = self._ask(message, theirs)
        except BaseException as error:
            line.close()
            for descriptor in mine:
                os.close(descriptor)
            if isinstance(error, OSError):
                raise WarmServerError(str(error)) from None
            raise
        finally:
            for descriptor in theirs:
                if descriptor != their_line.fileno():
                    os.close(descriptor)
            their_line.close()
        if self.forks:
            return ForkedProcess(pid, pidfd, status_read, read, line)
        os.close(pidfd)
        os.close(status_read)
        self._socket.close()
        return ChildProcess(self._process, read, line)  # it has become the stub

    def _changes(self, environment: Mapping[str, str]) -> dict[str, str | None]:
        changes: dict[str, str | None] = {name: None for name in self._environment if name not in environment}
        changes.update(
            (name, value) for name, value in environment.items() if self._environment.get(name) != value
        )
        return changes

    def _ask(self, message: bytes, descriptors: list[int]) -> tuple[int, int]:
        with self._lock:
            self._socket.settimeout(_ANSWER_SECONDS)
            try:
                socket.send_fds(self._socket, [message], descriptors)
                data, received, _, _ = socket.recv_fds(self._socket, _LIMIT, 1)
            except TimeoutError:
                self._abandon()
                raise
            if not data:
                raise WarmServerError(f"the warm process ended ({exit_reason(self._process.poll())})")
            answer = json.loads(data)
            if "error" in answer:
                raise WarmServerError(answer["error"])
            pid = int(answer["pid"])
            self._children.add(pid)
            return pid, received[0]

    def _abandon(self) -> None:
        """Kill the process and a stub that it may just have forked without saying so."""
        self._process.send_signal(signal.SIGSTOP)
        with contextlib.suppress(OSError):
            listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            for pid in {int(each) for each in listed} - self._children:
                os.kill(pid, signal.SIGKILL)
        self.kill()

    def drain(self) -> None:
        """No more requests; the process ends when its last stub has."""
        with self._lock:  # not between a request and its answer: that stub would be nobody's
            self._socket.close()

    def interrupt(self) -> None:
        """Kill it while another thread waits for it to be ready."""
        self._process.kill()

    def kill(self) -> None:
        """End it at once. Its stubs live on, but their exit codes will not be known."""
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """No more requests; wait for the end, kill what does not end."""
        self.drain()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


def _pair(value: list[str] | None) -> tuple[str, str] | None:
    return (value[0], value[1]) if value else None
