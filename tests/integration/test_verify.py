"""Exported models on a clean server."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.live import define
from tests.support.models import contents, write_model
from workbench.commands import main
from workbench.model_source import ModelSource
from workbench.repository.export import export
from workbench.repository.verify import _linked, verify
from workbench.server_errors import VerifyError
from workbench.server_install import ServerInstall
from workbench.session.replay import save_requests
from workbench.targets.live import LiveTarget

pytestmark = pytest.mark.server

# What no other interpreter on the machine would say.
NUMPY_2 = "return [reply(r, take(r) * (2 if np.__version__[0] == '2' else 3)) for r in requests]"


@pytest.fixture(autouse=True)
def server(triton_2410: ServerInstall, monkeypatch: pytest.MonkeyPatch) -> ServerInstall:
    monkeypatch.setenv("TRITON_SERVER", str(triton_2410.binary))
    return triton_2410


def test_from_the_kernel_to_a_clean_server(live: LiveTarget, tmp_path: Path, server: ServerInstall) -> None:
    """The whole way: live model, recorded requests, export with our stub, a real server, equal answers."""
    model = define(live, NUMPY_2)
    model.infer(X=[1, 2])
    host = live.workbench.hosts["m"]
    save_requests(tmp_path / "requests.npz", {"m": host.recorder.requests})
    repo = tmp_path / "repo"
    export([host.entry], repo, release="24.10", stub="launcher")
    before = contents(repo)
    report = verify(repo, requests={"m": host.recorder.requests}, install=server)
    assert repr(report) == "Verify repo: 1 of 1 models ready, Triton 24.10\n  m  READY  1 request equal"
    assert contents(repo) == before, "a server that was started on the folder changed it"


def test_an_answer_that_differs(live: LiveTarget, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = define(live, "return [reply(r, take(r) * 2) for r in requests]")
    model.infer(X=[1, 2])
    host = live.workbench.hosts["m"]
    save_requests(tmp_path / "requests.npz", {"m": host.recorder.requests})
    define(live, "return [reply(r, take(r) * 3) for r in requests]")
    export([host.entry], tmp_path / "repo", release="24.10", stub="launcher")
    assert main(["verify", str(tmp_path / "repo"), "--requests", str(tmp_path / "requests.npz")]) == 1
    assert "request 1 differs in Y: 2.0 here, 3.0 there at [0] (m)" in capsys.readouterr().err


def test_models_that_do_not_load(tmp_path: Path) -> None:
    text = "import triton_python_backend_utils\n\nimport nosuch\n"
    write_model(tmp_path / "repo", "broken", text)
    write_model(tmp_path / "repo", "good")
    write_model(tmp_path / "repo", "worse", "def x(:\n")
    sources = {"broken": ModelSource(text, "Cell In[3]")}
    with pytest.raises(VerifyError) as failed:
        verify(tmp_path / "repo", sources=sources)
    error = failed.value
    assert str(error) == "ModuleNotFoundError: No module named 'nosuch' (broken)"
    assert sorted(error.failures) == ["broken", "worse"]
    own = [each for each in error.frames if each.is_model]
    assert [(each.label, each.line) for each in own] == [("Cell In[3]", 3)]
    shown = "\n".join(error.render())
    assert "---->   3 import nosuch" in shown
    assert "worse: SyntaxError" in shown
    assert "--python" in error.hint
    assert not list((tmp_path / "repo").rglob("__pycache__"))


def test_links_in_the_copy_a_server_works_on(tmp_path: Path) -> None:
    """An environment's own links stay; one that leads out of its model still leads to the same file."""
    write_model(tmp_path / "elsewhere", "m")
    (tmp_path / "elsewhere/shared.bin").write_text("weights")
    (tmp_path / "elsewhere/m/1/weights.bin").symlink_to("../../shared.bin")
    (tmp_path / "elsewhere/m/env/lib").mkdir(parents=True)
    (tmp_path / "elsewhere/m/env/lib64").symlink_to("lib")
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/m").symlink_to(tmp_path / "elsewhere/m")
    (tmp_path / "repo/env-1.tar.gz").write_text("shared")
    with _linked(tmp_path / "repo") as copy:
        assert (copy / "m/1/weights.bin").read_text() == "weights"
        assert (copy / "m/env/lib64").readlink() == Path("lib")
        assert (copy / "env-1.tar.gz").read_text() == "shared"
        assert not (copy / "m").is_symlink()
    assert not copy.exists()


def test_where_there_is_nothing_to_verify(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match="holds no models"):
        verify(tmp_path)
    with pytest.raises(VerifyError, match="is no folder"):
        verify(tmp_path / "nosuch")
    write_model(tmp_path, "echo")
    wanted: Any = {"other": []}
    with pytest.raises(VerifyError, match="requests for other"):
        verify(tmp_path, requests=wanted)


def test_the_environment_of_another_interpreter(tmp_path: Path, server: ServerInstall) -> None:
    """NVIDIA's stub finds its packages through PATH: --python decides which."""
    assert server.reference_env is not None
    write_model(
        tmp_path, "m", "import sys\nassert 'reference-env' not in sys.prefix, sys.prefix\n" + "x = 1\n"
    )
    with pytest.raises(VerifyError, match="AssertionError"):
        verify(tmp_path)
    with pytest.raises(VerifyError, match="TritonPythonModel"):
        verify(tmp_path, python=os.path.abspath(sys.executable))  # noqa: PTH100 - resolving would leave the venv
