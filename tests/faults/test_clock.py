"""The wall clock may jump: no wait of the protocol looks at it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.hosts import host, nothing_stays, task, with_injector
from tests.faults.injector import Injector
from tests.protocol import harness
from workbench import _host, _stub

#: Waits that take a point of the wall clock (or of a clock that is the wall clock unless set otherwise).
WALL_CLOCK = {"sem_timedwait", "pthread_cond_timedwait", "pthread_mutex_timedlock", "pthread_timedjoin_np"}


@pytest.mark.parametrize("module", [_host, _stub], ids=["host", "stub"])
def test_no_wait_takes_a_time_of_the_wall_clock(module: object) -> None:
    symbols = subprocess.run(
        ["nm", "-D", "--undefined-only", module.__file__],  # type: ignore[attr-defined]
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    used = {line.split()[-1].partition("@")[0] for line in symbols.splitlines()}
    assert "sem_clockwait" in used  # the list is that of the module
    assert not used & WALL_CLOCK


@pytest.mark.parametrize("streamed", [False, True], ids=["conversation", "stream"])
def test_a_conversation_while_the_clock_jumps(injector: Injector, tmp_path: Path, streamed: bool) -> None:
    """Host and stub each see it an hour ahead and an hour behind in turn."""
    injector.jump_clock()
    kind = with_injector(harness.our_stub("24.10"), injector)
    work = task(kind, tmp_path, streamed=streamed)
    start = time.monotonic()
    code, _, said = host(work, injector.environment)
    assert code == 0, said
    assert time.monotonic() - start < 20
    nothing_stays(work.region)


PROGRAM = """
import json, sys, time
from pathlib import Path
import numpy as np
from tests.protocol import harness
from tests.protocol.models import MANY_WAYS
from workbench import _host
assert abs(time.time() - time.time()) > 1000, "the clock does not jump"
with harness.start(harness.our_stub("24.10"), Path(sys.argv[1]), MANY_WAYS) as stub:
    request = harness.make_request(np.array([60], dtype=np.float32), request_id="busy")
    start = time.monotonic()
    try:
        stub.channel.execute([request], 1.5)
    except _host.StubTimeout:
        print(time.monotonic() - start)
"""


def test_a_timeout_while_the_clock_jumps(injector: Injector, tmp_path: Path) -> None:
    injector.jump_clock()
    said = harness.run_program(PROGRAM, tmp_path, environment=injector.environment)
    assert 1.4 < float(said) < 5
