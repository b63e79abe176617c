"""Real stub processes for tests that speak the protocol directly: a channel, a process, no session."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.waiting import until
from workbench import _host
from workbench.server_install import ServerInstall, libpython_dir

#: NumPy's dtype for each datatype number the tests use.
NUMBERS = {"BOOL": 1, "INT32": 8, "INT64": 9, "FP32": 11, "BYTES": 13}
START_TIMEOUT = 30.0
ANSWER_TIMEOUT = 30.0


@dataclass(frozen=True)
class StubKind:
    """A stub executable and what it needs around it.

    Attributes:
        name: For test ids.
        command: What to start; the channel's arguments follow.
        python_lib: The folder with triton_python_backend_utils.py.
        release: The release it speaks.
        environment: Added to the process's environment.
    """

    name: str
    command: tuple[str, ...]
    python_lib: Path
    release: str
    environment: Mapping[str, str] = field(default_factory=dict)


def nvidia_stub(install: ServerInstall) -> StubKind:
    """NVIDIA's stub, in the environment with the NumPy it was made for."""
    folder = install.backends / "python"
    library = libpython_dir()
    assert install.reference_env is not None
    assert install.release is not None
    environment = {
        "PATH": f"{install.reference_env / 'bin'}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": str(library) if library else "",
        "VIRTUAL_ENV": str(install.reference_env),
    }
    stub = folder / "triton_python_backend_stub"
    return StubKind(f"nvidia-{install.release}", (str(stub),), folder, install.release, environment)


def our_stub(release: str) -> StubKind:
    """Our stub, told to speak `release`."""
    import workbench

    start = "import sys; from workbench._stub import main; sys.exit(main(sys.argv[1:]))"
    folder = Path(workbench.__file__).parent / "backend"
    return StubKind(
        f"ours-{release}",
        (sys.executable, "-c", start),
        folder,
        release,
        {"TRITON_WORKBENCH_RELEASE": release},
    )


def kind_named(name: str, fixture: Callable[[str], Any]) -> StubKind:
    """``nvidia-24.10``, ``ours-26.03``; `fixture` gives the server whose stub NVIDIA's is."""
    maker, release = name.split("-")
    if maker == "ours":
        return our_stub(release)
    return nvidia_stub(fixture("triton_" + release.replace(".", "")))


@dataclass
class Handlers:
    """What a channel hands services to; a test puts in what it needs. Without: refused."""

    bls: Callable[[_host.BlsCall], None] | None = None
    metric: Callable[[_host.MetricCall], int | float | None] | None = None
    control: Callable[[_host.ControlCall], bool | None] | None = None
    logs: list[tuple[int, str, int, str]] = field(default_factory=list)

    def on_log(self, level: int, file: str, line: int, text: str) -> None:
        self.logs.append((level, file, line, text))

    def on_bls(self, call: _host.BlsCall) -> None:
        assert self.bls, "no handler for calls"
        self.bls(call)

    def on_metric(self, call: _host.MetricCall) -> int | float | None:
        assert self.metric, "no handler for metrics"
        return self.metric(call)

    def on_control(self, call: _host.ControlCall) -> bool | None:
        assert self.control, "no handler for control"
        return self.control(call)


@dataclass
class Instance:
    """One running stub and the channel to it."""

    kind: StubKind
    channel: _host.Channel
    process: subprocess.Popen[bytes]
    handlers: Handlers

    @property
    def logs(self) -> list[str]:
        """Texts of the log lines so far."""
        return [text for _, _, _, text in self.handlers.logs]

    def infer(
        self, *arrays: np.ndarray, outputs: tuple[str, ...] = ("OUTPUT0",), **options: Any
    ) -> _host.Response:
        """One request with inputs INPUT0, INPUT1 …; its only response."""
        request = make_request(*arrays, outputs=outputs, **options)
        self.channel.execute([request], ANSWER_TIMEOUT)
        response = request.next_response(ANSWER_TIMEOUT)
        assert response is not None
        assert request.next_response(ANSWER_TIMEOUT) is None
        return response

    def finalize(self) -> int:
        """Ends the stub as a server does; its exit status."""
        self.channel.finalize(ANSWER_TIMEOUT)
        return self.process.wait(ANSWER_TIMEOUT)


