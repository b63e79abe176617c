"""One way to talk to a Triton server, over HTTP or gRPC, in errors of ours.

``tritonclient`` does the talking. Its HTTP client must stay in one thread, so each call makes its own.
"""

from __future__ import annotations

import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from workbench.errors import WorkbenchError, WorkbenchUsageError
from workbench.server_errors import ServerModeError, ServerUnreachable
from workbench.targets.server_stream import responses
from workbench.targets.tls import Tls, tls_problem

__all__ = ["TOO_LATE", "ServerClient", "ServerRefused"]

#: Status of a call that was not answered in time, by a server that lives.
TOO_LATE = "DEADLINE_EXCEEDED"

_PORTS = {"http": 8000, "https": 443, "grpc": 8001, "grpcs": 443}
_METRICS_PORT = 8002
_MODE = "explicit model load / unload is not allowed"
_PROBE_SECONDS = 3.0  # for "do you live", after another call went wrong
_ABSENT = "workbench_no_such_model"
_SECRET = re.compile(r"(?<=//)[^/]*@|^[^/]*@")
# What tritonclient puts before the server's own words.
_STATUS = re.compile(r"^\[(?P<status>\w[\w. ]*)\] ")


class ServerRefused(WorkbenchError):  # noqa: N818 - an answer, not a breakdown
    """The server answered with an error. The message is its own text; ``status`` is the protocol's."""

    def __init__(self, message: str, status: str = "") -> None:
        super().__init__(message)
        self.status = status


