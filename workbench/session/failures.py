"""From what a stub says of a failure to an error at the lines of the user's cell."""

from __future__ import annotations

import re
from collections.abc import Sequence

from workbench.errors import (
    Frame,
    InferTimeout,
    ModelExecutionError,
    ModelLoadError,
    RequestInfo,
    StubCrashedError,
)
from workbench.messages import InferResponse
from workbench.model_source import ModelEntry

__all__ = ["crashed", "execution_error", "load_error", "parse_detail", "parse_stack", "timed_out"]

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


def make_frames(entry: ModelEntry, raw: Sequence[tuple[str, int, str]]) -> list[Frame]:
    """Frames with the cell's name and lines for the model's file."""
    frames = []
    model_file, folder = str(entry.code_file), f"{entry.path}/"
    for file, line, function in raw:
        if file == model_file:
            source = entry.source
            frames.append(Frame(file, line, source.qualified(line, function), source.label, source.lines))
        elif file.startswith(folder):
            inside = file.removeprefix(folder)
            beside = dict(entry.source.siblings).get(inside.partition("/")[2])
            if beside is None:
                frames.append(Frame(file, line, function, inside))
            else:
                frames.append(Frame(file, line, beside.qualified(line, function), beside.label, beside.lines))
        else:
            frames.append(Frame(file, line, function, file, is_model=False))
    return frames


def load_error(entry: ModelEntry, text: str, *, serving: str, output: Sequence[str] = ()) -> ModelLoadError:
    """What the stub said when import, auto-complete or ``initialize`` failed."""
    cause, raw = parse_detail(text)
    cause = clean(entry, cause)
    frames = make_frames(entry, raw)
    if not frames and (match := _SYNTAX.search(cause)) and match["file"].endswith(entry.config.filename):
        frames = make_frames(entry, [(str(entry.code_file), int(match["line"]), "<module>")])
    hint = ""
    if cause.startswith("ModuleNotFoundError"):
        hint = "%pip install it: the model uses the packages of this kernel"
        if "EXECUTION_ENV_PATH" in entry.config.parameters:
            hint = "install it in the execution environment, and pack that again"
    return ModelLoadError(
        f"{cause} ({entry.name}){keeps(serving)}",
        cause=cause,
        frames=frames,
        serving=serving,
        hint=hint,
        output=output,
    )


def execution_error(
    entry: ModelEntry, code: int, text: str, request: RequestInfo, responses: Sequence[InferResponse] = ()
) -> ModelExecutionError:
    """An error response: a failed batch, or the model's own ``TritonError``."""
    name = ERROR_CODES[code] if 0 <= code < len(ERROR_CODES) else str(code)
    match = _BATCH.match(text)
    cause, raw = parse_detail(text[match.end() :] if match else text)
    cause = clean(entry, cause)
    hint = next((advice for start, advice in _RETURN_HINTS if start in cause), "")
    if match is None and not (hint and code == _INTERNAL):
        place = f"request {request.index} of {request.count}"
        return ModelExecutionError(
            f"{clean(entry, text.strip())} ({entry.name})",
            cause=text.strip(),
            where=f"{entry.name} answered {place} with an error, code {name}",
            code=name,
            request=request,
            responses=responses,
        )
    frames = make_frames(entry, raw)
    own = [frame for frame in frames if frame.is_model]
    if hint and not frames:
        # Said of what execute returned, so it has no traceback: point at execute itself.
        line = entry.source.line_of("TritonPythonModel.execute")
        if line:
            frames = make_frames(entry, [(str(entry.code_file), line, "execute")])
    elif own and not hint:
        hint = f"mend line {own[-1].line} and run the cell again; {entry.source.src} serves until then"
    return ModelExecutionError(
        f"{cause} ({entry.name})",
        cause=cause,
        frames=frames,
        where=f"{entry.name}.execute, request {request.index} of {request.count}",
        code=name,
        request=request,
        responses=responses,
        hint=hint,
    )


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
