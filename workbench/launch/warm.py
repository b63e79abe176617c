"""The warm launcher: stubs start with interpreter, NumPy and what models import already there.

Whenever a warm start could differ from a cold one, or there is no warm process yet, the stub is started cold.
See docs/design/warm_start.md.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench._warm_server import library_folders
from workbench.errors import WorkbenchUsageError
from workbench.launch.base import StubProcess
from workbench.launch.spawn import SpawnLauncher, cold_launcher
from workbench.launch.warm_imports import installed, installed_imports
from workbench.launch.warm_server import WarmServer, WarmServerError
from workbench.launch.warm_situation import Situation, is_late

__all__ = ["WarmLauncher", "WarmStatus", "own_launcher"]

# The stub itself imports these: NumPy when it loads, asyncio when it executes.
_BASE = ("numpy", "json", "asyncio")
_IMPORT_SECONDS = 120.0
_LEARN_SECONDS = 0.25  # the processors belong to the load first


@dataclass(frozen=True)
class WarmStatus:
    """How the next stub will start.

    Attributes:
        state: ``ready``; ``starting``: a warm process is being made; ``off``: none can be had.
        asked: The modules asked for.
        modules: What it has imported, of what was asked for, learned, or belongs to a stub.
        notes: What could not be had, and why.
    """

    state: str
    asked: tuple[str, ...]
    modules: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:  # nothing that differs from run to run
        return "\n".join([f"Preload: {', '.join(self.asked) or 'nothing asked for'}", *self.notes])


class WarmLauncher:
    """Starts stubs by way of a warm process, or by the launcher it is given."""

    def __init__(self, cold: SpawnLauncher) -> None:
        """No process is started yet."""
        self._cold = cold
        self.stub = cold.stub
        self.release = cold.release
        self.python_lib = cold.python_lib
        self._owner = os.getpid()
        self._folders = library_folders()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._server: WarmServer | None = None
        self._building: WarmServer | None = None
        self._old: list[WarmServer] = []
        self._worker: threading.Thread | None = None
        self._due = False
        self._asked: dict[str, None] = {}
        self._learned: dict[str, None] = {}
        self._refused: dict[str, str] = {}
        self._notes: list[str] = []
        self._files: list[Path] = []
        self._hopeless: Situation | None = None
        self._closed = False
        #: Stubs started by way of a warm process, and not.
        self.warm_starts = 0
        self.cold_starts = 0

    @property
    def _open(self) -> bool:
        return not self._closed

    # -- Launcher ------------------------------------------------------------------------------------------

    def start(
        self, arguments: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | None = None
    ) -> StubProcess:
        process = self._start_warm(arguments, dict(env or {}), cwd)
        if process is None:
            process = self._cold.start(arguments, env=env, cwd=cwd)
            self.cold_starts += 1
        else:
            self.warm_starts += 1
        with self._lock:
            if arguments and os.getpid() == self._owner:
                self._files.append(Path(arguments[0]))
                self._work()
        return process

    def close(self) -> None:
        """End the warm processes. Stubs that still run lose their reaper: end them first."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            self._closed = True
            building, worker = self._building, self._worker
            self._changed.notify_all()
        if building is not None:
            building.interrupt()
        if worker is not None:
            worker.join()  # it may still put aside what it was making
        with self._lock:
            servers = [each for each in (self._server, *self._old) if each is not None]
            self._server, self._old = None, []
        for each in servers:
            each.close()

    # -- warmth --------------------------------------------------------------------------------------------

    def preload(self, *modules: str) -> WarmStatus:
        """Have these modules imported in stubs before models ask for them; without any, only begin to be
        warm.

        Args:
            modules: Dotted names of installed modules. What is edited, a helper file or an editable install,
                is imported anew by each stub, and refused here.

        Raises:
            WorkbenchUsageError: there is no such installed module.
        """
        for name in modules:
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names and not installed(name, self._folders):
                raise WorkbenchUsageError(
                    f"{name} is not an installed module",
                    hint="preload takes installed packages; a model's own files are always imported anew",
                )
        with self._lock:
            for name in modules:
                self._asked[name] = None
                self._refused.pop(name, None)
            known = self._server or self._building
            if known is None or not set(modules) <= set(known.modules):
                self._hopeless = None
                self._request()
        return self.status

    @property
    def status(self) -> WarmStatus:
        """What there is now."""
        with self._lock:
            server = self._server
            if server is not None and not self._due and self._building is None:
                state = "ready"
            else:
                state = "starting" if self._due or self._building is not None else "off"
            notes = [f"{name}: {why}" for name, why in self._refused.items()]
            modules = server.modules if server is not None else ()
            return WarmStatus(state, tuple(self._asked), modules, (*notes, *self._notes))

    def wait_ready(self, timeout: float) -> bool:
        """Wait until all that is known to be wanted has been imported; False if it takes longer."""
        end = time.monotonic() + timeout
        with self._lock:
            while self._due or self._building is not None or self._files:
                if not self._changed.wait(end - time.monotonic()) and time.monotonic() >= end:
                    return False
            return self._server is not None

    # -- starting one --------------------------------------------------------------------------------------

    def _start_warm(
        self, arguments: Sequence[str], env: Mapping[str, str], cwd: str | None
    ) -> StubProcess | None:
        if os.getpid() != self._owner:  # a fork of the notebook's process: the warm process is not its own
            return None
        ours = self._cold.environment()
        try:
            folder = str(Path(cwd).absolute()) if cwd else str(Path.cwd())
            situation = Situation.now(ours, self._folders)
        except FileNotFoundError:  # the working folder was removed
            return None
        if not all(is_late(name) for name in env) or (cwd and situation.folder != os.sep):
            return None
        environment = {**ours, **env}
        server = self._usable(situation)
        if server is None or server.hides(environment, folder) or not self._take(server):
            return None
        try:
            return server.start(arguments, environment, folder)
        except WarmServerError:
            with self._lock:
                if self._server is server:
                    self._server = None
                self._old.append(server)
                self._request()
            server.drain()
            return None

    def _usable(self, situation: Situation) -> WarmServer | None:
        with self._lock:
            server = self._server
            if server is not None and (server.situation != situation or server.ended):
                self._server = None
                self._old.append(server)
                server.drain()
                server = None
            if server is None and self._building is None and self._hopeless != situation:
                self._request()
            return server

    def _take(self, server: WarmServer) -> bool:
        """Make sure of a process that is good for one stub only: it becomes this one."""
        if server.forks:
            return True
        with self._lock:
            if self._server is not server:  # another thread was quicker
                return False
            self._server = None
            self._request()  # the next stub needs another
            return True

    # -- making one: in a thread, holding the lock only for moments ------------------------------------------

    def _request(self) -> None:
        self._due = True
        self._work()

    def _work(self) -> None:
        if self._worker is None and not self._closed:
            self._worker = threading.Thread(target=self._run, name="workbench-warm", daemon=True)
            self._worker.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                self._old = [each for each in self._old if not each.ended]
                if self._closed or not (self._due or self._files):
                    self._worker = None
                    self._changed.notify_all()
                    return
                if not self._due:
                    self._changed.wait_for(lambda: self._closed or self._due, _LEARN_SECONDS)
                due = self._due  # until there is a process that is being built: `wait_ready` looks at both
                files = self._files
            if due:
                self._build()
            else:
                self._learn(files)

    def _learn(self, files: list[Path]) -> None:
        found = {name for file in files for name in installed_imports(file, self._folders)}
        with self._lock:
            self._files = self._files[len(files) :]
            new = found - set(self._learned) - set(self._asked) - set(_BASE) - set(self._refused)
            if new:
                self._learned.update(dict.fromkeys(sorted(new)))
                self._due = True
            self._changed.notify_all()

    def _build(self) -> None:
        with self._lock:
            self._due = False
            if self._closed:
                return
            wanted = {**dict.fromkeys(_BASE), **self._asked, **self._learned}
            modules = [name for name in wanted if name not in self._refused]
            environment = self._cold.environment()
            try:
                situation = Situation.now(environment, self._folders)
                server = WarmServer(modules, environment, situation)
            except OSError as error:
                self._notes = [f"no warm process: {error}"]
                self._changed.notify_all()
                return
            self._building = server
        report = server.wait_ready(_IMPORT_SECONDS)
        with self._lock:
            self._building = None
            unused: WarmServer | None = server
            if report.failed is not None:
                self._refuse(*report.failed, situation)
            elif report.unsafe is not None and report.unsafe[0] in self._learned:
                self._refuse(*report.unsafe, situation)
            elif self._open:
                unused, self._server = self._server, server
                self._hopeless = None
                self._notes = []
                if report.unsafe is not None:
                    name, why = report.unsafe
                    self._notes = [f"{name} {why} once imported: each stub needs a process of its own"]
            if unused is not None:
                self._old.append(unused)
                unused.drain()
            self._changed.notify_all()

    def _refuse(self, name: str, why: str, situation: Situation) -> None:
        if name in self._asked or name in self._learned:
            self._refused[name] = why
            self._due = True
        else:
            self._hopeless, self._notes = situation, [f"no warm process: {name}: {why}"]


def own_launcher() -> WarmLauncher:
    """Our stub, run by the interpreter that runs the kernel: the model finds the packages the notebook
    finds.
    """
    return WarmLauncher(cold_launcher())
