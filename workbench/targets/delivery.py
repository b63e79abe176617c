"""Live models on servers: pushed to one or to several at once, and compared with what runs here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from workbench.errors import InputError, WorkbenchError, WorkbenchUsageError
from workbench.model_source import ModelEntry
from workbench.server_errors import PushError, ServerModeError, ServerUnreachable
from workbench.session.model_host import ModelHost
from workbench.targets.compare import smoke_checks
from workbench.targets.live import LiveTarget
from workbench.targets.local import LocalTarget
from workbench.targets.parity import MatrixReport, ParityReport, matrix, parity
from workbench.targets.push_report import PushReport, PushReports
from workbench.targets.remote import ServerTarget

__all__ = ["check_comparable", "compare", "compare_everywhere", "push"]


def push(
    live: LiveTarget,
    name: str,
    servers: Sequence[ServerTarget],
    *,
    version: int = 0,
    smoke: bool = True,
    yes: bool = False,
    timeout: float | None = None,
) -> PushReport | PushReports:
    """Bring a live model onto servers: onto all of them, or onto none.

    Args:
        live: Where it runs here.
        name: The model.
        servers: Where it goes, one after the other. If one fails, those before it get back what they served.
        version: Which version it is to be there; 0: the one it is here.
        smoke: Send the last recorded requests to what was pushed and compare with the answers here.
        yes: Needed for protected servers.
        timeout: Seconds each server may take to load it.

    Raises:
        PushError: the model was patched; or it did not load somewhere, or answers otherwise there.
        LoadTimeout: a server is still loading it.
        ServerModeError, ServerUnreachable: of one server; the others serve what they served.
        WorkbenchUsageError: a server is protected.
        ModelNotFound: there is no such live model.
    """
    host, entry = _ready_to_leave(live, name)
    for each in servers:
        each.ask_consent("push", yes)
    checks = smoke_checks(host) if smoke else []
    if len(servers) == 1:
        return _push_one(live, servers[0], entry, checks, version, timeout)
    for each in servers:
        each.client.server()  # who does not answer stops it before anything is changed
    done: list[tuple[ServerTarget, str | None, PushReport]] = []
    for each in servers:
        try:
            before = each.snapshot(name)
            done.append((each, before, _push_one(live, each, entry, checks, version, timeout)))
        except BaseException as error:
            undone = "; ".join(_undo(name, server, mark) for server, mark, _ in reversed(done))
            if not done or not isinstance(error, (PushError, ServerModeError, ServerUnreachable)):
                raise
            raise _told(error, undone) from None
    return PushReports([report for _, _, report in done])


def _push_one(
    live: LiveTarget,
    server: ServerTarget,
    entry: ModelEntry,
    checks: Sequence[Any],
    version: int,
    timeout: float | None,
) -> PushReport:
    release = server.release
    findings = live.lint(entry.name, release or None)
    count = len(findings)
    judged = f"{count} finding{'' if count == 1 else 's'} for" if count else "portable to"
    # An ensemble has no source of its own, and a backend's is the backend's.
    steps = [("lint", f"{judged} {findings.release}")] if _has_source(entry) else []
    untried = bool(checks) and entry.config.decoupled and not server.can_stream
    if untried:
        checks = []
    report = server.push(entry, smoke=checks, yes=True, steps=steps, version=version, timeout=timeout)
    notes = tuple(f"{each.code} {each.place}: {each.text}" for each in findings if steps)
    if untried:
        notes += ("not tried there: a decoupled model answers over gRPC only",)
    if isinstance(server, LocalTarget) and server.stub == "own":
        return replace(report, notes=notes)  # it runs in this kernel's Python, which has all it needs
    return replace(report, notes=report.notes + notes)


def _has_source(entry: ModelEntry) -> bool:
    return not entry.config.is_ensemble and entry.backend_dir is None


def _undo(name: str, server: ServerTarget, before: str | None) -> str:
    try:
        now = server.undo(name, before)
    except WorkbenchError as error:
        return f"{server.name} could not be brought back ({error})"
    return f"{server.name} serves {now}" if now else f"{server.name} serves none again"


def _told(error: PushError | ServerModeError | ServerUnreachable, undone: str) -> WorkbenchError:
    """The same error, which also says what became of the servers before."""
    if isinstance(error, PushError):
        return type(error)(
            f"{error}; {undone}",
            cause=error.cause,
            frames=error.frames,
            serving=error.serving,
            hint=error.hint,
        )
    return type(error)(f"{error}; {undone}", hint=error.hint)


def check_comparable(live: LiveTarget, name: str) -> None:
    """Raise what `compare` would raise whatever the server is: InputError, PushError, ModelNotFound."""
    _records(_ready_to_leave(live, name)[0])


def compare(
    live: LiveTarget,
    name: str,
    server: ServerTarget,
    *,
    rtol: float = 0.0,
    atol: float = 0.0,
    report_only: bool = False,
) -> ParityReport:
    """Send the recorded requests to the live model and to a server. A local server gets the model first.

    Raises:
        ParityError: an answer or the configuration differs, unless `report_only`.
        InputError: nothing is recorded, or the server serves something else.
        ServerUnreachable: the server is gone.
        PushError: the local server does not load it.
    """
    host, entry = _ready_to_leave(live, name)
    records = _records(host)
    if entry.config.decoupled and not server.can_stream:
        raise WorkbenchUsageError(
            f"{name} is decoupled: it answers over gRPC only",
            hint=f"%triton connect grpc://HOST:8001 --as {server.name}",
        )
    if server.src(name) != host.serving:
        if not isinstance(server, LocalTarget):
            raise InputError(
                f"{server.name} does not serve {host.serving} of {name}",
                hint=f"%triton push {name} --to {server.name}",
            )
        server.push(entry)
    stubs = {"live": _stub_of(host), server.name: server.stub}
    return parity(host, server, records, stubs=stubs, rtol=rtol, atol=atol, report_only=report_only)


def compare_everywhere(
    live: LiveTarget,
    name: str,
    *,
    rtol: float = 0.0,
    atol: float = 0.0,
    report_only: bool = False,
) -> MatrixReport:
    """Send the recorded requests to our host and to a Triton server, each with our stub and NVIDIA's.

    Raises:
        ParityError: one of the four answers otherwise than the live model, unless `report_only`.
        InputError: nothing is recorded.
        ServerInstallError: there is no Triton server on this machine.
    """
    host, entry = _ready_to_leave(live, name)
    return matrix(live.workbench.hosts, entry, _records(host), rtol=rtol, atol=atol, report_only=report_only)


def _ready_to_leave(live: LiveTarget, name: str) -> tuple[ModelHost, ModelEntry]:
    """The model's host and folder, unless what serves here is not what would serve there."""
    model = live.workbench.model(name)
    host = live.workbench.hosts.get(model.name)
    if host is None:
        raise InputError(f"{name} is a mock: there is nothing to push", hint="only models go to servers")
    host.entry.require_whole(PushError)
    return host, host.entry


def _stub_of(host: ModelHost) -> str:
    return host.current.plan.settings.stub if host.current is not None else ""


def _records(host: ModelHost) -> Sequence[Any]:
    records = host.recorder.requests
    if not records:
        raise InputError(
            f"no request of {host.name} is recorded",
            hint="%triton infer sends one; every request is recorded",
        )
    return records
