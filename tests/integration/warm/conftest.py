"""Launchers, and models to start with them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.warm.stubs import SECONDS, Write, spare_of
from workbench.launch import Launcher, WarmLauncher, cold_launcher, own_launcher


@pytest.fixture
def warm() -> Iterator[WarmLauncher]:
    launcher = own_launcher()
    try:
        launcher.preload()
        assert launcher.wait_ready(SECONDS)
        yield launcher
    finally:
        launcher.close()


@pytest.fixture(params=["cold", "forked", "spare"])
def launcher(request: pytest.FixtureRequest) -> Iterator[Launcher]:
    if request.param == "cold":
        yield cold_launcher()
        return
    launcher: WarmLauncher = request.getfixturevalue("warm")
    if request.param == "spare":
        spare_of(launcher)
    yield launcher
    assert (launcher.warm_starts, launcher.cold_starts) == (1, 0)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(initialize: str = "pass", *, top: str = "", folder: str = "m") -> Path:
        file = tmp_path / folder / "1" / "model.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        body = textwrap.indent(textwrap.dedent(initialize), " " * 8)
        file.write_text(
            f"import json, os, signal, sys, threading\n{textwrap.dedent(top)}\n"
            f"class TritonPythonModel:\n    def initialize(self, args):\n{body}\n"
        )
        return file

    return write
