"""A notebook workbench for Triton Inference Server models written in Python.

``%load_ext workbench`` gives ``%triton`` and ``%%triton``; the same in Python::

    import workbench as wb

    model = wb.define("add_sub", source, inputs=["A:FP32[4]"], outputs=["SUM:FP32[4]"])
    model.infer(A=[1, 2, 3, 4])["SUM"]

Names are loaded when first used: a stub process imports this package too, and wants none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.api import connect as connect
    from workbench.api import current as current
    from workbench.api import define as define
    from workbench.api import load_repository as load_repository
    from workbench.api import load_trace as load_trace
    from workbench.api import mock as mock
    from workbench.api import model as model
    from workbench.api import register_backend as register_backend
    from workbench.api import server as server
    from workbench.api import start_server as start_server
    from workbench.errors import BlsDeadlockError as BlsDeadlockError
    from workbench.errors import BlsTargetError as BlsTargetError
    from workbench.errors import InferTimeout as InferTimeout
    from workbench.errors import InputError as InputError
    from workbench.errors import ModelConfigError as ModelConfigError
    from workbench.errors import ModelExecutionError as ModelExecutionError
    from workbench.errors import ModelLoadError as ModelLoadError
    from workbench.errors import ModelNotFound as ModelNotFound
    from workbench.errors import ShmExhausted as ShmExhausted
    from workbench.errors import StubCrashedError as StubCrashedError
    from workbench.errors import WorkbenchError as WorkbenchError
    from workbench.errors import WorkbenchUsageError as WorkbenchUsageError
    from workbench.messages import InferResponse as InferResponse
    from workbench.messages import InferResult as InferResult
    from workbench.messages import Tensor as Tensor
    from workbench.model_config import ModelConfig as ModelConfig
    from workbench.server_errors import LoadTimeout as LoadTimeout
    from workbench.server_errors import ParityError as ParityError
    from workbench.server_errors import PushError as PushError
    from workbench.server_errors import ServerModeError as ServerModeError
    from workbench.server_errors import ServerUnreachable as ServerUnreachable
    from workbench.session.model import Model as Model
    from workbench.session.settings import Settings as Settings
    from workbench.session.workbench import Workbench as Workbench
    from workbench.trace.span import Span as Span
    from workbench.trace.trace import Trace as Trace

_HOMES = {
    "api": [
        "connect",
        "current",
        "define",
        "load_repository",
        "load_trace",
        "mock",
        "model",
        "register_backend",
        "server",
        "start_server",
    ],
    "errors": [
        "BlsDeadlockError",
        "BlsTargetError",
        "InferTimeout",
        "InputError",
        "ModelConfigError",
        "ModelExecutionError",
        "ModelLoadError",
        "ModelNotFound",
        "ShmExhausted",
        "StubCrashedError",
        "WorkbenchError",
        "WorkbenchUsageError",
    ],
    "messages": ["InferResponse", "InferResult", "Tensor"],
    "model_config": ["ModelConfig"],
    "server_errors": ["LoadTimeout", "ParityError", "PushError", "ServerModeError", "ServerUnreachable"],
    "session.model": ["Model"],
    "session.settings": ["Settings"],
    "session.workbench": ["Workbench"],
    "trace.span": ["Span"],
    "trace.trace": ["Trace"],
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME, "__version__", "load_ipython_extension", "unload_ipython_extension"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("triton-workbench")
    elif name in _HOME:
        value = getattr(importlib.import_module(f"workbench.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext workbench``: adds ``%triton``. Prints nothing; doing it twice changes nothing."""
    from workbench.magics import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext workbench``: stops every model and takes the magics away."""
    from workbench.magics import unload

    unload(shell)
