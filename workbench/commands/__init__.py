"""The command line: ``workbench VERB …``. One file per verb; this one only puts them together.

Exit codes: 0 ok, 1 a check failed or an error was reported, 2 usage, 3 a requirement is missing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from workbench import __version__


def parser() -> argparse.ArgumentParser:
    """The whole command line, as one parser."""
    top = argparse.ArgumentParser(
        prog="workbench", description="A workbench for Triton models written in Python."
    )
    top.add_argument("--version", action="version", version=f"workbench {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)

    # Verbs are imported here, not above: `workbench --version` should cost nothing.
    from workbench.commands import doctor, export, server, stub, verify

    doctor.register(verbs)
    export.register(verbs)
    server.register(verbs)
    stub.register(verbs)
    verify.register(verbs)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code. The only place that prints an error."""
    arguments = parser().parse_args(argv)
    from workbench.errors import WorkbenchError

    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        return 130
    except WorkbenchError as error:
        print(f"workbench: error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.exit_code
