"""The datatype table."""

from __future__ import annotations

import numpy as np
import pytest
from tritonclient.grpc import model_config_pb2 as pb
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype

from workbench import datatypes


def test_numbers_and_config_names_agree_with_tritons_own_schema() -> None:
    for row in datatypes.DATATYPES:
        assert pb.DataType.Value(row.config) == row.number


def test_numpy_types_agree_with_tritons_client() -> None:
    for row in datatypes.DATATYPES:
        if row is not datatypes.BF16:
            assert np.dtype(triton_to_np_dtype(row.name)) == row.numpy
            assert np_to_triton_dtype(row.numpy) == row.name


@pytest.mark.parametrize("name", ["FP32", "TYPE_FP32", "float32"])
def test_every_spelling_finds_the_row(name: str) -> None:
    assert datatypes.find(name).number == 11


def test_strings_have_two_names() -> None:
    assert datatypes.find("BYTES") is datatypes.find("STRING")
    assert datatypes.find("STRING").label == "STRING"


def test_of_numpy() -> None:
    assert datatypes.of_numpy(np.dtype(">f4")) is datatypes.find("FP32")
    assert datatypes.of_numpy(np.dtype("U3")) is datatypes.BYTES
    assert datatypes.of_numpy(np.dtype("complex64")) is None
    assert datatypes.of_numpy(np.dtype("datetime64[s]")) is None


def test_bf16_there_and_back() -> None:
    values = np.array([1.0, -2.5, np.inf, 0.0], dtype=np.float32)
    assert datatypes.bf16_to_float32(datatypes.float32_to_bf16(values)).tolist() == values.tolist()
