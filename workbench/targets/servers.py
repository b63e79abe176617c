"""The servers this kernel knows by name: connected ones, and ``local``, started when first asked for."""

from __future__ import annotations

import atexit
import re
import threading
from collections.abc import Mapping

from workbench.errors import WorkbenchUsageError
from workbench.suggest import did_you_mean
from workbench.targets.client import ServerClient
from workbench.targets.local import LocalTarget
from workbench.targets.remote import ServerTarget

__all__ = ["close_all", "connect", "find", "names"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_lock = threading.Lock()
_servers: dict[str, ServerTarget] = {}


def connect(
    url: str, name: str, *, headers: Mapping[str, str] | None = None, protect: bool = False
) -> ServerTarget:
    """Give a server a name, after asking it whether it is one.

    Args:
        url: See `ServerClient`.
        name: How ``--on`` and ``--to`` will call it.
        headers: Header name → environment variable with its value.
        protect: See `ServerTarget`.

    Raises:
        ServerUnreachable: nobody answers, or somebody else.
        WorkbenchUsageError: address or name cannot be used.
    """
    if not _NAME.fullmatch(name) or name in ("live", "local"):
        raise WorkbenchUsageError(f"a server cannot be called {name!r}", hint="for example --as staging")
    target = ServerTarget(name, ServerClient(url, headers=headers), protect=protect)
    target.client.server()
    with _lock:
        _servers[name] = target
    return target


def find(name: str) -> ServerTarget:
    """A server by name. Raises WorkbenchUsageError for a name that is not known."""
    with _lock:
        if name == "local":
            found = _servers.get(name)
            if not isinstance(found, LocalTarget) or not found.process.running:
                if isinstance(found, LocalTarget):
                    found.close()
                _servers[name] = LocalTarget()
            return _servers[name]
        if name in _servers:
            return _servers[name]
        known = sorted({*_servers, "live", "local"})
    raise WorkbenchUsageError(
        f"unknown target {name!r}{did_you_mean(name, known)}",
        hint=f"known: {', '.join(known)}; %triton connect http://HOST:8000 --as NAME adds one",
    )


def names() -> list[str]:
    """Connected servers, and ``local`` if it runs."""
    with _lock:
        return sorted(_servers)


@atexit.register
def close_all() -> None:
    """Forget every server, and end the local one."""
    with _lock:
        gone, found = list(_servers.values()), _servers
        found.clear()
    for each in gone:
        if isinstance(each, LocalTarget):
            each.close()
