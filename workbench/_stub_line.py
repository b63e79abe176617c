"""The stub's end of the line to its session: listens in a thread, and says what failed."""

from __future__ import annotations

import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench._line import Line, Message

if TYPE_CHECKING:
    from workbench._stub_debug import Debugger

__all__ = ["StubLine", "connect", "text_key"]

_OF_PATCHES = frozenset({"patch", "undo_patch"})
_OF_DEBUGGER = frozenset({"attend", "leave", "input", "refuse", "listen"})


class StubLine:
    """Hands each message to the handler of its kind, in the order they came."""

    def __init__(self, line: Line) -> None:
        self.line = line
        #: By kind. They run in the listening thread, or in whichever catches up, and must be quick.
        self.handlers: dict[str, Callable[[Message], None]] = {}
        self._debugger: Debugger | None = None
        self._owner = os.getpid()
        self._lock = threading.RLock()

    @property
    def mine(self) -> bool:
        """False in a process that the model forked: the line is not that one's."""
        return os.getpid() == self._owner

    def start(self) -> None:
        """Listen, in a thread that does not keep the process from ending."""
        threading.Thread(target=self._listen, name="workbench-line", daemon=True).start()

    def catch_up(self) -> None:
        """Handle everything the session has sent before now."""
        with self._lock:
            for message in self.line.receive():
                if message["kind"] in _OF_DEBUGGER:
                    self.debugger()
                elif message["kind"] in _OF_PATCHES:
                    from workbench import _stub_patch  # seldom needed

                    _stub_patch.install(self)
                handler = self.handlers.get(message["kind"])
                if handler is not None:
                    handler(message)

    def failed(self, exception: BaseException, text: str) -> None:
        """A model's exception is about to leave the model as `text`: say more of it, then let it be looked
        at.
        """
        if not self.mine:
            return
        self.describe(exception, text)
        with self._lock:
            self.catch_up()
            debugger = self._debugger
        if debugger is not None:
            debugger.failed(exception)

    def describe(self, exception: BaseException, text: str) -> None:
        """Say more of an exception that crosses as `text`."""
        try:
            from workbench._stub_failures import describe

            self.line.send({"kind": "failure", "of": text_key(text), "chain": describe(exception)})
        except Exception:
            traceback.print_exc()  # the text alone must do

    def breakpoint(self, *args: Any, **more: Any) -> Any:
        """In place of ``sys.breakpointhook``. Raises NoDebugger if nobody is there to debug."""
        return self.debugger().breakpoint(sys._getframe(1), args, more)

    def debugger(self) -> Debugger:
        """Loaded when first needed: pdb and what it imports take longer than a stub takes to start."""
        with self._lock:
            if self._debugger is None:
                from workbench._stub_debug import Debugger

                self._debugger = Debugger(self)
            return self._debugger

    def _listen(self) -> None:
        while not self.line.ended:
            self.line.wait(None)
            self.catch_up()


def text_key(text: str) -> list[int]:
    """What tells one wire text from another, in place of the text, which can be long."""
    from zlib import crc32

    data = text.encode()
    return [crc32(data), len(data)]


def connect(descriptor: int) -> StubLine:
    """Begin to listen on a descriptor that the launcher left."""
    os.set_inheritable(descriptor, False)  # not for programs that the model starts
    stub_line = StubLine(Line(socket.socket(fileno=descriptor)))
    sys.breakpointhook = stub_line.breakpoint
    stub_line.start()
    return stub_line
