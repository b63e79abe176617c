"""export, verify: models as folders for a server. The command line uses the same arguments."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchUsageError
from workbench.magics.arguments import Command, Parser
from workbench.repository.export import ExportReport, export

if TYPE_CHECKING:
    from workbench.magics.triton import Call

__all__ = ["COMMANDS", "export_options"]


def export_options(parser: ArgumentParser) -> None:
    """What the magic and the command line share."""
    add = parser.add_argument
    add("--for", dest="release", default="", metavar="RELEASE", help="the Triton release, for example 25.08")
    add(
        "--stub",
        nargs="?",
        const="launcher",
        choices=["launcher", "elf"],
        help="put our stub into each model's folder: a script with its module (launcher), or one executable",
    )
    add("--python", default="", metavar="PATH", help="the stub's interpreter on the server's machine")
    add("--force", action="store_true", help="replace model directories that are there")


def _export_arguments(parser: Parser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME", help="models, then the folder")
    export_options(parser)


def _export(call: Call) -> ExportReport:
    given = call.arguments
    *names, folder = given.names
    if not names:
        raise WorkbenchUsageError("export takes models and a folder", hint="%triton export NAME ./repository")
    entries = []
    for name in dict.fromkeys(names):
        model = call.target.workbench.model(name)
        entries.append(call.target.workbench.hosts[model.name].entry)
    return export(
        entries,
        Path(folder),
        release=given.release,
        stub=given.stub or "",
        python=given.python,
        force=given.force,
    )


COMMANDS = (
    Command(
        "export", "Write models as folders that a Triton server loads.", ("line",), _export_arguments, _export
    ),
)
