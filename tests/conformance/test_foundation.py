"""The first round trips: sums and identities of several datatypes, compared element by element."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.conformance.targets import Target, Typed, config, datatype_of, source_of

_RNG = np.random.default_rng(7)
_FP32 = _RNG.standard_normal((3, 5)).astype(np.float32)


def test_add_sub(target: Target) -> None:
    text = config(
        [("INPUT0", "FP32", [4]), ("INPUT1", "FP32", [4])],
        [("OUTPUT0", "FP32", [4]), ("OUTPUT1", "FP32", [4])],
    )
    model = target.load(source_of("add_sub"), text, name="add_sub")
    left, right = (_RNG.standard_normal(4).astype(np.float32) for _ in range(2))
    answer = model.infer(INPUT0=left, INPUT1=right)
    assert answer.error is None
    assert sorted(answer.outputs) == ["OUTPUT0", "OUTPUT1"]
    np.testing.assert_array_equal(answer.outputs["OUTPUT0"], left + right)
    np.testing.assert_array_equal(answer.outputs["OUTPUT1"], left - right)
    target.drop(model.name)


@pytest.mark.parametrize(
    "array",
    [
        np.array([b"", b"\x00\xff", "día".encode(), b"x" * 70000], dtype=np.object_),
        np.array([[b"a", b"bc"], [b"def", b""]], dtype=np.object_),
        np.array([], dtype=np.object_),
        _FP32,
        np.array([np.nan, np.inf, -0.0, 1e-45], dtype=np.float32),
        np.array([[1, -(2**63)], [2**63 - 1, 0]], dtype=np.int64),
        np.array([True, False, True]),
        np.arange(-4, 4, dtype=np.int8),
        np.arange(250, 256).astype(np.uint8),
        np.array([1.5, -2.5], dtype=np.float16),
        np.array([2**64 - 1], dtype=np.uint64),
        np.array([np.pi], dtype=np.float64),
        np.zeros((0, 3), dtype=np.int32),
        _RNG.integers(0, 255, 1 << 22, dtype=np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{list(array.shape)}",
)
def test_identity(target: Target, identities: dict[str, Any], array: np.ndarray[Any, Any]) -> None:
    datatype, _ = datatype_of(array)
    name = f"{datatype}_{array.ndim}"
    if name not in identities:
        text = config([("IN", datatype, [-1] * array.ndim)], [("OUT", datatype, [-1] * array.ndim)])
        identities[name] = target.load(source_of("identity"), text, name=f"identity_{datatype.lower()}")
    answer = identities[name].infer(IN=array)
    assert answer.error is None
    assert answer.datatypes == {"OUT": datatype}
    assert answer.outputs["OUT"].shape == array.shape
    # Bits, not values: a NaN is a NaN, and -0.0 is not 0.0.
    if datatype == "BYTES":
        assert answer.outputs["OUT"].tolist() == array.tolist()
    else:
        assert answer.outputs["OUT"].tobytes() == array.tobytes()


def test_identity_bf16(target: Target) -> None:
    """Without PyTorch: a tensor speaks DLPack itself."""
    text = config([("IN", "BF16", [-1])], [("OUT", "BF16", [-1]), ("TEXT", "BYTES", [1])])
    model = target.load(source_of("identity_bf16"), text, name="identity_bf16")
    bits = (np.array([1.0, -2.0, 3.140625, 0.0], dtype=np.float32).view(np.uint32) >> 16).astype(np.uint16)
    answer = model.infer(IN=Typed("BF16", bits))
    assert answer.error is None
    assert answer.datatypes["OUT"] == "BF16"
    np.testing.assert_array_equal(answer.outputs["OUT"], bits)
    assert answer.text("TEXT") == (
        "TritonModelException: Tensor dtype is BF16 and cannot be converted to NumPy."
        " Use to_dlpack() and from_dlpack() instead."
    )
    target.drop(model.name)


@pytest.fixture(scope="module")
def identities(target: Target) -> Any:
    found: dict[str, Any] = {}
    yield found
    for model in found.values():
        target.drop(model.name)
