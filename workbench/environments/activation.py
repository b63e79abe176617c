"""The variables a stub has in an execution environment: what a server gives it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from workbench.environments.prefix import ExecutionEnvironmentError

__all__ = ["activated"]

#: From this release on a server sets variables itself and does not run ``bin/activate``.
_SETS_VARIABLES = (25, 8)
# The path is an argument of the shell, never part of its program.
_SOURCE = 'source "$1/bin/activate" 1>&2 && exec /usr/bin/env -0'
_ACTIVATE_SECONDS = 60


def activated(prefix: Path, release: str, environ: Mapping[str, str]) -> dict[str, str]:
    """All variables of a stub in an environment.

    The environment's libraries come first on LD_LIBRARY_PATH, for the loader: a stub removes that entry
    again. Packages in the user's own folder are left out, as there are none where a server runs.

    Args:
        prefix: The environment's folder.
        release: The Triton release whose way is taken, ``24.10``; "" is the newest.
        environ: What the stub would have without it.

    Raises:
        ExecutionEnvironmentError: ``bin/activate`` fails, or there is no bash to run it.
    """
    if release and tuple(int(part) for part in release.split(".")) < _SETS_VARIABLES:
        variables = _sourced(prefix, environ)
        libraries = 1
    else:
        variables = dict(environ)
        variables.pop("PYTHONHOME", None)
        variables["VIRTUAL_ENV"] = str(prefix)
        variables["VIRTUAL_ENV_PROMPT"] = f"({prefix})"
        variables["PATH"] = f"{prefix / 'bin'}{os.pathsep}{environ.get('PATH', os.defpath)}"
        libraries = 2  # one is left for the model, when the stub has removed the first
    own = f"{prefix / 'lib'}{os.pathsep}" * libraries
    variables["LD_LIBRARY_PATH"] = own + variables.get("LD_LIBRARY_PATH", "")
    variables.setdefault("PYTHONNOUSERSITE", "1")
    return variables


def _sourced(prefix: Path, environ: Mapping[str, str]) -> dict[str, str]:
    try:
        done = subprocess.run(
            ["bash", "-c", _SOURCE, "bash", str(prefix)],  # noqa: S607 - the server too takes bash from PATH
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ACTIVATE_SECONDS,
            check=False,
        )
    except OSError:
        raise ExecutionEnvironmentError(
            "bash is not here, which runs bin/activate of an environment",
            hint="a release from 25.08 on needs none: --release 25.08",
        ) from None
    except subprocess.TimeoutExpired:
        raise ExecutionEnvironmentError(
            f"bin/activate of the environment did not end within {_ACTIVATE_SECONDS} s"
        ) from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ExecutionEnvironmentError(
            f"bin/activate of the environment ended with {done.returncode}"
            + (f": {said[-1]}" if said else "")
        )
    pairs = (each.partition("=") for each in done.stdout.decode(errors="surrogateescape").split("\0") if each)
    return {name: value for name, _, value in pairs if name != "_"}
