"""connect, server: which servers there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchUsageError
from workbench.magics.arguments import Command, Parser, byte_size, pairs
from workbench.magics.inspect import Status
from workbench.targets import servers
from workbench.targets.local import LocalOptions, LocalTarget
from workbench.targets.remote import ServerTarget
from workbench.targets.server_calls import ServerCalls
from workbench.targets.server_tables import LogText
from workbench.targets.tls import Tls

if TYPE_CHECKING:
    from workbench.magics.triton import Call

__all__ = ["COMMANDS"]

_ACTIONS = ("start", "stop", "restart", "status", "logs")
_LEVELS = ("verbose", "info", "warning", "error")


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
    add("--ca", metavar="FILE", help="certificates of the authorities to believe, PEM (the system's)")
    add("--cert", metavar="FILE", help="our own certificate, for a server that asks for one, PEM")
    add("--key", metavar="FILE", help="its private key, PEM")
    add("--metrics", metavar="URL", default="", help="where it shows metrics (port 8002 of the same host)")
    add("--protect", action="store_true", help="push, rollback and unload need --yes")
    add("--check", action="store_true", help="make sure that it takes models")
    add("--bls", action="store_true", help="live models call what is not live on this server")


def _connect(call: Call) -> ServerTarget:
    given = call.arguments
    url = given.url
    if given.grpc and not url.startswith("grpc"):
        url = "grpc" + url.removeprefix("http") if "://" in url else f"grpc://{url}"
    files = [Path(each).expanduser() if each else None for each in (given.ca, given.cert, given.key)]
    server = servers.connect(
        url,
        given.name,
        headers=pairs(given.headers, "header", "--header-env Authorization=STAGING_TOKEN"),
        tls=Tls(*files) if any(files) else None,
        metrics_url=given.metrics,
        protect=given.protect,
        check=given.check,
    )
    if given.bls:
        call.target.workbench.bls.elsewhere = ServerCalls(server)
    return server


def _server_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("action", metavar="ACTION", choices=_ACTIONS, help="start, stop, restart, status or logs")
    add("name", metavar="NAME", nargs="?", default="local", help="the server's name (local)")
    start = parser.add_argument_group("start")
    add = start.add_argument
    add("--repo", metavar="DIR", default="", help="serve the models of this repository (none)")
    add("--binary", metavar="PATH", default="", help="tritonserver, or its installation (as doctor finds it)")
    add(
        "--image",
        metavar="REF",
        default="",
        help="run the server of this image in a container, by docker or podman",
    )
    add("--port", metavar="PORT", default="auto", help="HTTP; gRPC and metrics take the next two (auto)")
    add(
        "--stub",
        choices=["own", "nvidia"],
        default=None,
        help="whose stub runs models (own; of --repo and --image nvidia)",
    )
    add(
        "--shm-size",
        metavar="SIZE",
        default="",
        help="first size of a model's region: 256m (64m); of --image all of its shared memory: 4g (1g)",
    )
    add(
        "--backend-config",
        metavar="K=V",
        nargs="+",
        action="extend",
        default=[],
        help="as on a server's command line: python,shm-growth-byte-size=1048576",
    )
    add("--auto-complete", action="store_true", help="let models complete their configuration there")
    logs = parser.add_argument_group("logs")
    add = logs.add_argument
    add("--n", type=int, default=50, metavar="N", help="lines (50)")
    add("--level", choices=_LEVELS, default="verbose", help="the least (verbose)")
    add("--model", metavar="NAME", default="", help="only lines about this model")


def _server(call: Call) -> Any:
    return {"start": _start, "stop": _stop, "restart": _restart, "status": _state, "logs": _logs}[
        call.arguments.action
    ](call)


def _start(call: Call) -> LocalTarget:
    given = call.arguments
    settings = pairs(
        given.backend_config, "setting", "--backend-config python,shm-default-byte-size=67108864"
    )
    size = byte_size(given.shm_size) if given.shm_size else 0
    if size and not given.image:
        settings["shm-default-byte-size"] = str(size)
    if given.port != "auto" and not (given.port.isdecimal() and 0 < int(given.port) < 65534):
        raise WorkbenchUsageError(f"--port is auto or a number, got {given.port!r}", hint="--port 8000")
    options = LocalOptions(
        repository=given.repo,
        binary=given.binary,
        port=None if given.port == "auto" else int(given.port),
        # Who serves a folder wants to see what a server does with it as it is.
        stub=given.stub or ("nvidia" if given.repo or given.image else "own"),
        backend_config=settings,
        image=given.image,
        shm_size=size if given.image else 0,
        auto_complete=True if given.auto_complete else None,
    )
    return servers.start(given.name, options)


def _stop(call: Call) -> None:
    servers.find_local(call.arguments.name)
    servers.stop(call.arguments.name)


def _restart(call: Call) -> LocalTarget:
    target = servers.find_local(call.arguments.name)
    target.restart()
    return target


def _state(call: Call) -> Status:
    return Status(call.target.workbench, servers.states())


def _logs(call: Call) -> LogText:
    given = call.arguments
    return servers.find_local(given.name).logs(given.model, given.n, given.level)


COMMANDS = (
    Command("connect", "Give a Triton server a name.", ("line",), _connect_arguments, _connect),
    Command(
        "server",
        "Start, stop, restart a Triton server on this machine; its state, its log.",
        ("line",),
        _server_arguments,
        _server,
    ),
)
