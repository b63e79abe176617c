"""Debugging inside a stub: pdb over the line to the session, and debugpy's listener for an IDE.

The session says when somebody is there to answer (`attend` ... `leave`). Otherwise nothing here waits.
"""

from __future__ import annotations

import bdb
import code
import contextlib
import inspect
import os
import pdb
import queue
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from workbench._line import Message
from workbench._stub_failures import is_users
from workbench._stub_line import StubLine

__all__ = ["Debugger", "NoDebugger"]

_LOOPBACK = "127.0.0.1"
_CHUNK = 16_000  # characters of one message
_SAY_SECONDS = 10.0
_LOOK_SECONDS = 1.0  # how often a prompt looks whether somebody is still there
# Stepping does not stop in what runs coroutines and threads.
_SKIP = ["asyncio", "asyncio.*", "concurrent.*", "threading", "contextlib", "selectors"]


class NoDebugger(RuntimeError):  # noqa: N818 - models' authors see the name
    """``breakpoint()`` was reached, and nobody is there to debug."""


class _Talk:
    """A file for pdb: what it writes goes to the session, what it reads is what the user types."""

    encoding = "utf-8"

    def __init__(self, stub: StubLine, is_over: Callable[[], bool]) -> None:
        self._stub = stub
        self.is_over = is_over
        self._text = ""
        self.answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def write(self, text: str) -> int:
        self._text += text
        return len(text)

    def flush(self) -> None:
        """Text goes out with the next prompt, or at the end."""

    def readline(self, size: int = -1) -> str:
        """The user's next line; "" when there are no more."""
        while not self.answers.empty():
            self.answers.get()
        self._say(len(self._text) - len(self._text.rpartition("\n")[2]))
        if not self._stub.line.send({"kind": "prompt", "text": self._text}, _SAY_SECONDS):
            return ""
        self._text = ""
        while True:
            try:
                answer = self.answers.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if self.is_over():
                    return ""
            else:
                return "" if answer is None else answer + "\n"

    def end(self) -> None:
        """Send what has not been sent."""
        self._say(len(self._text))

    def _say(self, count: int) -> None:
        text, self._text = self._text[:count], self._text[count:]
        for start in range(0, len(text), _CHUNK):
            self._stub.line.send({"kind": "say", "text": text[start : start + _CHUNK]}, _SAY_SECONDS)


class _Pdb(pdb.Pdb):
    """pdb that shows the model's frames only, and stops where the model ends."""

    def __init__(self, debugger: Debugger) -> None:
        talk: Any = debugger.talk
        super().__init__(skip=_SKIP, stdin=talk, stdout=talk, nosigint=True, readrc=False)
        self.use_rawinput = False
        self._debugger = debugger

    def trace_dispatch(self, frame: FrameType, event: str, arg: Any) -> Any:
        try:
            return super().trace_dispatch(frame, event, arg)
        except bdb.BdbQuit:
            if self._debugger.refusal:
                raise NoDebugger(self._debugger.refusal) from None
            raise

    def interaction(self, *args: Any, **more: Any) -> None:
        if not self._debugger.attended:  # a stop left over from a request that somebody stepped through
            self.set_continue()
            return
        with self._debugger.one_at_a_time:
            try:
                super().interaction(*args, **more)
            finally:
                self._debugger.talk.end()

    def get_stack(self, f: Any, t: Any) -> tuple[list[tuple[FrameType, int]], int]:
        stack, index = super().get_stack(f, t)
        first = next((n for n, (frame, _) in enumerate(stack) if is_users(frame.f_code.co_filename)), 0)
        return stack[first:], max(index - first, 0)

    def dispatch_return(self, frame: FrameType, arg: Any) -> Any:
        result = super().dispatch_return(frame, arg)
        suspends = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
        if frame.f_code.co_flags & suspends or not is_users(frame.f_code.co_filename):
            return result
        caller = frame.f_back
        while caller is not None and not is_users(caller.f_code.co_filename):
            caller = caller.f_back
        if caller is None:  # the model is through: nothing is left to step through
            self.set_continue()
            if not self.breaks:
                return None
        return result

    def do_interact(self, arg: str) -> None:
        """Interpret Python until end of input (Ctrl-D, or an interrupt)."""
        frame = self.curframe
        if frame is None:
            return
        talk: Any = self._debugger.talk

        def read(prompt: str = "") -> str:
            talk.write(prompt)
            line: str = talk.readline()
            if not line:
                raise EOFError
            return line.rstrip("\n")

        console = code.InteractiveConsole({**frame.f_globals, **frame.f_locals})
        console.write = talk.write  # type: ignore[method-assign]
        console.raw_input = read  # type: ignore[method-assign]
        with contextlib.redirect_stdout(talk):
            console.interact(banner="*interactive*", exitmsg="")


