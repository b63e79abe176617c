"""A stub that is killed at any step of the protocol: one clear error, nothing left, whatever it held."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.faults import conversation
from tests.faults.hosts import KINDS
from tests.faults.injector import Injector
from tests.protocol.harness import StubKind
from workbench import _host

#: Where in a phase: as a share of the steps that the phase takes. More on request; else some for one kind
#: and one for the others.
EVERY_SHARE = (0.0, 0.2, 0.35, 0.5, 0.65, 0.8) if "WORKBENCH_FAULTS" in os.environ else (0.0, 0.35, 0.8)
SHARES = {"ours-24.10": EVERY_SHARE}
REST = EVERY_SHARE if "WORKBENCH_FAULTS" in os.environ else (0.35,)
_LIMIT_S = 8.0

_measured: dict[tuple[str, bool], dict[str, int]] = {}


def lengths(kind: StubKind, injector: Injector, folder: Path, streamed: bool) -> dict[str, int]:
    """How many steps the stub makes in each phase of an undisturbed conversation."""
    key = (kind.name, streamed)
    if key not in _measured:
        marks: list[tuple[str, int]] = []
        run = conversation.stream if streamed else conversation.talk
        run(kind, folder, lambda phase: marks.append((phase, injector.steps)))
        _measured[key] = {phase: after - before for (phase, before), (_, after) in pairwise(marks)}
        assert all(_measured[key].values()), _measured
    return _measured[key]


def kill_in(
    kind: StubKind, injector: Injector, folder: Path, phase: str, share: float, streamed: bool
) -> None:
    planned = int(share * lengths(kind, injector, folder, streamed)[phase])
    # The last phase is not always as long as it was when measured: what threads do at the end varies.
    for steps in (planned, planned // 2, 0):
        kill_at(kind, injector, folder, phase, 1 + steps, streamed)
        if injector.fired:
            return
    raise AssertionError("the fault did not happen")


def kill_at(kind: StubKind, injector: Injector, folder: Path, phase: str, steps: int, streamed: bool) -> None:
    def reached(now: str) -> None:
        if now == phase:
            injector.arm(steps)

    run = conversation.stream if streamed else conversation.talk
    start = time.monotonic()
    try:
        run(kind, folder, reached)
    except _host.StubNotHealthy as error:
        assert str(error) == "Stub process 'test_0' is not healthy."
        assert time.monotonic() - start < _LIMIT_S
    except AssertionError:
        # Its answer to the last message was out already: then the exit status tells of it.
        assert phase == "finalize"


def cases(phases: tuple[str, ...]) -> list[tuple[str, str, float]]:
    return [(kind, phase, share) for kind in KINDS for phase in phases for share in SHARES.get(kind, REST)]


@pytest.mark.parametrize(
    ("plain_kind", "phase", "share"), cases(conversation.PHASES), indirect=["plain_kind"]
)
def test_killed_in_a_conversation(
    kind: StubKind, injector: Injector, tmp_path: Path, phase: str, share: float
) -> None:
    kill_in(kind, injector, tmp_path, phase, share, streamed=False)


@pytest.mark.parametrize(
    ("plain_kind", "phase", "share"), cases(conversation.STREAM_PHASES), indirect=["plain_kind"]
)
def test_killed_in_a_stream(
    kind: StubKind, injector: Injector, tmp_path: Path, phase: str, share: float
) -> None:
    kill_in(kind, injector, tmp_path, phase, share, streamed=True)
