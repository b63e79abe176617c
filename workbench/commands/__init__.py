"""The command line: ``workbench VERB …``. One file per verb; this one only puts them together.

Exit codes: 0 ok, 1 a check failed or an error was reported, 2 usage, 3 a requirement is missing;
130 Ctrl-C and 141 a reader that went away, as shells have them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from workbench import __version__


def parser() -> argparse.ArgumentParser:
    """The whole command line, as one parser."""
    top = argparse.ArgumentParser(
        prog="workbench", description="A workbench for Triton models written in Python."
    )
    top.add_argument("--version", action="version", version=f"workbench {__version__}")
    choices = top.add_subparsers(dest="verb", metavar="VERB", required=True)

    # Verbs are imported here, not above: `workbench --version` should cost nothing.
    from workbench.commands import (
        clean,
        doctor,
        export,
        extract,
        new,
        run,
        server,
        shm,
        stub,
        test,
        verbs,
        verify,
    )

    clean.register(choices)
    doctor.register(choices)
    export.register(choices)
    extract.register(choices)
    new.register(choices)
    server.register(choices)
    shm.register(choices)
    stub.register(choices)
    run.register(choices)
    test.register(choices)
    verbs.register(choices)
    verify.register(choices)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code. The only place that prints an error."""
    words = list(sys.argv[1:] if argv is None else argv)
    from workbench.commands import verbs
    from workbench.commands.show import show_error
    from workbench.errors import WorkbenchError

    try:
        if words and words[0] in verbs.NAMES:
            return verbs.run(words[0], words[1:])
        # What follows -- is for a tool that a verb calls.
        own, rest = (
            (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
        )
        arguments = parser().parse_args(own, argparse.Namespace(rest=rest))
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever reads has enough, as `head` has; nor is the end to complain of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except WorkbenchError as error:
        show_error(error, "--json" in words)
        return error.exit_code
