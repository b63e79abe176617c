"""Traces as values: text, critical path, files."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from workbench import _host
from workbench.errors import WorkbenchError, WorkbenchUsageError
from workbench.lab.trace_topic import TracesTopic
from workbench.preview import format_seconds
from workbench.session.workbench import Workbench
from workbench.trace.cut import cut_data
from workbench.trace.span import Span, TensorInfo
from workbench.trace.trace import Trace
from workbench.trace.tree import Forest
from workbench.widgets.trace_view import TraceView

_X = TensorInfo("X", "FP32", (2,), 8)


def _call(model: str, start: int, end: int, children: list[Span] | None = None, **more: Any) -> Span:
    more = {"how": "exec", "line": 7, "cell": "Cell In[2]", "responses": 1, **more}
    return Span(
        f"{model}{start}",
        model,
        "bls",
        start,
        end - start,
        inputs=[_X],
        outputs=[_X],
        children=children or [],
        **more,
    )


def _trace(*calls: Span, end: int = 1000, error: str | None = None) -> Trace:
    execute = Span("x", "top", "execute", 100, end - 200, children=list(calls))
    queue = Span("q", "top", "queue", 0, 100)
    root = Span(
        "1",
        "top",
        "request",
        0,
        end,
        inputs=[_X],
        outputs=[_X],
        error=error,
        responses=1,
        children=[queue, execute],
    )
    return Trace(root, id=f"{1:032x}", started_unix_ns=1_700_000_000_000_000_000)


def test_text_shows_nesting_forms_errors_and_counts() -> None:
    trace = _trace(
        _call(
            "first",
            200,
            300,
            [
                Span(
                    "y",
                    "first",
                    "execute",
                    210,
                    80,
                    children=[_call("deep", 220, 240), _call("deep", 250, 260, error="boom\nmore")],
                )
            ],
        ),
        _call("second", 400, 500, how="async_exec"),
        _call("third", 600, 700, how=None, decoupled=True, responses=12),
    )
    assert repr(trace) == "\n".join(
        [
            "Trace top: ok, 5 BLS calls",
            "top                           FP32[2] -> FP32[2]",
            "|- first    exec              FP32[2] -> FP32[2]",
            "|  |- deep  exec              FP32[2] -> FP32[2]",
            "|  `- deep  exec              FP32[2] -> error: boom",
            "|- second   async_exec        FP32[2] -> FP32[2]",
            "`- third    call(decoupled)   FP32[2] -> FP32[2] x12",
        ]
    )
    assert [each.model for each in trace.errors] == ["deep"]
    html = trace._repr_mimebundle_()["text/html"]
    assert "error: boom" in html
    assert "<script" not in html


def test_text_of_many_calls_is_cut() -> None:
    trace = _trace(*(_call("m", 200 + n, 201 + n) for n in range(500)))
    lines = repr(trace).splitlines()
    assert lines[-1] == "... 301 more"
    assert len(lines) == 202
    assert "301 more" in trace._repr_mimebundle_()["text/html"]


def test_times_are_shown_when_asked_for_only() -> None:
    trace = _trace(_call("m", 200, 300), end=2_500_000)
    assert "ms" not in repr(trace)
    assert repr(trace.with_times()).splitlines()[1].endswith("   2.5 ms")
    assert [format_seconds(each) for each in (0.0, 1.5e-6, 2e-3, 0.9996, 3.21)] == [
        "0 us",
        "1.5 us",
        "2 ms",
        "1 s",
        "3.21 s",
    ]


def test_critical_path_goes_back_from_the_end() -> None:
    slow, quick = _call("slow", 200, 700), _call("quick", 210, 400)
    after = _call("after", 710, 790)
    trace = _trace(slow, quick, after)
    assert [each.id for each in trace.critical_path()] == ["1", "q", "x", "slow200", "after710"]
    assert not quick.critical


@pytest.mark.parametrize("format", ["event", "otlp"])
def test_files_are_read_back_whole(format: str, tmp_path: Path) -> None:
    trace = _trace(
        _call("a", 200, 300, how="async_exec", error="no"),
        _call("b", 250, 400, line=None, cell=None),
        error="it failed",
    )
    path = trace.save(tmp_path / "t.json", format)
    again = Trace.load(path)
    assert again.to_data() == trace.to_data()
    assert again.started_unix_ns == trace.started_unix_ns


def test_event_file_has_slices_that_nest_and_pairs_for_what_overlaps(tmp_path: Path) -> None:
    inner = Span("ia", "a", "execute", 205, 90)
    trace = _trace(
        _call("a", 200, 300, [inner], how="async_exec"),
        _call("a", 250, 400, [Span("ib", "a", "execute", 260, 100)], how="async_exec"),
        _call("b", 500, 600),
    )
    events = json.loads(trace.save(tmp_path / "t.json").read_text())["traceEvents"]
    pairs: dict[str, list[str]] = {}
    for each in events:
        if each["ph"] in "be":
            pairs.setdefault(each["id"], []).append(each["ph"])
    assert list(pairs.values()) == [["b", "e"], ["b", "e"]]
    slices = [(each["tid"], each["ts"], each["ts"] + each["dur"]) for each in events if each["ph"] == "X"]
    for track, start, end in slices:
        for other, first, last in slices:
            apart = track != other or last <= start or first >= end
            assert apart or (first <= start and end <= last) or (start <= first and last <= end)
    # The two executions of the one model overlap, so they are on two tracks.
    assert len({track for track, start, _ in slices if start in (0.205, 0.26)}) == 2


def test_otlp_file_is_what_the_protocol_says(tmp_path: Path) -> None:
    trace = _trace(_call("a", 200, 300, error="no"))
    data = json.loads(trace.save(tmp_path / "t.json", "otlp").read_text())
    # The protocol's JSON has ids in hex, where protobuf's own has base64; else they are the same.
    for span in data["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for key in ("traceId", "spanId", "parentSpanId"):
            if key in span:
                span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    message = json_format.ParseDict(data, trace_service_pb2.ExportTraceServiceRequest())
    spans = message.resource_spans[0].scope_spans[0].spans
    assert [each.name for each in spans] == ["top", "queue", "execute", "a"]
    assert spans[3].parent_span_id == spans[2].span_id
    assert spans[3].end_time_unix_nano - spans[3].start_time_unix_nano == 100
    assert spans[3].status.code == spans[3].status.STATUS_CODE_ERROR
    assert {len(each.trace_id) for each in spans} == {16}


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="cannot read"):
        Trace.load(tmp_path / "absent.json")
    for text in (
        "no json",
        "[]",
        "{}",
        '{"traceEvents": []}',
        '{"resourceSpans": []}',
        '{"traceEvents": [{"ph": "X"}]}',
    ):
        path = tmp_path / "other.json"
        path.write_text(text)
        with pytest.raises(WorkbenchError, match="no trace of the workbench"):
            Trace.load(path)
    with pytest.raises(WorkbenchUsageError, match="unknown trace format"):
        _trace().save(tmp_path / "t.json", "svg")


def _tap(*, byte_size: int = 1 << 16) -> _host.Tap:
    return _host.Tap(byte_size)


def test_tap_gives_back_what_it_was_told() -> None:
    tap = _tap()
    tensors = [("X", 11, (2, 3), 24), ("TEXT", 13, (), 9)]
    begin = tap.position
    tap.begin(5, "model", tensors, parent=3)
    tap.end(5, tensors[:1], error="bad \udcff".encode("utf-8", "replace").decode())
    opened, ended = tap.read(begin)
    assert (opened.kind, opened.span, opened.parent, opened.model) == ("begin", 5, 3, "model")
    assert opened.tensors == tensors
    assert (ended.kind, ended.final, ended.error) == ("reply", True, "bad ?")
    assert ended.time_ns >= opened.time_ns
    assert tap.read(tap.position) == []


def test_tap_drops_the_oldest_and_keeps_to_its_bytes() -> None:
    tap = _tap(byte_size=1000)
    for number in range(1, 500):
        tap.begin(number, "m" * (number % 40), [("X", 11, (number,), number)])
        spans = [each.span for each in tap.read()]
        assert spans == list(range(spans[0], number + 1))
    assert tap.dropped == 499 - len(spans)
    tap.begin(1, "m" * 255, [("x" * 200, 11, (1,) * 30, 1)] * 64)  # never fits
    assert [each.span for each in tap.read()] == spans
    tap.byte_size = 0
    assert not tap.enabled
    tap.enabled = True
    assert not tap.enabled


def test_requests_whose_caller_was_dropped_are_no_roots() -> None:
    tap = _tap()
    caller, own, given = _host.next_span(), _host.next_span(), _host.next_span()
    child, root = _host.next_span(), _host.next_span()
    tap.begin(own, "own", [])
    tap.begin(child, "child", [], parent=caller)
    tap.begin(root, "asked", [], parent=given)
    forest = Forest(tap.read(), lambda name: "", str)
    assert sorted(forest.roots()) == [own, root]


def test_the_first_request_of_all_may_be_a_traced_one() -> None:
    tap = _tap()
    given, root = _host.next_span(), _host.next_span()
    tap.begin(root, "asked", [], parent=given)
    assert Forest(tap.read(), lambda name: "", str, whole=True).roots() == [root]


def test_data_for_a_message_are_cut_and_say_so() -> None:
    trace = _trace(*(_call("m", 200 + n, 201 + n) for n in range(500)))
    whole = trace.to_data()
    assert cut_data(whole, 10_000_000) == {**whole, "more": 0}
    cut = cut_data(whole, 20_000)
    assert len(json.dumps(cut)) <= 20_000
    kept = sum(1 for _ in Trace.from_data(cut).root.walk())
    assert kept + cut["more"] == sum(1 for _ in trace.root.walk())
    assert cut["more"] > 400
    assert [each["kind"] for each in cut["root"]["children"]] == ["queue", "execute"]


def test_front_ends_hear_of_new_traces_only_when_there_are_some() -> None:
    with Workbench() as workbench:
        topic = TracesTopic(workbench)
        topic.open(lambda: None)
        assert list(topic.news()) == [("trace", {"traces": [], "truncated": False})]
        assert list(topic.news()) == []
        tap = workbench.recorder.tap
        for _ in range(12):
            span = _host.next_span()
            tap.begin(span, "ensemble", [("X", 11, (2,), 8)])
            tap.end(span, [("Y", 11, (2,), 8)])
        ((kind, body),) = topic.news()
        assert kind == "trace"
        assert [each["model"] for each in body["traces"]] == ["ensemble"] * 10
        assert body["traces"][-1] == {**workbench.recorder.last().to_data(), "more": 0}


def test_view_holds_the_trace_its_fallback_and_what_the_buttons_ask_for() -> None:
    trace = _trace(_call("a", 200, 300))
    view = TraceView(trace)
    try:
        sent: list[dict[str, Any]] = []
        view.send = sent.append
        view._on_message(view, {"kind": "export", "view": "v", "format": "otlp"}, [])
        view._on_message(view, {"kind": "export", "view": "v", "format": "../x"}, [])
        assert [each["name"] for each in sent] == ["top.otlp.json"]
        assert "resourceSpans" in json.loads(sent[0]["text"])
        assert view.data == {**trace.to_data(), "more": 0}
        shown = view._repr_mimebundle_()
        data = shown[0] if isinstance(shown, tuple) else shown
        assert data["text/plain"] == repr(trace)
        assert not view.updating
    finally:
        view.close()


def test_a_file_with_a_span_below_itself_is_none_of_ours(tmp_path: Path) -> None:
    trace = _trace(_call("m", 200, 300))
    file = trace.save(tmp_path / "trace.json")
    data = json.loads(file.read_text())
    spans = [each for each in data["traceEvents"] if each["ph"] in ("X", "b")]
    data["traceEvents"].append({**spans[0], "args": {**spans[0]["args"], "parent": trace.root.id}})
    file.write_text(json.dumps(data))
    with pytest.raises(WorkbenchError, match="is no trace of the workbench"):
        Trace.load(file)
