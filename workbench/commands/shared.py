"""Arguments that a magic and its command-line verb have in common. Imports nothing of weight."""

from __future__ import annotations

from argparse import ArgumentParser

__all__ = ["export_options", "verify_options"]


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
    add("--python", default="", metavar="PATH", help="the stub's interpreter on the server's machine")
    add("--force", action="store_true", help="replace model directories that are there")


def verify_options(parser: ArgumentParser) -> None:
    """Arguments of verify."""
    add = parser.add_argument
    add("directory", metavar="DIR", help="the repository's folder")
    add("--requests", metavar="FILE", help="recorded requests to send, from %%triton replay --save FILE")
    add("--python", default="", metavar="PATH", help="interpreter in whose environment the models run")
