"""The Python interface: what ``import workbench as wb`` offers, over the session that belongs to this
process.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.session.mocks import Mock, MockModel
from workbench.session.model import Model
from workbench.session.model_table import ModelTable
from workbench.session.workbench import Workbench
from workbench.targets.live import LiveTarget

if TYPE_CHECKING:
    from workbench.model_config import ModelConfig
    from workbench.targets.local import LocalTarget
    from workbench.targets.remote import ServerTarget
    from workbench.tensor_spec import TensorSpec
    from workbench.trace.trace import Trace

__all__ = [
    "connect",
    "current",
    "define",
    "live",
    "load_repository",
    "load_trace",
    "mock",
    "model",
    "register_backend",
    "server",
    "start_server",
]

_lock = threading.Lock()
_target: LiveTarget | None = None


def live() -> LiveTarget:
    """The live target of this process, made when first asked for."""
    global _target
    with _lock:
        if _target is None or _target.workbench.closed:
            workbench = Workbench()
            workbench.on_output = show_output
            _target = LiveTarget(workbench)
        return _target


def current() -> Workbench:
    """The session of this process. A closed one is followed by a new one."""
    return live().workbench


def model(name: str) -> Model:
    """A live model by name. Raises ModelNotFound."""
    return current().model(name)


def define(
    name: str,
    source: str | Path | type | None = None,
    inputs: Sequence[str | TensorSpec] = (),
    outputs: Sequence[str | TensorSpec] = (),
    config: ModelConfig | str | Path | None = None,
    *,
    backend_config: Mapping[str, Any] | None = None,
    **options: Any,
) -> Model:
    """Make a model and load it: see `workbench.targets.live.LiveTarget.define`."""
    return live().define(name, source, inputs, outputs, config, backend_config=backend_config, **options)


def load_repository(folder: str | Path, name: str = "") -> ModelTable:
    """Load a model, or all, of a Triton model repository: see `LiveTarget.load_repository`."""
    return live().load_repository(folder, name)


def register_backend(folder: str | Path, name: str = "") -> str:
    """Make a Python-based backend known: see `LiveTarget.register_backend`."""
    return live().register_backend(folder, name)


def mock(
    name: str,
    function: Mock,
    inputs: Sequence[str | TensorSpec] = (),
    outputs: Sequence[str | TensorSpec] = (),
) -> MockModel:
    """Let a function answer for a model that is not live: see `workbench.session.mocks.MockModel`."""
    made = MockModel(name, function, inputs, outputs)
    current().add_mock(name, made)
    return made


def connect(url: str, name: str, **options: Any) -> ServerTarget:
    """Give a Triton server a name: see `workbench.targets.servers.connect` for the options."""
    from workbench.targets import servers

    return servers.connect(url, name, **options)


def server(name: str = "local") -> ServerTarget:
    """A connected or local server by name; ``local`` is started if it does not run.

    Raises:
        WorkbenchUsageError: there is no server of that name.
        ServerInstallError, ServerStartError: ``local`` cannot be started.
    """
    from workbench.targets import servers

    return servers.find(name)


def start_server(name: str = "local", **options: Any) -> LocalTarget:
    """Start a Triton server on this machine: options as of `workbench.targets.local.LocalOptions`."""
    from workbench.targets import servers
    from workbench.targets.local import LocalOptions

    return servers.start(name, LocalOptions(**options))


def load_trace(path: str | Path) -> Trace:
    """Read a trace that `Trace.save` wrote. Raises WorkbenchError for any other file."""
    from workbench.trace.trace import Trace

    return Trace.load(path)


def show_output(model: str, line: str) -> None:
    """Print a line a model printed, under the cell whose request it belongs to."""
    sys.stdout.write(f"[{model}] {line}\n")
