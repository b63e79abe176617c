"""connect, push, rollback, parity, and what ``--on SERVER`` does: models on real servers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.capture import check_source, source_from_object
from workbench.errors import InputError, WorkbenchUsageError
from workbench.magics.arguments import Command, Parser, pairs
from workbench.magics.infer import request_inputs, request_options
from workbench.messages import InferResult
from workbench.model_config import ModelConfig
from workbench.model_source import ModelSource
from workbench.repository import open_entry
from workbench.targets import servers
from workbench.targets.compare import ParityReport, parity, smoke_checks
from workbench.targets.local import LocalTarget
from workbench.targets.push_report import PushReport
from workbench.targets.pushed import loose_entry
from workbench.targets.remote import ServerTarget
from workbench.targets.server_calls import ServerCalls

if TYPE_CHECKING:
    from workbench.magics.triton import Call
    from workbench.targets.live import LiveTarget

__all__ = ["COMMANDS", "run_elsewhere"]


def run_elsewhere(call: Call) -> Any:
    """A subcommand with ``--on SERVER``. Raises WorkbenchUsageError for one that only means live models."""
    name = call.line.split(None, 1)[0]
    handler = _ELSEWHERE.get(name)
    if handler is None:
        raise WorkbenchUsageError(
            f"%triton {name} works on live models only", hint=f"with --on go: {', '.join(sorted(_ELSEWHERE))}"
        )
    return handler(call, servers.find(call.arguments.on))


# -- verbs of servers --------------------------------------------------------------------------------------


def _connect_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("url", metavar="URL", help="http://host:8000, https://..., grpc://host:8001 or grpcs://...")
    add("--as", dest="name", required=True, metavar="NAME", help="how --on and --to call it")
    add("--grpc", action="store_true", help="speak gRPC though the address says http")
    add(
        "--header-env",
        dest="headers",
        metavar="HEADER=VARIABLE",
        nargs="+",
        action="extend",
        default=[],
        help="send a header whose value is in an environment variable",
    )
    add("--protect", action="store_true", help="push, rollback and unload need --yes")
    add("--bls", action="store_true", help="live models call what is not live on this server")


def _connect(call: Call) -> ServerTarget:
    given = call.arguments
    url = given.url
    if given.grpc and not url.startswith("grpc"):
        url = "grpc" + url.removeprefix("http") if "://" in url else f"grpc://{url}"
    headers = pairs(given.headers, "header", "--header-env Authorization=STAGING_TOKEN")
    server = servers.connect(url, given.name, headers=headers, protect=given.protect)
    if given.bls:
        call.target.workbench.bls.elsewhere = ServerCalls(server)
    return server


def _push_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("name", metavar="NAME", help="the live model's name")
    add("--to", required=True, metavar="SERVER", help="a connected server, or local")
    add("--no-smoke", action="store_true", help="send no recorded requests to what was pushed")
    add("--yes", action="store_true", help="mean it: for a protected server")


def _push(call: Call) -> PushReport:
    given = call.arguments
    server = servers.find(given.to)
    call.target.workbench.model(given.name)
    host = call.target.workbench.hosts[given.name]
    checks = [] if given.no_smoke else smoke_checks(host)
    return server.push(host.entry, smoke=checks, yes=given.yes)


def _rollback_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="the model's name")
    parser.add_argument("--yes", action="store_true", help="mean it: for a protected server")


def _rollback_live(call: Call) -> PushReport:
    raise WorkbenchUsageError(
        "rollback is for servers", hint=f"%triton rollback {call.arguments.name} --on SERVER"
    )


def _rollback(call: Call, server: ServerTarget) -> PushReport:
    return server.rollback(call.arguments.name, yes=call.arguments.yes)


def _parity_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("name", metavar="NAME", help="the live model's name")
    add("--against", default="local", metavar="SERVER", help="a connected server, or local (local)")
    add("--rtol", type=float, default=0.0, help="relative difference that counts as equal (0)")
    add("--atol", type=float, default=0.0, help="absolute difference that counts as equal (0)")
    add("--report", action="store_true", help="show differences in place of raising ParityError")


def _parity(call: Call) -> ParityReport:
    given = call.arguments
    call.target.workbench.model(given.name)
    host = call.target.workbench.hosts[given.name]
    records = host.recorder.requests
    if not records:
        raise InputError(
            f"no request of {given.name} is recorded",
            hint="%triton infer sends one; every request is recorded",
        )
    server = servers.find(given.against)
    if server.src(given.name) != host.serving:
        if not isinstance(server, LocalTarget):
            raise InputError(
                f"{server.name} does not serve {host.serving} of {given.name}",
                hint=f"%triton push {given.name} --to {server.name}",
            )
        server.push(host.entry)
    there = "own" if isinstance(server, LocalTarget) else "of the server"
    return parity(
        host,
        server,
        records,
        stubs=(call.target.workbench.settings.stub, there),
        rtol=given.rtol,
        atol=given.atol,
        report_only=given.report,
    )


# -- --on SERVER -------------------------------------------------------------------------------------------


class _Elsewhere:
    """Stands in for the live target where a cell defines a model: the model is pushed."""

    def __init__(self, live: LiveTarget, server: ServerTarget) -> None:
        self.configs = live.configs
        self._live = live
        self._server = server

    def define(
        self,
        name: str,
        source: ModelSource | Path | str,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        config: ModelConfig | str | None = None,
        *,
        backend_config: Any = None,
        **options: Any,
    ) -> PushReport:
        if backend_config:
            raise WorkbenchUsageError("a server's backend settings are given when it is started")
        made = self._live._config(name, inputs, outputs, config, options)
        if isinstance(source, Path) and source.is_dir():
            return self._server.push(open_entry(source, made))
        text = source if isinstance(source, ModelSource) else source_from_object(source)
        check_source(name, text, serving=self._server.src(name))
        return self._server.push(loose_entry(name, text, made or ModelConfig.from_specs(name)))


def _model(call: Call, server: ServerTarget) -> Any:
    from workbench.magics import serve

    stand_in: Any = _Elsewhere(call.target, server)
    return serve._model(dataclasses.replace(call, target=stand_in))


def _infer(call: Call, server: ServerTarget) -> InferResult:
    given = call.arguments
    if getattr(given, "batch", 0):
        raise WorkbenchUsageError("--batch is for live models: a server makes its own batches")
    return server.infer(given.name, request_inputs(call), **request_options(call))


def _unload(call: Call, server: ServerTarget) -> None:
    server.unload(call.arguments.name)


def _config(call: Call, server: ServerTarget) -> ModelConfig:
    if call.body is not None:
        raise WorkbenchUsageError("a configuration goes to a server with its model", hint="leave --on out")
    return server.config(call.arguments.name)


_ELSEWHERE: dict[str, Callable[[Any, ServerTarget], Any]] = {
    "config": _config,
    "infer": _infer,
    "model": _model,
    "rollback": _rollback,
    "unload": _unload,
}

COMMANDS = (
    Command("connect", "Give a Triton server a name.", ("line",), _connect_arguments, _connect),
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
        _rollback_live,
    ),
    Command(
        "parity",
        "Send recorded requests to the live model and to a server, and compare.",
        ("line",),
        _parity_arguments,
        _parity,
    ),
)