class Debugger:
    """What is attached to this stub."""

    def __init__(self, stub: StubLine) -> None:
        self._stub = stub
        self._attended = False
        self._on_error = False
        self._refusal = ""
        self._pdb: _Pdb | None = None
        self.talk = _Talk(stub, lambda: not self.attended)
        self.one_at_a_time = threading.RLock()
        stub.handlers.update(
            {
                "attend": self._attend,
                "leave": self._leave,
                "input": lambda message: self.talk.answers.put(message["text"]),
                "refuse": self._refuse,
                "listen": self._listen,
            }
        )
        # Older than `breakpoint()`, and meant as well.
        pdb.set_trace = lambda *args, **more: self.breakpoint(sys._getframe(1), args, more)

    @property
    def refusal(self) -> str:
        """Why the session cannot let anybody answer, or ""."""
        return self._refusal

    @property
    def attended(self) -> bool:
        """Somebody is at the prompt now."""
        self._stub.catch_up()
        return self._attended and self._stub.mine and not self._stub.line.ended

    # -- what the session says -----------------------------------------------------------------------------

    def _attend(self, message: Message) -> None:
        self._attended, self._on_error, self._refusal = True, bool(message["on_error"]), ""

    def _leave(self, message: Message) -> None:
        self._attended = False
        self.talk.answers.put(None)

    def _refuse(self, message: Message) -> None:
        self._refusal = message["why"]
        self._leave(message)

    # -- stops ---------------------------------------------------------------------------------------------

    def breakpoint(self, frame: FrameType, args: Any, more: Any) -> Any:
        """``breakpoint()`` was reached in this frame.

        Raises:
            NoDebugger: nobody is there to debug.
        """
        if os.environ.get("PYTHONBREAKPOINT"):  # the user's own choice
            return sys.__breakpointhook__(*args, **more)
        if self._in_ide(frame):
            return None
        if not self.attended:
            raise NoDebugger("breakpoint() was reached, and no debugger is attached")
        if self._pdb is None:
            self._pdb = _Pdb(self)
        self._pdb.set_trace(frame)
        return None

    def failed(self, exception: BaseException) -> None:
        """An exception has left the model: look at it where it was raised."""
        ended = isinstance(exception, (bdb.BdbQuit, NoDebugger, SystemExit))
        if ended or exception.__traceback__ is None or not self.attended or not self._on_error:
            return
        look = _Pdb(self)
        look.reset()
        self.talk.write(f"{type(exception).__name__}: {exception}\n")
        look.interaction(None, exception.__traceback__)

    # -- an IDE --------------------------------------------------------------------------------------------

    def _in_ide(self, frame: FrameType) -> bool:
        """Stop in an IDE, if one is attached."""
        debugpy = sys.modules.get("debugpy")
        if debugpy is None or not debugpy.is_client_connected():
            return False
        import pydevd  # type: ignore[import-not-found]  # debugpy's own

        pydevd.settrace(suspend=True, trace_only_current_thread=True, stop_at_frame=frame)
        return True

    def _listen(self, message: Message) -> None:
        threading.Thread(
            target=self._start, args=(message["port"],), name="workbench-ide", daemon=True
        ).start()

    def _start(self, port: int) -> None:
        os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # it would warn of frozen modules on every start
        answer: Message = {"kind": "listening"}
        try:
            import debugpy

            if port:
                socket.create_server((_LOOPBACK, port)).close()  # debugpy would exit without a word
            _, port = debugpy.listen((_LOOPBACK, port), in_process_debug_adapter=True)
            answer |= {"port": port}
        except (Exception, SystemExit) as error:
            answer |= {"error": f"{type(error).__name__}: {error}"}
        self._stub.line.send(answer, _SAY_SECONDS)
        if "error" not in answer:
            debugpy.wait_for_client()
            self._stub.line.send({"kind": "client"}, _SAY_SECONDS)
