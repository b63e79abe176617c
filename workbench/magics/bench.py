"""bench: one request many times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import InputError
from workbench.magics.arguments import Command, Parser
from workbench.magics.infer import request_arguments, request_inputs, request_options
from workbench.session.bench import BenchResult, bench
from workbench.session.replay import inputs_of

if TYPE_CHECKING:
    from workbench.magics.triton import Call

__all__ = ["COMMANDS"]


def _arguments(parser: Parser) -> None:
    request_arguments(parser)
    add = parser.add_argument
    add("--n", type=int, default=200, metavar="N", help="requests that count (200)")
    add("--warmup", type=int, default=20, metavar="N", help="requests before them (20)")
    add("--concurrency", type=int, default=1, metavar="N", help="requests at a time (1)")
    add("--times", action="store_true", help="show the times; they differ from run to run")
    add("--profile", action="store_true", help="show how the time divides into queue, copies and execute")


def _bench(call: Call) -> BenchResult:
    given = call.arguments
    host = call.target.workbench.host(given.name)
    inputs, options = request_inputs(call), request_options(call)
    if not inputs and host.config.inputs:
        recorded = host.recorder.requests
        if not recorded:
            raise InputError(
                f"no inputs for {given.name}, and no request of it is recorded",
                hint=f"%triton bench {given.name} "
                + " ".join(f"{spec.name}=..." for spec in host.config.inputs),
            )
        inputs = inputs_of(recorded[-1])
    return bench(
        host,
        inputs,
        n=given.n,
        warmup=given.warmup,
        concurrency=given.concurrency,
        times=given.times,
        profile=given.profile,
        **options,
    )


COMMANDS = (
    Command(
        "bench",
        "Send a request many times and measure; without inputs the last one recorded.",
        ("line", "cell"),
        _arguments,
        _bench,
    ),
)
