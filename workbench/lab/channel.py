"""Sends messages over a comm, from any thread."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any

__all__ = ["LIMIT", "VERSION", "Channel", "fit"]

VERSION = 1
LIMIT = 256_000  # bytes of one message
_LINE = 100  # characters of a text that weigh as much as a member of a list


class Channel:
    """One comm. Counts the messages it sends, and keeps each within `LIMIT`."""

    def __init__(self, comm: Any) -> None:
        self._comm = comm
        self._sent = 0
        self._lock = threading.Lock()
        self._closed = False

    def send(self, kind: str, body: dict[str, Any]) -> None:
        """Send a message. One after the end of the link is dropped."""
        body = fit(body)
        with self._lock:
            if self._closed:
                return
            self._sent += 1
            self._publish({"v": VERSION, "kind": kind, "seq": self._sent, "body": body})

    def _publish(self, data: dict[str, Any]) -> None:
        kernel = getattr(self._comm, "kernel", None)
        if kernel is None:
            self._comm.send(data)
            return
        # Not comm.send: that makes the cell running now the parent of the message, and ipykernel then
        # delivers the front end's messages on this comm to the shell of that cell, which is busy, not to the
        # subshell that they were sent to.
        content = {"data": data, "comm_id": self._comm.comm_id}
        kernel.session.send(kernel.iopub_socket, "comm_msg", content, parent={}, ident=self._comm.topic)

    def end(self) -> None:
        """Send nothing more; the other side has closed."""
        with self._lock:
            self._closed = True

    def close(self) -> None:
        """Send nothing more, and say so to the other side."""
        self.end()
        with contextlib.suppress(Exception):  # the kernel may be on its way out
            self._comm.close()


def fit(body: dict[str, Any], limit: int = LIMIT) -> dict[str, Any]:
    """The body, cut until it is no more than `limit` bytes as JSON; a cut one has ``truncated``.

    The list of most members is halved, again and again: of lines the newest stay, of others the first. So the
    blocks of a report go before a report does. A text counts as a list of its lines.
    """
    size = len(json.dumps(body))
    if size <= limit:
        return body
    body = json.loads(json.dumps(body))
    body["truncated"] = True
    while len(json.dumps(body)) > limit:
        _, _, container, key = max(_lists(body), key=lambda each: each[:2])
        whole = container[key]
        half = len(whole) // 2
        container[key] = whole[-half:] if key == "lines" else whole[:half]
    return body


def _lists(value: Any) -> Iterator[tuple[float, int, Any, Any]]:
    """(members, length, container, key) of every list and text within."""
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in members:
        if isinstance(each, str):
            yield len(each) / _LINE, len(each), value, key
        elif isinstance(each, list):
            yield float(len(each)), len(each), value, key
        if isinstance(each, (dict, list)):
            yield from _lists(each)
