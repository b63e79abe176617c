"""``%triton server``: servers of this machine, by name, with options."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.live import source
from tests.support.models import IDENTITY_SOURCE, write_model
from tests.support.notebook import Notebook, loaded, make_shell
from tests.support.servers import first_of_three_ports
from tests.support.waiting import until
from workbench.errors import InferTimeout, ModelLoadError, WorkbenchUsageError
from workbench.model_config import ModelConfig
from workbench.model_source import ModelSource
from workbench.server_errors import PushError, ServerUnreachable
from workbench.server_install import ServerInstall, ServerInstallError
from workbench.targets import servers
from workbench.targets.client import ServerClient
from workbench.targets.local import LocalOptions, LocalTarget, server_backend_config
from workbench.targets.process_server import ServerProcess, ServerStartError
from workbench.targets.pushed import loose_entry

pytestmark = pytest.mark.server

EXAMPLES = Path(__file__).parents[2] / "examples"
CELL = """%%triton model scale --in X:FP32[2] --out Y:FP32[2]
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        pb_utils.Logger.log_warn("scale at work")
        xs = [pb_utils.get_input_tensor_by_name(r, "X").as_numpy() for r in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", x * 2)]) for x in xs]
"""


@pytest.fixture
def notebook(triton_2410: ServerInstall, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.setenv("TRITON_SERVER", str(triton_2410.binary))
    with loaded(make_shell()) as notebook:
        yield notebook


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    write_model(folder, "echo")
    write_model(folder, "broken", IDENTITY_SOURCE + "import nosuch\n")
    (folder / "notes.txt").write_text("no model")
    return folder


def test_a_server_from_its_start_to_its_end(notebook: Notebook) -> None:
    assert repr(notebook.run("%triton server start")) == "Server local  READY  Triton 24.10  stub own"
    with pytest.raises(WorkbenchUsageError, match="there is a server local already"):
        notebook.run("%triton server start")
    notebook.run(CELL)
    notebook.run("%triton infer scale X=[1,2]")
    # Nothing of packages: it runs in this kernel's Python.
    assert "must have" not in repr(notebook.run("%triton push scale --to local"))
    assert notebook.run("%triton infer scale X=[1,2] --on local")["Y"].tolist() == [2, 4]
    log = notebook.run("%triton server logs --model scale --level warning")
    assert list(log) == ["WARNING model.py:5 scale at work"] * 2  # the smoke request, and that one
    assert notebook.run("%triton logs scale --on local --level warning").lines == log.lines
    assert "  target local  ready" in repr(notebook.run("%triton status"))
    counted = 'request_success{model="scale"'  # a moment after the server has answered
    until(lambda: counted in repr(notebook.run("%triton metrics scale --on local")), "requests to be counted")
    replayed = notebook.run("%triton replay scale --on local --assert-equal")
    assert repr(replayed) == "Replay scale: 1 request, 1 equal"
    bench = notebook.run("%triton bench scale --on local --n 5 --warmup 1 --concurrency 2")
    assert repr(bench) == "Bench scale: 5 requests answered, 1 before them to warm up, 2 at a time"
    stages = notebook.run("%triton bench scale --on local --n 20 --profile").stages
    assert list(stages) == ["on the way", "queue", "copy in", "execute", "copy out"]
    assert min(stages.values()) > 0  # of the server's statistics, each of them

    pid = servers.find_local().process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ServerUnreachable, match="local ended with signal 9"):
        notebook.run("%triton infer scale X=[1,2] --on local")
    assert "target local  ended with signal 9" in repr(notebook.run("%triton server status"))
    notebook.run("%triton server restart")
    assert notebook.run("%triton infer scale X=[1,2] --on local")["Y"].tolist() == [2, 4]

    assert notebook.run("%triton server stop") is None
    assert "target local" not in repr(notebook.run("%triton status"))
    with pytest.raises(WorkbenchUsageError, match="no local server 'local' runs"):
        notebook.run("%triton server logs")


def test_a_repository_and_a_second_server(notebook: Notebook, repository: Path) -> None:
    shown = repr(notebook.run(f"%triton server start folder --repo {repository}")).splitlines()
    assert shown[0] == "Server folder  READY  Triton 24.10  stub nvidia"
    assert shown[1] == "  echo  READY  folder  -  in: INPUT0 FP32[-1]  out: OUTPUT0 FP32[-1]"
    assert shown[2].startswith("  broken  FAILED  ModuleNotFoundError: No module named 'nosuch'")
    assert len(shown) == 3
    notebook.run("%triton server start ours --stub own --backend-config python,shm-default-byte-size=2097152")
    notebook.run(CELL)
    reports = notebook.run("%triton push scale --to folder,ours")
    assert [each.server for each in reports] == ["folder", "ours"]
    region = servers.find_local("ours").process.region_prefix
    sizes = [each.stat().st_size for each in Path("/dev/shm").glob(f"{region}*")]
    assert sizes == [2097152]
    table = notebook.run("%triton models --on folder")
    assert [(each.name, each.state) for each in table.values()] == [
        ("broken", "UNAVAILABLE"),
        ("echo", "READY"),
        ("scale", "READY"),
    ]
    # A repository's own models are loaded again too.
    notebook.run("%triton server restart folder")
    assert sorted(servers.find("folder").client.loaded()) == ["echo", "scale"]


def test_models_of_a_repository_in_our_stub(triton_2410: ServerInstall, tmp_path: Path) -> None:
    source = IDENTITY_SOURCE.replace(
        "class TritonPythonModel:",
        f"import sys\nassert sys.prefix == {sys.prefix!r}, sys.prefix\n\n\nclass TritonPythonModel:",
    )
    write_model(tmp_path / "models", "echo", source)
    target = LocalTarget("lab", triton_2410, options=LocalOptions(str(tmp_path / "models")))
    try:
        assert target.infer("echo", INPUT0=[1, 2])["OUTPUT0"].tolist() == [1, 2]
    finally:
        target.close()


def test_what_cannot_be_started(notebook: Notebook, tmp_path: Path) -> None:
    with pytest.raises(ServerInstallError, match="there is no tritonserver at"):
        notebook.run(f"%triton server start --binary {tmp_path}/nosuch")
    with pytest.raises(WorkbenchUsageError, match="nosuch is no folder"):
        notebook.run(f"%triton server start --repo {tmp_path}/nosuch")
    with pytest.raises(WorkbenchUsageError, match="shm-default-byte-size can't be smaller than 1 MiB"):
        notebook.run("%triton server start --shm-size 4k")
    with pytest.raises(WorkbenchUsageError, match="unknown backend-config key 'shm-size'"):
        notebook.run("%triton server start --backend-config shm-size=4")
    with pytest.raises(WorkbenchUsageError, match="cannot read the size"):
        notebook.run("%triton server start --shm-size many")
    with pytest.raises(WorkbenchUsageError, match="a server cannot be called 'live'"):
        notebook.run("%triton server start live")
    assert servers.names() == []
    first = servers.start("one")
    with pytest.raises(ServerStartError, match=r"one of the ports .* is taken"):
        servers.start("two", LocalOptions(port=first.process.http_port))
    assert servers.names() == ["one"]


def test_settings_as_a_server_has_them() -> None:
    given = {"python,shm-default-byte-size": 1 << 20, "thread_pool_size": 4, "stub-timeout-seconds": "60"}
    assert server_backend_config(given) == {
        "shm-default-byte-size": "1048576",
        "thread-pool-size": "4",
        "stub-timeout-seconds": "60",
    }
    with pytest.raises(WorkbenchUsageError, match="is a setting of live models"):
        server_backend_config({"stub": "own"})


def test_the_same_settings_live_and_on_a_server(notebook: Notebook) -> None:
    words = "--backend-config python,stub-timeout-seconds="
    slow = CELL.replace("class T", "import time; time.sleep(4)\nclass T")
    with pytest.raises(ModelLoadError) as late:
        notebook.run(slow.replace("model scale", f"model scale {words}1"))
    assert "stub-timeout-seconds" in late.value.hint
    notebook.run(f"%triton server start --shm-size 2m {words}60 python,shm-region-prefix-name=wb_mine_")
    assert servers.find_local().process.region_prefix.startswith("wb_mine_")
    cell = CELL.replace("model scale", "model scale --on local")
    notebook.run(cell)
    assert [each.stat().st_size for each in Path("/dev/shm").glob("wb_mine_*")] == [2 << 20]
    with pytest.raises(PushError, match="local serves src:"):
        notebook.run(cell + "import nosuch\n")
    with pytest.raises(WorkbenchUsageError, match="given when it is started"):
        notebook.run(cell.replace("--on local", "--on local --backend-config thread-pool-size=4"))


def test_a_server_on_the_command_line(triton_2410: ServerInstall, repository: Path) -> None:
    """The quick start of Triton's Python backend: a repository, a server, a client."""
    command = [sys.executable, "-m", "workbench.commands", "server", "run", "--repo", str(repository)]
    (repository / "notes.txt").unlink()
    example = EXAMPLES / "add_sub"
    place = write_model(
        repository, "add_sub", (example / "1/model.py").read_text(), (example / "config.pbtxt").read_text()
    )
    assert place.name == "add_sub"
    port = first_of_three_ports()
    env = {**os.environ, "TRITON_SERVER": str(triton_2410.binary)}
    with subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().rstrip() for _ in range(5)]
            assert lines[0] == "Server local  READY  Triton 24.10  stub nvidia"
            assert [line.split()[:2] for line in lines[1:4]] == [
                ["add_sub", "READY"],
                ["echo", "READY"],
                ["broken", "FAILED"],
            ]
            assert lines[4].startswith(f"http://127.0.0.1:{port}  grpc://")
            client = [sys.executable, str(example / "client.py"), "--url", f"127.0.0.1:{port}"]
            answer = subprocess.run(client, capture_output=True, text=True, timeout=120, check=False)
            assert (answer.stdout, answer.returncode) == ("PASS\n", 0), answer.stderr
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_the_quick_start_from_a_notebook(notebook: Notebook, tmp_path: Path) -> None:
    notebook.run(f"%triton model add_sub --file {EXAMPLES}/add_sub")
    notebook.run("%triton infer add_sub INPUT0=[1,2,3,4] INPUT1=[1,1,1,1]")
    notebook.run(f"%triton export add_sub {tmp_path}/models")
    server = notebook.run(f"%triton server start --repo {tmp_path}/models")
    client = [sys.executable, f"{EXAMPLES}/add_sub/client.py", "--url", server.url.removeprefix("http://")]
    answer = subprocess.run(client, capture_output=True, text=True, timeout=120, check=False)
    assert (answer.stdout, answer.returncode) == ("PASS\n", 0), answer.stderr
    there = notebook.run("%triton infer add_sub INPUT0=[1,2,3,4] INPUT1=[1,1,1,1] --on local")
    assert there["OUTPUT1"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("moment", ["spawn", "load"])
def test_a_start_that_is_interrupted_leaves_no_server(
    triton_2410: ServerInstall, repository: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    logs = repository.parent / "logs"  # other tests keep theirs where they usually are
    logs.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(logs))
    patched: object = ServerClient
    name = "load"
    if moment == "spawn":  # the guard has started, and has not yet said that the server has
        patched, name = ServerProcess, "_guard_said"

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(patched, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        LocalTarget("lab", triton_2410, options=LocalOptions(str(repository), stub="nvidia"))
    assert list(logs.iterdir()) == []


def test_ctrl_c_before_a_server_on_the_command_line_is_ready(
    triton_2410: ServerInstall, tmp_path: Path
) -> None:
    slow = IDENTITY_SOURCE.replace(
        "    def execute(",
        "    def initialize(self, args):\n        import time; time.sleep(60)\n\n    def execute(",
    )
    write_model(tmp_path / "models", "slow", slow)
    command = [
        sys.executable,
        "-m",
        "workbench.commands",
        "server",
        "run",
        "--repo",
        str(tmp_path / "models"),
    ]
    for number in (signal.SIGINT, signal.SIGTERM):
        with subprocess.Popen(
            [*command, "--port", str(first_of_three_ports()), "--binary", str(triton_2410.binary)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                _wait_for_stub("slow", psutil.Process(process.pid))
            finally:
                process.send_signal(number)
            assert process.communicate(timeout=30)[0] == ""
        assert process.returncode == 130


def _wait_for_stub(model: str, process: psutil.Process) -> None:
    """Until a model's stub runs below a process: the model is being loaded then."""

    def runs() -> bool:
        for child in process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if any(word.startswith(f"{model}_0") for word in child.cmdline()):
                    return True
        return False

    until(runs, f"the stub of {model}")


def test_the_time_limit_is_that_of_one_response(triton_2410: ServerInstall) -> None:
    """As of a live model: what counts is the longest silence, not the whole answer."""
    text = source(
        "sender = requests[0].get_response_sender()\n"
        "for n in range(4):\n"
        "    time.sleep(float(x[0]))\n"
        "    sender.send(reply(None, x))\n"
        "sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)"
    )
    config = ModelConfig.from_specs("m", ["X:FP32[1]"], ["Y:FP32[1]"], decoupled=True)
    target = LocalTarget(install=triton_2410)
    try:
        target.push(loose_entry("m", ModelSource(text), config))
        assert len(target.infer("m", {"X": [0.5]}, timeout=1.2).responses) == 4
        assert len(list(target.stream("m", {"X": [0.5]}, timeout=1.2))) == 4
        with pytest.raises(InferTimeout, match="m on local did not answer in time"):
            target.infer("m", {"X": [1.0]}, timeout=0.4)
    finally:
        target.close()
