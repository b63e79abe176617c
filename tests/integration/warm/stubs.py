"""Models in stubs that a launcher starts, without a session."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.support.waiting import until
from workbench import _host
from workbench.launch import Launcher, StubProcess, WarmLauncher

RELEASE = _host.RELEASES[-1].name
SECONDS = 60.0

#: Of the fixture `write`: writes a model with that text in its `initialize`.
Write = Callable[..., Path]


@dataclass
class Loaded:
    """A model in a stub, initialized."""

    channel: _host.Channel
    process: StubProcess

    def lines(self) -> list[str]:
        self.process.output.drain()
        return self.process.output.tail(200)

    def said(self) -> Any:
        """What the model printed as JSON, last."""
        return json.loads(self.lines()[-1])

    def finish(self) -> int | None:
        self.channel.finalize(SECONDS)
        return self.process.wait(SECONDS)


def spare_of(launcher: WarmLauncher) -> psutil.Process:
    """The child that the warm process has ready for the next start."""
    assert launcher._server is not None
    server = psutil.Process(launcher._server.pid)

    def one() -> list[psutil.Process]:
        children = server.children()
        return children if len(children) == 1 else []

    (child,) = until(one, "a child to be made ahead of its request")
    return child


@contextmanager
def load(launcher: Launcher, file: Path, **options: Any) -> Iterator[Loaded]:
    channel = _host.Channel(
        name="m_0_0", release=RELEASE, region_name=f"wb_{uuid.uuid4()}", shm_default_byte_size=1 << 20
    )
    process = None
    try:
        arguments = channel.arguments(str(file), launcher.python_lib)
        env = {"TRITON_WORKBENCH_RELEASE": RELEASE, **options.pop("env", {})}
        process = launcher.start(arguments, env=env, **options)
        channel.attach(process.pid)
        channel.wait_started(SECONDS)
        channel.initialize({"model_name": "m"}, SECONDS)
        yield Loaded(channel, process)
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            assert process.wait(SECONDS) is not None
        channel.close()
        if process is not None:
            process.close()
