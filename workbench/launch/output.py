"""A stub's output, line by line, while it comes; the last lines kept for crash reports."""

from __future__ import annotations

import fcntl
import os
import select
import sys
import termios
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["OutputReader"]

_KEPT_LINES = 200
_LINE_LIMIT = 16_384  # characters kept of a line that does not end
_CHUNK = 65_536  # bytes of one read; all that a pipe holds unless somebody enlarged it


class OutputReader:
    """Reads a pipe in a thread of its own, and in the caller's when asked to catch up.

    Both take the same lock around the read itself, so after `drain` every line the process had written before
    is with `on_line`, in order.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        """Take over the read end of a pipe."""
        os.set_blocking(descriptor, False)
        self._fd = descriptor
        self._lock = threading.RLock()
        self._partial = b""
        self._kept: deque[str] = deque(maxlen=_KEPT_LINES)
        self._captured: list[str] | None = None
        self._ended = False
        self._stop_r, self._stop_w = os.pipe2(os.O_CLOEXEC)
        self._ready = select.poll()
        self._ready.register(descriptor, select.POLLIN)
        #: Called with each line, without its line end. It must not raise.
        self.on_line: Callable[[str], None] | None = None
        self._thread = threading.Thread(target=self._run, name=f"workbench-output-{name}", daemon=True)
        self._thread.start()

    def tail(self, count: int = 8) -> list[str]:
        """The last lines seen, oldest first."""
        with self._lock:
            kept = list(self._kept)
        return kept[-count:] if count else []

    def drain(self) -> None:
        """Hand over everything written up to now, and no more: a model, or a process that it left behind, may
        write without a pause.
        """
        # Under the lock: the thread may have taken lines out of the pipe that it has not handed over yet.
        with self._lock:
            events = self._ready.poll(0) if self._fd >= 0 else []
            if events:
                # Where nobody can write any more there is an end to come to.
                left = sys.maxsize if events[0][1] & select.POLLHUP else _waiting(self._fd)
                while left > 0 and (count := self._read(left)):
                    left -= count

    @contextmanager
    def capture(self) -> Iterator[list[str]]:
        """Lines go to the list given, and nowhere else, while this is open."""
        lines: list[str] = []
        self.drain()
        with self._lock:
            self._captured = lines
        try:
            yield lines
        finally:
            self.drain()
            with self._lock:
                self._captured = None

    def close(self) -> None:
        """Hand over what is left and stop the thread. Idempotent."""
        with self._lock:
            if self._fd < 0:
                return
            self.drain()
            self._end_of_output()
            os.write(self._stop_w, b"x")
        if threading.current_thread() is not self._thread:
            self._thread.join()
        with self._lock:
            self._ready.unregister(self._fd)
            for descriptor in (self._fd, self._stop_r, self._stop_w):
                os.close(descriptor)
            self._fd = -1
            # It knows the stub's instance, which knows this: a region would hang on that circle.
            self.on_line = None

    def _run(self) -> None:
        waiting = select.poll()
        waiting.register(self._fd, select.POLLIN)
        waiting.register(self._stop_r, select.POLLIN)
        while True:
            events = dict(waiting.poll())
            if self._stop_r in events:
                return
            self._read(_CHUNK)
            if self._ended:
                waiting.unregister(self._fd)  # only the stop is left to wait for

    def _read(self, most: int) -> int:
        """Read once what there is, and hand over its lines; gives the number of bytes."""
        with self._lock:
            if self._ended or self._fd < 0:
                return 0
            try:
                data = os.read(self._fd, min(most, _CHUNK))
            except BlockingIOError:
                return 0
            if not data:
                self._end_of_output()
                return 0
            *lines, self._partial = (self._partial + data).split(b"\n")
            for line in lines:
                self._line(line)
            if len(self._partial) > _LINE_LIMIT:
                self._line(self._partial)
                self._partial = b""
            return len(data)

    def _end_of_output(self) -> None:
        self._ended = True
        if self._partial:
            self._line(self._partial)
            self._partial = b""

    def _line(self, raw: bytes) -> None:
        line = raw.decode("utf-8", "replace").rstrip("\r")
        if self._captured is not None:
            self._captured.append(line)
            return
        self._kept.append(line)
        if self.on_line is not None:
            self.on_line(line)


def _waiting(descriptor: int) -> int:
    """Bytes that a pipe holds."""
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
