"""Recorded requests: what is kept, and ``%triton replay``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.live import ECHO, define, source
from tests.support.notebook import CELL, Notebook, traceback_of
from workbench.errors import InputError, ModelExecutionError, ReplayMismatch
from workbench.session import recorder
from workbench.session.replay import load_requests, replay, save_requests
from workbench.targets.live import LiveTarget

OK = "%triton infer add_sub INPUT0=[1,2,3,4] INPUT1=[1,1,1,1]"
BAD = "%triton infer add_sub INPUT0=[1,2,3,4] INPUT1=[0,0,0,0]"


def test_equal_requests_are_one_line(notebook: Notebook) -> None:
    notebook.run(CELL)
    notebook.run(f"{OK}\n{OK}")
    report = notebook.run("%triton replay add_sub --assert-equal")
    assert repr(report) == "Replay add_sub: 2 requests, 2 equal"
    assert report
    # A repetition is no request of the user's: the recording stays as it is.
    assert len(notebook.run("%triton replay")) == 2


def test_a_changed_model_differs(notebook: Notebook) -> None:
    notebook.run(CELL)
    notebook.run(OK)
    notebook.run(CELL.replace("a + b", "a + b + (a > 2)"))
    report = notebook.run("%triton replay add_sub")
    assert not report
    assert repr(report).splitlines() == [
        "Replay add_sub: 1 request, 1 differs",
        "  1  differs  SUM[2] was 4.0, is 5.0",
    ]
    with pytest.raises(ReplayMismatch) as caught:
        notebook.run("%triton replay add_sub --assert-equal")
    assert str(caught.value) == "request 1 of add_sub differs: SUM[2] was 4.0, is 5.0"
    assert caught.value.report[0].outcome == "differs"


def test_the_last_error_until_it_is_mended(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.run(CELL)
    with pytest.raises(InputError, match="no failed request of add_sub is recorded"):
        notebook.run("%triton replay add_sub --last-error")
    with pytest.raises(ModelExecutionError):
        notebook.run(BAD)
    notebook.run(OK)
    assert "  1  fails  ZeroDivisionError: float division by zero\n  2  equal" in repr(
        notebook.run("%triton replay add_sub")
    )
    # The failure itself is shown, at its line, with what it carried.
    shown = traceback_of(notebook, capsys, "%triton replay add_sub --last-error", ModelExecutionError)
    assert any(line.endswith("q = 1 / float(b[0])") for line in shown)
    notebook.run(CELL.replace("1 / float(b[0])", "0"))
    assert repr(notebook.run("%triton replay add_sub --last-error")).splitlines() == [
        "Replay add_sub: 1 request, 1 mended",
        "  1  mended  before: ZeroDivisionError: float division by zero",
    ]


def test_a_request_that_fails_now(notebook: Notebook) -> None:
    notebook.run(CELL)
    notebook.run(OK)
    notebook.run(CELL.replace("1 / float(b[0])", "1 / float(b[0] - 1)"))
    with pytest.raises(ReplayMismatch, match="request 1 of add_sub failed: ZeroDivisionError"):
        notebook.run("%triton replay add_sub --assert-equal")


def test_files_hold_requests_for_another_day(notebook: Notebook, tmp_path: Path) -> None:
    notebook.run(CELL)
    notebook.run(OK)
    with pytest.raises(ModelExecutionError):
        notebook.run(BAD)
    file = tmp_path / "requests.npz"
    assert "note: 2 requests saved in requests.npz" in repr(
        notebook.run(f"%triton replay add_sub --save {file}")
    )
    again = tmp_path / "again.npz"
    notebook.run(f"%triton replay --save {again}")
    assert file.read_bytes() == again.read_bytes()
    notebook.run("%triton reset")
    notebook.run(CELL)
    report = notebook.run(f"%triton replay --load {file} --assert-equal")
    assert [each.outcome for each in report] == ["equal", "fails"]
    with pytest.raises(InputError, match="has no requests of other"):
        notebook.run(f"%triton replay other --load {file}")
    file.write_bytes(b"no such format")
    with pytest.raises(InputError, match=r"requests\.npz holds no recorded requests"):
        notebook.run(f"%triton replay --load {file}")
    with pytest.raises(InputError, match=r"cannot read nosuch\.npz"):
        notebook.run(f"%triton replay --load {tmp_path / 'nosuch.npz'}")


def test_what_a_request_carried_is_sent_again(live: LiveTarget) -> None:
    define(
        live,
        "return [pb_utils.InferenceResponse([pb_utils.Tensor('Y', np.array([r.correlation_id(), "
        "len(r.parameters())], np.float32))]) for r in requests]",
    )
    model = live.workbench.model("m")
    first = model.infer(X=[1, 2], parameters={"a": 1}, sequence=(7, True, False), request_id="r1")
    host = live.workbench.hosts["m"]
    (row,) = replay(host, host.recorder.requests)
    assert row.outcome == "equal"
    assert row.result is not None
    assert row.result["Y"].tolist() == first["Y"].tolist()
    assert row.result.request_id == "r1"


def test_strings_bf16_and_streams(live: LiveTarget, tmp_path: Path) -> None:
    live.define(
        "mixed",
        source(
            "s = take(requests[0], 'S')\n"
            "t = requests[0].get_response_sender()\n"
            "for part in (s, s[::-1]):\n"
            "    t.send(pb_utils.InferenceResponse([pb_utils.Tensor('S', np.ascontiguousarray(part))]))\n"
            "t.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)"
        ),
        ["X:FP32[2]", "S:STRING[-1]"],
        ["S:STRING[-1]"],
        decoupled=True,
    )
    model = live.workbench.model("mixed")
    model.infer(X=[1, 2], S=["a", b"\xff\x00"])
    assert len(list(model.stream(X=[1, 2], S=["ä"]))) == 2
    host = live.workbench.hosts["mixed"]
    assert [len(each.responses) for each in host.recorder.requests] == [2, 2]
    file = tmp_path / "mixed.npz"
    assert save_requests(file, {"mixed": host.recorder.requests}) == 2
    rows = replay(host, load_requests(file)["mixed"])
    assert [each.outcome for each in rows] == ["equal", "equal"]


def test_arrays_written_to_later_are_what_was_sent(live: LiveTarget) -> None:
    model = define(live, ECHO)
    x = np.array([1, 2], np.float32)
    model.infer(X=x)
    x[:] = 9
    host = live.workbench.hosts["m"]
    assert [each.outcome for each in replay(host, host.recorder.requests)] == ["equal"]


def test_large_arrays_are_kept_by_reference_and_guarded(live: LiveTarget) -> None:
    model = live.define("big", source(ECHO), ["X:FP32[-1]"], ["Y:FP32[-1]"])
    x = np.ones(1 << 16, np.float32)
    model.infer(X=x)
    host = live.workbench.hosts["big"]
    (record,) = host.recorder.requests
    assert record.inputs[0][3] is x
    (row,) = replay(host, [record])
    assert (row.outcome, row.detail) == ("equal", "in the part that was kept of its outputs")
    model.reload(source("return [reply(r, take(r) + 1) for r in requests]"))
    assert replay(host, [record])[0].outcome == "differs"
    x += 1
    with pytest.raises(InputError, match="X was changed in place after the request"):
        replay(host, [record])


def test_the_ring_is_bounded(live: LiveTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    model = define(live, "if x[0] < 0: raise ValueError('no')\n" + ECHO)
    host = live.workbench.hosts["m"]
    with pytest.raises(ModelExecutionError):
        model.infer(X=[-1, 0])
    for number in range(recorder.REQUESTS + 3):
        model.infer(X=[number, 0])
    kept = host.recorder.requests
    assert len(kept) == recorder.REQUESTS
    assert kept[-1].inputs[0][3].tolist() == [recorder.REQUESTS + 2, 0]
    # The failure has left the ring, and can be sent again all the same.
    assert all(each.error is None for each in kept)
    assert host.recorder.last_error is not None
    monkeypatch.setattr(recorder, "BYTES", 100)
    model.infer(X=[1, 2])
    assert sum(each.size for each in host.recorder.requests) <= 100
    assert host.recorder.requests[-1].inputs[0][3].tolist() == [1, 2]


def test_recordings_pin_no_block_of_the_region(live: LiveTarget) -> None:
    model = live.define("big", source(ECHO), ["X:FP32[-1]"], ["Y:FP32[-1]"])
    x = np.ones(1 << 18, np.float32)
    model.infer(X=x)
    channel = live.workbench.hosts["big"].current.instances[0].channel  # type: ignore[union-attr]
    used = channel.capacity - channel.free_bytes
    for _ in range(40):
        model.infer(X=x)
    # Each answer takes 1 MiB; whatever is not free yet is the last one's.
    assert channel.capacity - channel.free_bytes < used + x.nbytes * 3


def test_files_that_hold_no_requests(tmp_path: Path) -> None:
    whole = tmp_path / "whole.npz"
    save_requests(whole, {"m": []})
    with_one = tmp_path / "one.npy"
    np.save(with_one, np.zeros(3))
    damaged = bytearray(whole.read_bytes())
    damaged[60:90] = bytes(30)
    for data in (b"", b"text", with_one.read_bytes(), whole.read_bytes()[:40], bytes(damaged)):
        file = tmp_path / "file"
        file.write_bytes(data)
        with pytest.raises(InputError, match="file holds no recorded requests"):
            load_requests(file)