class ServerClient:
    """A server at an address.

    Args:
        url: ``http://host:8000``, ``https://…``, ``grpc://host:8001`` or ``grpcs://…``; without a scheme HTTP
            is meant.
        headers: Header name → name of the environment variable that has its value, read at each call: a
            token is never part of a cell.
        tls: Files for ``https`` and ``grpcs``. Default: the system's authorities, and no certificate of ours.
        metrics_url: Where it shows its metrics. Default: port 8002 of the same host, without TLS.
        timeout: Seconds for everything but loading.
        load_timeout: Seconds a load may take.

    Raises:
        WorkbenchUsageError: the address cannot be read.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        tls: Tls | None = None,
        metrics_url: str = "",
        timeout: float = 60.0,
        load_timeout: float = 600.0,
    ) -> None:
        hint = "http://host:8000 or grpc://host:8001"
        if "@" in url:
            hint += "; --header-env Authorization=VARIABLE carries a password"
        # What stands before an @ may be a password, which is never shown.
        unreadable = WorkbenchUsageError(f"cannot read the address {_SECRET.sub('...@', url)!r}", hint=hint)
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port = parts.port
        except ValueError:
            raise unreadable from None
        if parts.scheme not in _PORTS or not parts.hostname or port == 0 or "@" in parts.netloc:
            raise unreadable
        self.scheme = parts.scheme
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.address = f"{host}:{port or _PORTS[parts.scheme]}{parts.path.rstrip('/')}"
        if tls is not None and not self.secure:
            raise WorkbenchUsageError(
                f"certificates are for https and grpcs, not for {self.scheme}",
                hint=f"{self.scheme}s://{self.address}",
            )
        self.metrics_url = metrics_url or f"http://{host}:{_METRICS_PORT}/metrics"
        if urlsplit(self.metrics_url).scheme not in ("http", "https"):
            raise WorkbenchUsageError(f"metrics are read over http, not from {metrics_url!r}")
        #: Makes the error for a server that does not answer, of a reason and a hint.
        self.unreachable: Callable[[str, str], ServerUnreachable] = lambda reason, hint: ServerUnreachable(
            f"no Triton server answers at {self.address}: {reason}", hint=hint
        )
        #: Called when a model was loaded or unloaded, or that failed.
        self.on_load: Callable[[], None] = lambda: None
        self._tls = tls or Tls()
        self._kept = threading.local()
        self._header_variables = dict(headers or {})
        self._timeout = timeout
        self._load_timeout = load_timeout

    @property
    def is_grpc(self) -> bool:
        return self.scheme.startswith("grpc")

    @property
    def secure(self) -> bool:
        return self.scheme.endswith("s")

    def headers(self) -> dict[str, str]:
        """Headers with their values. Raises WorkbenchUsageError for a variable that is not set."""
        found = {}
        for name, variable in self._header_variables.items():
            if variable not in os.environ:
                raise WorkbenchUsageError(
                    f"the header {name} comes from the environment variable {variable}, which is not set",
                    hint=f"set {variable} before the kernel starts, or in os.environ",
                )
            found[name] = os.environ[variable]
        return found

    # -- the server ----------------------------------------------------------------------------------------

    def server(self) -> dict[str, Any]:
        """Name, version, extensions."""
        return dict(self._ask(lambda client, more: client.get_server_metadata(**more)))

    def alive(self) -> bool:
        """Whether a server answers at all, within a few seconds."""
        try:
            with self._client(_PROBE_SECONDS) as client:
                more: dict[str, Any] = {"headers": self.headers()}
                if self.is_grpc:
                    more["client_timeout"] = _PROBE_SECONDS
                return bool(client.is_server_live(**more))
        except Exception:  # whatever went wrong, it is no answer
            return False

    def check_mode(self) -> None:
        """Raise ServerModeError if the server takes no loads. Changes nothing there."""
        try:
            # In explicit mode there is nothing to unload and that is all; in the others it is refused first.
            self.unload(_ABSENT)
        except ServerRefused:
            pass

    def metrics(self) -> str:
        """Prometheus text. Raises ServerUnreachable if nobody shows metrics at `metrics_url`."""
        request = urllib.request.Request(self.metrics_url)  # noqa: S310 - http and https only, see __init__
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
                return str(answer.read().decode())
        except (OSError, HTTPException) as error:
            raise self.unreachable(
                f"no metrics at {self.metrics_url} ({_reason(error)})", "--metrics URL says where they are"
            ) from None

    def index(self) -> list[dict[str, Any]]:
        """Every model of the repository with its state. Models loaded from sent files are not in it."""
        found = self._ask(lambda client, more: client.get_model_repository_index(**more))
        return list(found.get("models", []) if isinstance(found, dict) else found)

    def load(
        self,
        name: str,
        config: str | None = None,
        files: Mapping[str, bytes] | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        """Load a model; with `files` from these alone.

        Args:
            name: The model's name.
            config: JSON in place of config.pbtxt; needed if there are files.
            files: Path inside the model's folder → content.
            timeout: Seconds, in place of the client's own limit for loads.

        Raises:
            ServerRefused: it did not load; the text says why.
            ServerModeError: the server does not take such requests.
        """
        named = {f"file:{path}": data for path, data in files.items()} if files else None
        try:
            self._ask(
                lambda client, more: client.load_model(name, config=config, files=named, **more),
                timeout or self._load_timeout,
            )
        finally:
            self.on_load()

    def unload(self, name: str) -> None:
        try:
            self._ask(lambda client, more: client.unload_model(name, **more))
        finally:
            self.on_load()

    # -- one model -----------------------------------------------------------------------------------------

    def ready(self, name: str) -> bool:
        return bool(self._ask(lambda client, more: client.is_model_ready(name, **more)))

    def config(self, name: str) -> dict[str, Any]:
        """The configuration in effect, as JSON has it."""
        found: dict[str, Any] = self._ask(lambda client, more: client.get_model_config(name, **more))
        return dict(found["config"]) if self.is_grpc else found

    def metadata(self, name: str) -> dict[str, Any]:
        return dict(self._ask(lambda client, more: client.get_model_metadata(name, **more)))

    def statistics(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._ask(lambda client, more: client.get_inference_statistics(name, **more))
        return dict(found["model_stats"][0])

    def loaded(self) -> list[str]:
        """Names of the models that are ready, those loaded from sent files among them."""
        found: dict[str, Any] = self._ask(lambda client, more: client.get_inference_statistics(**more))
        return sorted({each["name"] for each in found.get("model_stats", [])})

    def infer(self, name: str, inputs: list[tuple[str, str, tuple[int, ...], Any]], **options: Any) -> Any:
        """One request; inputs are (name, datatype, shape, NumPy array). Gives tritonclient's result."""
        # HTTP's client takes no timeout per call in seconds: its connection has one.
        timeout = options.pop("seconds", None)
        headers = options.pop("headers", {})
        if self.is_grpc and timeout is not None:
            options["client_timeout"] = timeout
        return self._ask(
            lambda client, more: client.infer(
                name, self._inputs(inputs), **options, headers={**more["headers"], **headers}
            ),
            timeout or self._timeout,
        )

    def stream(
        self, name: str, inputs: list[tuple[str, str, tuple[int, ...], Any]], **options: Any
    ) -> Iterator[Any]:
        """Responses to one request as they come. gRPC only; leaving early cancels the request. ``seconds`` is
        the longest wait for one of them.
        """
        if not self.is_grpc:
            raise WorkbenchUsageError(
                "responses one by one need gRPC", hint="%triton connect grpc://HOST:8001 --as NAME"
            )
        from tritonclient.utils import InferenceServerException

        timeout = options.pop("seconds", None) or self._timeout
        headers = {**self.headers(), **options.pop("headers", {})}
        with self._client(timeout) as client:

            def send() -> None:
                client.async_stream_infer(
                    name, self._inputs(inputs), enable_empty_final_response=True, **options
                )

            try:
                yield from responses(client, headers, send, timeout)
            except TimeoutError:
                raise self._too_late() from None
            except InferenceServerException as error:
                raise self._translated(error) from None

    @contextmanager
    def kept(self, timeout: float | None = None) -> Iterator[None]:
        """Calls of this thread share one connection, with one limit of seconds, until the block ends."""
        with self._client(timeout or self._timeout) as client:
            self._kept.client = client
            try:
                yield
            finally:
                del self._kept.client

    # -- inside --------------------------------------------------------------------------------------------

    def _inputs(self, inputs: list[tuple[str, str, tuple[int, ...], Any]]) -> list[Any]:
        if self.is_grpc:
            from tritonclient import grpc as library
        else:
            from tritonclient import http as library
        made = []
        for name, datatype, shape, array in inputs:
            each = library.InferInput(name, list(shape), datatype)
            each.set_data_from_numpy(array)
            made.append(each)
        return made

    @contextmanager
    def _client(self, timeout: float) -> Iterator[Any]:
        kept = getattr(self._kept, "client", None)
        if kept is not None:
            yield kept
            return
        if self.is_grpc:
            from tritonclient import grpc

            more = self._tls.for_grpc() if self.secure else {}
            client: Any = grpc.InferenceServerClient(self.address, ssl=self.secure, **more)
        else:
            from tritonclient import http

            more = self._tls.for_http()
            client = http.InferenceServerClient(
                self.address,
                ssl=self.secure,
                connection_timeout=min(timeout, 60.0),
                network_timeout=timeout,
                **(more if self.secure else {}),
            )
        try:
            yield client
        finally:
            client.close()

    def _ask(self, call: Callable[[Any, dict[str, Any]], Any], timeout: float | None = None) -> Any:
        seconds = timeout or self._timeout
        more: dict[str, Any] = {"headers": self.headers()}
        if self.is_grpc:
            more["client_timeout"] = seconds
        try:
            with self._client(seconds) as client:
                answer = call(client, more)
        except WorkbenchError:
            raise
        except Exception as error:
            raise self._translated(error) from None
        if hasattr(answer, "DESCRIPTOR"):
            from google.protobuf import json_format

            return json_format.MessageToDict(
                answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
        return answer

    def _translated(self, error: Exception) -> WorkbenchError:
        from tritonclient.utils import InferenceServerException

        if not isinstance(error, InferenceServerException):
            return self._broken(error)
        text = str(error.message() or "")
        match = _STATUS.match(text)
        if match:
            text = text[match.end() :]
        status = str(error.status() or "").removeprefix("StatusCode.")
        if _MODE in text:
            return ServerModeError(
                "the server does not load models on request",
                hint="start it with --model-control-mode=explicit",
            )
        # A server says UNAVAILABLE of a model, gRPC's own library of a server: ask which it is.
        if status == "UNAVAILABLE":
            problem = tls_problem(text) if self.secure else None
            if problem is not None:
                return self.unreachable(*problem)
            if not self.alive():
                return self.unreachable("nobody listens there", "check address and port")
        if status == TOO_LATE:
            return self._too_late(text.strip())
        return ServerRefused(text.strip(), status)

    def _too_late(self, text: str = "no answer in time") -> WorkbenchError:
        """The error for a call that was not answered in time: by a server that lives, or by nobody."""
        if self.alive():
            return ServerRefused(text, TOO_LATE)
        return self.unreachable("no answer in time", "check address and port")

    def _broken(self, error: Exception) -> WorkbenchError:
        """What an HTTP call ended with that is no answer."""
        if isinstance(error, TimeoutError):
            return self._too_late()
        problem = tls_problem(str(error)) if self.secure else None
        if problem is not None:
            return self.unreachable(*problem)
        if isinstance(error, (OSError, ValueError)) or type(error).__module__.startswith("geventhttpclient"):
            return self.unreachable(_reason(error), "check address and port")
        return WorkbenchError(f"{type(error).__name__}: {error}")


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"status {error.code}"
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception):
        return _reason(error.reason)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return error.strerror or "no connection"
    if "closed" in type(error).__name__.lower():
        return "the connection ended before the answer"
    return "what answers is something else"
