"""Stubs to talk to: NVIDIA's two that can be had, and ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.protocol import harness, models
from tests.protocol.harness import Instance, StubKind
from tests.support.waiting import until

#: Every path of the protocol has one of these: before 24.06, 24.06 to 24.09, from 24.10, the latest messages.
KINDS = ["nvidia-24.10", "nvidia-24.07", "ours-24.05", "ours-24.10", "ours-26.03"]


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> StubKind:
    """One stub after the other."""
    return harness.kind_named(request.param, request.getfixturevalue)


@pytest.fixture(scope="session", params=["nvidia-24.10", "ours-24.10"])
def usual_kind(request: pytest.FixtureRequest) -> StubKind:
    """One of each maker, for what takes time and is the same in every release."""
    return harness.kind_named(request.param, request.getfixturevalue)


@pytest.fixture(scope="module")
def stub(kind: StubKind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A running stub that the tests of a module share. They leave it as they found it."""
    with harness.start(kind, tmp_path_factory.mktemp("model"), models.MANY_WAYS) as instance:
        yield instance
        until(lambda: instance.channel.open_requests == 0)
        assert instance.finalize() == 0


@pytest.fixture(scope="module")
def decoupled(kind: StubKind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """The same with a decoupled model."""
    folder: Path = tmp_path_factory.mktemp("decoupled")
    with harness.start(
        kind,
        folder,
        models.DECOUPLED,
        config={"model_transaction_policy": {"decoupled": True}},
        decoupled=True,
    ) as instance:
        yield instance
        until(lambda: instance.channel.open_requests == 0)
        assert instance.finalize() == 0


@pytest.fixture(autouse=True)
def fresh_handlers(request: pytest.FixtureRequest) -> Iterator[None]:
    """No handler of one test serves another."""
    yield
    for name in ("stub", "decoupled"):
        if name in request.fixturenames:
            handlers = request.getfixturevalue(name).handlers
            handlers.bls = handlers.metric = handlers.control = None
            handlers.logs.clear()
