"""A collector of OpenTelemetry spans on loopback, for servers that this process starts."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["ServerSpan", "SpanCollector"]

_MOST_BYTES = 16 << 20  # of one message
_MOST_TRACES = 256


@dataclass(frozen=True)
class ServerSpan:
    """A span as a Triton server reports it. Times are nanoseconds since 1970.

    ``model`` is "" for spans that are no model's: the whole request, a model's computation.
    """

    id: str
    parent: str
    name: str
    model: str
    start: int
    end: int
    events: dict[str, int] = field(default_factory=dict)


class SpanCollector:
    """Takes OTLP/HTTP messages in their JSON form, which Triton's servers send. Keeps the last traces."""

    def __init__(self) -> None:
        self._traces: OrderedDict[str, list[ServerSpan]] = OrderedDict()
        self._changed = threading.Condition()
        # Others on this machine can reach the port: they do not know the path.
        self._path = f"/{secrets.token_urlsafe(16)}/v1/traces"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="workbench-spans", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{self._path}"

    def wait(
        self, trace: str, complete: Callable[[list[ServerSpan]], bool], timeout: float
    ) -> list[ServerSpan]:
        """Spans of a trace once they are complete, or those there are after `timeout` seconds."""
        end = time.monotonic() + timeout
        with self._changed:
            while not complete(found := self._traces.get(trace, [])):
                left = end - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            return list(found)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, message: Any) -> None:
        with self._changed:
            for resource in message["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    for each in scope["spans"]:
                        self._traces.setdefault(each["traceId"], []).append(_span(each))
            while len(self._traces) > _MOST_TRACES:
                self._traces.popitem(last=False)
            self._changed.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length") or "0"
                size = int(length) if length.isdecimal() else _MOST_BYTES + 1
                status = 404 if self.path != collector._path else 413 if size > _MOST_BYTES else 200
                if status == 200:
                    try:
                        collector._take(json.loads(self.rfile.read(size)))
                    except (ValueError, KeyError, TypeError):
                        status = 400
                self.send_response(status)
                self.send_header("Content-Length", "0")
                if status != 200:
                    self.send_header("Connection", "close")
                    self.close_connection = True
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def _span(data: dict[str, Any]) -> ServerSpan:
    values = {each["key"]: each["value"] for each in data.get("attributes", ())}
    return ServerSpan(
        data["spanId"],
        data.get("parentSpanId", ""),
        data["name"],
        str(values.get("triton.model_name", {}).get("stringValue", "")),
        int(data["startTimeUnixNano"]),
        int(data["endTimeUnixNano"]),
        {each["name"]: int(each["timeUnixNano"]) for each in data.get("events", ())},
    )
