"""A process that a kernel forks off, and that ends as a program does, ends nothing of the kernel's."""

from __future__ import annotations

import subprocess
import sys

import pytest

from workbench.server_install import ServerInstall

FORK = """
import os, sys, warnings
warnings.simplefilter("ignore")  # of forking where there are threads
{setup}
sys.stdout.flush()
child = os.fork()
if not child:
    sys.exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
{look}
"""
LIVE = """
import workbench
from tests.support.live import ECHO, source
model = workbench.define("m", source=source(ECHO), inputs=["X:FP32[2]"], outputs=["Y:FP32[2]"])
"""
STILL_LIVE = """
print(model.infer(X=[1, 2])["Y"].tolist(), workbench.current().folder.is_dir())
model.reload()
"""
SERVED = """
from workbench.targets import servers
server = servers.start()
folders = [server._folder, server._tracing._folder]
"""
STILL_SERVED = """
print(server.state, [each.is_dir() for each in folders])
"""


def run(setup: str, look: str) -> list[str]:
    command = [sys.executable, "-c", FORK.format(setup=setup, look=look)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=100, check=True
    ).stdout.splitlines()


def test_live_models_stay() -> None:
    assert run(LIVE, STILL_LIVE) == ["0", "[1.0, 2.0] True"]


@pytest.mark.server
def test_a_local_server_stays(triton_2410: ServerInstall) -> None:
    assert run(SERVED, STILL_SERVED) == ["0", "ready [True, True]"]
