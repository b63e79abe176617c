"""The same requests here and there: what differs, and reports of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import preview
from workbench.errors import ModelExecutionError, WorkbenchError
from workbench.messages import InferResult, Tensor
from workbench.server_errors import ParityError
from workbench.session.replay import inputs_of

if TYPE_CHECKING:
    from workbench.session.model_host import ModelHost
    from workbench.session.recorder import RecordedRequest
    from workbench.targets.remote import ServerTarget

__all__ = ["ParityReport", "difference", "parity", "smoke_checks"]

_SMOKE = 3  # recorded requests sent after a push


def difference(
    here: InferResult, there: InferResult, *, rtol: float = 0.0, atol: float = 0.0, parameters: bool = True
) -> str:
    """The first difference of two answers to one request, "" if there is none.

    Args:
        here: One answer.
        there: The other; empty responses of either count for nothing, as transports drop or keep them.
        rtol: Relative difference that counts as equal, for floating-point outputs; NaN equals NaN.
        atol: The same, absolute.
        parameters: Compare response parameters too.
    """
    first = [each for each in here.responses if each]
    second = [each for each in there.responses if each]
    if len(first) != len(second):
        return f"has {len(first)} responses here and {len(second)} there"
    for number, (one, other) in enumerate(zip(first, second, strict=True)):
        place = f" in response {number}" if len(first) > 1 else ""
        if sorted(one) != sorted(other):
            return f"has outputs {', '.join(sorted(one))} here and {', '.join(sorted(other))} there{place}"
        for name in one:
            found = _tensor_difference(one[name], other[name], rtol, atol)
            if found:
                return f"differs in {name}{place}: {found}"
        if parameters and one.parameters != other.parameters:
            return f"differs in its parameters{place}: {one.parameters} here, {other.parameters} there"
    return ""


def _tensor_difference(one: Tensor, other: Tensor, rtol: float, atol: float) -> str:
    if one.type_text != other.type_text:
        return f"{one.type_text} here, {other.type_text} there"
    here, there = one.numpy(), other.numpy()
    if here.dtype.kind == "f":
        same = np.isclose(here, there, rtol=rtol, atol=atol, equal_nan=True)
    else:
        same = np.asarray(here == there)
    if same.all():
        return ""
    where = tuple(int(each) for each in np.argwhere(~same)[0])
    at = f"[{','.join(map(str, where))}]"
    return f"{here[where]!s} here, {there[where]!s} there at {at}"


def smoke_checks(host: ModelHost) -> list[Any]:
    """The last recorded requests that went well, to be sent to what was pushed and to the live model."""
    chosen = [each for each in host.recorder.requests if each.error is None][-_SMOKE:]

    def check(record: RecordedRequest) -> Any:
        def run(target: ServerTarget) -> str:
            # A server drops response parameters in releases before 25.02: they are parity's matter.
            inputs = inputs_of(record)
            with host.recorder.paused():
                here = host.infer(inputs, timeout=30.0, **record.options)
            there = target.infer(host.name, inputs, **record.options)
            return difference(here, there, parameters=False)

        return run

    return [check(each) for each in chosen]


@dataclass(frozen=True)
class ParityReport:
    """Which requests were answered alike. True if all were. ``stub`` says whose stub each side runs."""

    model: str
    against: str
    count: int
    differences: Mapping[int, str]  # request, from 1 → what differs
    stubs: tuple[str, str]

    def __bool__(self) -> bool:
        return not self.differences

    def __repr__(self) -> str:
        equal = self.count - len(self.differences)
        lines = [f"Parity {self.model}: {equal} of {self.count} equal (live vs {self.against})"]
        lines += [f"  request {number} {text}" for number, text in sorted(self.differences.items())]
        lines.append(f"  stubs: live {self.stubs[0]}, {self.against} {self.stubs[1]}")
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self))


def parity(
    host: ModelHost,
    target: ServerTarget,
    records: Sequence[RecordedRequest],
    *,
    stubs: tuple[str, str],
    rtol: float = 0.0,
    atol: float = 0.0,
    report_only: bool = False,
) -> ParityReport:
    """Send requests to the live model and to a server, and compare answers and error texts.

    Raises:
        ParityError: one differs, unless `report_only`.
        InputError: an input array was changed in place since it was recorded.
    """
    differences: dict[int, str] = {}
    for number, record in enumerate(records, 1):
        inputs = inputs_of(record)
        with host.recorder.paused():
            here = _outcome(host.infer, inputs, timeout=30.0, **record.options)
        there = _outcome(target.infer, host.name, inputs, **record.options)
        if isinstance(here, InferResult) and isinstance(there, InferResult):
            text = difference(here, there, rtol=rtol, atol=atol)
        elif here != there:
            text = f"{_said(here)} here and {_said(there)} there"
        else:
            text = ""
        if text:
            differences[number] = text
    report = ParityReport(host.name, target.name, len(records), differences, stubs)
    if differences and not report_only:
        number, text = next(iter(differences.items()))
        raise ParityError(
            f"request {number} of {host.name} {text}", report=report, hint="--report shows all of them"
        )
    return report


def _outcome(send: Callable[..., InferResult], *given: Any, **options: Any) -> InferResult | str:
    try:
        return send(*given, **options)
    except ModelExecutionError as error:
        return error.cause.strip()
    except WorkbenchError as error:
        return str(error)


def _said(outcome: InferResult | str) -> str:
    return f"fails ({outcome.splitlines()[0]})" if isinstance(outcome, str) else "is answered"
