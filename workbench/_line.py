"""A private line between a session and one stub of ours, beside Triton's protocol.

A pair of connected sockets without a name, made by whoever starts the stub: nobody else can speak on it. JSON
messages, each with a ``kind``. Both ends use this class, and a stub imports it, so it needs next to nothing.
See docs/design/debugging.md.
"""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from typing import Any

__all__ = ["VARIABLE", "Line", "Message", "line_pair"]

#: Names the descriptor of the stub's end in the environment of a stub that starts.
VARIABLE = "TRITON_WORKBENCH_LINE"

Message = dict[str, Any]

_LIMIT = 1 << 17  # bytes of one message; the system's limit is somewhat higher


class Line:
    """One end. Thread-safe."""

    def __init__(self, connection: socket.socket) -> None:
        """Take over a connected socket."""
        connection.setblocking(False)
        self._socket = connection
        self._receiving = threading.Lock()
        self._ended = False

    @property
    def ended(self) -> bool:
        """The other side has hung up, as far as has been read."""
        return self._ended

    def fileno(self) -> int:
        """For poll; -1 once closed."""
        return self._socket.fileno()

    def send(self, message: Message, seconds: float = 0.0) -> bool:
        """Send a message; False if there was no room for it in time, it is too large, or nobody is there."""
        data = json.dumps(message).encode()
        end = time.monotonic() + seconds
        while len(data) <= _LIMIT and self.fileno() >= 0:
            try:
                self._socket.send(data)
            except BlockingIOError:
                room = select.poll()
                room.register(self._socket, select.POLLOUT)
                if not room.poll(max(end - time.monotonic(), 0.0) * 1e3):
                    return False
            except OSError:
                return False
            else:
                return True
        return False

    def receive(self) -> list[Message]:
        """All that has come and was not read yet, in order. Never waits."""
        found: list[Message] = []
        with self._receiving:
            while not self._ended and self.fileno() >= 0:
                try:
                    data = self._socket.recv(_LIMIT)
                except BlockingIOError:
                    break
                except OSError:
                    data = b""
                if not data:
                    self._ended = True
                    break
                found.append(json.loads(data))
        return found

    def wait(self, seconds: float | None) -> bool:
        """Whether there is something to read, or the end, within the time (None: for ever)."""
        if self._ended or self.fileno() < 0:
            return True
        ready = select.poll()
        ready.register(self._socket, select.POLLIN)
        return bool(ready.poll(None if seconds is None else max(seconds, 0.0) * 1e3))

    def close(self) -> None:
        """Hang up. Idempotent."""
        self._socket.close()


def line_pair() -> tuple[Line, socket.socket]:
    """A line: this process's end, and the stub's, to be handed over and closed here."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Line(ours), theirs
