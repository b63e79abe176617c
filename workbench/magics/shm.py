"""shm: what lies in shared memory, what a cell leaves there, and what nobody has any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchUsageError
from workbench.magics.arguments import Command, Parser
from workbench.session.shm import LiveShm, reports
from workbench.shm_inspect.machine import Machine
from workbench.shm_inspect.orphans import find_orphans

if TYPE_CHECKING:
    from workbench.magics.triton import Call

__all__ = ["COMMANDS"]


def _arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("name", nargs="?", default="", metavar="NAME", help="a live model; without it, all of them")
    add("--instance", type=int, default=1, metavar="N", help="which of its instances (1)")
    add("--watch", action="store_true", help="show the region as a map that follows it")
    add("--leaks", action="store_true", help="run the cell and show only what it left behind")
    add("--blocks", action="store_true", help="list the blocks, the largest first")
    add("--times", action="store_true", help="with --blocks: ages too; they differ from run to run")
    add("--all", action="store_true", help="every region on this machine, a server's too")
    add("--orphans", action="store_true", help="list regions whose owner is dead")
    add(
        "--clean",
        action="store_true",
        help="with --orphans: remove those of live models; --all: a server's too",
    )


def _shm(call: Call) -> Any:
    given = call.arguments
    if given.clean and not given.orphans:
        raise WorkbenchUsageError("--clean goes with --orphans", hint="%triton shm --orphans --clean")
    if given.orphans:
        return find_orphans(clean=given.clean, servers=given.all)
    if call.body is not None and not given.leaks:
        raise WorkbenchUsageError("a cell goes with --leaks", hint="%%triton shm NAME --leaks")
    if given.all:
        return Machine().look()
    if not given.name:
        if given.leaks or given.watch or given.blocks:
            raise WorkbenchUsageError("shm needs a model's name here", hint="%triton shm NAME")
        return reports(call.target.workbench)
    live = LiveShm(call.target.workbench.host(given.name), given.instance)
    if given.leaks:
        return _leaks(call, live)
    if given.watch:
        from workbench.widgets.shm_view import follow

        return follow(live)
    return live.report(blocks=given.blocks, times=given.times)


def _leaks(call: Call, live: LiveShm) -> Any:
    if call.body is None:
        raise WorkbenchUsageError("--leaks watches a cell", hint="%%triton shm NAME --leaks")
    before = live.read(settle=True)
    call.shell.ex(call.shell.transform_cell(call.body))
    return live.read(settle=True).diff(before)


COMMANDS = (
    Command(
        "shm",
        "What a model's shared memory holds, what it keeps, and what a cell leaves behind.",
        ("line", "cell"),
        _arguments,
        _shm,
    ),
)
