"""Servers and their models as JSON, for views: the panel, ``--json``."""

from __future__ import annotations

from typing import Any

from workbench.errors import WorkbenchError
from workbench.targets import servers
from workbench.targets.local import LocalTarget
from workbench.targets.remote import ServerTarget

__all__ = ["server_data", "servers_data"]


def servers_data() -> list[dict[str, Any]]:
    """Every server that this process knows. Asks all of them, a few seconds at most each."""
    return [server_data(each) for each in servers.known()]


def server_data(server: ServerTarget) -> dict[str, Any]:
    """``{name, url, kind: local or remote, state, protect, models: [{name, state, version, src}]}``.

    ``src`` is None for models that were not sent from here. A server that does not answer has no models.
    """
    return {
        "name": server.name,
        "url": f"{server.client.scheme}://{server.client.address}",
        "kind": "local" if isinstance(server, LocalTarget) else "remote",
        "state": server.state,
        "protect": server.protect,
        "models": _models(server),
    }


def _models(server: ServerTarget) -> list[dict[str, Any]]:
    try:
        models = server.models()
        versions = {row["name"]: str(row.get("version", "")) for row in server.index()}
    except WorkbenchError:  # its state says so
        return []
    return [
        {
            "name": name,
            "state": model.state,
            "version": versions.get(name) or _version(server, name, model.state),
            "src": model.src if model.src.startswith("src:") else None,
        }
        for name, model in models.items()
    ]


def _version(server: ServerTarget, name: str, state: str) -> str:
    """The newest version of a model that is in no index, since its files were sent."""
    if state != "READY":
        return ""
    try:
        return str(max(map(int, server.metadata(name).get("versions", [])), default=""))
    except WorkbenchError:  # unloaded meanwhile
        return ""
