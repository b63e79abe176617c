"""The injector, and stubs with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.hosts import KINDS, with_injector
from tests.faults.injector import Injector, build
from tests.protocol import harness
from tests.protocol.harness import StubKind


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("injector"))


@pytest.fixture
def injector(library: Path) -> Iterator[Injector]:
    one = Injector.make(library)
    yield one
    one.close()


@pytest.fixture(params=KINDS)
def plain_kind(request: pytest.FixtureRequest) -> StubKind:
    """One stub after the other."""
    return harness.kind_named(request.param, request.getfixturevalue)


@pytest.fixture
def kind(plain_kind: StubKind, injector: Injector) -> StubKind:
    """The same, with the injector in it."""
    return with_injector(plain_kind, injector)
