"""``workbench shm``: the shared-memory regions of this machine, whoever made them."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from workbench.shm_inspect.report import ShmReports

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]

_WATCH_HZ = 2.0


def register(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "shm",
        help="look into shared-memory regions",
        description="Look into the shared-memory regions of the Python backend: a live model's or a running "
        "server's. Regions are only read, without their lock. Ends with 1 if a region cannot be read.",
    )
    add = parser.add_argument
    add("region", nargs="*", metavar="REGION", help="names of regions in /dev/shm")
    add("--all", action="store_true", help="every region; with --clean also a server's orphans")
    add("--blocks", action="store_true", help="list the blocks of each, the largest first")
    add("--watch", action="store_true", help="show a table and keep it up to date, until Ctrl-C")
    add("--orphans", action="store_true", help="list regions whose owner is dead")
    add("--clean", action="store_true", help="with --orphans: remove those that a live model left")
    add("--json", action="store_true", help="print the report as JSON; with --watch a line for each look")
    parser.set_defaults(run=_shm)


def _shm(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    from workbench.errors import WorkbenchUsageError
    from workbench.shm_inspect.machine import Machine
    from workbench.shm_inspect.orphans import find_orphans

    if arguments.clean and not arguments.orphans:
        raise WorkbenchUsageError("--clean goes with --orphans", hint="workbench shm --orphans --clean")
    if arguments.orphans:
        found = find_orphans(arguments.region, clean=arguments.clean, servers=arguments.all)
        print(json.dumps(found.to_data()) if arguments.json else found)
        return 0
    if not arguments.region and not arguments.all:
        raise WorkbenchUsageError("name regions, or all of them", hint="workbench shm --all")
    machine = Machine(arguments.region)
    if arguments.watch:
        return _watch(machine.look, as_json=arguments.json)
    reports = machine.look()
    if arguments.json:
        print(json.dumps(reports.to_data()))
    elif arguments.blocks:
        for each in reports:
            print(replace(each, all_blocks=True, times=True))
    else:
        print(reports)
    missing = set(arguments.region) - {each.region for each in reports}
    return 1 if missing or reports.unreadable else 0


def _watch(look: Callable[[], ShmReports], *, as_json: bool) -> int:
    if as_json:
        while True:
            print(json.dumps(look().to_data()), flush=True)
            time.sleep(1 / _WATCH_HZ)
    from rich.live import Live

    with Live(_table(look()), auto_refresh=False) as live:
        while True:
            time.sleep(1 / _WATCH_HZ)
            live.update(_table(look()), refresh=True)


def _table(reports: ShmReports) -> RenderableType:
    """The reports as a table of the terminal: how full, what for, what waits."""
    from rich.console import Group
    from rich.table import Table

    from workbench import preview

    table = Table(title=f"{len(reports)} shared-memory regions", title_justify="left")
    table.add_column("model", overflow="fold")
    for name in ("capacity", "in use", "largest free", "blocks", "queued"):
        table.add_column(name, justify="right")
    for name in ("mostly", "owner"):
        table.add_column(name)
    for each in reports:
        kinds = sorted(each.kinds(), key=lambda kind: -kind[1])[:2]
        table.add_row(
            each.model or each.region,
            preview.format_bytes(each.capacity),
            f"{preview.format_bytes(each.in_use)} {100 * each.in_use // max(each.capacity, 1):3d} %",
            preview.format_bytes(each.largest_free),
            str(len(each.blocks)),
            str(sum(queue.depth for queue in each.state.queues)),
            ", ".join(f"{kind} {preview.format_bytes(size)}" for kind, size, _ in kinds),
            "live" if each.owner_alive else "orphan",
        )
    return Group(table, *reports.unreadable)
