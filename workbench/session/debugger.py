"""The session's side of pdb in a model: who is being debugged, and the prompt."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from workbench.cancelling import Worker
from workbench.errors import DebuggerError
from workbench.session.lines import Event, Lines

if TYPE_CHECKING:
    from workbench._line import Line
    from workbench.session.instance import Instance

__all__ = ["Attachment", "Debugger"]

_SLICE = 0.05
_END_SECONDS = 10.0
_START_SECONDS = 60.0  # importing debugpy takes a second on an idle machine
_WAIT_SECONDS = 600.0

T = TypeVar("T")


@dataclass(frozen=True)
class Attachment:
    """How a model is being debugged: always at ``breakpoint()``, and where it fails if ``on_error``."""

    on_error: bool = False


class Debugger:
    """Attaches to models by name. While one is attached, requests sent from the main thread are attended:
    they run in a thread of their own, without time limit, and the main thread answers prompts.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._attached: dict[str, Attachment] = {}
        self._attending = False
        self._work: ContextVar[object] = ContextVar("workbench_debugged", default=None)
        lines.on_join = self._welcome
        #: Asks the user for a line. May raise EOFError, KeyboardInterrupt, or NotImplementedError where
        #: nobody can be asked.
        self.ask: Callable[[str], str] = lambda prompt: input(prompt)
        #: Shows text of the debugger.
        self.show: Callable[[str], None] = lambda text: print(text, end="", flush=True)

    @property
    def attached(self) -> Mapping[str, Attachment]:
        """By model."""
        return self._attached

    def attach(self, name: str, attachment: Attachment) -> None:
        """From now on; a model need not be loaded."""
        self._attached[name] = attachment

    def detach(self, name: str) -> None:
        self._attached.pop(name, None)

    # -- requests ------------------------------------------------------------------------------------------

    def attend(self, work: Callable[[], T]) -> T:
        """Run some work, answering prompts of the models it uses. Ctrl-C at a prompt ends the debugging, and
        otherwise ends the models that work on it.

        Only the main thread can ask the user; elsewhere the work is just run, and ``breakpoint()`` is an
        error.
        """
        main = threading.current_thread() is threading.main_thread()
        if not self._attached or self._attending or not main:
            return work()
        token = object()

        def run() -> T:
            self._work.set(token)
            return work()

        worker = Worker(run, "workbench-debugged")
        try:
            self._attending = True
            for each in self._lines.instances:
                self._welcome(each)
            worker.start()
            while not worker.wait(0.001):
                self._answer()
                _wait_any(self._lines.open)
            self._answer()
        except KeyboardInterrupt:
            if not worker.forestall():
                self._interrupt(token, worker)
            raise
        finally:
            self._attending = False
            for each in self._lines.instances:
                if (line := _line_of(each)) is not None:
                    line.send({"kind": "leave"})
        return worker.result()

    def attend_each(self, items: Iterator[T]) -> Iterator[T]:
        """The same for something that gives its results one by one."""
        end = object()
        try:
            while True:
                item = self.attend(lambda: next(items, end))
                if item is end:
                    return
                yield item  # type: ignore[misc]
        finally:
            close = getattr(items, "close", None)  # a generator's: leaving it early cancels the request
            if close is not None:
                close()

    def _welcome(self, instance: Instance) -> None:
        attachment = self._attached.get(instance.plan.config.name)
        line = _line_of(instance)
        if self._attending and attachment is not None and line is not None:
            line.send({"kind": "attend", "on_error": attachment.on_error})

    def _answer(self) -> None:
        for event in self._lines.take("prompt", "say"):
            assert event.instance.process is not None
            event.instance.process.output.drain()  # what the model printed before it stopped
            text = _at_the_cell(event)
            if event.message["kind"] == "say":
                self.show(text)
                continue
            line = _line_of(event.instance)
            assert line is not None
            line.send(self._reply(text), 1.0)

    def _reply(self, prompt: str) -> dict[str, object]:
        try:
            return {"kind": "input", "text": self.ask(prompt)}
        except (EOFError, KeyboardInterrupt):
            return {"kind": "input", "text": None}
        except NotImplementedError:  # a notebook without a user
            return {"kind": "refuse", "why": "the debugger needs input, and nobody is there to give it"}

    def _interrupt(self, token: object, worker: Worker[T]) -> None:
        """End the processes that work for a request; whoever waits for them replaces them."""
        end = time.monotonic() + _END_SECONDS
        while not worker.wait(0.0) and time.monotonic() < end:
            for each in self._lines.instances:
                context = each.route.context
                if context is not None and context.get(self._work) is token and each.process is not None:
                    each.process.kill()
            worker.wait(_SLICE)

    # -- an IDE --------------------------------------------------------------------------------------------

    def listen(self, name: str, port: int = 0) -> int:
        """Have a debugpy listener in a model's process, on loopback.

        Args:
            name: The model; with several instances, the first.
            port: 0 for any that is free.

        Returns:
            The port.

        Raises:
            DebuggerError: there is no debugpy, the port is taken, or the stub is not ours.
        """
        instance = self._instance(name)
        answer = self._lines.ask(instance, {"kind": "listen", "port": port}, "listening", _START_SECONDS)
        if answer is None:
            raise DebuggerError(f"{name} did not start a listener")
        if "error" in answer:
            missing = "No module named 'debugpy'" in answer["error"]
            raise DebuggerError(
                f"{name} cannot listen for an IDE: {answer['error']}",
                hint="%pip install debugpy" if missing else f"%triton debug {name} --port auto",
            )
        return int(answer["port"])

    def wait_client(self, name: str, seconds: float = _WAIT_SECONDS) -> None:
        """Wait until an IDE has attached. Raises DebuggerError if none does in time."""
        instance = self._instance(name)
        end = time.monotonic() + seconds
        while not self._lines.take("client", instance=instance):
            if time.monotonic() >= end:
                raise DebuggerError(f"no IDE attached to {name} within {seconds:g} s")
            time.sleep(_SLICE)

    def _instance(self, name: str) -> Instance:
        found = [each for each in self._lines.instances if each.plan.config.name == name and not each.lost]
        if not found:
            raise DebuggerError(
                f"{name} has no process that can be debugged",
                hint="models run by NVIDIA's stub have no debugger",
            )
        return found[-1]


def _line_of(instance: Instance) -> Line | None:
    return instance.process.line if instance.process is not None else None


def _at_the_cell(event: Event) -> str:
    """The debugger's text, with the cell's name for the model's file."""
    entry, text = event.instance.plan.entry, str(event.message["text"])
    text = text.replace(str(entry.code_file), entry.source.label)
    for name, sibling in entry.source.siblings:
        text = text.replace(str(entry.code_file.parent / name), sibling.label)
    return text


def _wait_any(lines: Iterable[Line]) -> None:
    """Until a stub says something, the work may be over, or a moment has passed."""
    import select

    ready = select.poll()
    for each in lines:
        with contextlib.suppress(ValueError):  # closed meanwhile
            ready.register(each, select.POLLIN)
    ready.poll(_SLICE * 1e3)
