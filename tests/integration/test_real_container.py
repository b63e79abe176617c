"""The same with a real engine, where there is one: ``WORKBENCH_IMAGE=nvcr.io/nvidia/tritonserver:24.10-py3``
names an image that docker or podman has on this machine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import kill_a_kernel
from tests.support.models import write_model
from tests.support.servers import revision, value
from tests.support.waiting import until
from workbench.model_config import ModelConfig
from workbench.model_source import ModelSource
from workbench.server_errors import PushError, ServerUnreachable
from workbench.targets.container import find_container
from workbench.targets.local import LocalOptions, LocalTarget
from workbench.targets.pushed import loose_entry

IMAGE = os.environ.get("WORKBENCH_IMAGE", "")
pytestmark = [
    pytest.mark.server,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not IMAGE, reason="WORKBENCH_IMAGE names no image"),
]

LOOK = """
import json, os
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        try:
            open("/models/written", "w").close()
            written = True
        except OSError:
            written = False
        seen = {
            "user": os.getuid(), "written": written, "regions": len(os.listdir("/dev/shm")),
            "bytes": os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize,
        }
        text = np.array([json.dumps(seen)], dtype=np.object_)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", text)]) for _ in requests]
"""


def containers() -> list[str]:
    """Names of those that are there."""
    listed = [find_container(IMAGE).engine, "ps", "--all", "--format={{.Names}}", "--filter=name=workbench-"]
    return subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split()


def none_is_left() -> None:
    until(lambda: containers() == [], "the container to be removed")


@pytest.fixture
def target() -> Iterator[LocalTarget]:
    target = LocalTarget("boxed", options=LocalOptions(image=IMAGE, shm_size=1 << 29))
    yield target
    target.close()
    none_is_left()


def test_a_repository(tmp_path: Path) -> None:
    write_model(tmp_path / "models", "echo")
    target = LocalTarget(options=LocalOptions(image=IMAGE, repository=str(tmp_path / "models")))
    try:
        assert target.infer("echo", INPUT0=[1, 2])["OUTPUT0"].tolist() == [1, 2]
        assert len(containers()) == 1
    finally:
        target.close()
    none_is_left()


def test_what_a_model_sees_of_the_machine(target: LocalTarget) -> None:
    config = ModelConfig.from_specs("look", [], ["TEXT:BYTES[1]"])
    target.push(loose_entry("look", ModelSource(LOOK, "Cell In[1]"), config))
    seen = json.loads(target.infer("look")["TEXT"][0])
    assert seen == {"user": os.getuid(), "written": False, "regions": 1, "bytes": 1 << 29}


def test_models_pushed_to_it(target: LocalTarget) -> None:
    target.push(revision("x + 1"))
    assert value(target) == [2, 3]
    with pytest.raises(PushError):
        target.push(revision("x +"))
    assert value(target) == [2, 3]
    target.restart()
    assert value(target) == [2, 3]
    assert 'nv_inference_count{model="m"' in target.metrics()


def test_the_engines_program_is_killed(target: LocalTarget) -> None:
    (name,) = containers()
    os.kill(target.process.pid or 0, signal.SIGKILL)
    none_is_left()
    with pytest.raises(ServerUnreachable, match="boxed ended with signal 9"):
        target.infer("m", X=[1, 2])
    target.restart()
    assert target.state == "ready"
    assert containers() != [name]


def test_a_kernel_that_is_killed() -> None:
    kill_a_kernel(IMAGE, containers)
    none_is_left()