def run_program(code: str, *arguments: object, environment: Mapping[str, str] | None = None) -> str:
    """Run Python code in a process of its own, which has to end with 0; what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tensor(name: str, array: np.ndarray) -> _host.TensorTuple:
    """An input or output as the channel takes it."""
    if array.dtype.kind in "OS":
        return (name, NUMBERS["BYTES"], array.shape, _host.encode_bytes(array))
    numbers = {"b1": "BOOL", "i4": "INT32", "i8": "INT64", "f4": "FP32"}
    return (name, NUMBERS[numbers[array.dtype.str[1:]]], array.shape, np.ascontiguousarray(array))


def make_request(
    *arrays: np.ndarray, outputs: tuple[str, ...] = ("OUTPUT0",), **options: Any
) -> _host.Request:
    """A request with inputs INPUT0, INPUT1 …"""
    options.setdefault("model_name", "test")
    return _host.Request([tensor(f"INPUT{i}", array) for i, array in enumerate(arrays)], outputs, **options)


def doubled(call: _host.BlsCall) -> _host.TensorTuple:
    """The usual answer to a call."""
    return tensor("OUTPUT0", call.inputs[0].numpy() * 2)


def make_quick_calls(stub: Instance) -> None:
    """So many that whoever reads what the stub sends answers its next call itself."""
    stub.handlers.bls = lambda call: call.send([doubled(call)])
    for _ in range(20):
        stub.infer(np.arange(4, dtype=np.float32), request_id="bls")


def steady_free_bytes(stub: Instance, work: Callable[[], object]) -> int:
    """Free bytes of the region after some work, once the stub has let go of the last of it."""
    for _ in range(10):
        work()
    gc.collect()
    seen: list[int] = []

    def steady() -> bool:
        seen.append(stub.channel.free_bytes)
        return len(seen) > 20 and len(set(seen[-10:])) == 1

    until(steady, "a steady number of free bytes")
    return seen[-1]


@contextmanager
def start(
    kind: StubKind,
    folder: Path,
    source: str,
    *,
    config: Mapping[str, Any] | None = None,
    initialize: bool = True,
    **options: Any,
) -> Iterator[Instance]:
    """A stub with a model of that source, initialized; killed and cleaned away at the end in any case."""
    version = folder / "test" / "1"
    version.mkdir(parents=True, exist_ok=True)
    (version / "model.py").write_text(textwrap.dedent(source))
    handlers = Handlers()
    for name in ("on_log", "on_bls", "on_metric", "on_control"):
        options.setdefault(name, getattr(handlers, name))
    options.setdefault("region_name", f"wb_test_{uuid.uuid4()}")
    options.setdefault("shm_default_byte_size", 1 << 20)
    options.setdefault("shm_growth_byte_size", 1 << 20)
    channel = _host.Channel(name="test_0", release=kind.release, **options)
    process = None
    try:
        arguments = channel.arguments(str(version / "model.py"), str(kind.python_lib))
        process = subprocess.Popen(
            [*kind.command, *arguments],
            env={**os.environ, **kind.environment},
            stdin=subprocess.DEVNULL,
        )
        channel.attach(process.pid)
        channel.wait_started(START_TIMEOUT)
        if initialize:
            channel.initialize(initialize_arguments(folder, config or {}), START_TIMEOUT)
        yield Instance(kind, channel, process, handlers)
    finally:
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
        channel.close()


def initialize_arguments(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """What a server hands to initialize."""
    return {
        "model_config": json.dumps({"name": "test", **config}),
        "model_instance_kind": "CPU",
        "model_instance_name": "test_0",
        "model_instance_device_id": "0",
        "model_repository": str(folder / "test"),
        "model_version": "1",
        "model_name": "test",
    }
