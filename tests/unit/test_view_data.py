"""What views are given to draw, without a page."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from workbench import _host, datatypes
from workbench.errors import WorkbenchError, WorkbenchUsageError
from workbench.magics.triton import open_view
from workbench.messages import InferResult
from workbench.session.bench import BenchResult
from workbench.session.log_view import LogView
from workbench.session.logs import LogRecord, LogRing
from workbench.session.mocks import PlainOutput, PlainResponse
from workbench.session.model_table import ModelTable
from workbench.session.workbench import Workbench
from workbench.widgets.bench_view import BenchView, bench_data
from workbench.widgets.infer_view import InferView, infer_data
from workbench.widgets.log_view import LogWidget
from workbench.widgets.models_view import ModelsView


def result(**arrays: Any) -> InferResult:
    outputs = []
    for name, values in arrays.items():
        array = np.asarray(values)
        datatype = datatypes.of_numpy(array.dtype)
        assert datatype is not None
        data = _host.encode_bytes(array) if array.dtype == np.object_ else array
        outputs.append(PlainOutput(name, datatype.number, array.shape, data))
    return InferResult("m", [PlainResponse(outputs)])


def row(**arrays: Any) -> dict[str, Any]:
    (found,) = infer_data(result(**arrays))["tensors"]
    return dict(found)


def bench(latencies: list[float], previous: BenchResult | None = None) -> BenchResult:
    return BenchResult(
        "m", "src:1234567", np.array(latencies), sum(latencies), warmup=0, concurrency=1, previous=previous
    )


def test_figures_leave_out_what_is_not_finite() -> None:
    found = row(X=np.array([1, 2, 3, np.nan, np.inf], np.float32))
    assert found["figures"] == {"min": "1", "max": "3", "mean": "2", "not_finite": 2}
    assert found["histogram"]["low"] == "1" and sum(found["histogram"]["counts"]) == 3
    assert found["type"] == "FP32[5]" and found["bytes"] == 20


@pytest.mark.parametrize(
    "values",
    [
        np.array([], np.float32),
        np.array([np.nan], np.float32),
        np.array([7], np.int64),
        np.array([True, False]),
        np.array([3, 4], np.uint8),
    ],
)
def test_small_and_odd_tensors_are_shown(values: np.ndarray) -> None:
    found = row(X=values)
    assert found["images"] == [] and found["bytes"] == values.nbytes


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        ((16, 16), 1),
        ((16, 16, 3), 1),
        ((3, 16, 16), 1),
        ((5, 16, 16, 4), 5),
        ((2, 1, 16, 16), 2),
        ((6, 16, 16), 6),
        ((4, 16), 0),
        ((16,), 0),
        ((2, 3, 4), 0),
    ],
)
def test_what_may_be_an_image_is_one(shape: tuple[int, ...], count: int) -> None:
    found = row(X=np.arange(np.prod(shape), dtype=np.float32).reshape(shape))
    assert found["image_count"] == count and len(found["images"]) == min(count, 4)
    for image in found["images"]:
        assert len(image["pixels"]) == image["width"] * image["height"] * 4


def test_bytes_are_taken_as_they_are_and_large_images_thinned() -> None:
    picture = np.zeros((200, 100, 3), np.uint8)
    picture[0, 0] = [10, 20, 30]
    (image,) = row(X=picture)["images"]
    assert (image["width"], image["height"], image["step"]) == (34, 67, 3)
    assert list(image["pixels"][:4]) == [10, 20, 30, 255]


def test_a_large_answer_stays_within_what_a_page_takes() -> None:
    arrays = {f"X{n:02}": np.random.default_rng(n).random((3, 96, 96), np.float32) for n in range(60)}
    data = infer_data(result(**arrays))
    pixels = sum(len(image.pop("pixels")) for each in data["tensors"] for image in each["images"])
    assert pixels <= 72_000 and data["more"] == 20
    assert pixels + len(json.dumps(data)) < 100_000
    errors = InferResult("m", [PlainResponse([])])
    assert infer_data(errors)["tensors"] == []


def test_strings_have_values_and_no_figures() -> None:
    words = np.array([b"a", b"bc"], dtype=np.object_)
    found = row(X=words)
    assert found["values"] == "['a' 'bc']" and found["figures"] is None and found["bytes"] is None


def test_histograms_of_two_runs_share_their_bins() -> None:
    first = bench([0.001] * 99 + [5.0])
    data = bench_data(bench([0.002] * 50, previous=first))
    now, before = data["runs"]
    assert sum(now["counts"]) == 50 and sum(before["counts"]) == 100
    assert data["edges_us"][0] == 1000 and len(data["edges_us"]) == 41
    assert now["marks_us"]["p50"] == 2000 and before["max_us"] == 5_000_000
    assert [sum(each["counts"]) for each in bench_data(bench([0.001]))["runs"]] == [1]


def test_views_have_the_text_of_their_results_and_are_small() -> None:
    ring = LogRing()
    for number in range(3000):
        ring.add(LogRecord("m", "info", "x" * 1000, "/a/model.py", number))
    with Workbench() as workbench:
        shown = {
            InferView(result(X=np.ones(4, np.float32))): "InferResult m: 1 response",
            BenchView(bench([0.001, 0.002])): "Bench m: 2 requests answered",
            LogWidget(LogView(ring)): "Logs: 50 lines",
            ModelsView(workbench.models, workbench): "Models: none",
        }
        for view, text in shown.items():
            data, _ = view._repr_mimebundle_()
            assert data["text/plain"].startswith(text)
            assert "application/vnd.jupyter.widget-view+json" in data
            assert len(json.dumps(view.data, default=lambda each: "")) < 100_000
            view.close()
    with pytest.raises(WorkbenchError):
        ModelTable([]).view()
    with pytest.raises(WorkbenchUsageError, match="status has no view"):
        open_view("status", object())


def test_log_widget_is_given_news_only_when_there_are_some() -> None:
    ring = LogRing()
    widget = LogWidget(LogView(ring, "m"))
    assert widget._next() is None
    ring.add(LogRecord("m", "warning", "careful", "/a/model.py", 7))
    ring.add(LogRecord("other", "info", "hello"))
    data = widget._next()
    assert data is not None and [each["line"] for each in data["lines"]] == [7]
    assert widget._next() is None
    widget.close()
    ring.add(LogRecord("m", "info", "late"))
    assert widget._next() is None
