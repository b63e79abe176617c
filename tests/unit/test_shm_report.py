"""Reports from blocks: what is kept and why, in words that are the same on every run."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from workbench.shm_inspect.region import Block, Queue, RegionState
from workbench.shm_inspect.report import ShmReport, ShmReports

MIB = 1 << 20
BASE = (
    Block(144, 96, "control"),
    Block(336, 160, "control", 1, origin="control"),
    Block(496, 160, "queue", 1),
    Block(656, 8032, "queue", 1),
)


def state(*blocks: Block, capacity: int = MIB, noted: bool = True) -> RegionState:
    used = sum(each.bytes for each in (*BASE, *blocks))
    return RegionState(
        capacity=capacity,
        used=used,
        free=capacity - used - 128,
        overhead=128,
        largest_free=capacity - used - 144,
        queues=(Queue("stub", 0, 1000), Queue("parent", 1, 1000)),
        blocks=(*BASE, *blocks),
        steady=True,
        is_triton=True,
        noted=noted,
    )


def report(*blocks: Block, growths: int = 0, sent: int = 3, **more: object) -> ShmReport:
    return ShmReport(
        "wb_live_1",
        state(*blocks, capacity=(1 + growths) * MIB),
        model="m",
        start=MIB,
        growth=MIB,
        growths=growths,
        peak=60_000,
        sent=sent,
        **more,  # type: ignore[arg-type]
    )


def kept(number: int, origin: str, size: int = 400_000, line: int | None = None, **more: object) -> Block:
    return Block(
        100_000 * number,
        size,
        "tensor",
        1,
        "X FP32[4]",
        origin,
        line,
        number,
        1.0,
        **more,  # type: ignore[arg-type]
    )


def test_nothing_kept() -> None:
    found = report()
    assert found.verdict == "steady"
    assert repr(found) == (
        "Shm m: capacity 1 MiB (start 1 MiB, not grown), in use 9 KiB, peak 58.6 KiB, no blocks kept\n"
        "  control and queues  9 KiB"
    )


def test_a_model_that_only_grew() -> None:
    found = report(growths=2)
    assert found.verdict == "grew"
    assert found.head().startswith("Shm m: capacity 3 MiB (start 1 MiB, grew 2x by 1 MiB), ")
    assert found.hint == (
        "nothing is kept; a region never shrinks after its largest moment; "
        "--backend-config shm-default-byte-size=1048576 starts it that large"
    )


def test_a_model_that_keeps_a_tensor() -> None:
    found = report(kept(2, "request"))
    assert found.verdict == "keeps"
    assert repr(found).splitlines()[2:] == [
        "  request inputs      391 KiB in 1 block, alive after 2 requests",
        "hint: a tensor stored on self keeps its block; copy with as_numpy().copy()",
    ]


def test_a_model_that_leaks_what_it_was_answered() -> None:
    found = report(*(kept(number, "bls response", line=21) for number in (1, 2, 3)))
    assert found.verdict == "leaks"
    assert repr(found).splitlines()[2:] == [
        "  BLS outputs         1.14 MiB in 3 blocks, alive after 3 requests, allocated at cell line 21",
        "hint: responses of BLS calls pile up; keep as_numpy().copy() of what you need, not the response",
    ]


def test_a_model_that_keeps_one_answer() -> None:
    found = report(kept(3, "bls response", line=21))
    assert found.verdict == "keeps"
    assert found.hint.startswith("the response of a BLS call is kept; ")


def test_what_results_hold_is_not_kept_by_the_model() -> None:
    found = report(kept(1, "response", held=True))
    assert found.verdict == "steady"
    assert "  held by results here  391 KiB in 1 block" in repr(found)


def test_while_requests_are_under_way_nothing_is_called_kept() -> None:
    found = report(kept(3, "request"), under_way=1)
    assert found.verdict == "busy"
    assert found.head().endswith("peak 58.6 KiB, 1 request under way")
    assert not found.hint


def test_without_notes_there_are_kinds_only() -> None:
    found = replace(report(), state=state(kept(1, "")._replace(request=None), noted=False))
    assert not found.kept
    assert repr(found).splitlines()[1:] == [
        "  control  1 KiB in 2 blocks",
        "  queue    8 KiB in 2 blocks",
        "  tensor   391 KiB in 1 block",
    ]


def test_a_diff_has_what_survived() -> None:
    before = report(kept(1, "request"), sent=1)
    after = report(kept(1, "request"), kept(2, "response", line=7), kept(3, "response", held=True))
    found = after.diff(before)
    assert [each.request for each in found.kept] == [2]
    assert repr(found) == (
        "Shm m: 1 block, 391 KiB, survived\n"
        "  outputs               391 KiB in 1 block, alive after 2 requests, allocated at cell line 7\n"
        "  held by results here  391 KiB\n"
        "hint: a tensor stored on self keeps its block; copy with as_numpy().copy()"
    )
    assert repr(before.diff(before)) == "Shm m: nothing survived"
    # Another request's block at the same place is another block.
    moved = report(kept(1, "request")._replace(request=2))
    assert len(moved.diff(before).kept) == 1
    assert len(moved.diff(before).gone) == 1


def test_the_json_is_what_the_kernel_link_says() -> None:
    many = [kept(number, "request", size=1000 + number) for number in range(1, 601)]
    data = json.loads(json.dumps(report(*many, sent=600).to_data()))
    assert {
        "region",
        "model",
        "capacity",
        "in_use",
        "peak",
        "growths",
        "free",
        "largest_free",
        "owner_alive",
    } <= set(data)
    assert data["queues"][1] == {"name": "parent", "depth": 1, "size": 1000}
    assert {"kind": "queue", "bytes": 8192, "blocks": 2} in data["kinds"]
    assert len(data["blocks"]) == 500
    assert data["truncated"]
    sizes = [each["size"] for each in data["blocks"]]
    assert sizes == sorted(sizes, reverse=True)
    assert data["blocks"][1] == {
        "offset": 60_000_000,
        "size": 1600,
        "kind": "tensor",
        "age_s": 1.0,
        "line": None,
        "request": "600",
        "origin": "request",
        "label": "X FP32[4]",
        "held": False,
    }


def test_many_regions_are_a_table() -> None:
    found = ShmReports([report(), report(growths=1, owner_alive=False)], ["wb_x: it is too short"])
    lines = repr(found).splitlines()
    assert lines[0] == "Shm: 2 regions"
    assert lines[1].split("  ")[1] == "model"
    assert lines[3].split() == ["m", "2", "MiB", "9", "KiB", "2", "MiB", "4", "1x", "orphan"]
    assert lines[4] == "note: wb_x: it is too short"
    assert repr(ShmReports([])) == "Shm: no regions"


@pytest.mark.parametrize("blocks", [False, True])
def test_html_has_the_same_and_no_script(blocks: bool) -> None:
    found = replace(report(kept(1, "request")._replace(label="<b>X</b> FP32[4]")), all_blocks=blocks)
    bundle = found._repr_mimebundle_()
    assert bundle["text/plain"] == repr(found)
    assert "<script" not in bundle["text/html"]
    assert "<b>X</b>" not in bundle["text/html"]
    assert ("X</b> FP32[4]" in bundle["text/plain"]) is blocks
