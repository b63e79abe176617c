"""What results look like and how they behave."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from workbench import datatypes
from workbench.messages import InferResult, Tensor
from workbench.preview import format_bytes, format_values
from workbench.tensor_spec import parse_spec


@dataclass
class Output:
    name: str
    array: np.ndarray
    number: int = 0

    @property
    def datatype(self) -> int:
        row = datatypes.of_numpy(self.array.dtype)
        return self.number or (row.number if row else 0)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def numpy(self) -> np.ndarray:
        return self.array


@dataclass
class Response:
    outputs: list[Output] = field(default_factory=list)
    error: tuple[int, str] | None = None
    parameters: str = ""


def f4(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def result(*responses: Response, **more: Any) -> InferResult:
    return InferResult("add_sub", responses, **more)


def test_one_response() -> None:
    found = result(Response([Output("SUM", f4(2, 3, 4, 5)), Output("DIFF", f4(0, 1, 2, 3))]))
    assert repr(found) == (
        "InferResult add_sub: 1 response\n  SUM   FP32[4]  [2. 3. 4. 5.]\n  DIFF  FP32[4]  [0. 1. 2. 3.]"
    )
    bundle = found._repr_mimebundle_()
    assert bundle["text/plain"] == repr(found)
    assert set(bundle) == {"text/plain", "text/html"}
    for forbidden in ("<script", "style=", " id="):
        assert forbidden not in bundle["text/html"]
    assert list(found) == ["SUM", "DIFF"]
    with pytest.raises(KeyError, match=r"no output 'SUN' \(did you mean SUM\?\)"):
        found["SUN"]


def test_several_responses_do_not_guess() -> None:
    found = result(Response([Output("Y", f4(1))]), Response([Output("Y", f4(2))]))
    assert repr(found) == "InferResult add_sub: 2 responses\n  [0]  Y  FP32[1]  [1.]\n  [1]  Y  FP32[1]  [2.]"
    with pytest.raises(KeyError, match="answered 2 times"):
        found["Y"]
    assert found.responses[1]["Y"].tolist() == [2.0]


def test_an_empty_last_response_does_not_count() -> None:
    assert result(Response([Output("Y", f4(1))]), Response())["Y"].tolist() == [1.0]


def test_what_the_configuration_says_otherwise_is_noted() -> None:
    declared = [parse_spec("Y:FP32[2]"), parse_spec("Z:INT8[1]")]
    text = repr(result(Response([Output("Y", np.ones(3))]), declared=declared))
    assert text.splitlines()[2:] == [
        "  note: the response has no Z, which the configuration declares",
        "  note: Y is declared FP32[2], the model sent FP64[3]",
    ]
    agreed = result(Response([Output("Y", np.ones((1, 2), "f4"))]), declared=declared[:1], batched=True)
    assert "note" not in repr(agreed)


def test_a_tensor_is_array_like() -> None:
    tensor = Tensor(Output("Y", f4(1, 2)))
    assert (tensor + 1).tolist() == [2.0, 3.0]
    assert np.sum(tensor) == 3
    assert (tensor == f4(1, 2)).all()
    assert len(tensor) == 2
    assert tensor[1] == 2
    assert np.asarray(tensor) is tensor.numpy()
    assert np.array(tensor, dtype="f8").dtype == np.float64
    assert repr(tensor) == "Tensor Y  FP32[2]  [1. 2.]"


def test_dlpack_works_on_read_only_memory() -> None:
    array = f4(1, 2)
    array.flags.writeable = False
    tensor = Tensor(Output("Y", array))
    assert np.from_dlpack(tensor).tolist() == [1.0, 2.0]
    assert tensor.__dlpack_device__()[1] == 0


def test_bf16_comes_back_as_float32() -> None:
    tensor = Tensor(Output("Y", np.array([0x3F80, 0xC020], dtype=np.uint16), number=14))
    assert tensor.dtype == np.float32
    assert tensor.tolist() == [1.0, -2.5]
    assert tensor.type_text == "BF16[2]"


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (f4(1, 2), "[1. 2.]"),
        (np.arange(20), "[0 1 2 3 4 5 6 7 ...]"),
        (f4(0.5, 1, 2.25), "[0.5 1. 2.25]"),
        (np.arange(6).reshape(2, 3), "[[0 1 2] [3 4 5]]"),
        (np.array([b"a", b"\xff"], dtype=object), "['a' b'\\xff']"),
        (np.array([], dtype="f4"), "[]"),
        (np.array([True, False]), "[True False]"),
        (f4(1 / 3), "[0.333333]"),
    ],
)
def test_previews(array: np.ndarray, text: str) -> None:
    with np.printoptions(precision=1, threshold=2, linewidth=10):  # the user's own options change nothing
        assert format_values(array) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1751121, "1.67 MiB"),
        (3 << 20, "3 MiB"),
        (1023590, "1000 KiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert format_bytes(count) == text
