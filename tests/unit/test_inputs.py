"""Casting and shape rules of request inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.model_config import ModelConfig
from workbench.session.inputs import InputEncoder


def encoder(*specs: str, max_batch: int = 0) -> InputEncoder:
    return InputEncoder(ModelConfig.from_specs("m", specs, ["OUT:FP32[1]"], max_batch_size=max_batch))


def one(spec: str, value: Any) -> np.ndarray:
    return np.asarray(encoder(f"X:{spec}").encode({"X": value})[0][3])


def refused(spec: str, value: Any, max_batch: int = 0) -> str:
    with pytest.raises(InputError) as caught:
        encoder(f"X:{spec}", max_batch=max_batch).encode({"X": value})
    return str(caught.value)


def test_an_integer_beyond_64_bits_is_named_as_such() -> None:
    with pytest.raises(InputError, match="X is INT64") as caught:
        encoder("X:INT64[1]").encode({"X": [2**70]})
    assert caught.value.hint == "64 bits hold no such integer"


def test_an_array_that_fits_is_sent_as_it_is() -> None:
    array = np.arange(4, dtype=np.float32)
    [(name, number, shape, data)] = encoder("X:FP32[4]").encode({"X": array})
    assert (name, number, shape) == ("X", 11, (4,))
    assert data is array


@pytest.mark.parametrize(
    ("spec", "value", "expected"),
    [
        ("FP32[4]", [1, 2, 3, 4], np.array([1, 2, 3, 4], dtype=np.float32)),
        (
            "FP32[2]",
            [0.1, 0.2],
            np.array([0.1, 0.2], dtype=np.float32),
        ),  # Python floats have no width of their own
        ("FP32[2]", np.ones(2), np.array([1, 1], dtype=np.float32)),
        ("FP32[1]", np.array([np.nan]), np.array([np.nan], dtype=np.float32)),
        ("FP16[1]", [float("inf")], np.array([np.inf], dtype=np.float16)),
        ("INT8[2]", np.array([-128, 127]), np.array([-128, 127], dtype=np.int8)),
        ("INT64[1]", np.array([2.0]), np.array([2], dtype=np.int64)),
        ("BOOL[2]", [True, False], np.array([True, False])),
        ("BOOL[2]", np.array([0, 1]), np.array([False, True])),
        ("FP32[2]", np.array([True, False]), np.array([1, 0], dtype=np.float32)),
        ("UINT8[-1]", [], np.array([], dtype=np.uint8)),
        ("FP32[2]", np.array([1, 2], dtype=">f4"), np.array([1, 2], dtype=np.float32)),
        ("FP32[2]", np.arange(4, dtype="f4")[::2], np.array([0, 2], dtype=np.float32)),
    ],
)
def test_values_that_survive_are_cast(spec: str, value: Any, expected: np.ndarray) -> None:
    data = one(spec, value)
    assert data.dtype == expected.dtype
    assert data.flags.c_contiguous
    np.testing.assert_array_equal(data, expected)


@pytest.mark.parametrize(
    ("spec", "value", "text"),
    [
        ("FP32[1]", np.array([0.1]), "X is FP32[1], got FP64[1] with values FP32 cannot hold: 0.1 at [0]"),
        ("FP32[1]", [16777217], "X is FP32[1], got INT64[1] with values FP32 cannot hold: 16777217 at [0]"),
        ("FP16[1]", [1e6], "X is FP16[1], got FP64[1] with values FP16 cannot hold: 1000000.0 at [0]"),
        ("INT8[2]", [1, 128], "X is INT8[2], got INT64[2] with values INT8 cannot hold: 128 at [1]"),
        (
            "UINT64[1]",
            np.array([-1]),
            "X is UINT64[1], got INT64[1] with values UINT64 cannot hold: -1 at [0]",
        ),
        ("INT32[1]", [1.5], "X is INT32[1], got FP64[1] with values INT32 cannot hold: 1.5 at [0]"),
        ("INT32[1]", [float("nan")], "X is INT32[1], got FP64[1] with values INT32 cannot hold: nan at [0]"),
        ("BOOL[1]", [2], "X is BOOL[1], got INT64[1] with values BOOL cannot hold: 2 at [0]"),
        (
            "FP64[1]",
            [2**63 - 1],
            "X is FP64[1], got INT64[1] with values FP64 cannot hold: 9223372036854775807 at [0]",
        ),
        ("FP32[1]", ["a"], "X is FP32[1], got text"),
        ("FP32[2]", [[1], [1, 2]], "X is FP32[2], got a value NumPy cannot read"),
        ("STRING[1]", [1], "X is STRING[1], got int 1"),
    ],
)
def test_values_that_would_change_are_refused(spec: str, value: Any, text: str) -> None:
    assert refused(spec, value).startswith(text)


def test_bf16_takes_values_it_can_hold() -> None:
    assert one("BF16[2]", np.array([1.0, -2.5], dtype=np.float32)).tolist() == [0x3F80, 0xC020]
    assert one("BF16[1]", [0.1]).tolist() == [0x3DCD]  # nearest
    assert one("BF16[1]", np.array([3], dtype=np.uint16)).tolist() == [0x4040]  # a number, not raw bits
    assert "BF16 cannot hold: 1.00390" in refused("BF16[1]", np.array([1.00390625], dtype=np.float32))


def test_bf16_takes_arrays_of_ml_dtypes() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    assert one("BF16[2]", np.array([1, 2], dtype=ml_dtypes.bfloat16)).tolist() == [0x3F80, 0x4000]


def test_shapes() -> None:
    assert refused("FP32[4]", [1, 2, 3]) == "X is FP32[4], got FP32[3]"
    assert refused("FP32[4]", [[1, 2, 3, 4]]) == "X is FP32[4], got FP32[1,4]"
    assert refused("FP32[2,-1]", np.ones((3, 5))) == "X is FP32[2,-1], got FP32[3,5]"
    assert one("FP32[2,-1]", np.ones((2, 5))).shape == (2, 5)
    assert refused("FP32[1]", 1.0) == "X is FP32[1], got FP32[]"


def test_the_batch_dimension_is_added_and_said() -> None:
    notes: list[str] = []
    [(_, _, shape, _)] = encoder("X:FP32[4]", max_batch=8).encode({"X": [1, 2, 3, 4]}, notes)
    assert shape == (1, 4)
    assert notes == ["batch dimension added: X sent as FP32[1,4]"]
    [(_, _, shape, _)] = encoder("X:FP32[4]", max_batch=8).encode({"X": np.ones((3, 4))}, notes)
    assert shape == (3, 4)
    assert len(notes) == 1


def test_batch_sizes() -> None:
    assert refused("FP32[1]", np.ones((9, 1)), 8) == "batch size 9 for m, max allowed is 8"
    assert refused("FP32[1]", np.ones((0, 1)), 8) == "batch size 0 for m: a request needs at least 1"
    with pytest.raises(InputError, match="one batch size, got A 2, B 3"):
        encoder("A:FP32[1]", "B:FP32[1]", max_batch=8).encode({"A": np.ones((2, 1)), "B": np.ones((3, 1))})


def test_names() -> None:
    both = encoder("INPUT0:FP32[4]", "MASK?:BOOL[4]")
    with pytest.raises(InputError) as caught:
        both.encode({"INPUTO": [1, 2, 3, 4]})
    assert str(caught.value) == "m has no input 'INPUTO' (did you mean INPUT0?)"
    assert caught.value.hint == "inputs: INPUT0 FP32[4], MASK? BOOL[4]"
    with pytest.raises(InputError) as caught:
        both.encode({})
    assert str(caught.value) == "m needs input INPUT0 FP32[4]"
    assert len(both.encode({"INPUT0": [1, 2, 3, 4]})) == 1  # MASK may be left out
