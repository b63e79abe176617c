"""The injector, and stubs with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.injector import Injector, build
from tests.protocol import harness
from tests.protocol.harness import StubKind

KINDS = ["ours-24.10", "ours-24.05", "nvidia-24.10"]


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
    maker, release = request.param.split("-")
    if maker == "ours":
        return harness.our_stub(release)
    return harness.nvidia_stub(request.getfixturevalue("triton_" + release.replace(".", "")))


@pytest.fixture
def kind(plain_kind: StubKind, injector: Injector) -> StubKind:
    """The same, with the injector in it."""
    return with_injector(plain_kind, injector)


def with_injector(kind: StubKind, injector: Injector) -> StubKind:
    return dataclasses.replace(kind, environment={**kind.environment, **injector.environment})
