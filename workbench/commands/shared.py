"""Arguments that a magic and its command-line verb have in common. Imports nothing of weight."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

__all__ = ["export_options", "export_settings", "verify_options"]


def export_options(parser: ArgumentParser) -> None:
    """Options of export."""
    add = parser.add_argument
    add("--for", dest="release", default="", metavar="RELEASE", help="the Triton release, for example 25.08")
    add(
        "--stub",
        nargs="?",
        const="launcher",
        choices=["launcher", "elf"],
        help="put our stub into each model's folder: a script with its module (launcher), or one executable",
    )
    add(
        "--env",
        nargs="?",
        const="pack",
        default="none",
        metavar="none|pack|dir|PATH",
        help="bring the packages along: pack the environment of --python into an archive (pack) or a folder "
        "(dir), or one at PATH: a folder, or an archive made by venv-pack or conda-pack",
    )
    add(
        "--python",
        default="",
        metavar="PATH",
        help="with --env: an interpreter of the environment to pack (this one); else the stub's interpreter "
        "on the server's machine",
    )
    add(
        "--kserve",
        default="",
        metavar="URI",
        help="write a manifest for KServe too; URI is where the repository will lie, gs://bucket/models",
    )
    add("--force", action="store_true", help="replace what is there")


def export_settings(given: Namespace) -> dict[str, Any]:
    """What `export_options` read, as keywords of `workbench.repository.export.export`."""
    return {
        "release": given.release,
        "stub": given.stub or "",
        "python": given.python,
        "env": given.env,
        "kserve": given.kserve,
        "force": given.force,
    }


def verify_options(parser: ArgumentParser) -> None:
    """Arguments of verify."""
    add = parser.add_argument
    add("directory", metavar="DIR", help="the repository's folder")
    add(
        "--requests",
        metavar="FILE",
        help="recorded requests to send, from %%triton replay --save FILE; by default those in the folder",
    )
    add("--python", default="", metavar="PATH", help="interpreter in whose environment the models run")
