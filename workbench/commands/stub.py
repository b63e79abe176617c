"""``workbench stub``: the stub as one executable, for an interpreter of choice."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def register(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser("stub", help="build the stub for another interpreter")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser(
        "build",
        help="build the stub as one executable",
        description="Build the stub as one executable with an interpreter inside, to lie in a model's "
        "folder: for a server whose machine has that Python. Takes about a minute; what was built is kept. "
        "Ends with 3 if headers, the shared library or a tool are missing.",
    )
    build.add_argument(
        "--python", default=sys.executable, type=Path, metavar="PATH", help="the interpreter (this one)"
    )
    build.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="copy it there, for example into a model's folder"
    )
    build.add_argument(
        "--release",
        default="",
        metavar="YY.MM",
        help="write the Triton release it is for beside it, into a file triton_release",
    )
    build.set_defaults(run=_build)


def _build(arguments: argparse.Namespace) -> int:
    from workbench.errors import WorkbenchUsageError
    from workbench.repository.one_file import write_file
    from workbench.repository.stub_files import check_release
    from workbench.stub_build import build_stub

    if arguments.release:
        check_release(arguments.release)
        if not arguments.output:
            raise WorkbenchUsageError("--release writes a file beside the stub", hint="give -o FILE too")
    built = build_stub(arguments.python, progress=lambda text: print(text, file=sys.stderr, flush=True))
    path = built.path
    if arguments.output:
        path = arguments.output / path.name if arguments.output.is_dir() else arguments.output
        write_file(path, built.path.read_bytes(), mode=0o755, force=True)
        if arguments.release:
            write_file(path.parent / "triton_release", f"{arguments.release}\n".encode(), force=True)
    print(f"{path}: python {built.python}, {built.libpython}")
    return 0
