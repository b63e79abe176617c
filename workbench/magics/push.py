"""push, rollback, parity: live models and servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import WorkbenchUsageError
from workbench.magics.arguments import Command, Parser
from workbench.targets import delivery, servers
from workbench.targets.parity import MatrixReport, ParityReport
from workbench.targets.push_report import PushReport, PushReports

if TYPE_CHECKING:
    from workbench.magics.triton import Call

__all__ = ["COMMANDS"]


def _push_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("name", metavar="NAME", help="the live model's name")
    add("--to", required=True, metavar="SERVER[,SERVER]", help="connected or local servers: all or none")
    add("--version", type=int, default=0, metavar="N", help="the version it is to be there (as here)")
    add("--no-smoke", action="store_true", help="send no recorded requests to what was pushed")
    add("--load-timeout", type=float, default=600.0, metavar="S", help="seconds to wait for the load (600)")
    add("--yes", action="store_true", help="mean it: for a protected server")


def _push(call: Call) -> PushReport | PushReports:
    given = call.arguments
    if given.version < 0 or given.load_timeout <= 0:
        raise WorkbenchUsageError("--version and --load-timeout are more than 0")
    call.target.workbench.model(given.name)  # before a server is started for it
    return delivery.push(
        call.target,
        given.name,
        servers.find_all([each for each in given.to.split(",") if each]),
        version=given.version,
        smoke=not given.no_smoke,
        yes=given.yes,
        timeout=given.load_timeout,
    )


def _rollback_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="the model's name")
    parser.add_argument("--yes", action="store_true", help="mean it: for a protected server")


def _rollback(call: Call) -> PushReport:
    raise WorkbenchUsageError(
        "rollback is for servers", hint=f"%triton rollback {call.arguments.name} --on SERVER"
    )


def _parity_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("name", metavar="NAME", help="the live model's name")
    add("--against", metavar="SERVER", help="a connected server, or local (local)")
    add("--matrix", action="store_true", help="our host and a Triton server, each with our stub and NVIDIA's")
    add("--rtol", type=float, default=0.0, help="relative difference that counts as equal (0)")
    add("--atol", type=float, default=0.0, help="absolute difference that counts as equal (0)")
    add("--report", action="store_true", help="show differences in place of raising ParityError")


def _parity(call: Call) -> ParityReport | MatrixReport:
    given = call.arguments
    options = {"rtol": given.rtol, "atol": given.atol, "report_only": given.report}
    if given.matrix:
        if given.against:
            raise WorkbenchUsageError("--matrix has its own places", hint="leave --against out")
        return delivery.compare_everywhere(call.target, given.name, **options)
    delivery.check_comparable(call.target, given.name)  # before a server is started for it
    return delivery.compare(call.target, given.name, servers.find(given.against or "local"), **options)


COMMANDS = (
    Command(
        "push",
        "Bring a live model onto a server; what served there comes back if it is no good.",
        ("line",),
        _push_arguments,
        _push,
    ),
    Command(
        "rollback",
        "Bring back what a server served before the last push.",
        ("line",),
        _rollback_arguments,
        _rollback,
    ),
    Command(
        "parity",
        "Send recorded requests to the live model and to a server, and compare.",
        ("line",),
        _parity_arguments,
        _parity,
    ),
)
