"""A ``/dev/shm`` that is full: a real one of 12 MiB, in a mount namespace of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOUNT = 'mount -t tmpfs -o size=12m tmpfs /dev/shm && exec "$@"'
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", MOUNT, "sh")

SESSION = """
import os
import numpy as np
from tests.support.live import source
from workbench.errors import ModelLoadError, ShmExhausted
from workbench.session.settings import Settings
from workbench.session.workbench import Workbench
from workbench.targets.live import LiveTarget

def free():
    found = os.statvfs("/dev/shm")
    return found.f_bavail * found.f_frsize

def failure(call):
    try:
        call()
    except (ShmExhausted, ModelLoadError) as error:
        assert error.hint
        return type(error).__name__
    raise AssertionError("there was room")

MIB = 1 << 20
settings = Settings(shm_default_byte_size=4 * MIB, shm_growth_byte_size=MIB)
with Workbench(settings) as workbench:
    live = LiveTarget(workbench)
    text = source("return [reply(r, np.resize(take(r), int(take(r)[0]))) for r in requests]")
    model = live.define("m", text, ["X:FP32[-1]"], ["Y:FP32[-1]"])
    ask = lambda elements, more=1: model.infer(X=np.full(more, elements, np.float32))["Y"].numpy().sum()
    assert ask(4) == 16
    print("a large request:", failure(lambda: ask(4, 4 * MIB)))
    print("a large answer:", failure(lambda: ask(4 * MIB)))
    assert ask(4) == 16
    # Nearly all of it gone: growing is refused, and what is there goes on.
    with open("/dev/shm/other", "wb") as other:
        other.write(bytes(max(free() - MIB, 0)))
        other.flush()
        print("a little more:", failure(lambda: ask(4, 2 * MIB)))
        assert ask(4) == 16
        print("another model:", failure(lambda: live.define("n", text, ["X:FP32[-1]"], ["Y:FP32[-1]"])))
        assert ask(4) == 16
    os.unlink("/dev/shm/other")
    assert live.define("n", text, ["X:FP32[-1]"], ["Y:FP32[-1]"]).infer(X=[2])["Y"].tolist() == [2, 2]
    assert ask(4) == 16
print(sorted(os.listdir("/dev/shm")))
"""


def test_a_session_in_a_small_memory(tmp_path: Path) -> None:
    """Each failure is one clear error with a hint, no process dies of SIGBUS, and nothing is left."""
    try:
        subprocess.run([*NAMESPACE, "true"], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no mount namespace can be had here")
    done = subprocess.run(
        [*NAMESPACE, sys.executable, "-c", SESSION], cwd=ROOT, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "a large request: ShmExhausted",
        "a large answer: ShmExhausted",
        "a little more: ShmExhausted",
        "another model: ShmExhausted",
        "[]",
    ]
