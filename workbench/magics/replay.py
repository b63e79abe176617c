"""replay: send recorded requests again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InputError, ModelFailure, WorkbenchUsageError
from workbench.magics.arguments import Command, Parser
from workbench.magics.infer import show_in_full
from workbench.session.recorder import REQUESTS, RecordedRequest
from workbench.session.replay import Replayed, ReplayReport, load_requests, replay, save_requests

if TYPE_CHECKING:
    from workbench.magics.triton import Call

__all__ = ["COMMANDS", "chosen_requests"]


def _arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("name", metavar="NAME", nargs="?", help="the model's name (all models)")
    add(
        "--last-error",
        action="store_true",
        help="only the last request that failed; raises if it fails again",
    )
    add(
        "--n",
        type=int,
        default=REQUESTS,
        metavar="N",
        help=f"the last N requests ({REQUESTS}, all there are)",
    )
    add("--save", metavar="FILE", help="write the recorded requests to a file; nothing is sent")
    add("--load", metavar="FILE", help="send the requests of such a file")
    add("--assert-equal", action="store_true", help="raise ReplayMismatch at the first difference")
    add("--timeout", type=float, default=30.0, metavar="S", help="seconds to wait for each answer (30)")
    add("--full", action="store_true", help="in an error, show the frames of libraries too")


def _replay(call: Call) -> ReplayReport:
    given = call.arguments
    if given.n < 1:
        raise WorkbenchUsageError(f"--n is a number of requests, 1 or more; got {given.n}")
    if given.save and given.load:
        raise WorkbenchUsageError("--save and --load do not go together", hint="leave one of them out")
    chosen = chosen_requests(call)
    if given.save:
        path = Path(given.save).expanduser()
        count = save_requests(path, chosen)
        plural = "" if count == 1 else "s"
        return ReplayReport(given.name or "", [], [f"{count} request{plural} saved in {path.name}"])
    rows = []
    try:
        for name, records in sorted(chosen.items()):
            rows += _sent(call, name, records)
        report = ReplayReport(given.name or "", rows)
        if given.last_error:
            # Whoever asks for the failure wants to see it at its line, not a word about it.
            for each in rows:
                if each.error is not None:
                    raise each.error
    except ModelFailure as error:
        if given.full:
            show_in_full(error)
        raise
    if given.assert_equal:
        report.assert_equal()
    return report


def _sent(call: Call, name: str, records: list[RecordedRequest]) -> list[Replayed]:
    host, debugger = call.target.workbench.host(name), call.target.workbench.debugger
    limit = None if debugger.attached else call.arguments.timeout
    return debugger.attend(lambda: replay(host, records, timeout=limit))


def chosen_requests(call: Call) -> dict[str, list[RecordedRequest]]:
    """Requests by model, of the file or of the session, as the arguments say."""
    given, workbench = call.arguments, call.target.workbench
    if given.load:
        found = load_requests(Path(given.load).expanduser())
        if given.name:
            if given.name not in found:
                raise InputError(
                    f"{Path(given.load).name} has no requests of {given.name}",
                    hint=f"it has some of {', '.join(sorted(found)) or 'no model'}",
                )
            found = {given.name: found[given.name]}
        if given.last_error:
            found = {name: [each for each in records if each.error][-1:] for name, records in found.items()}
    else:
        names = [given.name] if given.name else sorted(workbench.hosts)
        found = {}
        for name in names:
            recorder = workbench.host(name).recorder
            last = [recorder.last_error] if recorder.last_error is not None else []
            found[name] = last if given.last_error else recorder.requests
    chosen = {name: records[-given.n :] for name, records in found.items() if records}
    if not chosen:
        what = "failed request" if given.last_error else "request"
        raise InputError(
            f"no {what}{f' of {given.name}' if given.name else ''} is recorded",
            hint="%triton infer sends one; every request is recorded",
        )
    return chosen


COMMANDS = (
    Command(
        "replay", "Send recorded requests again and compare the answers.", ("line",), _arguments, _replay
    ),
)
