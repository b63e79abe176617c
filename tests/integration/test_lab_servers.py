"""What a front end is told of a real server, as models come and go there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import revision
from tests.support.waiting import until
from workbench.lab.servers_topic import ServersTopic
from workbench.server_install import ServerInstall
from workbench.targets import servers
from workbench.targets.process_server import ServerProcess

pytestmark = pytest.mark.server


def told(topic: ServersTopic, condition: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The servers, once they are told as wanted."""
    heard: list[list[dict[str, Any]]] = []

    def as_wanted() -> bool:
        for _, body in topic.news():
            heard.append(body["servers"])
            if condition(heard[-1]):
                return True
        return False

    until(as_wanted, "the servers to be told as wanted")
    return heard[-1]


@pytest.fixture
def topic() -> Iterator[ServersTopic]:
    topic = ServersTopic()
    topic.open(lambda: None)
    yield topic
    topic.close()
    servers.close_all()


def test_servers_are_told_as_they_come_get_models_and_go(
    topic: ServersTopic, triton_2410: ServerInstall, tmp_path: Path
) -> None:
    assert told(topic, lambda found: found == []) == []
    with ServerProcess(tmp_path, triton_2410) as process:
        url = f"http://{process.http_address}"
        servers.connect(url, "staging", protect=True)
        (server,) = told(topic, lambda found: len(found) == 1)
        assert server == {
            "name": "staging",
            "url": url,
            "kind": "remote",
            "state": "ready",
            "protect": True,
            "models": [],
        }

        entry = revision("x + 1")
        servers.find("staging").push(entry, yes=True)
        (server,) = told(topic, lambda found: any(each["state"] == "READY" for each in found[0]["models"]))
        assert server["models"] == [
            {"name": entry.name, "state": "READY", "version": "1", "src": entry.source.src}
        ]

        servers.find("staging").unload(entry.name, yes=True)
        told(topic, lambda found: not any(each["state"] == "READY" for each in found[0]["models"]))
    servers.stop("staging")
    assert told(topic, lambda found: found == []) == []
