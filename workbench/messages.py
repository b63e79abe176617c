"""What comes back from a model: tensors, responses, results. Views on the region, no copies until asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from workbench import datatypes, preview
from workbench.datatypes import Datatype
from workbench.suggest import did_you_mean, listing
from workbench.tensor_spec import TensorSpec, format_shape

__all__ = ["InferResponse", "InferResult", "RawOutput", "RawResponse", "Tensor"]


class RawOutput(Protocol):
    """A tensor as a target delivers it; ``_host.OutputTensor`` is one."""

    @property
    def name(self) -> str: ...
    @property
    def datatype(self) -> int: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    def numpy(self) -> np.ndarray: ...


class RawResponse(Protocol):
    """A response as a target delivers it; ``_host.Response`` is one."""

    @property
    def outputs(self) -> Sequence[RawOutput]: ...
    @property
    def error(self) -> tuple[int, str] | None: ...
    @property
    def parameters(self) -> str: ...


class Tensor(NDArrayOperatorsMixin):
    """One output tensor; arithmetic and NumPy functions take it as an array.

    The values stay in shared memory until the tensor and every view on it are gone.
    """

    __slots__ = ("_array", "_raw")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, raw: RawOutput) -> None:
        self._raw = raw
        self._array: np.ndarray | None = None

    @property
    def name(self) -> str:
        return self._raw.name

    @property
    def datatype(self) -> Datatype:
        """Triton's datatype."""
        return datatypes.by_number(self._raw.datatype)

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype of `numpy()`: object (of ``bytes``) for STRING, float32 for BF16."""
        return self.datatype.numpy

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._raw.shape)

    @property
    def ndim(self) -> int:
        return len(self._raw.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def device(self) -> str:
        """Where the values are: ``cpu`` or ``gpu:N``."""
        return str(getattr(self._raw, "device", "cpu"))

    def numpy(self) -> np.ndarray:
        """The values: a read-only view on the region; a new array for STRING (of ``bytes``) and BF16
        (float32).
        """
        if self._array is None:
            array = self._raw.numpy()
            if self._raw.datatype == datatypes.BF16.number and array.dtype == np.uint16:
                array = datatypes.bf16_to_float32(array)
            self._array = array
        return self._array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"{self.name} is {array.dtype}; {np.dtype(dtype)} needs a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [each.numpy() if isinstance(each, Tensor) else each for each in inputs]
        return getattr(ufunc, method)(*plain, **kwargs)

    def __dlpack__(self, **options: Any) -> Any:
        """Hand the values to another library. Copies where the consumer cannot take read-only memory."""
        array = self.numpy()
        try:
            return array.__dlpack__(**options)
        except (BufferError, TypeError):
            options.pop("copy", None)
            options.pop("max_version", None)
            options.pop("dl_device", None)
            return array.copy().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[Any, int]:
        return self.numpy().__dlpack_device__()

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor without dimensions")
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> Any:
        return self.numpy()[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.numpy())

    def tolist(self) -> Any:
        return self.numpy().tolist()

    @property
    def type_text(self) -> str:
        """``FP32[4]``."""
        return f"{self.datatype.label}{format_shape(self.shape)}"

    def to_data(self) -> dict[str, Any]:
        """As KServe's inference protocol has it: name, datatype, shape, and the values flat, in C order.

        STRING elements are text; bytes that are no UTF-8 are written as ``\\xff``.
        """
        flat = self.numpy().reshape(-1).tolist()
        if self.numpy().dtype == np.object_:
            flat = [
                each.decode(errors="backslashreplace") if isinstance(each, bytes) else each for each in flat
            ]
        return {
            "name": self.name,
            "datatype": self.datatype.name,
            "shape": list(self.shape),
            "data": flat,
        }

    def __repr__(self) -> str:
        return f"Tensor {self.name}  {self.type_text}  {preview.format_values(self.numpy())}"


class InferResponse(Mapping[str, Tensor]):
    """One response: its outputs by name."""

    __slots__ = ("_outputs", "raw")

    def __init__(self, raw: RawResponse) -> None:
        self.raw = raw
        self._outputs: dict[str, Tensor] | None = None

    @property
    def outputs(self) -> dict[str, Tensor]:
        if self._outputs is None:
            self._outputs = {each.name: Tensor(each) for each in self.raw.outputs}
        return self._outputs

    @property
    def parameters(self) -> dict[str, bool | int | str]:
        """Parameters the model attached (releases from 25.02 on)."""
        return dict(json.loads(self.raw.parameters or "{}"))

    @property
    def error(self) -> tuple[int, str] | None:
        """(code, text) of an error response, else None."""
        return self.raw.error

    def __getitem__(self, name: str) -> Tensor:
        try:
            return self.outputs[name]
        except KeyError:
            raise _missing(name, self.outputs) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)

    def to_data(self) -> dict[str, Any]:
        """Outputs, parameters and the error, for JSON."""
        code, text = self.error or (None, None)
        return {
            "outputs": [each.to_data() for each in self.outputs.values()],
            "parameters": self.parameters,
            "error": None if text is None else {"code": code, "text": text},
        }

    def __repr__(self) -> str:
        return "\n".join(["InferResponse", *preview.columns(_rows(self))])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self), preview.html_table(_rows(self), _HEAD))


class InferResult(Mapping[str, Tensor]):
    """What a request came back with.

    As a mapping it is its one response's outputs. A decoupled model may answer several times: then
    ``result.responses[i]["NAME"]`` says which, and the mapping refuses to guess.
    """

    __slots__ = ("_declared", "model", "notes", "request_id", "responses", "stats")

    def __init__(
        self,
        model: str,
        responses: Sequence[RawResponse],
        *,
        declared: Sequence[TensorSpec] = (),
        batched: bool = False,
        notes: Sequence[str] = (),
        request_id: str = "",
        stats: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.responses = [InferResponse(each) for each in responses]
        self.notes = notes
        self.request_id = request_id
        self.stats = stats
        self._declared = (declared, batched)

    @property
    def _only(self) -> InferResponse:
        if len(self.responses) == 1:
            return self.responses[0]
        full = [each for each in self.responses if each]
        if len(full) == 1:
            return full[0]
        raise KeyError(
            f"{self.model} answered {len(self.responses)} times: use result.responses[0]['NAME'] and so on"
            if self.responses
            else f"{self.model} sent no response"
        )

    @property
    def parameters(self) -> dict[str, bool | int | str]:
        """Parameters of all responses, later ones winning."""
        merged: dict[str, bool | int | str] = {}
        for each in self.responses:
            merged |= each.parameters
        return merged

    @property
    def error(self) -> tuple[int, str] | None:
        """(code, text) of the first response that is an error, else None."""
        return next((each.error for each in self.responses if each.error), None)

    def __getitem__(self, name: str) -> Tensor:
        return self._only[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._only)

    def __len__(self) -> int:
        return len(self._only)

    def _all_notes(self) -> list[str]:
        notes = list(self.notes)
        specs, batched = self._declared
        declared = {spec.name: spec for spec in specs}
        full = [each for each in self.responses if each]
        if len(self.responses) == 1:
            for name in declared:
                if name not in self.responses[0]:
                    notes.append(f"the response has no {name}, which the configuration declares")
        seen: set[str] = set()
        for each in full:
            for tensor in each.values():
                spec = declared.get(tensor.name)
                if spec is None or tensor.name in seen or _agrees(tensor, spec, batched):
                    continue
                seen.add(tensor.name)
                notes.append(f"{tensor.name} is declared {spec.type_text}, the model sent {tensor.type_text}")
        return notes

    def to_data(self) -> dict[str, Any]:
        """All responses, for JSON."""
        return {
            "model": self.model,
            "id": self.request_id,
            "responses": [each.to_data() for each in self.responses],
            "notes": self._all_notes(),
        }

    def view(self) -> None:
        """Display the tensors with their figures, histograms, and images where they may be some."""
        from workbench.widgets.infer_view import show

        show(self)

    def __repr__(self) -> str:
        count = len(self.responses)
        lines = [f"InferResult {self.model}: {count} response{'' if count == 1 else 's'}"]
        lines += preview.columns(self._table())
        lines += [f"  note: {note}" for note in self._all_notes()]
        return "\n".join(lines)

    def _table(self) -> list[list[str]]:
        if len(self.responses) == 1:
            return _rows(self.responses[0])
        shown = self.responses[:_RESPONSES]
        rows = [[f"[{i}]", *row] for i, each in enumerate(shown) for row in _rows(each)]
        if len(self.responses) > len(shown):
            rows.append([f"... {len(self.responses) - len(shown)} more"])
        return rows

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        text = repr(self)
        table = self._table()
        head = _HEAD if len(self.responses) == 1 else ["response", *_HEAD]
        html = preview.html_table(table, head, caption=text.split("\n", 1)[0])
        html += "".join(f"\n{line}" for line in preview.html_notes(self._all_notes()))
        return preview.mimebundle(text, html)


_HEAD = ["tensor", "type", "values"]
_RESPONSES = 20  # listed of one result


def _rows(response: InferResponse) -> list[list[str]]:
    if response.error:
        return [["(error)", response.error[1].strip().splitlines()[0] if response.error[1].strip() else ""]]
    if not response.outputs:
        return [["(no outputs)"]]
    return [
        [each.name, each.type_text, preview.format_values(each.numpy())] for each in response.outputs.values()
    ]


def _agrees(tensor: Tensor, spec: TensorSpec, batched: bool) -> bool:
    if tensor.datatype is not spec.datatype:
        return False
    want = spec.reshape if spec.reshape is not None else spec.dims
    got = tensor.shape[1:] if batched else tensor.shape
    return len(got) == len(want) and all(dim in (-1, size) for dim, size in zip(want, got, strict=True))


def _missing(name: str, known: Mapping[str, Any]) -> KeyError:
    return KeyError(f"no output {name!r}{did_you_mean(name, known)}; {listing(known)}")
