"""``workbench extract``: the models of a notebook → a repository, without running the notebook."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def register(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "extract",
        help="write a notebook's models as folders, without running it",
        description="Write the models of a notebook's cells into a repository for a Triton server. Cells are "
        "read, nothing is run.",
    )
    parser.add_argument("notebook", type=Path, metavar="NB", help="the notebook, an .ipynb file")
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="DIR", help="the repository's folder"
    )
    parser.add_argument("--model", action="append", metavar="NAME", help="only this model")
    parser.add_argument("--force", action="store_true", help="replace model directories that are there")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=_extract)


def _extract(arguments: argparse.Namespace) -> int:
    from tempfile import TemporaryDirectory

    from workbench.commands.show import show
    from workbench.magics.notebook_cells import notebook_entries
    from workbench.repository.export import export

    with TemporaryDirectory(prefix="workbench-") as work:
        entries = notebook_entries(arguments.notebook, Path(work) / "models", arguments.model or ())
        show(export(entries, arguments.output, force=arguments.force), arguments.json)
    return 0
