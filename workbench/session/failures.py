"""From what a stub says of a failure to an error at the lines of the user's cell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from workbench.errors import (
    Cause,
    Frame,
    InferTimeout,
    ModelExecutionError,
    ModelLoadError,
    RequestInfo,
    StubCrashedError,
)
from workbench.messages import InferResponse
from workbench.model_source import ModelEntry
from workbench.session.failure_details import make_frames, told

__all__ = [
    "ERROR_CODES",
    "EXHAUSTED_HINT",
    "Witness",
    "cause_of",
    "clean",
    "crashed",
    "execution_error",
    "is_dump",
    "keeps",
    "load_error",
    "make_frames",
    "parse_detail",
    "parse_stack",
    "timed_out",
]

_TEXT = 2000  # characters shown of what a model raised

# pb_utils contract §6.1: what precedes the text of a failed batch.
_BATCH = re.compile(
    r"Failed to process the request\(s\) for model (?:instance )?'[^']*', message: ", re.DOTALL
)
_AT = "\n\nAt:\n"
_FRAME = re.compile(r"^  (?P<file>.+)\((?P<line>\d+)\): (?P<function>.+)$")
_SYNTAX = re.compile(r"\((?P<file>[^()]*\.py), line (?P<line>\d+)\)$")
_DUMP_THREAD = re.compile(r"^(Current thread|Thread) 0x[0-9a-f]+.*\(most recent call first\):")
_DUMP_FRAME = re.compile(r'^  File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>.+)$')

#: TritonError codes by number (TRITONSERVER_Error_Code, then the backend's own).
ERROR_CODES = (
    "UNKNOWN",
    "INTERNAL",
    "NOT_FOUND",
    "INVALID_ARG",
    "UNAVAILABLE",
    "UNSUPPORTED",
    "ALREADY_EXISTS",
    "CANCELLED",
)

#: What to do about a region that cannot grow.
EXHAUSTED_HINT = "containers default to 64 MiB; raise --shm-size"

_INTERNAL = 1
_RETURN_HINTS = (
    ("Expected a list in the execute return", "end execute with: return [response for each request]"),
    (
        "Expected an 'InferenceResponse' object",
        "wrap outputs: pb_utils.InferenceResponse(output_tensors=[...])",
    ),
    (
        "Number of InferenceResponse objects do not match",
        "execute returns one response per request, in their order",
    ),
    (
        "returned no response for request",
        "return a response, or answer through request.get_response_sender()",
    ),
    ("does not implement `execute` method", "add def execute(self, requests) to TritonPythonModel"),
    (
        "Please use 'decoupled=True' argument",
        "call it with request.exec(decoupled=True), which gives an iterator",
    ),
    (
        "Failed for execute the inference request. Model '",
        "load the model it calls first; %triton models lists them",
    ),
    ("Failed to increase the shared memory pool size", EXHAUSTED_HINT),
    ("is using the decoupled mode", "answer with request.get_response_sender().send(...), and return None"),
)


def parse_detail(text: str) -> tuple[str, list[tuple[str, int, str]]]:
    """``Type: text`` and (file, line, function), outermost first, of a stub's exception text (§6.2)."""
    head, found, tail = text.rpartition(_AT)
    if not found:
        return text.strip(), []
    frames = []
    for each in tail.splitlines():
        match = _FRAME.match(each)
        if match:
            frames.append((match["file"], int(match["line"]), match["function"]))
    return head.strip(), frames[::-1]


def cause_of(text: str) -> str:
    """What went wrong, of an error response's text: ``Type: text`` of a failed batch, else the text."""
    match = _BATCH.match(text)
    return parse_detail(text[match.end() :] if match else text)[0]


def parse_stack(lines: Sequence[str], entry: ModelEntry) -> list[Frame]:
    """The thread that was in the model, out of a dump of all threads; [] if none was."""
    threads: list[list[tuple[str, int, str]]] = []
    for line in lines:
        if _DUMP_THREAD.match(line):
            threads.append([])
        elif threads and (match := _DUMP_FRAME.match(line)):
            threads[-1].append((match["file"], int(match["line"]), match["function"]))
    for raw in reversed(threads):  # the dump ends with the thread that was running
        frames = make_frames(entry, raw[::-1])
        if any(frame.is_model for frame in frames):
            return [frame for frame in frames if frame.is_model]
    return []


