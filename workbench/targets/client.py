"""One way to talk to a Triton server, over HTTP or gRPC, in errors of ours.

``tritonclient`` does the talking. Its HTTP client must stay in one thread, so each call makes its own.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from workbench.errors import WorkbenchError, WorkbenchUsageError
from workbench.server_errors import ServerModeError, ServerUnreachable

__all__ = ["ServerClient", "ServerRefused"]

_PORTS = {"http": 8000, "https": 443, "grpc": 8001, "grpcs": 443}
_MODE = "explicit model load / unload is not allowed"
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
        timeout: float = 60.0,
        load_timeout: float = 600.0,
    ) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError:
            port = 0
        if parts.scheme not in _PORTS or not parts.hostname or port == 0 or "@" in parts.netloc:
            raise WorkbenchUsageError(
                f"cannot read the address {url!r}", hint="http://host:8000 or grpc://host:8001"
            )
        self.scheme = parts.scheme
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.address = f"{host}:{port or _PORTS[parts.scheme]}{parts.path.rstrip('/')}"
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

    def index(self) -> list[dict[str, Any]]:
        """Every model of the repository with its state. Models loaded from sent files are not in it."""
        found = self._ask(lambda client, more: client.get_model_repository_index(**more))
        return list(found.get("models", []) if isinstance(found, dict) else found)

    def load(self, name: str, config: str | None = None, files: Mapping[str, bytes] | None = None) -> None:
        """Load a model; with `files` from these alone.

        Args:
            name: The model's name.
            config: JSON in place of config.pbtxt; needed if there are files.
            files: Path inside the model's folder → content.

        Raises:
            ServerRefused: it did not load; the text says why.
            ServerModeError: the server does not take such requests.
        """
        named = {f"file:{path}": data for path, data in files.items()} if files else None
        self._ask(
            lambda client, more: client.load_model(name, config=config, files=named, **more),
            self._load_timeout,
        )

    def unload(self, name: str) -> None:
        self._ask(lambda client, more: client.unload_model(name, **more))

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

    def infer(self, name: str, inputs: list[tuple[str, str, tuple[int, ...], Any]], **options: Any) -> Any:
        """One request; inputs are (name, datatype, shape, NumPy array). Gives tritonclient's result."""
        # HTTP's client takes no timeout per call in seconds: its connection has one.
        timeout = options.pop("seconds", None)
        if self.is_grpc and timeout is not None:
            options["client_timeout"] = timeout
        return self._ask(
            lambda client, more: client.infer(
                name, self._inputs(inputs), **options, **{k: v for k, v in more.items() if k == "headers"}
            ),
            timeout or self._timeout,
        )

    def stream(
        self, name: str, inputs: list[tuple[str, str, tuple[int, ...], Any]], **options: Any
    ) -> Iterator[Any]:
        """Responses to one request as they come. gRPC only; leaving early cancels the request."""
        if not self.is_grpc:
            raise WorkbenchUsageError(
                "responses one by one need gRPC", hint="%triton connect grpc://HOST:8001 --as NAME"
            )
        timeout = options.pop("seconds", None) or self._timeout
        answers: SimpleQueue[tuple[Any, Any]] = SimpleQueue()
        with self._client(timeout) as client:
            client.start_stream(
                callback=lambda result, error: answers.put((result, error)),
                stream_timeout=timeout,
                headers=self.headers(),
            )
            try:
                client.async_stream_infer(
                    name, self._inputs(inputs), enable_empty_final_response=True, **options
                )
                while True:
                    result, error = answers.get()
                    if error is not None:
                        raise _translated(error, self.address)
                    final = result.get_response().parameters["triton_final_response"].bool_param
                    if result.get_response().outputs or not final:
                        yield result
                    if final:
                        return
            finally:
                client.stop_stream(cancel_requests=True)

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
        if self.is_grpc:
            from tritonclient import grpc

            client: Any = grpc.InferenceServerClient(self.address, ssl=self.secure)
        else:
            from tritonclient import http

            client = http.InferenceServerClient(
                self.address, ssl=self.secure, connection_timeout=min(timeout, 60.0), network_timeout=timeout
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
            raise _translated(error, self.address) from None
        if hasattr(answer, "DESCRIPTOR"):
            from google.protobuf import json_format

            return json_format.MessageToDict(
                answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
        return answer


def _translated(error: Exception, address: str) -> WorkbenchError:
    from tritonclient.utils import InferenceServerException

    if not isinstance(error, InferenceServerException):
        if isinstance(error, (OSError, json.JSONDecodeError, ValueError)):
            return ServerUnreachable(
                f"no Triton server answers at {address}: {_reason(error)}", hint="check address and port"
            )
        return WorkbenchError(f"{type(error).__name__}: {error}")
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
    if status in ("UNAVAILABLE", "") and ("connect" in text.lower() or "channel" in text.lower()):
        return ServerUnreachable(f"no Triton server answers at {address}", hint="check address and port")
    return ServerRefused(text.strip(), status)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else None) or "what answers is something else"
