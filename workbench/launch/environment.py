"""Starting stubs in an execution environment: with its interpreter, or an executable for it."""

from __future__ import annotations

import importlib.util
import sys
from importlib import resources
from pathlib import Path

from workbench.environments import Environment, ExecutionEnvironmentError
from workbench.environments.activation import activated
from workbench.launch.spawn import SpawnLauncher
from workbench.libpython import linked_minor

__all__ = ["environment_launcher"]

_OWN_MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
_STUB = "triton_python_backend_stub"
# The environment has no workbench: its interpreter gets the two files it needs by their paths.
_BOOT = """
import sys
from importlib import util
def load(name, path):
    spec = util.spec_from_file_location(name, path)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
boot, stub = sys.argv[1:3]
sys.argv[1:] = sys.argv[3:]
load("_stub_boot", boot).run(lambda: load("_stub", stub))
"""


def environment_launcher(
    environment: Environment, base: SpawnLauncher, release: str, model_dir: Path
) -> SpawnLauncher:
    """Start stubs in an environment.

    Args:
        environment: Where its interpreter and packages are.
        base: Whose stub, and with which variables, without an environment.
        release: The Triton release whose way of activating is taken; "" is the newest.
        model_dir: The model's folder: a stub in it is taken where ours does not fit.

    Raises:
        ExecutionEnvironmentError: no stub here has the environment's Python inside, or ``bin/activate``
            fails.
    """
    command, kind = _command(environment, base, model_dir)
    variables = activated(environment.path, release, base.environment())
    return SpawnLauncher(
        command,
        stub=kind,
        python_lib=Path(base.python_lib),
        release=base.release,
        env=variables,
        inherit=False,
    )


def _command(environment: Environment, base: SpawnLauncher, model_dir: Path) -> tuple[list[str], str]:
    if base.stub != "own":
        inside = linked_minor(Path(base.command[0]))
        if inside and inside != environment.python:
            raise _mismatch(environment, f"the server's stub is for Python {inside}")
        return list(base.command), base.stub
    if environment.python == _OWN_MINOR:
        spec = importlib.util.find_spec("workbench._stub")
        assert spec is not None
        boot = resources.files("workbench").joinpath("_stub_boot.py")
        return [str(environment.interpreter), "-c", _BOOT, str(boot), str(spec.origin)], "own"
    from workbench.stub_build import built_stub

    beside = model_dir / _STUB
    for stub in (beside, built_stub(environment.interpreter)):
        if stub is not None and stub.is_file() and linked_minor(stub) == environment.python:
            return [str(stub)], "executable"
    raise _mismatch(environment, f"the stub is for Python {_OWN_MINOR}")


def _mismatch(environment: Environment, ours: str) -> ExecutionEnvironmentError:
    base = environment.interpreter.resolve()
    return ExecutionEnvironmentError(
        f"the execution environment has Python {environment.python}; {ours}",
        hint=f"workbench stub build --python {base}",
    )
