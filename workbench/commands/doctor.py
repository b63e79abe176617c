"""``workbench doctor``: what of this machine decides whether models run."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def register(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "doctor",
        help="examine this machine",
        description="Examine this machine: shared memory, limits, Python, compiler, CUDA, Triton, Lab. "
        "Ends with 1 if something that models need is missing.",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    from workbench.doctor import examine

    report = examine()
    print(report.to_json() if arguments.json else report)
    return 0 if report.ok else 1