def is_dump(line: str) -> bool:
    """Whether a line of output belongs to a stack dump rather than to the model."""
    return bool(
        _DUMP_THREAD.match(line)
        or _DUMP_FRAME.match(line)
        or line.startswith(("Fatal Python error:", "Extension modules:", "Current thread's C stack trace"))
    )


class Witness(Protocol):
    """Who knows more of a failure than its text says."""

    def failure(self, text: str) -> list[dict[str, Any]]:
        """The exception with this wire text in full, [] if nothing is known of it."""

    def entry_of(self, file: str) -> ModelEntry | None:
        """The model that a path belongs to."""


def load_error(
    entry: ModelEntry,
    text: str,
    *,
    serving: str,
    output: Sequence[str] = (),
    lines: Witness | None = None,
) -> ModelLoadError:
    """What the stub said when import, auto-complete or ``initialize`` failed."""
    found = _explain(entry, text, lines)
    frames = list(found.frames)
    if not frames and (match := _SYNTAX.search(found.cause)):
        frames = make_frames(entry, _syntax_place(entry, match["file"], int(match["line"])))
    hint = ""
    if found.cause.startswith("ModuleNotFoundError"):
        hint = "%pip install it: the model uses the packages of this kernel"
        if "EXECUTION_ENV_PATH" in entry.config.parameters:
            hint = "install it in the execution environment, and pack that again"
    return ModelLoadError(
        f"{found.cause} ({entry.name}){keeps(serving)}",
        cause=found.cause,
        frames=frames,
        causes=found.causes,
        serving=serving,
        hint=hint or _debugger_hint(entry, found.cause),
        output=output,
    )


def execution_error(
    entry: ModelEntry,
    code: int,
    text: str,
    request: RequestInfo,
    responses: Sequence[InferResponse] = (),
    lines: Witness | None = None,
    *,
    live: bool = True,
) -> ModelExecutionError:
    """An error response: a failed batch, or the model's own ``TritonError``.

    ``live``: the request was recorded here, and the model can be debugged.
    """
    error = _execution_error(entry, code, text, request, responses, lines, live)
    error.wire_text = text
    return error


def _execution_error(
    entry: ModelEntry,
    code: int,
    text: str,
    request: RequestInfo,
    responses: Sequence[InferResponse],
    lines: Witness | None,
    live: bool,
) -> ModelExecutionError:
    name = ERROR_CODES[code] if 0 <= code < len(ERROR_CODES) else str(code)
    match = _BATCH.match(text)
    if match is not None and _is_of_another(entry, text[match.end() :], lines):
        match = None  # passed on as the model's own answer
    found = _explain(entry, text[match.end() :] if match else text, lines)
    cause, hint = found.cause, next((advice for start, advice in _RETURN_HINTS if start in found.cause), "")
    if match is None and not (hint and code == _INTERNAL):
        place = f"request {request.index} of {request.count}"
        inner = _inner(text.strip(), lines)
        return ModelExecutionError(
            f"{_bounded(clean(entry, inner.text))} ({entry.name})",
            cause=text.strip(),
            causes=inner.causes,
            where=f"{entry.name} answered {place} with an error, code {name}",
            code=name,
            request=request,
            responses=responses,
        )
    frames = list(found.frames)
    if hint and not frames:
        # Said of what execute returned, so it has no traceback: point at execute itself.
        line = entry.source.line_of("TritonPythonModel.execute")
        if line:
            frames = make_frames(entry, [(str(entry.code_file), line, "execute")])
    elif live and not hint and any(frame.is_model for frame in frames):
        hint = f"%triton replay {entry.name} --last-error   (or %triton debug {entry.name})"
    return ModelExecutionError(
        f"{cause} ({entry.name})",
        cause=cause,
        frames=frames,
        causes=found.causes,
        where=f"{entry.name}.execute, request {request.index} of {request.count}",
        code=name,
        request=request,
        responses=responses,
        hint=_debugger_hint(entry, cause) or hint,
    )


def _is_of_another(entry: ModelEntry, text: str, lines: Witness | None) -> bool:
    """Whether this failure happened in a model that this one called."""
    _, raw = parse_detail(text)
    found = [lines.entry_of(file) for file, _, _ in raw] if lines is not None else []
    return entry not in found and any(each is not None for each in found)


