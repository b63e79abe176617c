"""The four cells: every case that takes a `target` runs once in each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.bls import Children
from tests.conformance.lab import Lab
from tests.conformance.targets import Target, config, source_of
from tests.support import leaks
from tests.support.servers import own_stub
from workbench.server_install import ServerInstall

CELLS = ("server-nvidia", "server-own", "live-own", "live-nvidia")


def _open(request: pytest.FixtureRequest, host: str, stub: str, folder: Path) -> Target:
    from tests.conformance.live_target import LiveTarget
    from tests.conformance.server_target import ServerTarget

    if host == "live" and stub == "own":
        return LiveTarget(folder, stub)
    install: ServerInstall = request.getfixturevalue("triton_2410")
    if host == "live":
        return LiveTarget(folder, stub)
    return ServerTarget(folder, install, stub, stub_file=own_stub() if stub == "own" else None)


@pytest.fixture(scope="session", params=[pytest.param(cell, marks=pytest.mark.server) for cell in CELLS])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A host with a stub, shared by all cases of its cell: load models under fresh names."""
    host, _, stub = request.param.partition("-")
    before = leaks.Snapshot.take()
    chosen = _open(request, host, stub, tmp_path_factory.mktemp(request.param))
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
def children(target: Target) -> Children:
    """Models to call from inside another."""
    source = source_of("bls_children")
    tensors = ([("IN", "INT32", [-1])], [("OUT", "INT32", [-1]), ("TEXT", "BYTES", [1])])
    plain = target.load(source, config(*tensors), name="child")
    stream = target.load(source, config(*tensors, decoupled=True), name="child_stream")
    return Children(plain, stream)


@pytest.fixture(scope="module")
def auto_complete(target: Target) -> Iterator[Target]:
    """The same cell with a host that completes configurations; a load is slower there."""
    with target.another(auto_complete=True) as other:
        yield other
