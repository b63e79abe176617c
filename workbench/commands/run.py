"""``workbench run``: a model live outside a notebook, and again at every save."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.targets.live import LiveTarget

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def register(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "run",
        help="load a model live; with --watch again at every save",
        description="Load a model folder, or a notebook's models, in live stubs and say what became of it. A "
        "notebook is read, not run. With --watch it is loaded again whenever a file in the folder, or the "
        "notebook, is saved, until Ctrl-C; a version that fails is reported and the last good one stays. "
        "Recorded requests are sent after each load.",
    )
    parser.add_argument("path", metavar="DIR|NOTEBOOK", help="the model's folder, or a notebook")
    parser.add_argument(
        "--model", metavar="NAME", default="", help="which model of the notebook, if it has several"
    )
    parser.add_argument("--watch", action="store_true", help="stay, and load again at every save")
    parser.add_argument(
        "--requests", metavar="FILE", type=Path, help="recorded requests, from replay --save FILE"
    )
    parser.add_argument(
        "--also",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="other models of the repository",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from workbench import api
    from workbench.errors import WorkbenchError

    target = api.live()
    try:
        if not arguments.watch:
            _load(target, arguments)
            return 0
        from watchfiles import Change, DefaultFilter, watch

        from workbench.commands.show import show_error

        path = Path(arguments.path).expanduser().resolve()
        try:
            _load(target, arguments)
        except WorkbenchError as error:
            show_error(error)
            if not path.exists():
                return error.exit_code

        class Saved(DefaultFilter):
            """Of a notebook's folder the notebook alone."""

            def __call__(self, change: Change, saved: str) -> bool:
                return saved == str(path) if path.is_file() else super().__call__(change, saved)

        # A notebook's folder, since editors move a new file into its place. Ctrl-C ends the iteration.
        folder = path if path.is_dir() else path.parent
        for _ in watch(
            folder, debounce=100, raise_interrupt=False, watch_filter=Saved(), recursive=path.is_dir()
        ):
            try:
                _load(target, arguments)
            except WorkbenchError as error:
                show_error(error)
        return 0
    finally:
        target.workbench.close()


def _load(target: LiveTarget, arguments: argparse.Namespace) -> None:
    """Load the model and send the recorded requests, if there are any."""
    from workbench.commands.sources import open_model
    from workbench.session.replay import ReplayReport, load_requests, replay

    name = open_model(target, arguments.path, model=arguments.model, also=arguments.also)
    print(target.workbench.model(name), flush=True)
    if arguments.requests:
        records = load_requests(arguments.requests.expanduser()).get(name, [])
        print(ReplayReport(name, replay(target.workbench.hosts[name], records)), flush=True)
