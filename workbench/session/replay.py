"""Recorded requests, sent again: to what is loaded now, compared with what was answered then."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import cancelling, datatypes, preview
from workbench.errors import InputError, ReplayMismatch, WorkbenchError
from workbench.messages import InferResult
from workbench.session.mocks import to_array
from workbench.session.recorder import Answer, RecordedRequest, sample_of
from workbench.tensor_spec import format_shape

if TYPE_CHECKING:
    from workbench.session.model_host import ModelHost

__all__ = ["ReplayReport", "Replayed", "inputs_of", "load_requests", "replay", "save_requests"]

_FORMAT = 1
# What NumPy and the rest make of a file that is something else, or broken.
_NO_RECORDS = (
    *(KeyError, ValueError, TypeError, IndexError, AttributeError, EOFError),
    *(zipfile.BadZipFile, zlib.error, NotImplementedError),
)


@dataclass(frozen=True)
class Replayed:
    """One request sent again.

    Attributes:
        model: Its name.
        index: Place in the recording, 1 the oldest of those sent.
        outcome: ``equal``, ``differs``, ``failed`` (it was answered before), ``mended`` (it failed before),
            ``fails`` (as before).
        detail: The first difference, or the error.
        result: The new answer, None if there is none.
        error: What was raised, None if nothing was.
    """

    model: str
    index: int
    outcome: str
    detail: str = ""
    result: InferResult | None = None
    error: WorkbenchError | None = None


class ReplayReport(Sequence[Replayed]):
    """What came of each request. True if none differs and none that was answered failed."""

    def __init__(self, model: str, rows: Sequence[Replayed], notes: Sequence[str] = ()) -> None:
        self.model = model
        self.rows = tuple(rows)
        self.notes = tuple(notes)

    @property
    def equal(self) -> bool:
        return all(each.outcome in ("equal", "mended", "fails") for each in self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __bool__(self) -> bool:
        return self.equal

    def assert_equal(self) -> None:
        """Raise ReplayMismatch at the first request that differs from its recording."""
        for each in self.rows:
            if each.outcome in ("differs", "failed"):
                what = "differs" if each.outcome == "differs" else "failed"
                raise ReplayMismatch(
                    f"request {each.index} of {each.model} {what}: {each.detail}",
                    report=self,
                    hint="%triton replay " + each.model + " shows all of them",
                )

    def _head(self) -> str:
        count = len(self.rows)
        parts = [f"{count} request{'' if count == 1 else 's'}"]
        for outcome in ("equal", "differs", "failed", "mended", "fails"):
            some = sum(each.outcome == outcome for each in self.rows)
            if some:
                parts.append(f"{some} {outcome}")
        return f"Replay{f' {self.model}' if self.model else ''}: {', '.join(parts)}"

    def _table(self) -> list[list[str]]:
        rows = []
        for each in self.rows:
            row = [str(each.index), each.outcome, each.detail]
            rows.append(row if self.model else [each.model, *row])
        return rows

    def to_data(self) -> dict[str, Any]:
        """What came of each request, for JSON."""
        keys = ("model", "index", "outcome", "detail")
        rows = [{key: getattr(each, key) for key in keys} for each in self.rows]
        return {"model": self.model, "equal": self.equal, "requests": rows, "notes": list(self.notes)}

    def __repr__(self) -> str:
        # Requests that did what they did before say nothing one by one.
        shown = self._table() if any(each.outcome != "equal" or each.detail for each in self.rows) else []
        return "\n".join([self._head(), *preview.columns(shown), *(f"  note: {each}" for each in self.notes)])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        head = ["request", "outcome", "detail"]
        table = preview.html_table(
            self._table(), head if self.model else ["model", *head], caption=self._head()
        )
        return preview.mimebundle(repr(self), "\n".join([table, *preview.html_notes(self.notes)]))


def replay(
    host: ModelHost, records: Sequence[RecordedRequest], *, timeout: float | None = 30.0
) -> list[Replayed]:
    """Send recorded requests to what serves now, one after the other. They are not recorded again.

    Raises:
        InputError: an input array was changed in place since.
    """
    for each in records:
        each.check()
    with host.recorder.paused():
        return [_again(host, index, each, timeout) for index, each in enumerate(records, start=1)]


def inputs_of(record: RecordedRequest) -> dict[str, np.ndarray]:
    """The inputs of a recorded request, as one gives them. Raises InputError if one was changed since."""
    record.check()
    return {each[0]: to_array(each) for each in record.inputs}


def _again(host: ModelHost, index: int, record: RecordedRequest, timeout: float | None) -> Replayed:
    cancelling.check()
    try:
        result = host.infer(inputs_of(record), timeout=timeout, **record.options)
    except WorkbenchError as error:
        cause = str(getattr(error, "cause", "") or error)
        if record.error is None:
            return Replayed(host.name, index, "failed", cause.splitlines()[0], error=error)
        before = record.error[1]
        changed = f" (before: {before.splitlines()[0]})" if before != cause else ""
        return Replayed(host.name, index, "fails", cause.splitlines()[0] + changed, error=error)
    if record.error is not None:
        return Replayed(host.name, index, "mended", f"before: {record.error[1].splitlines()[0]}", result)
    difference, partial = _difference(record.responses, result)
    if difference:
        return Replayed(host.name, index, "differs", difference, result)
    detail = "in the part that was kept of its outputs" if partial else ""
    return Replayed(host.name, index, "equal", detail, result)


def _difference(before: Sequence[Answer], now: InferResult) -> tuple[str, bool]:
    """The first difference, "" for none; and whether large outputs were compared in part only."""
    partial = False
    if len(before) != len(now.responses):
        return f"{len(before)} responses before, {len(now.responses)} now", False
    for number, ((outputs, parameters), response) in enumerate(zip(before, now.responses, strict=True)):
        place = f"response {number}: " if len(before) > 1 else ""
        got = {each.name: each for each in response.raw.outputs}
        names = [each[0] for each in outputs]
        if sorted(got) != sorted(names):
            said = f"outputs {', '.join(names) or 'none'} before, {', '.join(got) or 'none'} now"
            return place + said, False
        for name, number_before, shape, data in outputs:
            raw: Any = got[name]
            was = f"{datatypes.by_number(number_before).label}{format_shape(shape)}"
            is_now = f"{datatypes.by_number(raw.datatype).label}{format_shape(tuple(raw.shape))}"
            if was != is_now:
                return f"{place}{name} was {was}, is {is_now}", False
            held = getattr(raw, "data", raw)
            if isinstance(data, np.ndarray):
                partial = True
                if not np.array_equal(sample_of(np.frombuffer(held, np.uint8)), data):
                    return f"{place}{name} differs", False
            elif bytes(held) != data:
                return f"{place}{name}{_element(number_before, shape, data, bytes(held))}", False
        if json.loads(parameters or "{}") != response.parameters:
            return (
                f"{place}parameters were {parameters or '{}'}, are {json.dumps(response.parameters)}",
                False,
            )
    return "", partial


def _element(number: int, shape: tuple[int, ...], before: bytes, now: bytes) -> str:
    """``[0,1] was 1.0, is 2.0`` for the first element that differs."""
    if number == datatypes.BYTES.number:
        values = [to_array(("", number, shape, each)) for each in (before, now)]
        differs = values[0] != values[1]
    else:
        raw = datatypes.by_number(number)
        dtype = np.dtype(np.uint16) if number == datatypes.BF16.number else raw.numpy
        arrays = [np.frombuffer(each, dtype).reshape(shape) for each in (before, now)]
        # Bits, not values: NaN equals NaN, and -0.0 is not 0.0.
        bits = [each.view(f"u{dtype.itemsize}") for each in arrays]
        differs = bits[0] != bits[1]
        values = [to_array(("", number, shape, each)) for each in arrays]
    where = tuple(int(i) for i in np.argwhere(differs)[0])
    shown = ["" if each.ndim == 0 else _scalar(each[where]) for each in values]
    return f"{format_shape(where) if where else ''} was {shown[0]}, is {shown[1]}"


def _scalar(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)


# -- files -------------------------------------------------------------------------------------------------


def save_requests(path: Path, records: Mapping[str, Sequence[RecordedRequest]]) -> int:
    """Write recorded requests of models to a file, and give their number.

    The file is a NumPy ``.npz`` without pickles: ``requests`` is JSON, every tensor an array of bytes. The
    same requests give the same file.

    Raises:
        WorkbenchError: it cannot be written.
    """
    entries: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}

    def store(data: Any) -> str:
        key = f"t{len(arrays)}"
        if isinstance(data, np.ndarray):
            arrays[key] = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        else:
            arrays[key] = np.frombuffer(bytes(data), np.uint8)
        return key

    for model, requests in sorted(records.items()):
        for record in requests:
            record.check()
            entries.append(
                {
                    "model": model,
                    "src": record.src,
                    "error": record.error,
                    "options": record.options,
                    "inputs": [
                        [name, number, list(shape), store(data)]
                        for name, number, shape, data in record.inputs
                    ],
                    "responses": [
                        {
                            "parameters": parameters,
                            "outputs": [
                                [name, number, list(shape), store(data), isinstance(data, np.ndarray)]
                                for name, number, shape, data in outputs
                            ],
                        }
                        for outputs, parameters in record.responses
                    ],
                }
            )
    text = json.dumps({"format": _FORMAT, "requests": entries}, sort_keys=True).encode()
    try:
        with path.open("wb") as file:
            np.savez(file, requests=np.frombuffer(text, np.uint8), **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise WorkbenchError(f"cannot write {path.name}: {error.strerror}") from None
    return len(entries)


def load_requests(path: Path) -> dict[str, list[RecordedRequest]]:
    """Requests by model, from a file that `save_requests` wrote.

    Raises:
        InputError: there is no such file, or it is none of ours.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            head = json.loads(stored["requests"].tobytes())
            if head["format"] != _FORMAT:
                raise InputError(
                    f"{path.name} has format {head['format']}, this workbench reads {_FORMAT}",
                    hint="save the requests again",
                )
            found: dict[str, list[RecordedRequest]] = {}
            for each in head["requests"]:
                found.setdefault(each["model"], []).append(_restored(each, stored))
            return found
    except OSError as error:
        raise InputError(f"cannot read {path.name}: {error.strerror or error}") from None
    except _NO_RECORDS:
        raise InputError(
            f"{path.name} holds no recorded requests", hint="%triton replay --save FILE writes such a file"
        ) from None


def _restored(entry: dict[str, Any], stored: Any) -> RecordedRequest:
    inputs = []
    for name, number, shape, key in entry["inputs"]:
        data: Any = stored[key].tobytes()
        if number != datatypes.BYTES.number:
            dtype = np.uint16 if number == datatypes.BF16.number else datatypes.by_number(number).numpy
            data = np.frombuffer(data, dtype).reshape(shape)
        inputs.append((name, number, tuple(shape), data))
    responses: list[Answer] = []
    for answer in entry["responses"]:
        outputs = tuple(
            (name, number, tuple(shape), stored[key] if sampled else stored[key].tobytes())
            for name, number, shape, key, sampled in answer["outputs"]
        )
        responses.append((outputs, answer["parameters"]))
    options = dict(entry["options"])
    if "sequence" in options:
        options["sequence"] = tuple(options["sequence"])
    error = tuple(entry["error"]) if entry["error"] else None
    return RecordedRequest(inputs, options, responses, error, entry["src"], 0)  # type: ignore[arg-type]
