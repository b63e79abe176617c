"""export, verify: models as folders for a server. The command line uses the same arguments."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.commands.shared import export_options, export_settings, verify_options
from workbench.errors import WorkbenchUsageError
from workbench.magics.arguments import Command, Parser
from workbench.model_source import ModelSource
from workbench.repository.export import ExportReport
from workbench.repository.live_export import export_live
from workbench.repository.verify import VerifyReport, verify
from workbench.session.replay import load_requests

if TYPE_CHECKING:
    from workbench.magics.triton import Call

__all__ = ["COMMANDS", "run_verify"]


def _export_arguments(parser: Parser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME", help="models, then the folder")
    export_options(parser)
    parser.add_argument(
        "--with-requests",
        action="store_true",
        help="write the recorded requests beside each model, for verify",
    )


def _export(call: Call) -> ExportReport:
    given = call.arguments
    *names, folder = given.names
    if not names:
        raise WorkbenchUsageError("export takes models and a folder", hint="%triton export NAME ./repository")
    return export_live(
        call.target.workbench,
        names,
        folder,
        with_requests=given.with_requests,
        **export_settings(given),
    )


def run_verify(given: Namespace, sources: Mapping[str, ModelSource] | None = None) -> VerifyReport:
    """Verify as the arguments say; `sources` name the cells of live models."""
    requests = load_requests(Path(given.requests).expanduser()) if given.requests else None
    return verify(Path(given.directory), requests=requests, python=given.python, sources=sources)


def _verify(call: Call) -> VerifyReport:
    hosts = call.target.workbench.hosts
    live = {name: host.entry.source for name, host in hosts.items() if host.current is not None}
    return run_verify(call.arguments, live)


COMMANDS = (
    Command(
        "export", "Write models as folders that a Triton server loads.", ("line",), _export_arguments, _export
    ),
    Command(
        "verify",
        "Load a repository's models on a clean server, send requests, end the server.",
        ("line",),
        verify_options,
        _verify,
    ),
)
