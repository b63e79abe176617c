"""The servers this kernel knows by name: connected ones, and those it started.

``local`` is there without asking: it is started when it is first meant.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from typing import TypeVar

from workbench.at_exit import at_exit
from workbench.changes import Changes
from workbench.errors import WorkbenchUsageError
from workbench.suggest import did_you_mean
from workbench.targets.client import ServerClient
from workbench.targets.local import LocalOptions, LocalTarget
from workbench.targets.remote import ServerTarget
from workbench.targets.tls import Tls

__all__ = [
    "changes",
    "close_all",
    "connect",
    "find",
    "find_all",
    "find_local",
    "known",
    "names",
    "start",
    "states",
    "stop",
]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_lock = threading.RLock()
_servers: dict[str, ServerTarget] = {}
#: Told with a server's name when it comes, goes, or has other models.
changes = Changes()


def connect(
    url: str,
    name: str,
    *,
    headers: Mapping[str, str] | None = None,
    tls: Tls | None = None,
    metrics_url: str = "",
    protect: bool = False,
    check: bool = False,
) -> ServerTarget:
    """Give a server a name, after asking it whether it is one.

    Args:
        url: See `ServerClient`.
        name: How ``--on`` and ``--to`` will call it.
        headers: Header name → environment variable with its value.
        tls: See `ServerClient`.
        metrics_url: See `ServerClient`.
        protect: See `ServerTarget`.
        check: Ask too whether it takes models.

    Raises:
        ServerUnreachable: nobody answers, or somebody else, or TLS fails.
        ServerModeError: with `check`, it takes no models.
        WorkbenchUsageError: address or name cannot be used, or a header's variable is not set.
    """
    _check_name(name, taken=("live", "local"))
    client = ServerClient(url, headers=headers, tls=tls, metrics_url=metrics_url)
    client.server()
    if check:
        client.check_mode()
    target = ServerTarget(name, client, protect=protect)
    with _lock:
        if isinstance(_servers.get(name), LocalTarget):
            raise WorkbenchUsageError(f"{name} is a local server", hint=f"%triton server stop {name}")
        _servers[name] = target
    return _watched(target)


def start(name: str = "local", options: LocalOptions | None = None) -> LocalTarget:
    """Start a server on this machine. Whoever ends this process ends it too.

    Raises:
        ServerInstallError, ServerStartError: see `LocalTarget`.
        WorkbenchUsageError: the name is in use, or cannot be used.
    """
    _check_name(name, taken=("live",))
    with _lock:
        found = _servers.get(name)
        if isinstance(found, LocalTarget) and not found.process.running:
            found.close()
        elif found is not None:
            raise WorkbenchUsageError(
                f"there is a server {name} already", hint=f"%triton server stop {name}, or another name"
            )
        made = _servers[name] = LocalTarget(name, options=options)
    return _watched(made)


def stop(name: str = "local") -> None:
    """End a server that this kernel started, or forget a connected one.

    Raises:
        WorkbenchUsageError: there is no server of that name.
    """
    with _lock:
        gone = _servers.pop(name, None)
    if gone is None:
        raise _unknown(name)
    if isinstance(gone, LocalTarget):
        gone.close()
    changes.emit(name)


def find(name: str) -> ServerTarget:
    """A server by name. Raises WorkbenchUsageError for a name that is not known."""
    with _lock:
        if name == "local" and name not in _servers:
            return start(name)
        if name in _servers:
            return _servers[name]
    raise _unknown(name)


def find_all(names: Sequence[str]) -> list[ServerTarget]:
    """Servers by name, each once. Raises WorkbenchUsageError."""
    return [find(name) for name in dict.fromkeys(names)]


def find_local(name: str = "local") -> LocalTarget:
    """A server of this kernel by name; it is not started for that. Raises WorkbenchUsageError."""
    with _lock:
        found = _servers.get(name)
    if isinstance(found, LocalTarget):
        return found
    if found is not None:
        raise WorkbenchUsageError(f"{name} was connected, not started here", hint="look on its machine")
    raise WorkbenchUsageError(f"no local server {name!r} runs", hint=f"%triton server start {name}")


def known() -> list[ServerTarget]:
    """Connected servers, and those started here, in order of name."""
    with _lock:
        return [each for _, each in sorted(_servers.items())]


def names() -> list[str]:
    """Connected servers, and those started here."""
    with _lock:
        return sorted(_servers)


def states() -> dict[str, str]:
    """Whether each answers; asks all of them, a few seconds at most each."""
    with _lock:
        known = sorted(_servers.items())
    return {name: each.state for name, each in known}


def close_all() -> None:
    """Forget every server, and end those started here."""
    with _lock:
        gone = list(_servers.values())
        _servers.clear()
    for each in gone:
        if isinstance(each, LocalTarget):
            each.close()
        changes.emit(each.name)


at_exit(close_all)


_T = TypeVar("_T", bound=ServerTarget)


def _watched(target: _T) -> _T:
    """Have what a server is made to do told to `changes`."""
    target.on_change = lambda: changes.emit(target.name)
    changes.emit(target.name)
    return target


def _check_name(name: str, taken: Sequence[str]) -> None:
    if not _NAME.fullmatch(name) or name in taken:
        raise WorkbenchUsageError(f"a server cannot be called {name!r}", hint="for example --as staging")


def _unknown(name: str) -> WorkbenchUsageError:
    with _lock:
        known = sorted({*_servers, "live", "local"})
    return WorkbenchUsageError(
        f"unknown target {name!r}{did_you_mean(name, known)}",
        hint=f"known: {', '.join(known)}; %triton connect http://HOST:8000 --as NAME adds one",
    )
