"""``workbench verify``: a repository's models on a clean server."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from workbench.commands.shared import verify_options

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def register(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "verify",
        help="load a repository's models on a clean server",
        description="Start a Triton server on a copy of a repository, load every model, send recorded "
        "requests if there are any, and end the server. Ends with 1 if a model does not load or answers "
        "otherwise, with 3 if there is no server on this machine.",
    )
    verify_options(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    from workbench.commands.show import show
    from workbench.magics.deliver import run_verify

    show(run_verify(arguments), arguments.json)
    return 0
