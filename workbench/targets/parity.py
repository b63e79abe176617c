"""The same requests in two places, or in four: our host and Triton's server, our stub and NVIDIA's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from workbench import preview
from workbench.errors import ModelConfigError, ModelExecutionError, ModelFailure, WorkbenchError
from workbench.messages import InferResult
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry
from workbench.server_errors import ParityError, ServerUnreachable
from workbench.server_install import find_server
from workbench.session.replay import inputs_of
from workbench.session.settings import Settings
from workbench.session.workbench import Workbench
from workbench.targets.compare import config_difference, difference
from workbench.targets.live import LiveTarget
from workbench.targets.local import LocalOptions, temporary
from workbench.text_files import read_text

if TYPE_CHECKING:
    from workbench.session.model_host import ModelHost
    from workbench.session.recorder import RecordedRequest
    from workbench.targets.base import Target
    from workbench.targets.remote import ServerTarget

__all__ = ["MatrixReport", "ParityReport", "matrix", "parity"]

_STUBS = {"own": "our stub", "nvidia": "NVIDIA's stub"}
_DROPPED = "servers before 25.02 drop response parameters; --report shows everything"


@dataclass(frozen=True)
class ParityReport:
    """Which requests were answered alike. True if all were, and the configurations are equal.

    Attributes:
        differences: Request, from 1 → what differs.
        stubs: Place → whose stub it runs.
        config: What differs in the configurations in effect, "" if nothing does.
    """

    model: str
    against: str
    count: int
    differences: Mapping[int, str]
    stubs: Mapping[str, str]
    config: str = ""

    def __bool__(self) -> bool:
        return not self.differences and not self.config

    @property
    def first(self) -> str:
        """The first difference as a sentence without its end."""
        for number, text in sorted(self.differences.items()):
            return f"request {number} of {self.model} {text}"
        return f"{self.model}: {self.config}" if self.config else ""

    def to_data(self) -> dict[str, Any]:
        """What was found, for JSON; requests are counted from 1."""
        return {
            "model": self.model,
            "against": self.against,
            "count": self.count,
            "differences": {str(number): text for number, text in sorted(self.differences.items())},
            "config": self.config,
            "stubs": dict(self.stubs),
        }

    def __repr__(self) -> str:
        equal = self.count - len(self.differences)
        lines = [f"Parity {self.model}: {equal} of {self.count} equal (live vs {self.against})"]
        lines += [f"  request {number} {text}" for number, text in sorted(self.differences.items())]
        lines.append(f"  {self.config}" if self.config else "  configuration equal")
        lines.append("  stubs: " + ", ".join(f"{place} {stub}" for place, stub in self.stubs.items()))
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self))


@dataclass(frozen=True)
class MatrixReport:
    """Four places, compared with the first: our host with our stub. True if all answer alike.

    Attributes:
        cells: (host, stub) → the comparison, or why there is none.
        release: Of the server, and spoken by the live hosts.
    """

    model: str
    release: str
    cells: Mapping[tuple[str, str], ParityReport | str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return all(isinstance(each, ParityReport) and each for each in self.cells.values())

    @property
    def first(self) -> str:
        """The first difference as a sentence without its end."""
        for (host, stub), cell in self.cells.items():
            if isinstance(cell, str):
                return f"{self.model} on {host} with {stub}: {cell}"
            if not cell:
                return f"{cell.first} (on {host} with {stub})"
        return ""

    def to_data(self) -> dict[str, Any]:
        """What was found, for JSON."""
        cells = [
            {"host": host, "stub": stub}
            | ({"failed": cell} if isinstance(cell, str) else {"found": cell.to_data()})
            for (host, stub), cell in self.cells.items()
        ]
        return {"model": self.model, "release": self.release, "equal": bool(self), "cells": cells}

    def __repr__(self) -> str:
        hosts = list(dict.fromkeys(host for host, _ in self.cells))
        rows = [["", *_STUBS.values()]]
        for host in hosts:
            rows.append([host, *(_cell(self.cells[host, stub]) for stub in _STUBS.values())])
        lines = [f"Parity {self.model} in {len(self.cells)} places, Triton {self.release or '?'}"]
        lines += preview.columns(rows)
        for (host, stub), cell in self.cells.items():
            if isinstance(cell, str):
                lines.append(f"  {host}, {stub}: {cell}")
            else:
                told = [f"request {number} {text}" for number, text in sorted(cell.differences.items())]
                lines += [f"  {host}, {stub}: {text}" for text in [*told, *filter(None, [cell.config])]]
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self))


def _cell(cell: ParityReport | str) -> str:
    if isinstance(cell, str):
        return "not compared"
    text = f"{cell.count - len(cell.differences)} of {cell.count} equal"
    return text + (", configuration differs" if cell.config else "")


def parity(
    host: ModelHost,
    target: ServerTarget,
    records: Sequence[RecordedRequest],
    *,
    stubs: Mapping[str, str],
    rtol: float = 0.0,
    atol: float = 0.0,
    report_only: bool = False,
) -> ParityReport:
    """Send requests to the live model and to a server; compare answers, error texts and configurations.

    Raises:
        ParityError: one differs, unless `report_only`.
        InputError: an input array was changed in place since it was recorded.
        ServerUnreachable: the server is gone; the message says how far it came.
    """

    def here(name: str, inputs: Mapping[str, Any], **options: Any) -> InferResult:
        with host.recorder.paused():
            return host.infer(inputs, **options)

    report = ParityReport(
        host.name,
        target.name,
        len(records),
        _differences(host.name, records, here, target.infer, rtol, atol),
        stubs,
        config_difference(host.config, target.config(host.name)),
    )
    if not report and not report_only:
        raise ParityError(report.first, report=report, hint=_hint(report.first))
    return report


def matrix(
    hosts: Mapping[str, ModelHost],
    entry: ModelEntry,
    records: Sequence[RecordedRequest],
    *,
    rtol: float = 0.0,
    atol: float = 0.0,
    report_only: bool = False,
) -> MatrixReport:
    """Load a model in four places as it was written, and send requests to each.

    The models it names go with it. Nothing of this session's own models or servers is touched.

    Args:
        hosts: Live models by name, for those it calls.
        entry: The model.
        records: The requests.
        rtol, atol, report_only: As of `parity`.

    Raises:
        ParityError: a place answers otherwise than our host with our stub, unless `report_only`.
        ServerInstallError: there is no Triton server on this machine.
        ServerUnreachable: the server ended meanwhile.
    """
    install = find_server()
    release = install.release or ""
    entries = [_as_written(each) for each in _with_called(entry, hosts)]
    server = f"Triton {release}".rstrip()
    cells: dict[tuple[str, str], ParityReport | str] = {}
    with ExitStack() as stack:
        reference = stack.enter_context(_live(entries, "own", release))
        places: list[tuple[str, str, Callable[[], Any]]] = [
            ("our host", "own", lambda: _live(entries, "own", release)),
            ("our host", "nvidia", lambda: _live(entries, "nvidia", release)),
            (server, "own", lambda: _local(entries, "own")),
            (server, "nvidia", lambda: _local(entries, "nvidia")),
        ]
        for place, stub, start in places:
            label = (place, _STUBS[stub])
            try:
                with start() as target:
                    found = _differences(entry.name, records, reference.infer, target.infer, rtol, atol)
                    config = config_difference(reference.config(entry.name), target.config(entry.name))
            except ModelFailure as error:
                cells[label] = f"not loaded: {error.cause.strip().splitlines()[0]}"
                continue
            cells[label] = ParityReport(entry.name, place, len(records), found, {place: stub}, config)
    report = MatrixReport(entry.name, release, cells)
    if not report and not report_only:
        raise ParityError(report.first, report=report, hint=_hint(report.first))
    return report


def _hint(text: str) -> str:
    return _DROPPED if "differs in its parameters" in text else "--report shows all of them"


# -- comparing ---------------------------------------------------------------------------------------------


def _differences(
    name: str,
    records: Sequence[RecordedRequest],
    here: Callable[..., InferResult],
    there: Callable[..., InferResult],
    rtol: float,
    atol: float,
) -> dict[int, str]:
    found: dict[int, str] = {}
    for number, record in enumerate(records, 1):
        inputs = inputs_of(record)
        try:
            one = _outcome(here, name, inputs, timeout=30.0, **record.options)
            other = _outcome(there, name, inputs, timeout=30.0, **record.options)
        except ServerUnreachable as gone:
            raise ServerUnreachable(
                f"{gone} (after {number - 1} of {len(records)} requests; live models go on serving)",
                hint=gone.hint,
            ) from None
        text = _outcome_difference(one, other, rtol, atol)
        if text:
            found[number] = text
    return found


@dataclass(frozen=True)
class _Failed:
    """A request that ended with an error, and what came before it."""

    text: str
    before: InferResult


def _outcome(
    send: Callable[..., InferResult], name: str, *given: Any, **options: Any
) -> InferResult | _Failed:
    try:
        return send(name, *given, **options)
    except ServerUnreachable:
        raise
    except ModelExecutionError as error:
        return _Failed(error.cause.strip(), InferResult(name, [each.raw for each in error.responses]))
    except WorkbenchError as error:
        return _Failed(str(error), InferResult(name, []))


def _outcome_difference(
    here: InferResult | _Failed, there: InferResult | _Failed, rtol: float, atol: float
) -> str:
    if isinstance(here, InferResult) and isinstance(there, InferResult):
        return difference(here, there, rtol=rtol, atol=atol)
    if isinstance(here, _Failed) and isinstance(there, _Failed) and here.text == there.text:
        return difference(here.before, there.before, rtol=rtol, atol=atol)
    return f"{_said(here)} here and {_said(there)} there"


def _said(outcome: InferResult | _Failed) -> str:
    if isinstance(outcome, InferResult):
        return "is answered"
    return f"fails ({outcome.text.splitlines()[0] if outcome.text else 'without a text'})"


# -- the four places ---------------------------------------------------------------------------------------


@contextmanager
def _live(entries: Sequence[ModelEntry], stub: str, release: str) -> Iterator[Target]:
    with Workbench(Settings(stub=stub, release=release)) as workbench:
        for each in entries:
            workbench.load(each, discard=lambda entry: None)  # the folder is another session's
        yield LiveTarget(workbench)


@contextmanager
def _local(entries: Sequence[ModelEntry], stub: str) -> Iterator[Target]:
    with temporary("local", LocalOptions(stub=stub, auto_complete=True)) as target:
        for each in entries:
            target.push(each)
        yield target


def _as_written(entry: ModelEntry) -> ModelEntry:
    """The model with the configuration it was given, before it completed that itself."""
    file = entry.path / "config.pbtxt"
    if file.is_file():
        return replace(
            entry, config=ModelConfig.from_text(read_text(file, ModelConfigError), name=entry.name)
        )
    return replace(entry, config=ModelConfig.from_specs(entry.name))


def _with_called(entry: ModelEntry, hosts: Mapping[str, ModelHost]) -> list[ModelEntry]:
    """Live models that a model names, before it; theirs before them."""
    found: dict[str, ModelEntry] = {}

    def visit(each: ModelEntry, above: frozenset[str]) -> None:
        text = each.source.text
        for name, host in sorted(hosts.items()):
            quoted = f'"{name}"' in text or f"'{name}'" in text
            if quoted and name not in above and name not in found and host.current is not None:
                visit(host.entry, above | {name})
        found[each.name] = each

    visit(entry, frozenset({entry.name}))
    return list(found.values())
