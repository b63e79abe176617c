"""Revisions of one small model, for servers."""

from __future__ import annotations

import time

from tests.support.live import HEAD
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
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


def wait_until_unloaded(process: ServerProcess, seconds: float = 90.0) -> None:
    """Wait until a server's stubs have ended, which they do after the server has agreed to unload."""
    deadline = time.monotonic() + seconds
    # The guard has the prefix among its arguments too.
    guard = {process._guard.pid} if process._guard is not None else set()
    while set(stub_pids(process.region_prefix)) - guard and time.monotonic() < deadline:
        time.sleep(0.05)
