"""``workbench export``: model directories as they lie → a repository for a server."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.commands.shared import export_options

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def register(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "export",
        help="write models as folders that a Triton server loads",
        description="Write model directories into a repository for a Triton server, with a complete "
        "config.pbtxt. Nothing is run: what auto_complete_config would add is not in it.",
    )
    parser.add_argument("models", nargs="+", type=Path, metavar="DIR", help="model directories")
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="REPO", help="the repository's folder"
    )
    export_options(parser)
    parser.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> int:
    from workbench.errors import WorkbenchUsageError
    from workbench.repository import open_entry
    from workbench.repository.export import export

    for folder in arguments.models:
        if not folder.is_dir():
            raise WorkbenchUsageError(f"{folder} is no folder", hint="give model directories")
    report = export(
        [open_entry(folder) for folder in arguments.models],
        arguments.output,
        release=arguments.release,
        stub=arguments.stub or "",
        python=arguments.python,
        force=arguments.force,
    )
    print(report)
    return 0
