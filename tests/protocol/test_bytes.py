"""BYTES tensors between NumPy and the wire."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import _host


def wire(*pieces: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(piece)) + piece for piece in pieces)


def objects(*items: object) -> np.ndarray:
    array = np.empty(len(items), dtype=np.object_)
    array[:] = items
    return array


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_there_and_back(pieces: list[bytes]) -> None:
    encoded = _host.encode_bytes(objects(*pieces))
    assert encoded == wire(*pieces)
    decoded = _host.decode_bytes(encoded, len(pieces))
    assert decoded.dtype == np.object_
    assert decoded.tolist() == pieces


def test_anything_becomes_its_text() -> None:
    array = objects(b"\x00raw\x00", "Grüße", None, 3.5, np.str_("n"), np.bytes_(b"b"))
    assert _host.encode_bytes(array) == wire(b"\x00raw\x00", "Grüße".encode(), b"None", b"3.5", b"n", b"b")


def test_fixed_width_bytes_lose_trailing_nuls() -> None:
    array = np.array([b"a\x00", b"", b"\x00b"], dtype="S4")
    assert _host.encode_bytes(array) == wire(b"a", b"", b"\x00b")


def test_elements_go_in_c_order() -> None:
    array = np.array([[b"a", b"b"], [b"c", b"d"]], dtype=np.object_)
    assert _host.encode_bytes(array.T) == wire(b"a", b"c", b"b", b"d")
    assert _host.encode_bytes(array.astype("S1")[:, ::-1]) == wire(b"b", b"a", b"d", b"c")


@pytest.mark.parametrize("array", [np.zeros(2), np.array(["text"])])
def test_other_datatypes_are_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="BYTES"):
        _host.encode_bytes(array)


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        _host.encode_bytes(objects("\udcff"))


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"\x01", 1),
        (b"\x05\x00\x00\x00ab", 1),
        (wire(b"a"), 2),
        (wire(b"a", b"b"), 1),
        (b"\xff\xff\xff\xff", 1),
    ],
)
def test_malformed_data_are_refused(data: bytes, count: int) -> None:
    with pytest.raises(ValueError, match="malformed"):
        _host.decode_bytes(data, count)
    with pytest.raises(ValueError, match="malformed"):
        _host.Request([("IN", 13, (count,), data)], ["OUT"])


def test_an_element_may_change_the_array_it_is_in() -> None:
    array = np.empty(3, dtype=np.object_)

    class Vandal:
        def __str__(self) -> str:
            array[:] = None
            return "done"

    array[:] = [bytes([65]) * 3, Vandal(), "text" * 2]
    assert _host.encode_bytes(array).startswith(wire(b"AAA", b"done"))


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (("IN", 11, (2,), b"1234"), "bytes"),
        (("IN", 0, (1,), b"1234"), "datatype"),
        (("IN", 99, (1,), b"1234"), "datatype"),
        (("IN", 11, (-1,), b"1234"), "shape"),
        (("IN", 2, (2**40, 2**40), b"1234"), "shape"),
        (("IN", 11, (2, 2), np.zeros((4, 4), np.float32)[::2, ::2]), "contiguous"),
    ],
)
def test_impossible_tensors_are_refused(tensor: _host.TensorTuple, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        _host.Request([tensor], ["OUT"])
