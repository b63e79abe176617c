"""The words that start a server in a container, and what is said when that fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workbench.server_install import ServerInstallError
from workbench.targets.container import Container, find_container
from workbench.targets.server_command import Wanted

WANTED = Wanted("workbench-1", Path("/srv/models"), (8000, 8001, 8002), ("--exit-timeout-secs=3",), {})


def test_the_command_of_docker() -> None:
    assert Container("/usr/bin/docker", "triton:24.10", 1 << 30, "1000:100").command(WANTED) == [
        "/usr/bin/docker",
        "run",
        "--rm",
        "--name=workbench-1",
        "--pull=never",
        "--publish=127.0.0.1:8000:8000",
        "--publish=127.0.0.1:8001:8001",
        "--publish=127.0.0.1:8002:8002",
        "--mount=type=bind,source=/srv/models,target=/models,readonly",
        "--shm-size=1073741824",
        "--user=1000:100",
        "--env=HOME=/tmp",
        "triton:24.10",
        "tritonserver",
        "--id=workbench-1",
        "--model-repository=/models",
        "--model-control-mode=explicit",
        "--http-address=0.0.0.0",
        "--grpc-address=0.0.0.0",
        "--metrics-address=0.0.0.0",
        "--http-port=8000",
        "--grpc-port=8001",
        "--metrics-port=8002",
        "--exit-timeout-secs=3",
    ]


def test_podman_is_told_to_keep_the_callers_number() -> None:
    def more(user: str) -> set[str]:
        podman, docker = (
            Container("/usr/bin/docker", "triton", user=user, is_podman=is_podman).command(WANTED)
            for is_podman in (True, False)
        )
        return set(podman) - set(docker)

    assert more("1000:1000") == {"--userns=keep-id", "--security-opt=label=disable"}
    assert more("0:0") == {"--security-opt=label=disable"}  # podman refuses it to root


def test_the_server_is_the_callers() -> None:
    assert f"--user={os.getuid()}:{os.getgid()}" in Container("docker", "triton").command(WANTED)


@pytest.mark.parametrize(
    ("folder", "mount"),
    [
        ("/a b;$(c)", "type=bind,source=/a b;$(c),target=/models,readonly"),
        ("/a,b", 'type=bind,"source=/a,b",target=/models,readonly'),
        ('/a"b', 'type=bind,"source=/a""b",target=/models,readonly'),
    ],
)
def test_a_folder_of_any_name(folder: str, mount: str) -> None:
    wanted = Wanted("workbench-1", Path(folder), (1, 2, 3), (), {})
    assert f"--mount={mount}" in Container("docker", "triton").command(wanted)


def test_variables_for_models() -> None:
    wanted = Wanted("workbench-1", Path("/m"), (1, 2, 3), (), {"HOME": "/home/me", "A": "x y"})
    command = Container("docker", "triton").command(wanted)
    assert [each for each in command if each.startswith("--env")] == ["--env=A=x y", "--env=HOME=/home/me"]


def test_what_is_left_is_removed_by_name() -> None:
    assert Container("docker", "triton").remains(WANTED) == ["docker", "rm", "--force", "workbench-1"]


@pytest.mark.parametrize(
    ("ending", "log", "said"),
    [
        (
            "exit code 125",
            "docker: Error response from daemon: invalid mount\nSee 'docker run --help'.\n",
            "docker did not start a container of triton: docker: Error response from daemon: invalid mount",
        ),
        (
            "exit code 127",
            'docker: Error: exec: "tritonserver": not found\n',
            'triton holds no tritonserver that can be run: docker: Error: exec: "tritonserver": not found',
        ),
        ("exit code 1", "whatever", "the container of triton ended with exit code 1"),
        ("signal 9", "", "the container of triton ended with signal 9"),
    ],
)
def test_why_a_start_ended(ending: str, log: str, said: str) -> None:
    assert Container("/bin/docker", "triton").explain(ending, log) == said


def test_no_engine() -> None:
    with pytest.raises(ServerInstallError) as none:
        find_container("triton", which=lambda name: None)
    assert str(none.value) == "--image triton needs docker or podman, and neither is on PATH"
    assert "install one of them" in none.value.hint


def test_an_option_is_no_image() -> None:
    with pytest.raises(ServerInstallError, match="'--privileged' is no name of an image"):
        find_container("--privileged", which=lambda name: "/bin/false")


def write_program(file: Path, says: str = "", code: int = 0) -> str:
    file.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit {code}\n")
    file.chmod(0o700)
    return str(file)


def test_the_first_engine_that_is_there(tmp_path: Path) -> None:
    there = {"podman": write_program(tmp_path / "podman")}
    assert find_container("triton", which=there.get).name == "podman"
    there["docker"] = write_program(tmp_path / "docker")
    assert find_container("triton", which=there.get).name == "docker"


def test_an_engine_that_does_not_work_does_not_hide_one_that_does(tmp_path: Path) -> None:
    down = write_program(tmp_path / "docker", "Cannot connect to the Docker daemon", 1)
    there = {"docker": down, "podman": write_program(tmp_path / "podman")}
    assert find_container("triton", which=there.get).name == "podman"
    there["podman"] = write_program(tmp_path / "podman", "Error: triton: image not known", 125)
    with pytest.raises(ServerInstallError, match="podman has no image triton on this machine"):
        find_container("triton", which=there.get)
    there["podman"] = write_program(tmp_path / "podman", "Error: no room", 125)
    with pytest.raises(ServerInstallError, match="docker does not work here: Cannot connect"):
        find_container("triton", which=there.get)


@pytest.mark.parametrize(
    ("version", "is_podman"),
    [("Docker version 27.3.1, build ce12230", False), ("podman version 5.2.2", True)],
)
def test_podman_called_docker(tmp_path: Path, version: str, is_podman: bool) -> None:
    engine = tmp_path / "docker"
    engine.write_text(f"#!/bin/sh\necho {version}\n")
    engine.chmod(0o700)
    assert find_container("triton", which={"docker": str(engine)}.get).is_podman is is_podman


@pytest.mark.parametrize(
    ("answer", "said", "hint"),
    [
        (
            "Error: No such image: triton",
            "docker has no image triton on this machine",
            "`docker pull triton`",
        ),
        ("Error: triton: image not known", "docker has no image triton on this machine", "docker pull"),
        ("permission denied", "docker does not work here: permission denied", "docker info"),
        ("", "docker does not work here: exit code 1", "docker info"),
    ],
)
def test_an_engine_that_refuses(tmp_path: Path, answer: str, said: str, hint: str) -> None:
    engine = write_program(tmp_path / "docker", answer, 1)
    with pytest.raises(ServerInstallError) as refused:
        find_container("triton", which={"docker": engine}.get)
    assert str(refused.value) == said
    assert hint in refused.value.hint


def test_an_engine_that_is_no_program(tmp_path: Path) -> None:
    engine = tmp_path / "docker"
    engine.write_text("\x7fnonsense")
    engine.chmod(0o700)
    with pytest.raises(ServerInstallError, match="cannot be run: Exec format error"):
        find_container("triton", which={"docker": str(engine)}.get)
