"""``%triton server start --image``: a server that an engine runs, from its start to its end.

The engine is `tests.support.engine`: a program of the name, with a real server of this machine behind it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.engine import IMAGE, Engine, kill_a_kernel, write_engine
from tests.support.models import write_model
from tests.support.notebook import Notebook
from tests.support.servers import first_of_three_ports, revision, value
from tests.support.waiting import until
from workbench.errors import WorkbenchError, WorkbenchUsageError
from workbench.server_errors import ServerUnreachable
from workbench.server_install import ServerInstall, ServerInstallError
from workbench.targets import servers
from workbench.targets.local import LocalOptions, LocalTarget
from workbench.targets.process_server import ServerProcess, ServerStartError

pytestmark = pytest.mark.server


@pytest.fixture
def engine(triton_2410: ServerInstall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = write_engine(tmp_path / "engine", triton_2410)
    monkeypatch.setenv("PATH", str(engine.folder), prepend=os.pathsep)
    return engine


@pytest.fixture
def target(engine: Engine) -> Iterator[LocalTarget]:
    target = LocalTarget("boxed", options=LocalOptions(image=IMAGE))
    yield target
    target.close()
    assert engine.containers() == []


def test_a_repository_from_start_to_stop(notebook: Notebook, engine: Engine, tmp_path: Path) -> None:
    models = tmp_path / "models"
    write_model(models, "echo")
    shown = repr(notebook.run(f"%triton server start --image {IMAGE} --repo {models} --shm-size 2g"))
    assert shown.splitlines()[0] == f"Server local  READY  Triton 24.10  stub nvidia  {IMAGE}"
    assert shown.splitlines()[1].split()[:2] == ["echo", "READY"]
    answer = notebook.run("%triton infer echo INPUT0=[1,2] --on local")
    assert answer["OUTPUT0"].tolist() == [1, 2]
    assert engine.calls()[1] == ["image", "inspect", "--format={{.Id}}", IMAGE]
    (run,) = [words for words in engine.calls() if words[0] == "run"]
    assert {"--shm-size=2147483648", f"--user={os.getuid()}:{os.getgid()}"} < set(run)
    assert f"--mount=type=bind,source={models},target=/models,readonly" in run
    (name,) = engine.containers()
    notebook.run("%triton server stop")
    assert engine.containers() == []
    assert engine.calls()[-1] == ["rm", "--force", name]


def test_models_pushed_to_it(target: LocalTarget) -> None:
    target.push(revision("x + 1"))
    assert value(target) == [2, 3]
    target.restart()
    assert value(target) == [2, 3]
    assert 'nv_inference_count{model="m"' in target.metrics()
    with pytest.raises(WorkbenchError, match="boxed runs in a container") as refused:
        target.trace("m", {"X": [1, 2]})
    assert "without --image" in refused.value.hint


def test_the_engines_program_is_killed(target: LocalTarget, engine: Engine) -> None:
    """The container goes on without it, and is removed all the same."""
    (name,) = engine.containers()
    server = int((engine.state / name).read_text())
    assert target.process.pid not in (None, server)
    os.kill(target.process.pid or 0, signal.SIGKILL)
    until(lambda: not target.process.running, "the program to end")
    assert target.state == "ended with signal 9"
    assert engine.containers() == []
    with pytest.raises(ServerUnreachable, match="boxed ended with signal 9"):
        target.infer("m", X=[1, 2])
    target.restart()
    assert target.state == "ready"
    assert engine.containers() != [name]


def test_an_engine_that_does_not_hand_the_signal_on(target: LocalTarget, engine: Engine) -> None:
    (engine.state / "deaf").touch()
    target.restart()
    (name,) = engine.containers()
    target.close()
    assert engine.containers() == []
    assert engine.calls()[-1] == ["rm", "--force", name]


def test_a_kernel_that_is_killed(engine: Engine) -> None:
    kill_a_kernel(IMAGE, engine.containers)
    until(lambda: engine.containers() == [], "the container to be removed")


def test_what_cannot_be_started(notebook: Notebook, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(engine.folder))  # whatever other engine this machine has
    start = "%triton server start --image"
    with pytest.raises(ServerInstallError, match="docker has no image triton:1 on this machine") as missing:
        notebook.run(f"{start} triton:1")
    assert missing.value.hint == "`docker pull triton:1` fetches it"
    with pytest.raises(WorkbenchUsageError, match="a program of this machine or in an image"):
        notebook.run(f"{start} {IMAGE} --binary /opt")
    with pytest.raises(WorkbenchUsageError, match="our stub runs this kernel's Python"):
        notebook.run(f"{start} {IMAGE} --stub own")
    (engine.state / "refusal").write_text("docker: Error response from daemon: no space left on device.\n")
    with pytest.raises(ServerStartError) as refused:
        notebook.run(f"{start} {IMAGE}")
    assert refused.value.reason == (
        f"docker did not start a container of {IMAGE}: "
        "docker: Error response from daemon: no space left on device."
    )
    (engine.state / "down").touch()
    with pytest.raises(ServerInstallError, match=r"docker does not work here: Cannot connect to the Docker"):
        notebook.run(f"{start} {IMAGE}")
    monkeypatch.setenv("PATH", str(engine.state))
    with pytest.raises(ServerInstallError, match="needs docker or podman, and neither is on PATH"):
        notebook.run(f"{start} {IMAGE}")
    assert servers.names() == []
    assert engine.containers() == []


def test_another_server_at_the_port_is_not_taken_for_it(
    engine: Engine, triton_2410: ServerInstall, tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    with ServerProcess(tmp_path / "models", triton_2410, stop_timeout=3.0) as other:
        with pytest.raises(ServerStartError, match=r"one of the ports .* is taken"):
            LocalTarget("boxed", options=LocalOptions(image=IMAGE, port=other.http_port))
        (engine.state / "refusal").write_text(
            "docker: Bind for 127.0.0.1:1 failed: port is already allocated"
        )
        with pytest.raises(ServerStartError, match=r"one of the ports .* is taken"):
            LocalTarget("boxed", options=LocalOptions(image=IMAGE, port=other.http_port))
    assert engine.containers() == []


def test_another_program_at_the_port_is_no_triton(engine: Engine) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html></html>")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        (engine.state / "refusal").write_text(
            "docker: Bind for 127.0.0.1:1 failed: port is already allocated"
        )
        with pytest.raises(ServerStartError, match=r"one of the ports .* is taken"):
            LocalTarget("boxed", options=LocalOptions(image=IMAGE, port=other.server_port))
        other.shutdown()


def test_on_the_command_line(engine: Engine, tmp_path: Path) -> None:
    write_model(tmp_path / "models", "echo")
    port = first_of_three_ports()
    repository = str(tmp_path / "models")
    command = [sys.executable, "-m", "workbench.commands", "server", "run", "--repo", repository]
    command += ["--image", IMAGE, "--shm-size", "512m", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().rstrip().endswith(f"stub nvidia  {IMAGE}")
            assert process.stdout.readline().split()[:2] == ["echo", "READY"]
            (run,) = [words for words in engine.calls() if words[0] == "run"]
            assert "--shm-size=536870912" in run
            assert f"--publish=127.0.0.1:{port}:{port}" in run
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert engine.containers() == []