@dataclass(frozen=True)
class _Explained:
    cause: str
    frames: Sequence[Frame]
    causes: tuple[Cause, ...]


@dataclass(frozen=True)
class _Inner:
    """A text, and what it says of another model's failure."""

    text: str
    causes: tuple[Cause, ...] = ()


def _explain(entry: ModelEntry, text: str, lines: Witness | None) -> _Explained:
    """A stub's text for an exception, with all that is known of the exception."""
    cause, raw = parse_detail(text)
    inner = _inner(cause, lines)
    cause = _bounded(clean(entry, inner.text))
    if cause.startswith("BdbQuit"):
        cause = "the debugger ended the request"
    elif cause.isidentifier() or cause[:-1].isidentifier():
        cause = cause.rstrip(":")  # an exception without a text
    chain = lines.failure(text) if lines is not None else []
    if not chain:
        return _Explained(cause, make_frames(entry, raw), inner.causes)
    whole = told(entry, chain, lambda each: _bounded(clean(entry, _inner(each, None).text)))
    return _Explained(cause, whole.frames, whole.causes + inner.causes)


def _inner(text: str, lines: Witness | None) -> _Inner:
    """Take apart the text of a model that passes on the failure of one it called."""
    match = _BATCH.search(text)
    if match is None:
        return _Inner(text)
    said = text[match.end() :]
    cause, raw = parse_detail(said)
    deeper = _inner(cause, lines)
    entry = lines.entry_of(raw[-1][0]) if lines is not None and raw else None
    if entry is None:
        return _Inner(text[: match.start()] + deeper.text, deeper.causes)
    assert lines is not None
    # The line end after the last frame is lost on the way.
    chain = lines.failure(said) or lines.failure(said.rstrip("\n") + "\n")
    frames: Sequence[Frame] = make_frames(entry, raw)
    behind: tuple[Cause, ...] = ()
    if chain:
        whole = told(entry, chain, lambda each: _bounded(clean(entry, _inner(each, None).text)))
        frames, behind = whole.frames, whole.causes
    own = Cause("caused by", f"{_bounded(clean(entry, deeper.text))} ({entry.name})", tuple(frames))
    return _Inner(text[: match.start()] + deeper.text, (own, *behind, *deeper.causes))


def _syntax_place(entry: ModelEntry, name: str, line: int) -> list[tuple[str, int, str]]:
    """Where a SyntaxError that names a file without its folder was found."""
    if name == entry.code_file.name:
        return [(str(entry.code_file), line, "<module>")]
    beside = next((each for each, _ in entry.source.siblings if each.rpartition("/")[2] == name), None)
    return [(str(entry.code_file.parent / beside), line, "<module>")] if beside is not None else []


def _debugger_hint(entry: ModelEntry, cause: str) -> str:
    stopped = cause.startswith(("NoDebugger", "the debugger ended"))
    return f"%triton debug {entry.name}" if stopped else ""


def _bounded(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}... ({len(text)} characters)"


def crashed(
    entry: ModelEntry, reason: str, phase: str, outcome: str, output: Sequence[str], hint: str = ""
) -> StubCrashedError:
    """``add_sub died (SIGSEGV) in execute; restarted with src:3f9a1c2``, with the last lines of output."""
    return StubCrashedError(
        f"{entry.name} died ({reason}) {phase}; {outcome}",
        reason=reason,
        frames=parse_stack(output, entry),
        output=[clean(entry, line) for line in output if line.strip() and not is_dump(line)][-8:],
        hint=hint or "a server of release 24.06 or later does not restart a dead stub",
    )


def timed_out(entry: ModelEntry, message: str, stack: Sequence[str], hint: str) -> InferTimeout:
    """A request that got no answer, with where the model was."""
    return InferTimeout(message, frames=parse_stack(stack, entry), hint=hint)


def keeps(serving: str) -> str:
    """What a failed load says of who still answers."""
    return f"; {serving} keeps serving" if serving else ""


def clean(entry: ModelEntry, text: str) -> str:
    """Without the temporary folder in front of the model's own paths."""
    if not entry.owned:
        return text
    # A text can carry the error of another model it called: every revision's folder goes.
    return re.sub(re.escape(str(entry.path.parent.parent)) + r"/\d+/", "", text)
