"""A local target: a real server that this kernel starts, and that ends with it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from workbench import _host, preview
from workbench.errors import WorkbenchError, WorkbenchUsageError
from workbench.repository.entry import open_entry
from workbench.repository.model_files import STUB_NAME
from workbench.server_errors import ServerUnreachable
from workbench.server_install import ServerInstall, find_server
from workbench.session.inputs import split_options
from workbench.session.settings import Settings
from workbench.targets.client import ServerClient, ServerRefused
from workbench.targets.container import Container, find_container
from workbench.targets.process_server import ServerProcess
from workbench.targets.remote import ServerTarget
from workbench.targets.server_tables import LogText, plain_log
from workbench.targets.server_texts import load_failure
from workbench.targets.server_trace import ServerTracing
from workbench.trace.trace import Trace

__all__ = ["LocalOptions", "LocalTarget", "server_backend_config", "temporary"]

#: What a server takes with ``--backend-config=python,…``; the workbench's other settings are not for it.
_KEYS = (
    "shm-default-byte-size",
    "shm-growth-byte-size",
    "stub-timeout-seconds",
    "shm-region-prefix-name",
    "thread-pool-size",
)


@dataclass(frozen=True)
class LocalOptions:
    """How a local server is started.

    Attributes:
        repository: Model repository; its models are loaded. "": an empty one of its own.
        binary: ``tritonserver``, or the folder of an installation. "": see `find_server`.
        port: HTTP port; gRPC and metrics take the next two. None: free ones.
        stub: ``own``: models run in our stub, with this kernel's packages. ``nvidia``: in the server's own.
            "": ours, but the server's in a container.
        backend_config: Settings of the Python backend, as a server's command line has them.
        image: Image of a server, to be run in a container by docker or podman, in place of `binary`; its
            models run in its own stub, with its own packages.
        shm_size: Bytes of the container's ``/dev/shm``; 0: 1 GiB.
        auto_complete: Whether the server asks models to complete their configuration. That takes a second off
            every load if it does not, and models pushed from here come with complete ones.
    """

    repository: str = ""
    binary: str = ""
    port: int | None = None
    stub: str = ""
    backend_config: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    shm_size: int = 0
    auto_complete: bool | None = None


class LocalTarget(ServerTarget):
    """A server on loopback, in explicit mode.

    Raises (on making it):
        ServerInstallError: there is no server on this machine, or none at `LocalOptions.binary`; or no engine
            or no image for `LocalOptions.image`.
        ServerStartError: it does not come up.
        WorkbenchUsageError: the repository is no folder, or a setting is wrong.
    """

    def __init__(
        self,
        name: str = "local",
        install: ServerInstall | None = None,
        *,
        options: LocalOptions | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.options = options or LocalOptions()
        self.stub = self.options.stub or ("nvidia" if self.options.image else "own")
        container = _container(self.options)
        if container is None:
            install = install or find_server(at=self.options.binary)
        settings = server_backend_config(self.options.backend_config)
        repository = Path(self.options.repository).expanduser() if self.options.repository else None
        if repository is not None and not repository.is_dir():
            raise WorkbenchUsageError(
                f"{repository.name} is no folder", hint="a model repository is a folder of model folders"
            )
        self._folder = Path(tempfile.mkdtemp(prefix="wb-local-"))
        folder = self._folder
        # What a server in a container sends does not reach this process's loopback.
        self._tracing = ServerTracing() if container is None else None
        #: Why models of the repository are not loaded, by name.
        self.failed: dict[str, str] = {}
        try:
            (folder / "models").mkdir()
            more = {**(self._tracing.environment if self._tracing else {}), **(env or {})}
            if self.stub == "own" and install is not None:
                install = _with_own_stub(install, folder / "backends")
                more["TRITON_WORKBENCH_PYTHON"] = sys.executable
                if install.release:
                    more["TRITON_WORKBENCH_RELEASE"] = install.release
            complete = self.options.auto_complete
            self.process = ServerProcess(
                repository or folder / "models",
                install,
                starter=container,
                python_env=Path(sys.prefix) if self.stub == "own" else None,
                env=more,
                # A repository's own models may rely on it.
                auto_complete=repository is not None if complete is None else complete,
                backend_config=settings,
                extra_args=self._tracing.arguments if self._tracing else (),
                port=self.options.port,
                # An engine unpacks a fresh image first.
                start_timeout=60.0 if container is None else 180.0,
                stop_timeout=3.0,
            )
            self.process.start()
        except BaseException:
            if self._tracing:
                self._tracing.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        http, grpc = self._clients()
        super().__init__(name, http, streams=grpc)
        try:
            if repository is not None:
                self._load_all()
        except BaseException:  # Ctrl-C, say: nobody has it yet who could end it
            self.close()
            raise

    def _clients(self) -> tuple[ServerClient, ServerClient]:
        http, grpc = (
            ServerClient(f"{scheme}://{address}", metrics_url=self.process.metrics_url)
            for scheme, address in (("http", self.process.http_address), ("grpc", self.process.grpc_address))
        )
        return http, grpc

    def _load_all(self) -> None:
        for folder in sorted(self.process.repository.iterdir()):
            if folder.name.startswith(".") or not folder.is_dir():
                continue
            try:
                self.client.load(folder.name)
            except ServerRefused as refused:
                try:
                    cause, _ = load_failure(str(refused), open_entry(folder))
                except WorkbenchError:
                    cause = str(refused)  # not even its folder is right: the server's words must do
                self.failed[folder.name] = cause.strip().splitlines()[0]

    @property
    def release(self) -> str:
        """``24.10``; "" for a release we do not know."""
        try:
            return self.process.install.release or _host.find_release(self.process.version).name
        except ValueError:
            return ""

    @property
    def state(self) -> str:
        if self.process.running:
            return "ready" if self.client.alive() else "no answer"
        return f"ended with {self.process.ending}" if self.process.ending else "stopped"

    @property
    def url(self) -> str:
        """Its HTTP address, for clients; another one after every start, unless a port was chosen."""
        return f"http://{self.process.http_address}"

    @property
    def grpc_url(self) -> str:
        """The same for gRPC."""
        return f"grpc://{self.process.grpc_address}"

    def _gone(self, reason: str, hint: str) -> ServerUnreachable:
        # Its ports differ from run to run, so they are not told.
        ended = self.process.has_ended(0.0 if "in time" in reason else 2.0)
        if not ended and "metrics" not in reason:
            return ServerUnreachable(
                f"{self.name} does not answer: {reason}", hint=f"%triton server logs {self.name}"
            )
        if not ended:
            return ServerUnreachable(f"{self.name} shows no metrics")
        return ServerUnreachable(
            f"{self.name} {self.state}",
            hint=f"%triton server restart {self.name} starts it and sends its models again",
        )

    def restart(self) -> dict[str, str]:
        """Start the process anew, and load what it served again.

        Returns:
            Model → src that serves, or why it does not.

        Raises:
            ServerStartError: it does not come up.
        """
        self.process.stop()
        self.process.start()
        self._connect(*self._clients())
        self.failed = {}
        if self.options.repository:
            self._load_all()
        return self._pushes.again()

    def trace(self, name: str, inputs: Mapping[str, Any] | None = None, /, **options: Any) -> Trace:
        """Send one request and give what it led to on the server; options as of `infer`. A failure of the
        model is part of the trace.

        Raises:
            InputError, ModelNotFound, InferTimeout, ServerUnreachable: as of `infer`.
            WorkbenchError: the server said nothing about the request, or runs in a container.
        """
        tracing = self._tracing
        if tracing is None:
            raise WorkbenchError(
                f"{self.name} runs in a container, which cannot send what it traces to this process",
                hint="a server without --image can be traced",
            )
        given, more = split_options(inputs, options)
        request = self.prepare(name, given)

        def switch(level: str) -> None:
            with self.process.http() as client:
                client.update_trace_settings(name, {"trace_level": [level]})

        def label(model: str) -> str:
            mark = self._pushes.mark(model)
            known = self._pushes.known(model, mark) if mark else None
            return known.entry.source.label if known is not None else ""

        return tracing.trace(
            request, lambda headers: self.send(request, {**more, "headers": headers}), switch, label
        )

    def logs(self, name: str = "", count: int = 50, level: str = "verbose") -> LogText:
        """The last lines of the server's log; with `name`, those that have the model's name in them."""
        return LogText(self.name, plain_log(self.process.log_text(), model=name, level=level, count=count))

    def close(self) -> None:
        """End the server. May be called again."""
        self.process.stop()
        if self._tracing:
            self._tracing.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __repr__(self) -> str:
        release = f"Triton {self.release}" if self.release else "Triton"
        state = self.state if self.state != "ready" else "READY"
        image = [self.options.image] if self.options.image else []
        lines = ["  ".join([f"Server {self.name}", state, release, f"stub {self.stub}", *image])]
        if state == "READY" and self.options.repository:
            lines += preview.columns([each.row() for each in self.models().values() if each.state == "READY"])
            lines += preview.columns([[name, "FAILED", why] for name, why in sorted(self.failed.items())])
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self))


def server_backend_config(given: Mapping[str, Any]) -> dict[str, str]:
    """Settings checked as the live host checks them, under the names a server knows.

    Raises:
        WorkbenchUsageError: an unknown key, or a value out of range.
    """
    found = {key.removeprefix("python,").replace("_", "-"): str(value) for key, value in given.items()}
    unknown = sorted(set(found) - set(_KEYS))
    Settings().updated(found)
    if unknown:
        raise WorkbenchUsageError(
            f"{unknown[0]} is a setting of live models, not of a server", hint=f"keys: {' '.join(_KEYS)}"
        )
    return found


def _container(options: LocalOptions) -> Container | None:
    if not options.image:
        if options.shm_size:
            raise WorkbenchUsageError(
                "a size of /dev/shm is for a server in a container", hint="add --image REF"
            )
        return None
    if options.binary:
        raise WorkbenchUsageError(
            "a server is a program of this machine or in an image", hint="leave out --image or --binary"
        )
    if options.stub == "own":
        raise WorkbenchUsageError(
            "our stub runs this kernel's Python, which is not in the image",
            hint="--image goes with --stub nvidia",
        )
    return find_container(options.image, shm_size=options.shm_size)


def _with_own_stub(install: ServerInstall, folder: Path) -> ServerInstall:
    """The same server with a folder of backends in which the Python backend's stub is ours."""
    _link(install.backends, folder, "python")
    _link(install.backends / "python", folder / "python", STUB_NAME)
    with resources.as_file(resources.files("workbench") / "backend" / STUB_NAME) as launcher:
        place = folder / "python" / STUB_NAME
        place.write_bytes(launcher.read_bytes())
        place.chmod(0o700)
    return replace(install, backends=folder)


def _link(source: Path, target: Path, left_out: str) -> None:
    target.mkdir()
    for each in source.iterdir():
        if each.name != left_out:
            (target / each.name).symlink_to(each)


@contextmanager
def temporary(name: str, options: LocalOptions) -> Iterator[LocalTarget]:
    """A local server for as long as the block runs."""
    target = LocalTarget(name, options=options)
    try:
        yield target
    finally:
        target.close()
