"""The JupyterLab extension as it is built, checked and shipped; tests/browser shows it at work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXTENSION = ROOT / "labextension"
BUNDLE_LIMIT = 300_000
NAME = "triton-workbench"

slow = pytest.mark.skipif(not os.environ.get("WORKBENCH_SLOW"), reason="builds and installs anew: make slow")


def run_script(name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(EXTENSION / "build.py"), name], capture_output=True, text=True, timeout=580
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(600)  # the first of these installs the tools
def test_sources_are_well_typed_and_formatted() -> None:
    run_script("check")


@pytest.mark.timeout(600)
def test_unit_tests_of_the_front_end() -> None:
    run_script("test")


def test_bundle_is_small() -> None:
    files = (EXTENSION / "dist" / "static").glob("*.js")
    assert 0 < sum(file.stat().st_size for file in files) < BUNDLE_LIMIT


def test_extension_is_enabled_and_has_no_server_part() -> None:
    prefix = Path(sys.prefix)
    assert "enabled" in listed(prefix)
    parts = [path for path in (prefix / "etc" / "jupyter").rglob("*.json") if "workbench" in path.read_text()]
    assert parts == []


def test_every_setting_is_documented() -> None:
    schema = json.loads((EXTENSION / "schema" / "plugin.json").read_text())
    for name, setting in schema["properties"].items():
        assert setting["title"] and setting["description"] and "default" in setting, name


def test_building_again_does_nothing() -> None:
    dist = EXTENSION / "dist" / "package.json"
    before = dist.stat().st_mtime_ns
    subprocess.run([sys.executable, str(EXTENSION / "build.py")], check=True, timeout=60)
    assert dist.stat().st_mtime_ns == before


@slow
@pytest.mark.timeout(3600)
def test_plain_pip_install_brings_the_extension(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    pip = [str(tmp_path / "venv" / "bin" / "python"), "-m", "pip", "install", "-q"]
    subprocess.run([*pip, str(ROOT), "jupyterlab>=4.4,<5"], check=True, timeout=3500)
    assert "enabled" in listed(tmp_path / "venv")


@slow
@pytest.mark.timeout(300)
def test_source_distribution_carries_it_built(tmp_path: Path) -> None:
    uv = Path(sys.prefix) / "bin" / "uv"
    command = [str(uv), "build", "-q", "--sdist", "--no-build-isolation", "-o", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, timeout=280, env={**os.environ, "VIRTUAL_ENV": sys.prefix})
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"labextension/dist/package.json", "labextension/dist/.sources"} <= names
    assert not any("node_modules" in name for name in names)


def listed(prefix: Path) -> str:
    """The line about the extension of ``jupyter labextension list``."""
    command = [str(prefix / "bin" / "jupyter"), "labextension", "list"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if f"{NAME} v" in line]
    assert len(lines) == 1, done.stdout + done.stderr
    assert "OK" in lines[0]
    return lines[0]
