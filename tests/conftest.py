"""Fixtures for every test: real servers to run against, and the probe that nothing is left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.support import leaks
from workbench.server_install import (
    ServerInstall,
    ServerInstallError,
    ServerUnavailableError,
    find_server,
    install_server,
)

leaks.mark_this_run()

# A shell that starts a run in the background has it ignore Ctrl-C; its tests need what every kernel has.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def nothing_left_by_the_run() -> Iterator[None]:
    """The same as `nothing_left_behind`, for what lives longer than one test."""
    before = leaks.Snapshot.take()
    yield
    left = before.wait_until_nothing_left()
    assert not left, "the test run left behind:\n" + "\n".join(left)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """After each test: no new process of ours and no new region, a little patience granted."""
    before = leaks.Snapshot.take()
    yield
    left = before.wait_until_nothing_left()
    assert not left, "the test left behind:\n" + "\n".join(left)


@pytest.fixture(scope="session")
def triton_2410() -> ServerInstall:
    """A real server of release 24.10, with NVIDIA's stub."""
    return _server("24.10")


@pytest.fixture(scope="session")
def triton_2407() -> ServerInstall:
    """A real server of release 24.07, with NVIDIA's stub."""
    return _server("24.07")


@pytest.fixture(scope="session")
def torch() -> ModuleType:
    """PyTorch; without it the test is skipped."""
    module: ModuleType = pytest.importorskip(
        "torch", reason="PyTorch is not installed (`make .venv/.torch` does, or says why not)"
    )
    return module


def _server(release: str) -> ServerInstall:
    try:
        return find_server(release)
    except ServerInstallError:
        pass
    try:
        return install_server(release)
    except ServerUnavailableError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no Triton {release} to be had: {error}")
