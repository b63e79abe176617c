"""The warm process: imports what models need ahead of time, then forks a stub for each request.

The other end is `workbench.launch.warm_server`. This is no part of that package because a model is to find
hardly more modules in its process than in a stub that was started on its own.

A process that is not safe to fork (an import started threads, or opened the GPU) becomes the stub of the
first request instead: it is a spare then, good for one.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import site
import socket
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from workbench._line import VARIABLE

__all__ = ["library_folders", "run"]

_LIMIT = 1 << 18  # bytes of one message; the kernel's limit for a datagram is near it
_SHAREABLE = frozenset({"/dev/null", "/dev/urandom", "/dev/random"})
_PATIENCE_MS = 5000  # for stubs to notice that the parent is gone, which takes them 0.3 s
_SPARE_MS = 40  # after a start before the next child is made: the processors belong to the new stub first
_OWN_BYTES = 32 << 20  # of memory that a child copies ahead of its request


@dataclass(frozen=True)
class _Request:
    """One stub to start."""

    arguments: list[str]
    env: dict[str, str | None]  # changes; None removes
    orig_argv: list[str]
    descriptors: list[int]  # output, status, working folder, line to the session


@dataclass
class _Child:
    pid: int
    status: int  # where the exit code is to be written


@dataclass
class _Spare:
    """A child that has no request yet."""

    pid: int
    pidfd: int
    control: socket.socket  # for its request


def library_folders() -> list[str]:
    """Where installed modules lie, which nobody edits while a notebook runs."""
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders.update(site.getsitepackages())
    if site.ENABLE_USER_SITE:
        folders.add(site.getusersitepackages())
    return sorted({os.path.realpath(each) for each in folders if each})


def run() -> None:
    """Serve. ``sys.argv[1:]``: descriptor of the socket, pid of the parent, modules to import.

    Returns in the server only: stubs end the process.
    """
    descriptor, parent, *modules = sys.argv[1:]
    sys.argv = [""]
    control = socket.socket(fileno=int(descriptor))
    parent_fd = os.pidfd_open(int(parent))
    if os.getppid() != int(parent):
        return
    gc.disable()
    report = _prepare(control, modules)
    # What importing printed is not a model's output. Both are pipes until here, as they will be again.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page it looks at
    try:
        control.send(json.dumps(report).encode())
        request = _Server(control, parent_fd, forks=not report["unsafe"]).serve()
    except OSError:  # the parent went away
        return
    if request is not None:
        _become(request)


# -- imports ---------------------------------------------------------------------------------------------


def _prepare(control: socket.socket, modules: list[str]) -> dict[str, object]:
    """Import, announcing each module: one may hang, or end the process.

    Returns:
        What is there, what went wrong (and with which module), and why forking would be wrong.
    """
    import faulthandler  # noqa: F401 - the stub's first step
    import importlib
    import logging  # noqa: F401 - the stub's second

    import workbench._stub  # type: ignore[import-untyped]
    import workbench._stub_boot
    import workbench._stub_line  # noqa: F401

    report: dict[str, object] = {"failed": None, "unsafe": None, "names": []}
    known = set(sys.modules)
    descriptors = {link.name for link in _list("/proc/self/fd")}
    folders = tuple(each + os.sep for each in library_folders())
    # A stub looks in its working folder first; this process is in its own by chance. Whether a stub's has a
    # module of such a name is looked at before every start.
    first = sys.path.pop(0) if sys.path and sys.path[0] == "" else None
    for name in modules:
        control.send(json.dumps({"importing": name}).encode())
        try:
            importlib.import_module(name)
        except BaseException as error:  # whatever an import raises, SystemExit too
            report["failed"] = [name, f"{type(error).__name__}: {error}"[:500]]
            break
        foreign = _foreign(known, folders)
        if foreign:
            report["failed"] = [name, f"{foreign} is no installed module"]
            break
        why = "" if report["unsafe"] else _unsafe(descriptors)
        if why:
            report["unsafe"] = [name, why]
    if first is not None:
        sys.path.insert(0, first)
    for path in list(sys.path_importer_cache):
        if not (os.path.realpath(path) + os.sep).startswith(folders):
            del sys.path_importer_cache[path]
    names = {name.partition(".")[0] for name in sys.modules if _is_installed(name, folders)}
    report["names"] = sorted(names - {"workbench"})
    return report


def _foreign(known: set[str], folders: tuple[str, ...]) -> str:
    """A module just imported that lies where users edit files: its later versions would not be seen."""
    for name in set(sys.modules) - known:
        if not _is_installed(name, folders):
            return name
        known.add(name)
    return ""


def _is_installed(name: str, folders: tuple[str, ...]) -> bool:
    """False for a module out of a file that lies in none of the folders."""
    file = getattr(sys.modules[name], "__file__", None)
    if not file or not Path(file).is_absolute():  # built in, frozen, or made in memory
        return name != "__main__"
    return os.path.realpath(str(file)).startswith(folders)


def _unsafe(before: set[str]) -> str:
    """Why this process must not fork, or "".

    Args:
        before: Descriptors that are no import's doing.
    """
    for link in _list("/proc/self/fd"):
        try:
            target = str(link.readlink())
        except OSError:  # the descriptor the folder was read through
            continue
        if target.startswith("/dev/nvidia"):
            return "uses the GPU"
        if link.name not in before and target not in _SHAREABLE:
            return f"keeps {target.partition(':')[0]} open"
    if any(each.joinpath("children").read_text() for each in _list("/proc/self/task")):
        return "started a process"
    if len(_list("/proc/self/task")) == 1:
        return ""
    # Libraries that mean to be forked (OpenBLAS) stop their threads for it and start them again on demand.
    # What is still there after a fork belongs to one that does not.
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    count = len(_list("/proc/self/task"))
    return f"runs {count - 1} thread{'s' if count > 2 else ''}" if count > 1 else ""


def _list(folder: str) -> list[Path]:
    return list(Path(folder).iterdir())


# -- the server ------------------------------------------------------------------------------------------


class _Server:
    """Answers requests, and reaps what it forked.

    It keeps one child ahead of its request: then neither the fork nor copying the memory that the child will
    write to costs the request time.
    """

    def __init__(self, control: socket.socket, parent_fd: int, *, forks: bool) -> None:
        self._control = control
        self._parent_fd = parent_fd
        self._forks = forks
        self._spares = forks  # whether to keep one
        self._spare: _Spare | None = None
        self._children: dict[int, _Child] = {}  # by pidfd
        self._poll = select.poll()

    def serve(self) -> _Request | None:
        """None when all is over; a request in the process that is to become its stub."""
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(self._parent_fd, select.POLLIN)
        patience = None
        serving = True
        while serving or self._children:
            wants_spare = serving and self._spares and self._spare is None
            ready = self._poll.poll(_SPARE_MS if wants_spare else patience)
            if not ready and wants_spare:
                request = self._make_spare()
                if request is not None:
                    return request
                continue
            if not ready:  # the parent is gone, and these have not noticed
                for pidfd in self._children:
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                patience = None
            for descriptor, _ in ready:
                if descriptor in self._children:
                    self._reap(descriptor)
                elif descriptor == self._parent_fd:
                    self._poll.unregister(self._parent_fd)
                    serving, patience = False, _PATIENCE_MS
                elif descriptor == self._control.fileno():
                    message, descriptors, _, _ = socket.recv_fds(self._control, _LIMIT, 4)
                    if not message:  # no more requests: stay to reap
                        self._poll.unregister(self._control)
                        serving = False
                        continue
                    request = self._start(message, list(descriptors))
                    if request is not None:
                        return request
                elif self._spare is not None and descriptor == self._spare.pidfd:
                    self._drop_spare()  # somebody killed it
            if not serving:
                self._drop_spare()
        return None

    def _start(self, message: bytes, descriptors: list[int]) -> _Request | None:
        """The request in the process that is to become the stub."""
        if not self._forks:
            self._answer(os.getpid(), os.pidfd_open(os.getpid()))
            self._let_go()
            return _request(message, descriptors)
        pid, pidfd = self._hand_over(message, descriptors)
        if pid < 0:
            try:
                pid = os.fork()
            except OSError as error:
                self._control.send(json.dumps({"error": str(error)}).encode())
        if pid == 0:
            os.setsid()
            self._let_go()
            return _request(message, descriptors)
        output, status, *others = descriptors
        for each in (output, *others):
            os.close(each)
        if pid < 0:
            os.close(status)
            return None
        if pidfd < 0:
            pidfd = os.pidfd_open(pid)
            self._poll.register(pidfd, select.POLLIN)
        self._children[pidfd] = _Child(pid, status)
        # Nothing is reaped between fork and answer: the pid cannot be another process's yet.
        self._answer(pid, pidfd)
        return None

    def _answer(self, pid: int, pidfd: int) -> None:
        socket.send_fds(self._control, [json.dumps({"pid": pid}).encode()], [pidfd])
        if pidfd not in self._children:
            os.close(pidfd)

    def _reap(self, pidfd: int) -> None:
        child = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(child.pid, 0)
        try:
            os.write(child.status, os.waitstatus_to_exitcode(status).to_bytes(4, "little", signed=True))
        except OSError:  # nobody wants to know
            pass
        os.close(child.status)

    def _let_go(self) -> None:
        """Close what is the server's, in a process that will be a stub."""
        self._control.close()
        os.close(self._parent_fd)
        if self._spare is not None:
            self._spare.control.close()
            os.close(self._spare.pidfd)
        for pidfd, child in self._children.items():
            os.close(pidfd)
            os.close(child.status)

    def _make_spare(self) -> _Request | None:
        """Fork a child ahead of its request; the request in the child, once there is one."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError:
            self._spares = False
            ours.close()
            theirs.close()
            return None
        if pid:
            theirs.close()
            self._spare = _Spare(pid, os.pidfd_open(pid), ours)
            self._poll.register(self._spare.pidfd, select.POLLIN)
            return None
        ours.close()
        os.setsid()
        self._let_go()
        sys.modules["workbench._stub"].take_own_pages(_OWN_BYTES)
        message, descriptors, _, _ = socket.recv_fds(theirs, _LIMIT, 4)
        theirs.close()
        if not message:  # no more requests, or the server is gone
            os._exit(0)
        return _request(message, list(descriptors))

    def _hand_over(self, message: bytes, descriptors: list[int]) -> tuple[int, int]:
        """Give a request to the child that waits for one. Its pid and pidfd; -1 and -1 if there is none."""
        spare = self._spare
        if spare is None:
            return -1, -1
        try:
            socket.send_fds(spare.control, [message], descriptors)
        except OSError:
            self._drop_spare()
            return -1, -1
        self._spare = None
        spare.control.close()
        return spare.pid, spare.pidfd

    def _drop_spare(self) -> None:
        if self._spare is None:
            return
        self._spare.control.close()  # which ends it
        self._poll.unregister(self._spare.pidfd)
        os.waitpid(self._spare.pid, 0)
        os.close(self._spare.pidfd)
        self._spare = None


# -- the stub --------------------------------------------------------------------------------------------


def _request(message: bytes, descriptors: list[int]) -> _Request:
    os.close(descriptors[1])  # what the server writes to
    return _Request(**json.loads(message), descriptors=descriptors)


def _become(request: _Request) -> None:
    """Be what `workbench._stub_boot.run` finds in a new process. Does not return."""
    output, _, folder, line = request.descriptors
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.fchdir(folder)
    os.close(folder)
    for name, value in request.env.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    os.environ[VARIABLE] = str(line)
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()  # `random` sees to itself after a fork
    gc.enable()
    sys.orig_argv = request.orig_argv
    sys.argv = ["-c", *request.arguments]
    from workbench._stub_boot import run

    run()
