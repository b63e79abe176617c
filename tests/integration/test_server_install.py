"""A real server: found, installed, started, used, and gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from tests.support.leaks import Snapshot
from tests.support.models import IDENTITY_SOURCE, write_model
from tests.support.waiting import PATIENCE_S, until
from workbench import server_install
from workbench.commands import main
from workbench.server_install import (
    ServerInstall,
    ServerInstallError,
    ServerUnavailableError,
    find_server,
    install_server,
)
from workbench.targets.process_server import ServerProcess, ServerStartError

pytestmark = pytest.mark.server


def fake_server(root: Path, version: str | None = None) -> Path:
    """A folder laid out as an installation; enough to be found."""
    binary = root / "bin" / "tritonserver"
    binary.parent.mkdir(parents=True)
    binary.write_text("#!/bin/sh\nexit 7\n")
    binary.chmod(0o755)
    if version:
        (root / "TRITON_VERSION").write_text(version + "\n")
    return binary


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No server to be found: no TRITON_SERVER, nothing on PATH, an empty cache."""
    if Path("/opt/tritonserver").exists():
        pytest.skip("this machine has /opt/tritonserver, which would be found")
    monkeypatch.delenv("TRITON_SERVER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


class TestFind:
    def test_nothing_is_an_error_that_says_where_it_looked(self, nowhere: Path) -> None:
        with pytest.raises(ServerInstallError) as caught:
            find_server()

        assert "TRITON_SERVER, PATH, /opt/tritonserver and the cache" in str(caught.value)
        assert caught.value.hint.startswith("run `workbench server install`")

    def test_variable_before_path_before_cache(self, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        cached = fake_server(
            server_install.cache_dir() / f"24.10-cp{sys.version_info[0]}{sys.version_info[1]}"
        )
        assert find_server().binary == cached

        on_path = fake_server(nowhere / "path")
        monkeypatch.setenv("PATH", str(on_path.parent))
        assert find_server().binary == on_path

        named = fake_server(nowhere / "named")
        monkeypatch.setenv("TRITON_SERVER", str(named))
        assert find_server().binary == named

    @pytest.mark.parametrize("point_at", ["bin/tritonserver", "."])
    def test_variable_may_name_binary_or_folder(
        self, nowhere: Path, monkeypatch: pytest.MonkeyPatch, point_at: str
    ) -> None:
        binary = fake_server(nowhere / "named")
        monkeypatch.setenv("TRITON_SERVER", str(nowhere / "named" / point_at))

        install = find_server()

        assert install == ServerInstall(
            binary, nowhere / "named", nowhere / "named" / "backends", release=None, reference_env=None
        )

    def test_variable_that_names_no_server_is_an_error(
        self, nowhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TRITON_SERVER", str(nowhere))
        with pytest.raises(ServerInstallError, match=r"TRITON_SERVER is .* where there is no tritonserver"):
            find_server()

    def test_release_is_read_from_the_installation_and_demanded(
        self, nowhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_server(nowhere / "named", version="2.51.0")
        monkeypatch.setenv("TRITON_SERVER", str(nowhere / "named"))

        assert find_server("24.10").release == "24.10"
        with pytest.raises(ServerInstallError, match=r"no Triton server 24\.07"):
            find_server("24.07")


class TestInstall:
    def test_all_parts_are_there(self, triton_2410: ServerInstall) -> None:
        assert os.access(triton_2410.binary, os.X_OK)
        assert os.access(triton_2410.backends / "python" / "triton_python_backend_stub", os.X_OK)
        assert triton_2410.reference_env is not None
        said = subprocess.run(
            [triton_2410.reference_env / "bin" / "python3", "-c", "import numpy; print(numpy.__version__)"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(said.stdout.split(".")[0]) < 2

    def test_installed_already_is_left_alone(self, triton_2410: ServerInstall) -> None:
        steps: list[str] = []
        before = triton_2410.binary.stat()

        again = install_server("24.10", progress=steps.append)

        assert again == triton_2410
        assert again.binary.stat().st_mtime_ns == before.st_mtime_ns
        assert steps == []

    def test_pip_is_found_without_a_warning(self) -> None:
        """By a kernel that has imported distutils, in an environment with setuptools."""
        code = (
            "import sys; sys.modules['distutils'] = sys\n"
            "from workbench.server_install import _pip; _pip('--version')"
        )
        said = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert said.stderr == ""

    def test_failed_download_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(server_install.PACKAGES, "24.10", ("0.0.0.dev999", "2.51.0"))

        with pytest.raises(ServerUnavailableError, match=r"nvidia-pytriton==0\.0\.0\.dev999"):
            install_server("24.10", tmp_path)

        assert [path for path in tmp_path.iterdir() if path.suffix != ".lock"] == []

    def test_unknown_release_names_the_known_ones(self, tmp_path: Path) -> None:
        with pytest.raises(ServerInstallError, match=r"no package of Triton 21\.08") as caught:
            install_server("21.08", tmp_path)
        assert caught.value.hint == "choose one of 24.10, 24.07"

    def test_command_tells_as_json(
        self, triton_2410: ServerInstall, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["server", "find", "--release", "24.10", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["binary"] == str(triton_2410.binary)

    def test_command_turns_the_error_into_a_message(
        self, nowhere: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["server", "find"]) == 3
        said = capsys.readouterr().err
        assert said.startswith("workbench: error: no Triton server on this machine")
        assert "\nhint: " in said


@pytest.mark.parametrize("release", ["24.10", "24.07"])
def test_model_answers_over_http_and_grpc_and_nothing_is_left(
    release: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    install = request.getfixturevalue(f"triton_{release.replace('.', '')}")
    before = Snapshot.take()
    write_model(tmp_path, "identity")
    data = np.array([1.5, -2.0, 3.25], dtype=np.float32)

    with ServerProcess(tmp_path, install) as server:
        server.load("identity")
        regions = list(Path("/dev/shm").glob(server.region_prefix + "*"))
        assert len(regions) == 1

        with server.http() as http:
            tensor = tritonclient.http.InferInput("INPUT0", data.shape, "FP32")
            tensor.set_data_from_numpy(data)
            answer = http.infer("identity", [tensor]).as_numpy("OUTPUT0")
        np.testing.assert_array_equal(answer, data)

        with server.grpc() as grpc:
            tensor = tritonclient.grpc.InferInput("INPUT0", data.shape, "FP32")
            tensor.set_data_from_numpy(data)
            answer = grpc.infer("identity", [tensor]).as_numpy("OUTPUT0")
            np.testing.assert_array_equal(answer, data)

            server.unload("identity")
            assert not grpc.is_model_ready("identity")
        assert not list(Path("/dev/shm").glob(server.region_prefix + "*"))
        server.load("identity")  # so that stop finds a live stub

    assert "successfully loaded 'identity'" in server.log_text()
    assert before.wait_until_nothing_left() == []


class TestServerProcess:
    def test_it_listens_on_loopback_only(self, tmp_path: Path, triton_2410: ServerInstall) -> None:
        with ServerProcess(tmp_path, triton_2410) as server:
            sockets = psutil.Process(server.pid).net_connections("inet")
        listening = [each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN]
        assert len(listening) >= 3  # HTTP, gRPC, metrics
        assert {each.removeprefix("::ffff:") for each in listening} == {"127.0.0.1"}

    def test_refused_load_carries_the_servers_text(self, tmp_path: Path, triton_2410: ServerInstall) -> None:
        write_model(tmp_path, "broken", source="raise ValueError('not today')\n")
        with ServerProcess(tmp_path, triton_2410) as server:
            with pytest.raises(InferenceServerException, match="ValueError: not today"):
                server.load("broken")
            assert server.running

    def test_load_with_config_and_files_of_the_call(self, tmp_path: Path, triton_2410: ServerInstall) -> None:
        config = {
            "backend": "python",
            "input": [{"name": "INPUT0", "data_type": "TYPE_FP32", "dims": [-1]}],
            "output": [{"name": "OUTPUT0", "data_type": "TYPE_FP32", "dims": [-1]}],
        }
        with ServerProcess(tmp_path, triton_2410, auto_complete=False) as server:
            server.load("pushed", config, {"1/model.py": IDENTITY_SOURCE.encode()})
            with server.http() as http:
                assert http.get_model_config("pushed")["input"][0]["name"] == "INPUT0"
            server.unload("pushed")

    def test_backend_config_and_environment_reach_the_stub(
        self, tmp_path: Path, triton_2410: ServerInstall
    ) -> None:
        source = f"import os\nprint('says', os.environ['WB_SAYS'])\n{IDENTITY_SOURCE}"
        write_model(tmp_path, "identity", source)
        with ServerProcess(
            tmp_path, triton_2410, backend_config={"shm-default-byte-size": 8 << 20}, env={"WB_SAYS": "hello"}
        ) as server:
            server.load("identity")
            (region,) = Path("/dev/shm").glob(server.region_prefix + "*")
            assert region.stat().st_size == 8 << 20
            server.unload("identity")
        assert "says hello" in server.log_text()

    def test_a_server_that_cannot_run_is_an_error_with_its_words(self, tmp_path: Path) -> None:
        binary = fake_server(tmp_path / "bad")
        binary.write_text("#!/bin/sh\necho cannot find my libraries\nexit 7\n")
        install = ServerInstall(binary, tmp_path / "bad", tmp_path / "bad" / "backends", None, None)
        with pytest.raises(ServerStartError, match="exit code 7\ncannot find my libraries"):
            ServerProcess(tmp_path, install).start()

    def test_a_binary_that_is_not_one(self, tmp_path: Path) -> None:
        binary = fake_server(tmp_path / "bad")
        binary.write_bytes(b"\x7fELF")
        install = ServerInstall(binary, tmp_path / "bad", tmp_path / "bad" / "backends", None, None)
        with pytest.raises(ServerStartError, match=r"cannot be started: .*Exec format error"):
            ServerProcess(tmp_path, install).start()

    def test_taken_port_is_tried_again_with_another(
        self, tmp_path: Path, triton_2410: ServerInstall, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from workbench.targets import process_server
        from workbench.targets.server_ports import free_ports

        with ServerProcess(tmp_path, triton_2410) as first:
            for taken in (first.http_port, first.grpc_port, first.metrics_port):
                handed_out: list[list[int]] = []

                def ports(count: int, taken: int = taken, log: list[list[int]] = handed_out) -> list[int]:
                    chosen = free_ports(count)
                    if not log:  # the first try gets a port that is in use, in that port's own role
                        roles = (first.http_port, first.grpc_port, first.metrics_port)
                        chosen[roles.index(taken)] = taken
                    log.append(chosen)
                    return chosen

                monkeypatch.setattr(process_server, "free_ports", ports)
                with ServerProcess(tmp_path, triton_2410) as second:
                    assert second.version == "2.51.0"
                assert len(handed_out) == 2

    def test_killed_server_leaves_no_stub_and_no_region(
        self, tmp_path: Path, triton_2410: ServerInstall
    ) -> None:
        before = Snapshot.take()
        write_model(tmp_path, "identity")
        with ServerProcess(tmp_path, triton_2410) as server:
            server.load("identity")
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            until(lambda: not server.running, "the server to end")
            assert not list(Path("/dev/shm").glob(server.region_prefix + "*"))
        assert before.wait_until_nothing_left() == []

    def test_server_ends_when_its_owner_is_killed(self, tmp_path: Path, triton_2410: ServerInstall) -> None:
        write_model(tmp_path, "identity")
        owner = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import sys, time\n"
                "from pathlib import Path\n"
                "from workbench.server_install import find_server\n"
                "from workbench.targets.process_server import ServerProcess\n"
                "server = ServerProcess(sys.argv[1], find_server('24.10'), log_path=Path(sys.argv[2]))\n"
                "server.start(); server.load('identity')\n"
                "print(server.pid, server.region_prefix, flush=True); time.sleep(600)",
                str(tmp_path),
                str(tmp_path / "server.log"),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        with owner:
            assert owner.stdout is not None
            try:
                pid, prefix = owner.stdout.readline().split()
                server = psutil.Process(int(pid))
            finally:
                owner.kill()

        server.wait(timeout=PATIENCE_S)
        until(lambda: not list(Path("/dev/shm").glob(prefix + "*")), "its regions to be removed")
