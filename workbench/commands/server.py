"""``workbench server``: a real Triton server to run models on, and to compare with."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.commands.ending import serve_until_ended
from workbench.server_install import DEFAULT_RELEASE, PACKAGES, find_server, install_server

if TYPE_CHECKING:
    from workbench.server_install import ServerInstall

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def register(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser("server", help="install or find a real Triton server")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    install = actions.add_parser(
        "install",
        help="fetch a server into the cache and try it",
        description="Fetch a Triton server (about 145 MB) from PyPI into the cache, make an environment for "
        "its stubs, and start it once. Does nothing if it is there.",
    )
    install.add_argument(
        "--release", choices=list(PACKAGES), default=DEFAULT_RELEASE, help="default: %(default)s"
    )
    install.add_argument("--dir", type=Path, metavar="FOLDER", help="use this folder in place of the cache")
    install.add_argument("--json", action="store_true", help="print the result as JSON")
    install.set_defaults(run=_install)

    serve = actions.add_parser(
        "run",
        help="serve a model repository until Ctrl-C",
        description="Start a Triton server of this machine on a model repository, on loopback, load its "
        "models, and serve them until Ctrl-C.",
    )
    serve.add_argument("--repo", required=True, metavar="DIR", help="the model repository")
    serve.add_argument(
        "--port", type=int, default=8000, help="HTTP; gRPC and metrics take the next two (8000)"
    )
    serve.add_argument("--binary", default="", metavar="PATH", help="tritonserver, or its installation")
    serve.add_argument(
        "--image", default="", metavar="REF", help="run the server of this image, by docker or podman"
    )
    serve.add_argument(
        "--shm-size", default="", metavar="SIZE", help="of --image: all of its shared memory: 4g (1g)"
    )
    serve.add_argument("--stub", choices=["own", "nvidia"], default="nvidia", help="whose stub (nvidia)")
    serve.add_argument(
        "--backend-config",
        action="append",
        default=[],
        metavar="K=V",
        help="as on a server's command line: python,shm-growth-byte-size=1048576",
    )
    serve.set_defaults(run=_run)

    find = actions.add_parser("find", help="say which server would be used")
    find.add_argument("--release", help="only a server of this release")
    find.add_argument("--json", action="store_true", help="print the result as JSON")
    find.set_defaults(run=_find)


def _install(options: argparse.Namespace) -> int:
    install = install_server(
        options.release, options.dir, progress=lambda text: print(text, file=sys.stderr, flush=True)
    )
    _show(install, options.json)
    if options.dir and not options.json:
        print(f"to use it: export TRITON_SERVER={install.binary}")
    return 0


def _run(options: argparse.Namespace) -> int:
    from workbench.magics.arguments import byte_size, pairs
    from workbench.targets.local import LocalOptions, temporary

    settings = pairs(options.backend_config, "setting", "--backend-config python,thread-pool-size=8")
    chosen = LocalOptions(
        options.repo,
        options.binary,
        options.port,
        options.stub,
        settings,
        image=options.image,
        shm_size=byte_size(options.shm_size) if options.shm_size else 0,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # while it starts, as Ctrl-C does
    with temporary("local", chosen) as target:

        def check() -> None:
            if not target.process.running:
                raise target.client.unreachable("it ended", "")

        serve_until_ended(f"{target!r}\n{target.url}  {target.grpc_url}", check)
    return 0


def _find(options: argparse.Namespace) -> int:
    _show(find_server(options.release), options.json)
    return 0


def _show(install: ServerInstall, as_json: bool) -> None:
    if as_json:
        fields = {name: value if value is None else str(value) for name, value in vars(install).items()}
        print(json.dumps(fields, indent=2))
    else:
        print(f"Triton server {install.release or 'of unknown release'}: {install.binary}")
