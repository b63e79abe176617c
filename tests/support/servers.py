"""For tests with real servers: revisions of one small model, and our stub where a server finds it."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import shutil
import socket
from importlib import resources
from pathlib import Path

from tests.support.live import HEAD
from tests.support.waiting import until
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.server_install import ServerInstall
from workbench.targets.process_server import ServerProcess
from workbench.targets.pushed import loose_entry
from workbench.targets.remote import ServerTarget
from workbench.targets.server_guard import stub_pids

_BODY = """
class TritonPythonModel:
    def execute(self, requests):
        out = []
        for r in requests:
            x = pb_utils.get_input_tensor_by_name(r, "X").as_numpy()
            out.append(pb_utils.InferenceResponse([pb_utils.Tensor("Y", {expression})]))
        return out
"""


def own_stub() -> Path:
    """The launcher script of our stub, which a server can run."""
    with resources.as_file(resources.files("workbench") / "backend" / "triton_python_backend_stub") as path:
        return Path(path)


def with_our_backend(install: ServerInstall, backends: Path) -> ServerInstall:
    """The same server, with our stub and our half of pb_utils in place of NVIDIA's."""
    folder = backends / "python"
    folder.mkdir(parents=True)
    (folder / "libtriton_python.so").symlink_to(install.backends / "python" / "libtriton_python.so")
    shutil.copy(own_stub().with_name("triton_python_backend_utils.py"), folder)
    shutil.copy(own_stub(), folder)
    (folder / own_stub().name).chmod(0o755)
    return dataclasses.replace(install, backends=backends)


def first_of_three_ports() -> int:
    """A port that is free together with the two after it, as ``--port`` wants them.

    From below those that the system hands out by itself, which another test may be given at any moment.
    """
    while True:
        first = random.randrange(10_000, 30_000)
        with contextlib.ExitStack() as sockets:
            try:
                for port in range(first, first + 3):
                    sockets.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
        return first


def revision(
    expression: str, name: str = "m", config: ModelConfig | None = None, *, top: str = ""
) -> ModelEntry:
    """A model with input ``X:FP32[2]`` and output ``Y:FP32[2]``.

    Args:
        expression: What ``Y`` is, of the array ``x``.
        name: The model's name.
        config: In place of the one above.
        top: A line above all others.
    """
    text = f"{top}\n{HEAD}" + _BODY.replace("{expression}", expression)
    config = config or ModelConfig.from_specs(name, ["X:FP32[2]"], ["Y:FP32[2]"])
    return loose_entry(name, ModelSource(text, "Cell In[4]"), config)


def value(target: ServerTarget, name: str = "m") -> list[float]:
    """The answer to ``X = [1, 2]``."""
    return [float(each) for each in target.infer(name, {"X": [1, 2]})["Y"]]


def stubs_of(process: ServerProcess) -> set[int]:
    """Process ids of a server's stubs."""
    # The guard has the prefix among its arguments too.
    guard = {process._guard.pid} if process._guard is not None else set()
    return set(stub_pids(process.region_prefix)) - guard


def wait_until_unloaded(process: ServerProcess) -> None:
    """Wait until a server's stubs have ended, which they do after the server has agreed to unload."""
    until(lambda: not stubs_of(process), "stubs of unloaded models to end", 90.0)
