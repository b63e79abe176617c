"""Every example loads into the workbench as it is, and answers there what its client expects of a server."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import workbench as wb

EXAMPLES = Path(__file__).parents[2] / "examples"

A = np.array([1.5, 2.5, -3.0, 0.0], dtype=np.float32)
B = np.array([4.0, 0.5, 1.0, -2.0], dtype=np.float32)

#: Examples whose interface is two tensors in, sum and difference out → models they ask.
ADD_AND_SUBTRACT = {
    "add_sub": (),
    "pytorch": (),
    "jax_add_sub": (),
    "auto_complete_batch": (),
    "auto_complete_nobatch": (),
    "bls_async": ("add_sub", "jax_add_sub"),
}


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    with wb.current():
        yield Session(tmp_path / "examples")


class Session:
    """The examples by name, loaded when asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, *names: str) -> Any:
        """The last of these models; all are loaded from their folders, in this order."""
        return [wb.define(name, self._folder / name) for name in names][-1]


@pytest.mark.parametrize("name", ADD_AND_SUBTRACT)
def test_add_and_subtract(session: Session, name: str) -> None:
    if name == "pytorch" and importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    model = session.load(*ADD_AND_SUBTRACT[name], name)
    batch = model.config.max_batch_size > 0
    result = model.infer(INPUT0=A[np.newaxis] if batch else A, INPUT1=B[np.newaxis] if batch else B)
    np.testing.assert_array_equal(result["OUTPUT0"].numpy().reshape(4), A + B)
    np.testing.assert_array_equal(result["OUTPUT1"].numpy().reshape(4), A - B)


@pytest.mark.parametrize(("name", "batch"), [("auto_complete_batch", 4), ("auto_complete_nobatch", 0)])
def test_auto_complete(session: Session, name: str, batch: int) -> None:
    config = session.load(name).config
    assert config.max_batch_size == batch
    assert [each.name for each in config.inputs] == ["INPUT0", "INPUT1"]
    assert [each.name for each in config.outputs] == ["OUTPUT0", "OUTPUT1"]


def test_identity_string(session: Session) -> None:
    strings = [b"plain", "日本語".encode(), b"", b"\x00\xff", b"x" * 100_000]
    result = session.load("identity_string").infer(INPUT=np.array([strings], dtype=object))
    assert result["OUTPUT"].tolist() == [strings]


def test_bls_sync(session: Session) -> None:
    model = session.load("add_sub", "bls_sync")
    result = model.infer(MODEL_NAME=["add_sub"], INPUT0=A, INPUT1=B)
    np.testing.assert_array_equal(result["OUTPUT0"].numpy(), A + B)
    with pytest.raises(wb.WorkbenchError, match="no_such_model"):
        model.infer(MODEL_NAME=["no_such_model"], INPUT0=A, INPUT1=B)


@pytest.mark.parametrize("number", [4, 2, 0, 1])
def test_decoupled_square(session: Session, number: int) -> None:
    model = session.load("decoupled_square")
    values = [int(each["OUT"].numpy()[0]) for each in model.stream(IN=[number]) if "OUT" in each]
    assert values == [number] * number


def test_decoupled_repeat(session: Session) -> None:
    model = session.load("decoupled_repeat")
    stream = model.stream(IN=[4, 2, 0, 1], DELAY=[1, 20, 1, 5], WAIT=[10])
    received = [(int(each["IDX"][0]), int(each["OUT"][0])) for each in stream if "OUT" in each]
    assert received == [(0, 4), (1, 2), (2, 0), (3, 1)]


def test_bls_decoupled_sync(session: Session) -> None:
    model = session.load("decoupled_square", "bls_decoupled_sync")
    assert [model.infer(IN=[number])["SUM"].tolist() for number in (4, 2, 0, 1)] == [[16], [4], [0], [1]]


def test_bls_decoupled_async(session: Session) -> None:
    model = session.load("decoupled_square", "bls_decoupled_async")
    assert model.infer(IN=[4, 2, 0, 1])["SUM"].tolist() == [16, 4, 0, 1]


def test_custom_metrics(session: Session) -> None:
    model = session.load("custom_metrics")
    for size in range(1, 11):
        array = np.arange(size, dtype=np.float32)
        assert model.infer(INPUT=array)["MEAN"].tolist() == [array.mean()]
    # Three instances have counted, in one series.
    series = 'example_elements_total{model="custom_metrics",version="1"} 55'
    assert series in wb.current().metrics.dump().splitlines()


@pytest.mark.parametrize(
    ("label", "colour"), [(b"red", (200, 30, 20)), (b"green", (10, 180, 60)), (b"blue", (0, 0, 90))]
)
def test_image_pipeline(session: Session, label: bytes, colour: tuple[int, int, int]) -> None:
    model = session.load("preprocess", "classify", "image_pipeline")
    result = model.infer(IMAGE=np.full((48, 100, 3), colour, dtype=np.uint8))
    assert result["LABEL"].tolist() == [label]
    np.testing.assert_allclose(result["SCORES"].numpy().sum(), 1, rtol=1e-6)


def test_image_pipeline_refuses_an_empty_image(session: Session) -> None:
    model = session.load("preprocess", "classify", "image_pipeline")
    with pytest.raises(wb.WorkbenchError, match="the image is empty"):
        model.infer(IMAGE=np.zeros((0, 5, 3), dtype=np.uint8))


def test_instance_kind(session: Session) -> None:
    model = session.load("instance_kind")
    result = model.infer(INPUT=A)
    np.testing.assert_array_equal(result["OUTPUT"].numpy(), A * 2)
    assert result["DEVICE"].tolist() == [b"cpu"]
    assert result["INSTANCE"].tolist()[0].startswith(b"instance_kind")
