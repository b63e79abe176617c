"""``workbench test``: notebooks as tests."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def register(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "test",
        help="run notebooks as tests",
        description="Run notebooks, one kernel each, and compare what their cells put out with what is "
        "stored. Cells below a %%triton require that this machine does not meet fail, or are skipped. Ends "
        "with 1 if a notebook fails, with 3 if only requirements are missing.",
        epilog="Arguments after -- go to pytest: workbench test notebooks -- -x -k 02",
    )
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="PATH", help="notebooks, and folders of notebooks")
    add("--lax", action="store_true", help="compare outputs of marked cells only; errors count always")
    add("--skip-missing", action="store_true", help="skip what this machine has no means to run, and say so")
    add("--update", action="store_true", help="run the notebooks and store their outputs")
    parser.set_defaults(run=_test)


def _test(arguments: argparse.Namespace) -> int:
    from workbench.errors import WorkbenchError, WorkbenchUsageError

    try:
        import nbval  # noqa: F401 - asked for, not used here
    except ImportError:
        raise WorkbenchError(
            "workbench test needs pytest and nbval", hint="pip install 'triton-workbench[test]'"
        ) from None
    from workbench.capture.notebook import read_cells
    from workbench.testing.environment import notebooks_in
    from workbench.testing.runner import needed_sanitizing, run_notebooks

    notebooks = notebooks_in([each for each in arguments.paths if each.suffix == ".ipynb" or each.is_dir()])
    absent = [each for each in arguments.paths if not each.exists()]
    if absent or not notebooks:
        what = f"there is no {absent[0]}" if absent else "there is no notebook in these folders"
        raise WorkbenchUsageError(what, hint="workbench test notebooks/")
    for each in notebooks:
        read_cells(each)  # says of one that cannot be read what is wrong with it
    if arguments.update:
        return _update(notebooks)
    status = run_notebooks(
        notebooks, lax=arguments.lax, skip_missing=arguments.skip_missing, more=arguments.rest
    )
    if not arguments.lax:
        for each in notebooks:
            names = needed_sanitizing(each)
            if names:
                print(f"{each}: its stored outputs hold what differs from run to run: {', '.join(names)}")
    return status if status in (0, 1, 3) else 2


def _update(notebooks: list[Path]) -> int:
    from nbclient.exceptions import CellExecutionError

    from workbench.testing.runner import update_notebook

    failed = 0
    for each in notebooks:
        try:
            print(f"{each}: {update_notebook(each)}", flush=True)
        except CellExecutionError as error:
            failed += 1
            print(f"{each}: not stored, a cell failed: {error.ename}: {error.evalue}", file=sys.stderr)
    return 1 if failed else 0
