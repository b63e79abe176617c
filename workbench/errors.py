"""The exceptions users meet.

::

    WorkbenchError(RuntimeError)                 .hint: what to do next, one line
    |- ModelConfigError                          config.pbtxt, a signature or a model name is wrong
    |- InputError                                a request does not fit the model's inputs
    |- ModelFailure                              the model's own code failed: .frames .cause .causes
    |  |- ModelLoadError                         import, auto-complete or initialize; .serving: who answers
    |  `- ModelExecutionError                    execute, or an error response; .request .responses .code
    |- StubCrashedError                          the process died: .reason .output .frames
    |- InferTimeout                              no answer in time: .frames: where the model was
    |- ModelNotFound                             no model of that name here
    |- ShmExhausted                              the shared-memory region could not grow
    |- BlsTargetError, BlsDeadlockError          a call to another model that cannot be answered
    |- DebuggerError                             no debugger can be had here
    |- MetricError                               the metrics registry refused
    |- ReplayMismatch                            a request is answered differently than before: .report
    |- LintError                                 a model would not do on a server what it does here: .report
    `- WorkbenchUsageError(also UsageError)      a magic's arguments are wrong

``str(error)`` is the same for the same source and inputs: no path, pid, address, cell number or time in it.
What varies from run to run (cell labels, last lines of output) is part of the rendered traceback only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

if TYPE_CHECKING:
    from workbench.messages import InferResponse

__all__ = [
    "BlsDeadlockError",
    "BlsTargetError",
    "Cause",
    "DebuggerError",
    "Frame",
    "InferTimeout",
    "InputError",
    "LintError",
    "MetricError",
    "ModelConfigError",
    "ModelExecutionError",
    "ModelFailure",
    "ModelLoadError",
    "ModelNotFound",
    "ReplayMismatch",
    "RequestInfo",
    "ShmExhausted",
    "StubCrashedError",
    "WorkbenchError",
    "WorkbenchUsageError",
]

_CONTEXT_LINES = 2  # shown before a failing line


@dataclass(frozen=True)
class Frame:
    """One line of a model's traceback, innermost last.

    ``label`` names the place for people (``Cell In[2]``, ``model.py``), ``file`` is the path the process saw.
    ``locals`` are previews of the variables there, each at most 160 characters: text, not the values.
    """

    file: str
    line: int
    function: str
    label: str = ""
    source: tuple[str, ...] = field(
        default=(), repr=False
    )  # the whole file's lines, to show some around `line`
    is_model: bool = True
    locals: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def render(self) -> list[str]:
        """The place, then the failing line with two lines before it."""
        out = [f"  {self.label or self.file}, line {self.line}, in {self.function}"]
        if not 0 < self.line <= len(self.source):
            return out
        shown = range(max(1, self.line - _CONTEXT_LINES), self.line + 1)
        texts = {number: self.source[number - 1] for number in shown}
        indents = [len(text) - len(text.lstrip()) for text in texts.values() if text.strip()]
        cut = min(indents, default=0)
        for number in shown:
            text = texts[number][cut:].rstrip()
            arrow = "---->" if number == self.line else "     "
            out.append(f"  {arrow} {number:>3} {text}".rstrip())
        return out


@dataclass(frozen=True)
class Cause:
    """An exception behind another one.

    ``link`` says how it is related: ``caused by`` (``raise ... from``, or a call to another model), ``while
    handling``, ``exception 1 of 2`` (of a group).
    """

    link: str
    text: str  # "KeyError: 'w'"
    frames: tuple[Frame, ...] = ()

    def render(self, full: bool = False) -> list[str]:
        """What it was, and where."""
        first, *more = self.text.splitlines() or [""]
        lines = [f"  {self.link} {first}", *(f"    {line}" for line in more)]
        return lines + _render_frames(self.frames, full)


@dataclass(frozen=True)
class RequestInfo:
    """Which request of a batch failed, and what it carried."""

    model: str
    inputs: str  # "INPUT0 FP32[4], INPUT1 FP32[4]"
    index: int = 1
    count: int = 1


class WorkbenchError(RuntimeError):
    """Root of all errors of this package.

    Args:
        message: One sentence, the same for the same cause on every run.
        hint: What to do next, one line, best something to paste.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        # Python 3.11 and later print these under a traceback; earlier ones ignore the attribute.
        self.__notes__ = [f"hint: {hint}"] if hint else []

    def alone(self) -> WorkbenchError:
        """The same error without its traceback and what it came from, to keep or to raise once more.

        A traceback keeps alive all that its frames name, a channel and its shared memory among them, and
        grows each time that the exception is raised.
        """
        copy = type(self).__new__(type(self), *self.args)
        copy.__dict__.update(self.__dict__)
        copy.__suppress_context__ = self.__suppress_context__
        return copy

    def render(self) -> list[str]:
        """The lines a notebook shows in place of a Python traceback."""
        lines = f"{type(self).__name__}: {self}".splitlines()
        lines += self._details()
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return lines

    def _details(self) -> list[str]:
        return []

    def _render_traceback_(self) -> list[str]:
        # IPython asks the exception itself; our own frames would only hide the message.
        return self.render()


