"""The four cells: every case that takes a `target` runs once in each of them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from tests.conformance.lab import Lab
from tests.conformance.targets import Target
from tests.support import leaks
from workbench.server_install import ServerInstallError, find_server

CELLS = ("server-nvidia", "server-own", "live-own", "live-nvidia")


def _server(tmp_path_factory: pytest.TempPathFactory, stub: str) -> Target:
    from tests.conformance.server_target import ServerTarget

    try:
        install = find_server("24.10")
    except ServerInstallError as error:
        pytest.skip(str(error))
    stub_file = None
    if stub == "own":
        stub_file = Path(str(resources.files("workbench") / "backend" / "triton_python_backend_stub"))
        if not stub_file.exists():
            pytest.skip("the stub is not built")
    return ServerTarget(tmp_path_factory.mktemp(f"server-{stub}"), install, stub, stub_file=stub_file)


def _live(tmp_path_factory: pytest.TempPathFactory, stub: str) -> Target:
    from tests.conformance.live_target import LiveTarget

    if stub == "nvidia":
        try:
            find_server("24.10")
        except ServerInstallError as error:
            pytest.skip(str(error))
    return LiveTarget(tmp_path_factory.mktemp(f"live-{stub}"), stub)


@pytest.fixture(scope="session", params=[pytest.param(cell, marks=pytest.mark.server) for cell in CELLS])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A host with a stub, shared by all cases of its cell: load models under fresh names."""
    host, _, stub = request.param.partition("-")
    before = leaks.Snapshot.take()
    chosen = _live(tmp_path_factory, stub) if host == "live" else _server(tmp_path_factory, stub)
    yield chosen
    chosen.close()
    left = before.wait_until_nothing_left()
    assert not left, f"cell {chosen.id} left behind:\n" + "\n".join(left)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> None:
    """Models stay loaded while a cell's cases run, so the probe for leftovers runs once per cell, after its host has gone."""


@pytest.fixture(scope="session")
def lab(target: Target) -> Lab:
    """Models that run code sent to them, loaded once per cell."""
    return Lab(target)


@pytest.fixture(scope="module")
def auto_complete(target: Target) -> Iterator[Target]:
    """The same cell with a host that completes configurations; a load is slower there."""
    if "auto_complete" not in target.features:
        pytest.skip("this host does not complete configurations")
    with target.another(auto_complete=True) as other:
        yield other
