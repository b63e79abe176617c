"""``workbench clean``: what crashed sessions left behind."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def register(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "clean",
        help="remove what crashed sessions left behind",
        description="End stub processes and remove shared-memory regions of this user whose session is gone. "
        "What a living session or a server uses is left alone.",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=_clean)


def _clean(arguments: argparse.Namespace) -> int:
    import json

    from workbench.session.leftovers import clean

    found = clean(dry_run=arguments.dry_run)
    if arguments.json:
        print(json.dumps(found.to_data(), indent=2))
    else:
        print(found)
    return 0
