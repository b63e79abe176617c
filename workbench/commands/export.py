"""``workbench export``: model directories as they lie, or the models of a notebook → a repository."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.commands.shared import export_options, export_settings

if TYPE_CHECKING:
    from workbench.model_source import ModelEntry

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def register(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "export",
        help="write models as folders that a Triton server loads",
        description="Write model directories, or the models of notebooks, into a repository for a Triton "
        "server, with a complete config.pbtxt. Nothing is run: what auto_complete_config would add is not in "
        "it.",
    )
    parser.add_argument(
        "models", nargs="+", type=Path, metavar="DIR_OR_NB", help="model directories, notebooks"
    )
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="REPO", help="the repository's folder"
    )
    parser.add_argument("--model", action="append", metavar="NAME", help="of notebooks: only this model")
    export_options(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> int:
    from tempfile import TemporaryDirectory

    from workbench.commands.show import show
    from workbench.repository.export import export

    with TemporaryDirectory(prefix="workbench-") as work:
        entries = [
            entry
            for number, path in enumerate(arguments.models)
            for entry in _entries(path, arguments, Path(work) / str(number))
        ]
        show(export(entries, arguments.output, **export_settings(arguments)), arguments.json)
    return 0


def _entries(path: Path, arguments: argparse.Namespace, work: Path) -> list[ModelEntry]:
    from workbench.errors import WorkbenchUsageError
    from workbench.magics.notebook_cells import notebook_entries
    from workbench.repository import open_entry

    if path.suffix == ".ipynb":
        return notebook_entries(path, work, arguments.model or ())
    if not path.is_dir():
        raise WorkbenchUsageError(f"{path} is no folder", hint="give model directories, or notebooks")
    if arguments.model:
        raise WorkbenchUsageError(f"--model chooses from a notebook; {path} is a folder")
    return [open_entry(path)]