class WorkbenchUsageError(WorkbenchError, UsageError):  # type: ignore[misc]
    """A magic was called with arguments it does not understand.

    IPython prints its plain ``UsageError`` without sending an error message, so a failing cell passes for a
    good one; a subclass is reported as the error it is.
    """

    exit_code = 2


class ModelConfigError(WorkbenchError):
    """config.pbtxt, a tensor signature or a model name is wrong."""


class InputError(WorkbenchError):
    """A request does not fit what the model declares."""


class ModelNotFound(WorkbenchError):  # noqa: N818 - the name users were promised
    """No model of that name."""


class ShmExhausted(WorkbenchError):  # noqa: N818 - the name users were promised
    """The shared-memory region could not grow to hold a request or response."""


class BlsTargetError(WorkbenchError):
    """A model called a model that nobody serves."""


class BlsDeadlockError(WorkbenchError):
    """A chain of calls came back to a model that has no free instance left."""


class MetricError(WorkbenchError):
    """The metrics registry refused an operation. The text is Triton's own."""


class DebuggerError(WorkbenchError):
    """A debugger cannot be had: no input from here, no debugpy, not our stub."""


class _ReportError(WorkbenchError):
    """A check failed; ``report`` is all it found."""

    def __init__(self, message: str, *, report: Any, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.report = report


class ReplayMismatch(_ReportError):  # noqa: N818 - the name users were promised
    """A recorded request was answered differently."""


class LintError(_ReportError):
    """A model's source does what a server refuses, or does otherwise."""

    def _details(self) -> list[str]:
        return [f"  {line}" for line in repr(self.report).splitlines()[1:]]


class ModelFailure(WorkbenchError):  # noqa: N818 - the name users were promised
    """The model's own code failed.

    Attributes:
        frames: The traceback, outermost first; frames of the model itself have ``is_model`` set.
        cause: ``Type: text`` as the model raised it.
        causes: What it was raised from, the nearest first.
        where: A line on where that was, under the message; "" for none.
    """

    def __init__(
        self,
        message: str,
        *,
        cause: str = "",
        frames: Sequence[Frame] = (),
        causes: Sequence[Cause] = (),
        where: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.cause = cause or message
        self.frames = tuple(frames)
        self.causes = tuple(causes)
        self.where = where

    def render(self, full: bool = False) -> list[str]:
        """The error at the model's own lines; ``full`` adds the frames of libraries."""
        lines = f"{type(self).__name__}: {self}".splitlines()
        if self.where:
            lines.append(f"  {self.where}")
        lines += _render_frames(self.frames, full)
        for each in self.causes:
            lines += each.render(full)
        lines += self._details()
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return lines


def _render_frames(frames: Sequence[Frame], full: bool) -> list[str]:
    """The model's own frames; all if there are none, or if all are asked for."""
    own = [frame for frame in frames if frame.is_model]
    lines: list[str] = []
    for _, same in groupby(frames if full or not own else own):
        frame, *others = same
        lines += frame.render()
        if others:  # a function that calls itself
            lines.append(f"  ... {len(others)} more of the same")
    return lines


class ModelLoadError(ModelFailure):
    """The model could not be loaded: import, auto-complete or ``initialize`` failed.

    ``serving`` is the revision (``src:3f9a1c2``) that goes on answering, or "".
    """

    def __init__(self, message: str, *, serving: str = "", output: Sequence[str] = (), **more: Any) -> None:
        super().__init__(message, **more)
        self.serving = serving
        self.output = tuple(output)

    def _details(self) -> list[str]:
        return [f"  | {line}" for line in self.output]


class ModelExecutionError(ModelFailure):
    """``execute`` failed, or the model answered with an error.

    ``code`` is the name of the ``TritonError`` code; ``responses`` are those that came before the error
    (decoupled models); ``request`` says which request it was. ``wire_text`` is what a client of a
    server would get, where that is known.
    """

    wire_text = ""

    def __init__(
        self,
        message: str,
        *,
        code: str = "INTERNAL",
        request: RequestInfo | None = None,
        responses: Sequence[InferResponse] = (),
        **more: Any,
    ) -> None:
        super().__init__(message, **more)
        self.code = code
        self.request = request
        self.responses = list(responses)

    def _details(self) -> list[str]:
        return [f"  inputs: {self.request.inputs}"] if self.request and self.request.inputs else []


class _StackError(WorkbenchError):
    """An error about a process, with the last thing seen of it."""

    def __init__(
        self, message: str, *, frames: Sequence[Frame] = (), output: Sequence[str] = (), hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.frames = tuple(frames)
        self.output = tuple(output)

    def _details(self) -> list[str]:
        own = [frame for frame in self.frames if frame.is_model] or list(self.frames)
        lines = [line for frame in own for line in frame.render()]
        return lines + [f"  | {line}" for line in self.output]


class StubCrashedError(_StackError):
    """The model's process died. ``reason`` is ``SIGSEGV``, ``exit code 3`` and the like."""

    def __init__(self, message: str, *, reason: str = "", **more: Any) -> None:
        super().__init__(message, **more)
        self.reason = reason


class InferTimeout(_StackError):  # noqa: N818 - the name users were promised
    """The model did not answer in time. ``frames`` is where its Python code was."""
