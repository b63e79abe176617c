"""A tritonserver of our own: on loopback, on free ports, in explicit mode, gone without a trace."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import psutil

from workbench.errors import WorkbenchError
from workbench.server_install import ServerInstall, find_server
from workbench.targets.server_command import HOST, Installed, Starter, Wanted
from workbench.targets.server_guard import REMOVAL_SECONDS
from workbench.targets.server_ports import free_ports, is_listening, says_taken

if TYPE_CHECKING:
    import tritonclient.grpc
    import tritonclient.http

_PORT_ATTEMPTS = 5


class ServerStartError(WorkbenchError):
    """The server did not come up, or died. ``reason`` is one line, ``log_tail`` the end of its log."""

    def __init__(self, reason: str, log_tail: str, hint: str = "") -> None:
        super().__init__(f"{reason}\n{log_tail}".rstrip(), hint=hint)
        self.reason = reason
        self.log_tail = log_tail


class ServerProcess:
    """A tritonserver on a model repository. A context manager: started on entry, stopped on exit.

    The server ends with us, also when this process is killed (see `workbench.targets.server_guard`). Its
    stubs' regions begin with `region_prefix`, so that they can be told from other servers' and removed.

    Args:
        repository: Model repository; nothing in it is loaded before `load`.
        install: The server to start; default `find_server()`.
        auto_complete: False passes ``--disable-auto-complete-config``.
        backend_config: Keys of the Python backend, as ``{"shm-default-byte-size": 1 << 20}``. A prefix for
            region names is kept, and made this server's own by what follows it.
        port: HTTP port; gRPC and metrics take the two after it. Default: three free ones.
        starter: How it is started, in place of `install` and `python_env`: in a container, for one.
        python_env: Prefix of the environment that NVIDIA's stubs shall find their packages in; its ``bin``
            goes first on PATH. Default: the installation's reference environment.
        env: More environment variables for the server and its stubs.
        extra_args: More arguments for the server.
        log_path: Where the server's output goes; kept. Default: a file that `stop` reads in and removes.
        log_verbose: The server's verbosity, 0 to 4.
        start_timeout: Seconds the server may take to become ready.
        stop_timeout: Seconds the server may take to end before it is killed.
    """

    def __init__(
        self,
        repository: str | os.PathLike[str],
        install: ServerInstall | None = None,
        *,
        auto_complete: bool = True,
        backend_config: Mapping[str, str | int] | None = None,
        port: int | None = None,
        starter: Starter | None = None,
        python_env: Path | None = None,
        env: Mapping[str, str] | None = None,
        extra_args: Sequence[str] = (),
        log_path: Path | None = None,
        log_verbose: int = 0,
        start_timeout: float = 60.0,
        stop_timeout: float = 10.0,
    ) -> None:
        self.repository = Path(repository).resolve()
        if starter is None:
            install = install or find_server()
            starter = Installed(install, python_env or install.reference_env)
        self.install = starter.install
        self._starter = starter
        wanted = dict(backend_config or {})
        self._name = ""
        self.region_prefix = f"{wanted.get('shm-region-prefix-name', 'wb_srv_')}{uuid.uuid4().hex[:12]}_"
        self.http_port = self.grpc_port = self.metrics_port = 0
        self.pid: int | None = None
        self._auto_complete = auto_complete
        self._backend_config = {**wanted, "shm-region-prefix-name": self.region_prefix}
        self._port = port
        self._env = dict(env or {})
        self._extra_args = list(extra_args)
        self._log_path = log_path
        self._log_verbose = log_verbose
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._guard: subprocess.Popen[bytes] | None = None
        self._log_file: Path | None = log_path
        self._log_kept = ""
        self._version = ""

    # Life.

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it is ready.

        Raises:
            ServerStartError: it ended, did not become ready in time, or found no free ports in several tries.
        """
        if self._guard is not None:
            raise RuntimeError("this server is running already")
        for attempt in range(_PORT_ATTEMPTS):
            try:
                self._spawn()
                self.wait_ready(self._start_timeout)
                return
            except ServerStartError as error:
                self.stop()
                taken = says_taken(error.log_tail)
                if taken and self._port is not None:
                    raise ServerStartError(
                        f"one of the ports {self._port} to {self._port + 2} is taken",
                        "",
                        "choose another --port, or leave it to the system",
                    ) from None
                if attempt + 1 == _PORT_ATTEMPTS or not taken:
                    raise
            except BaseException:
                self.stop()
                raise

    def wait_ready(self, timeout: float) -> None:
        """Wait until the server answers as ready.

        Raises:
            ServerStartError: it died, one of its ports was taken, or `timeout` seconds passed.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if not self.running:
                tail = self._log_tail()
                raise ServerStartError(self._starter.explain(self.ending, tail), tail)
            if self._answers_ready():
                return
            if says_taken(self._log_tail()):
                raise ServerStartError("a port was taken by another process", self._log_tail())
            time.sleep(0.02)
        raise ServerStartError(
            f"tritonserver was not ready after {timeout:g} s",
            self._log_tail(),
            "the machine may be busy: try again, or see what the log waits for",
        )

    def stop(self) -> None:
        """End the server, its stubs and their regions; returns when they are gone. May be called again."""
        guard = self._guard
        if guard is not None:
            assert guard.stdin is not None
            assert guard.stdout is not None
            guard.stdin.close()
            try:
                # The guard itself keeps to stop_timeout, and then cleans up.
                guard.wait(self._stop_timeout + 10 + REMOVAL_SECONDS)
            except subprocess.TimeoutExpired:
                guard.kill()
                guard.wait()
            guard.stdout.close()
            # Only now: a wait that is interrupted is taken up by the next call.
            self._guard = self.pid = None
        if self._log_path is None and self._log_file is not None:
            self._log_kept = self._log_file.read_text(errors="replace")
            self._log_file.unlink()
            self._log_file = None

    @property
    def running(self) -> bool:
        """The server process exists."""
        return self._guard is not None and self._guard.poll() is None

    def has_ended(self, patience: float = 2.0) -> bool:
        """Whether the server's process is gone, for one that has just stopped answering.

        Args:
            patience: Seconds to wait for a process that is on its way out.
        """
        now = time.monotonic()
        # Once it is gone, the guard clears up after it.
        limit, clearing = now + patience, now + patience + self._stop_timeout + REMOVAL_SECONDS
        while self.running and now < limit:
            if self.pid is not None and not psutil.pid_exists(self.pid):
                limit = clearing
            time.sleep(0.02)
            now = time.monotonic()
        return not self.running

    @property
    def ending(self) -> str:
        """``signal 9``, ``exit code 1``; "" while it runs, and before it was started."""
        code = self._guard.poll() if self._guard else None
        if code is None:
            return ""
        return f"signal {code - 128}" if code > 128 else f"exit code {code}"

    # Talk.

    @property
    def version(self) -> str:
        """The server's own version, as ``2.51.0``; known after `start`."""
        return self._version

    @property
    def metrics_url(self) -> str:
        """Where it shows its metrics."""
        return f"http://{HOST}:{self.metrics_port}/metrics"

    @property
    def http_address(self) -> str:
        """``127.0.0.1:PORT`` of the HTTP endpoint."""
        return f"{HOST}:{self.http_port}"

    @property
    def grpc_address(self) -> str:
        """``127.0.0.1:PORT`` of the gRPC endpoint."""
        return f"{HOST}:{self.grpc_port}"

    def http(self, **options: Any) -> tritonclient.http.InferenceServerClient:
        """A new HTTP client; a context manager. Use each in one thread only."""
        import tritonclient.http

        return tritonclient.http.InferenceServerClient(self.http_address, **options)

    def grpc(self, **options: Any) -> tritonclient.grpc.InferenceServerClient:
        """A new gRPC client; a context manager."""
        import tritonclient.grpc

        return tritonclient.grpc.InferenceServerClient(self.grpc_address, **options)

    def load(
        self,
        name: str,
        config: Mapping[str, Any] | str | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        """Load a model of the repository, or load it again.

        A server answers a second load with an unchanged config with success and may keep serving the old
        code; change the config, if only a parameter, to be sure.

        Args:
            name: Its folder in the repository.
            config: Model config in place of config.pbtxt, as a mapping or as JSON.
            files: Path inside the model's folder → content; needs `config`. Nothing of the folder is used
                then.

        Raises:
            tritonclient.utils.InferenceServerException: the server refused; the text is the server's.
        """
        text = config if isinstance(config, str) or config is None else json.dumps(config)
        named = {f"file:{path}": content for path, content in files.items()} if files else None
        with self.http(network_timeout=300.0) as client:
            client.load_model(name, config=text, files=named)

    def unload(self, name: str, timeout: float = 30.0) -> None:
        """Unload a model and wait until no version of it is left.

        Raises:
            TimeoutError: `timeout` seconds passed.
            tritonclient.utils.InferenceServerException: the server refused; the text is the server's.
        """
        with self.http() as client:
            client.unload_model(name)
            deadline = time.monotonic() + timeout
            while time.monotonic() < deadline:
                index = client.get_model_repository_index()
                if not any(
                    row["name"] == name and row.get("state") not in ("UNAVAILABLE", None) for row in index
                ):
                    return
                time.sleep(0.01)
        raise TimeoutError(f"model {name} is still there {timeout:g} s after the server agreed to unload it")

    def log_text(self) -> str:
        """Everything the server and its stubs have written so far; also after `stop`."""
        if self._log_file is None:
            return self._log_kept
        try:
            return self._log_file.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    # Inside.

    def _spawn(self) -> None:
        # Of every start its own: an engine may still be busy with the removal of the last one.
        self._name = f"workbench-{uuid.uuid4().hex[:12]}"
        first = self._port
        ports = free_ports(3) if first is None else [first, first + 1, first + 2]
        self.http_port, self.grpc_port, self.metrics_port = ports
        if self._log_path is None:
            handle, name = tempfile.mkstemp(prefix="wb-tritonserver-", suffix=".log")
            os.close(handle)
            self._log_file = Path(name)
        wanted = self._wanted()
        guard_file = resources.files("workbench") / "targets" / "server_guard.py"
        self._guard = subprocess.Popen(
            # -I -S: no settings of the user's and no site-packages; it needs neither, and starts faster.
            [
                *(sys.executable, "-I", "-S", str(guard_file)),
                *(str(self._stop_timeout), self.region_prefix, str(self._log_file)),
                *(*self._starter.remains(wanted), "--"),
                *self._starter.command(wanted),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._starter.environment(wanted),
            start_new_session=True,
        )
        word, _, rest = self._guard_said().partition(" ")
        if word != "pid":
            raise ServerStartError(f"{self.install.binary} cannot be started: {rest}", "")
        self.pid = int(rest)

    def _guard_said(self) -> str:
        """The first line of the guard, once it has started the server, or could not."""
        assert self._guard is not None
        assert self._guard.stdout is not None
        return self._guard.stdout.readline().decode().strip()

    def _wanted(self) -> Wanted:
        options = [f"--exit-timeout-secs={max(1, int(self._stop_timeout))}"]
        options += [f"--backend-config=python,{key}={value}" for key, value in self._backend_config.items()]
        if not self._auto_complete:
            options.append("--disable-auto-complete-config")
        if self._log_verbose:
            options.append(f"--log-verbose={self._log_verbose}")
        return Wanted(
            self._name,
            self.repository,
            (self.http_port, self.grpc_port, self.metrics_port),
            (*options, *self._extra_args),
            self._env,
        )

    def _answers_ready(self) -> bool:
        if self._starter.holds_ports and not self._holds_ports():
            return False
        connection = http.client.HTTPConnection(HOST, self.http_port, timeout=5)
        try:
            connection.request("GET", "/v2/health/ready")
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                return False
            connection.request("GET", "/v2")
            about = json.loads(connection.getresponse().read())
            # A port that was given may be another server's, which answers until ours is refused the port.
            if not self._starter.holds_ports and about["name"] != self._name:
                return False
            self._version = about["version"]
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):  # or no Triton at all
            return False
        finally:
            connection.close()
        return True

    def _holds_ports(self) -> bool:
        # Another server may have been quicker to take one of the ports, and would answer just as well. A
        # server that did not get its metrics port goes on without, so that one is looked at too.
        ports = {self.http_port, self.grpc_port}
        if not any(argument.startswith("--allow-metrics") for argument in self._extra_args):
            ports.add(self.metrics_port)
        return is_listening(self.pid, ports)

    def _log_tail(self, lines: int = 20) -> str:
        return "\n".join(self.log_text().splitlines()[-lines:])
