"""One part of a request's way: the request itself, its wait, its execution, a call to another model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench import datatypes
from workbench.tensor_spec import format_shape

__all__ = ["CALLS", "Span", "TensorInfo"]

#: Kinds that stand for a request to a model made on behalf of another.
CALLS = ("bls", "step")


@dataclass(frozen=True)
class TensorInfo:
    """What is known of a tensor without its values. ``bytes`` counts the wire form."""

    name: str
    datatype: str  # as people see it: FP32, STRING
    shape: tuple[int, ...]
    bytes: int

    @classmethod
    def of(cls, tensor: Sequence[Any]) -> TensorInfo:
        """From (name, datatype number, shape, bytes)."""
        name, number, shape, size = tensor
        return cls(str(name), datatypes.by_number(int(number)).label, tuple(map(int, shape)), int(size))

    @property
    def type_text(self) -> str:
        """``FP32[4]``."""
        return f"{self.datatype}{format_shape(self.shape)}"

    def to_data(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape), "bytes": self.bytes}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> TensorInfo:
        shape = tuple(int(dim) for dim in data["shape"])
        return cls(str(data["name"]), str(data["datatype"]), shape, int(data["bytes"]))


@dataclass
class Span:
    """A part of a trace. Times are nanoseconds; ``start_ns`` counts from the start of the trace.

    Attributes:
        kind: ``request`` (the root), ``queue`` (waiting for an instance), ``execute`` (in the model), ``bls``
            (a call the model made), ``step`` (of an ensemble).
        model: Who did it; of a call, who was called.
        how: Of a call: ``exec``, ``async_exec``, or None if the caller's stub does not say.
        decoupled: The call was made with ``decoupled=True``.
        line: Of a call: the line of the caller's source, None if not known.
        cell: What that source is called: ``Cell In[2]``.
        error: What it failed with, None if it did not.
        responses: Responses with content.
        inputs, outputs: Tensors; outputs of the first response that has any.
        critical: Part of the critical path: had it been faster, the request would have been.
    """

    id: str
    model: str
    kind: str
    start_ns: int = 0
    duration_ns: int = 0
    how: str | None = None
    decoupled: bool = False
    line: int | None = None
    cell: str | None = None
    error: str | None = None
    responses: int = 0
    inputs: list[TensorInfo] = field(default_factory=list)
    outputs: list[TensorInfo] = field(default_factory=list)
    children: list[Span] = field(default_factory=list)
    critical: bool = False

    @property
    def end_ns(self) -> int:
        return self.start_ns + self.duration_ns

    @property
    def title(self) -> str:
        """What other viewers call it: a request or a call by its model, a part of one by its kind."""
        return self.model if self.kind in ("request", *CALLS) else self.kind

    @property
    def how_text(self) -> str:
        """``exec``, ``async_exec``, ``exec(decoupled)``, ``step``; "" for the root."""
        if self.kind != "bls":
            return "step" if self.kind == "step" else ""
        return f"{self.how or 'call'}{'(decoupled)' if self.decoupled else ''}"

    @property
    def signature(self) -> str:
        """``FP32[4] -> FP32[1] x3``, or what it failed with."""
        inputs = ", ".join(each.type_text for each in self.inputs) or "-"
        if self.error is not None:
            return f"{inputs} -> error: {self.error.splitlines()[0] if self.error else 'no text'}"
        outputs = ", ".join(each.type_text for each in self.outputs) or "-"
        return f"{inputs} -> {outputs}{f' x{self.responses}' if self.responses > 1 else ''}"

    @property
    def calls(self) -> list[Span]:
        """Calls made here, not those made by the called."""
        found = []
        for each in self.children:
            if each.kind in CALLS:
                found.append(each)
            else:
                found += each.calls
        return found

    def walk(self) -> Iterator[Span]:
        """This span and all below it, in order."""
        yield self
        for each in self.children:
            yield from each.walk()

    def to_data(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "model": self.model,
            "kind": self.kind,
            "how": self.how,
            "decoupled": self.decoupled,
            "start_ns": self.start_ns,
            "duration_ns": self.duration_ns,
            "line": self.line,
            "cell": self.cell,
            "error": self.error,
            "responses": self.responses,
            "inputs": [each.to_data() for each in self.inputs],
            "outputs": [each.to_data() for each in self.outputs],
            "children": [each.to_data() for each in self.children],
            "critical": self.critical,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Span:
        """The reverse of `to_data`; ``children`` may be left out."""
        plain = {key: data[key] for key in ("model", "kind", "how", "line", "cell", "error")}
        return cls(
            id=str(data["id"]),
            decoupled=bool(data["decoupled"]),
            start_ns=int(data["start_ns"]),
            duration_ns=int(data["duration_ns"]),
            responses=int(data["responses"]),
            inputs=[TensorInfo.from_data(each) for each in data["inputs"]],
            outputs=[TensorInfo.from_data(each) for each in data["outputs"]],
            children=[cls.from_data(each) for each in data.get("children", ())],
            critical=bool(data.get("critical", False)),
            **plain,
        )
