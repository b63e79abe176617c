"""Every example runs as its README says: on a real server with NVIDIA's stub and with ours, and in the
workbench.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.servers import with_our_backend
from workbench.server_install import ServerInstall
from workbench.targets.process_server import ServerProcess

EXAMPLES = Path(__file__).parents[2] / "examples"
HAS_TORCH = importlib.util.find_spec("torch") is not None


@dataclass(frozen=True)
class Example:
    """What an example's client needs.

    Attributes:
        name: Folder with the client; also the model it talks to.
        others: Models that must be loaded as well.
        stream: The client speaks gRPC.
    """

    name: str
    others: tuple[str, ...] = ()
    stream: bool = False


SERVED = (
    Example("add_sub"),
    Example("identity_string"),
    Example("pytorch"),
    Example("jax_add_sub"),
    Example("bls_sync", others=("add_sub",)),
    Example("bls_async", others=("add_sub", "jax_add_sub")),
    Example("decoupled_square", stream=True),
    Example("decoupled_repeat", stream=True),
    Example("bls_decoupled_sync", others=("decoupled_square",)),
    Example("bls_decoupled_async", others=("decoupled_square",)),
    Example("auto_complete_batch"),
    Example("auto_complete_nobatch"),
    Example("custom_metrics"),
    Example("image_pipeline"),
    Example("instance_kind"),
)


def test_the_table_is_complete() -> None:
    clients = {path.parent.name for path in EXAMPLES.glob("*/client.py")}
    assert clients == {each.name for each in SERVED}
    for folder in (path.parent.parent for path in EXAMPLES.glob("*/1/model.py")):
        lines = (folder / "README.md").read_text().splitlines()
        assert lines[0] == f"# {folder.name}"
        assert len(lines) <= 15
        assert f"({folder.name})" in (EXAMPLES / "README.md").read_text()


class Servers:
    """Real servers with one stub, on copies of the examples, started when asked for."""

    def __init__(self, stub: str, install: ServerInstall, folder: Path, stack: ExitStack) -> None:
        self._stub = stub
        self._folder = folder
        self._stack = stack
        self._install = install if stub == "nvidia" else with_our_backend(install, folder / "backends")
        self._running: dict[bool, ServerProcess] = {}
        self._loaded: set[tuple[bool, str]] = set()

    def with_models(self, example: Example) -> ServerProcess:
        # NVIDIA's stubs take their packages from one environment. The usual one has no PyTorch; ours has it,
        # but with NumPy 2, under which these stubs lose the data of tensors that pass through NumPy.
        own_packages = self._stub == "own" or example.name == "pytorch"
        server = self._running.get(own_packages)
        if server is None:
            repository = self._folder / ("own_packages" if own_packages else "reference")
            shutil.copytree(EXAMPLES, repository, ignore=shutil.ignore_patterns("__pycache__"))
            server = self._stack.enter_context(
                ServerProcess(
                    repository,
                    self._install,
                    python_env=Path(sys.prefix) if own_packages else None,
                    env={"TRITON_WORKBENCH_PYTHON": sys.executable},
                    stop_timeout=20.0,
                )
            )
            self._running[own_packages] = server
        for name in (*example.others, example.name):
            if (own_packages, name) not in self._loaded:
                server.load(name)
                self._loaded.add((own_packages, name))
        return server


@pytest.fixture(scope="module", params=["nvidia", "own"])
def servers(
    request: pytest.FixtureRequest, triton_2410: ServerInstall, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(request.param, triton_2410, tmp_path_factory.mktemp(request.param), stack)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> None:
    """Models stay loaded from one example to the next; the probe at the end of the run sees what stays."""


@pytest.mark.server
@pytest.mark.parametrize("example", SERVED, ids=lambda each: each.name)
def test_client_on_a_real_server(servers: Servers, example: Example) -> None:
    if example.name == "pytorch" and not HAS_TORCH:
        pytest.skip("PyTorch is not installed")
    server = servers.with_models(example)
    options = ["--url", server.grpc_address if example.stream else server.http_address]
    if example.name == "custom_metrics":
        options += ["--metrics-url", f"127.0.0.1:{server.metrics_port}"]
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / example.name / "client.py"), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    log = "\n".join(server.log_text().splitlines()[-30:])
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nthe server's log:\n{log}"
    assert done.stdout.splitlines()[-1] == "PASS"
