"""``workbench new``: a model to begin with, as a notebook or as a folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def register(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    from workbench.templates import TEMPLATES

    shown = "; ".join(f"{name}: {about}" for name, about in TEMPLATES.items())
    parser = verbs.add_parser(
        "new",
        help="write a model to begin with",
        description="Write a notebook (NAME.ipynb) or a model directory (NAME) to begin with.",
    )
    parser.add_argument(
        "name", type=Path, metavar="NAME", help="the model's folder, or its notebook NAME.ipynb"
    )
    parser.add_argument("--template", choices=list(TEMPLATES), default="basic", help=f"{shown} (%(default)s)")
    parser.add_argument("--force", action="store_true", help="replace what is there")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=_new)


def _new(arguments: argparse.Namespace) -> int:
    import json
    from tempfile import TemporaryDirectory

    from workbench.commands.show import show
    from workbench.magics.notebook_cells import cell_entries
    from workbench.repository.export import export
    from workbench.repository.one_file import write_file
    from workbench.templates import notebook_text, template_cells

    path: Path = arguments.name.expanduser()
    cells = template_cells(arguments.template, path.name.removesuffix(".ipynb"))
    if path.suffix == ".ipynb":
        write_file(path, notebook_text(cells).encode(), force=arguments.force)
        made = {"notebook": str(path), "cells": len(cells)}
        print(json.dumps(made, indent=2) if arguments.json else f"{path}: a notebook of {len(cells)} cells")
        return 0
    with TemporaryDirectory(prefix="workbench-") as work:
        entries = cell_entries(cells, path.parent, Path(work) / "models", path.name)
        show(export(entries, path.parent.resolve(), force=arguments.force), arguments.json)
    return 0
