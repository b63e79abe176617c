"""A program called ``docker`` for machines without one: it stands for an engine's command line only.

It takes the calls that the package makes, refuses all others as an engine would, and runs a Triton server of
this machine where an engine would run one in a container: a real server, on the published addresses, in a
process that outlives its caller until it ends or is removed by name. What a container is otherwise — its file
system, its network, its users, its shared memory — is not here, and nothing of that is tested with it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workbench.server_install import ServerInstall, libpython_dir

IMAGE = "nvcr.io/nvidia/tritonserver:24.10-py3"

_PROGRAM = """#!{python}
import json, os, signal, subprocess, sys, time
from pathlib import Path

STATE, IMAGE = Path({state!r}), {image!r}
words = sys.argv[1:]
with (STATE / "calls").open("a") as calls:
    calls.write(json.dumps(words) + "\\n")

def fail(text, code):
    print(text, file=sys.stderr, flush=True)
    sys.exit(code)

if (STATE / "down").exists():
    fail("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", 1)
if words == ["--version"]:
    print("Docker version 27.3.1, build ce12230")
elif words[:2] == ["image", "inspect"]:
    if words[-1] != IMAGE:
        print("[]")
        fail("Error response from daemon: No such image: " + words[-1], 1)
    print("sha256:0")
elif words[:2] == ["rm", "--force"]:
    place = STATE / words[2]
    if not place.exists():
        fail("Error response from daemon: No such container: " + words[2], 1)
    pid = int(place.read_text())
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    place.unlink()
    print(words[2])
elif words[0] == "run":
    options, rest = [], words[1:]
    while rest[0].startswith("--"):
        options.append(rest.pop(0))
    of = lambda key: [each.partition("=")[2] for each in options if each.startswith(key + "=")]
    if (STATE / "refusal").exists():
        fail((STATE / "refusal").read_text(), 125)
    assert rest.pop(0) == IMAGE and rest.pop(0) == "tritonserver"
    source, target = [of("--mount")[0].split(",")[place].partition("=")[2] for place in (1, 2)]
    hosts = {{each.split(":")[0] for each in of("--publish")}}
    assert len(hosts) == 1 and len(of("--publish")) == 3
    host = hosts.pop()
    rest = [each.replace("=0.0.0.0", "=" + host).replace("=" + target, "=" + source) for each in rest]
    if (STATE / "deaf").exists():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    env = dict(os.environ, **{env!r}, **dict(each.split("=", 1) for each in of("--env")))
    server = subprocess.Popen([{binary!r}, *rest], start_new_session=True, env=env)
    place = STATE / of("--name")[0]
    place.write_text(str(server.pid))
    if not (STATE / "deaf").exists():
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    code = server.wait()
    place.unlink(missing_ok=True)
    sys.exit(code if code >= 0 else 128 - code)
else:
    fail("unknown command: " + " ".join(words), 125)
"""


@dataclass(frozen=True)
class Engine:
    """The program's folder, for PATH, and what it keeps there.

    Files in `state` change what it does: ``down`` (its service is away), ``refusal`` (``run`` fails with that
    text), ``deaf`` (SIGTERM does nothing to it).
    """

    folder: Path
    state: Path

    def calls(self) -> list[list[str]]:
        """What it was called with so far."""
        import json

        file = self.state / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def containers(self) -> list[str]:
        """Names of those that are there."""
        return sorted(each.name for each in self.state.glob("workbench-*"))


def write_engine(folder: Path, install: ServerInstall, name: str = "docker") -> Engine:
    """Write the program.

    Args:
        folder: Where to.
        install: The server it runs.
        name: What it is called.
    """
    state = folder / "state"
    state.mkdir(parents=True)
    assert install.reference_env is not None
    env = {
        "LD_LIBRARY_PATH": str(libpython_dir() or ""),
        "PATH": os.pathsep.join([str(install.reference_env / "bin"), os.defpath]),
    }
    program = folder / name
    # The installation's folder of backends is where the image's would be.
    server = folder / "tritonserver"
    server.write_text(
        f"#!/bin/sh\nexec {shlex.quote(str(install.binary))} "
        f'{shlex.quote(f"--backend-directory={install.backends}")} "$@"\n'
    )
    program.write_text(
        _PROGRAM.format(python=sys.executable, state=str(state), image=IMAGE, env=env, binary=str(server))
    )
    for each in (program, server):
        each.chmod(0o700)
    return Engine(folder, state)


def kill_a_kernel(image: str, containers: Callable[[], list[str]]) -> None:
    """Start a server in a process of its own, and kill that once the server is up."""
    program = (
        "from workbench.targets.local import *; import time\n"
        f"target = LocalTarget(options=LocalOptions(image={image!r}))\n"
        "print('up', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as kernel:
        assert kernel.stdout is not None
        try:
            assert kernel.stdout.readline() == "up\n"
            assert len(containers()) == 1
        finally:
            kernel.kill()
