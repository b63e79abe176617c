"""Environments of another Python than the kernel's, and of conda's layout: the whole way.

Slow: a build, and large archives.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environments import CONFIG, MARKER, MODEL, make_venv
from tests.support.models import write_model
from workbench import stub_build
from workbench.errors import ModelLoadError
from workbench.repository import open_entry
from workbench.repository.export import export
from workbench.repository.verify import verify
from workbench.server_errors import StubBuildError
from workbench.server_install import ServerInstall
from workbench.stub_build import build_stub
from workbench.targets.live import LiveTarget

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("WORKBENCH_SLOW"), reason="takes minutes; WORKBENCH_SLOW=1 runs it"
    ),
    pytest.mark.timeout(1800),
]

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


def other_python() -> tuple[Path, str]:
    """An interpreter of another minor version that a stub can be built for."""
    beside = sorted(Path(sys.base_prefix).parent.glob("*/bin/python3"), reverse=True)
    for python in [*beside, *sorted(Path("/usr/bin").glob("python3.[0-9]*"), reverse=True)]:
        try:
            facts = stub_build._probe(python)
            stub_build._library(python, facts)
        except StubBuildError:
            continue
        if facts["minor"] != MINOR and tuple(map(int, facts["minor"].split("."))) >= (3, 10):
            return python, facts["minor"]
    pytest.skip("no other Python with headers and a shared library here")


@pytest.mark.server
def test_a_stub_and_an_environment_of_another_python(
    live: LiveTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, triton_2410: ServerInstall
) -> None:
    python, minor = other_python()
    # A copy: whoever edits a source meanwhile would make it another build.
    sources = shutil.copytree(stub_build._sources(), tmp_path / "stub")
    monkeypatch.setattr(stub_build, "_sources", lambda: sources)
    monkeypatch.setattr(stub_build, "stub_cache", lambda: tmp_path / "cache")
    inside = make_venv(tmp_path / "venv", "numpy>=2", python=python)
    (tmp_path / "venv/bin/activate").write_text("")
    signature = (["X:FP32[-1]"], ["Y:FP32[-1]"])
    parameters = {"EXECUTION_ENV_PATH": str(tmp_path / "venv")}
    with pytest.raises(ModelLoadError) as refused:
        live.define("cell", MODEL, *signature, parameters=parameters)
    assert str(refused.value) == (
        f"the execution environment has Python {minor}; the stub is for Python {MINOR} (cell)"
    )
    command = refused.value.hint.split()
    assert command[:4] == ["workbench", "stub", "build", "--python"]
    built = build_stub(Path(command[4]))
    linked = subprocess.run(["ldd", built.path], capture_output=True, text=True, check=True).stdout
    assert f"libpython{minor}" in linked
    model = live.define("cell", MODEL, *signature, parameters=parameters)
    assert model.infer(X=[1, 2])["Y"].numpy().tolist() == [2, 4]
    entry = open_entry(write_model(tmp_path / "from", "m", MODEL, CONFIG))
    repo = tmp_path / "repo"
    report = export([entry], repo, release="24.10", stub="elf", env="pack", python=str(inside))
    assert f"protocol 24.10, python {minor}" in repr(report)
    shutil.rmtree(tmp_path / "cache")
    model = live.define("m", repo / "m")  # with the stub in its folder
    assert model.infer(X=[3])["Y"].numpy().tolist() == [6]
    requests = {"m": live.workbench.hosts["m"].recorder.requests}
    assert verify(repo, requests=requests, install=triton_2410).rows == (("m", "READY", "1 request equal"),)


@pytest.mark.server
def test_an_environment_of_condas_layout(
    live: LiveTarget, tmp_path: Path, triton_2410: ServerInstall
) -> None:
    """A copy of this Python with conda's records stands for an environment that conda made."""
    prefix = tmp_path / "conda"
    library = Path(f"lib/python{MINOR}")
    shutil.copytree(
        Path(sys.base_prefix) / library,
        prefix / library,
        symlinks=True,
        ignore=shutil.ignore_patterns("site-packages", "test", "tests", "idlelib", "config-*", "__pycache__"),
    )
    (prefix / library / "site-packages").mkdir()
    (prefix / "bin").mkdir()
    shutil.copy(Path(sys.executable).resolve(), prefix / "bin/python3")
    for shared in Path(sys.base_prefix, "lib").glob("libpython*.so*"):
        shutil.copy(shared, prefix / "lib", follow_symlinks=False)
    files = [str(each.relative_to(prefix)) for each in prefix.rglob("*") if not each.is_dir()]
    (prefix / "conda-meta").mkdir()
    (prefix / "conda-meta/history").write_text("")
    record = {"name": "python", "version": MINOR, "url": "", "link": {"source": "/nosuch"}, "files": files}
    (prefix / f"conda-meta/python-{MINOR}-0.json").write_text(json.dumps(record))
    uv = shutil.which("uv", path=Path(sys.executable).parent)
    assert uv is not None
    subprocess.run([uv, "pip", "install", "-q", "--python", prefix / "bin/python3", "numpy>=2"], check=True)
    (prefix / library / f"site-packages/{MARKER}.py").write_text("")
    text = MODEL.replace('os.environ["VIRTUAL_ENV"]', 'os.environ["CONDA_PREFIX"]')
    entry = open_entry(write_model(tmp_path / "from", "m", text, CONFIG))
    repo = tmp_path / "repo"
    report = export([entry], repo, release="24.10", stub="launcher", env=str(prefix))
    assert "brings no interpreter" not in repr(report)
    shutil.rmtree(prefix)
    # CONDA_PREFIX comes from bin/activate, which this release runs.
    model = live.define("m", repo / "m", backend_config={"release": "24.10"})
    assert model.infer(X=[1, 2])["Y"].numpy().tolist() == [2, 4]
    requests = {"m": live.workbench.hosts["m"].recorder.requests}
    assert verify(repo, requests=requests, install=triton_2410).rows == (("m", "READY", "1 request equal"),)
