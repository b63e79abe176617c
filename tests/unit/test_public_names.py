"""What ``import workbench`` offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import workbench

NAMES = [
    "BlsDeadlockError",
    "BlsTargetError",
    "InferResponse",
    "InferResult",
    "InferTimeout",
    "InputError",
    "LoadTimeout",
    "Model",
    "ModelConfig",
    "ModelConfigError",
    "ModelExecutionError",
    "ModelLoadError",
    "ModelNotFound",
    "ParityError",
    "PushError",
    "ServerModeError",
    "ServerUnreachable",
    "Settings",
    "ShmExhausted",
    "Span",
    "StubCrashedError",
    "Tensor",
    "Trace",
    "Workbench",
    "WorkbenchError",
    "WorkbenchUsageError",
    "__version__",
    "connect",
    "current",
    "define",
    "load_ipython_extension",
    "load_repository",
    "load_trace",
    "mock",
    "model",
    "register_backend",
    "server",
    "start_server",
    "unload_ipython_extension",
]


def test_the_list() -> None:
    assert sorted(workbench.__all__) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there(name: str) -> None:
    assert getattr(workbench, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nosuch'"):
        workbench.nosuch  # noqa: B018


def test_a_stub_that_imports_the_package_pays_for_nothing() -> None:
    code = (
        "import sys, workbench._stub_boot; "
        "print(*sorted(m for m in sys.modules if m.startswith(('numpy', 'IPython', 'workbench'))))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert found.split() == ["workbench", "workbench._stub_boot"]
