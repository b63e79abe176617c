"""``%triton bench``: how often is counted, how long is shown on request only."""

from __future__ import annotations

import re

import pytest

from tests.support.live import define
from tests.support.notebook import CELL, Notebook
from workbench import api
from workbench.errors import InputError, ModelExecutionError, WorkbenchError, WorkbenchUsageError
from workbench.targets.live import LiveTarget

QUIET = CELL.replace('print("serving")', "pass")
INPUTS = "INPUT0=[1,2,3,4] INPUT1=[1,1,1,1]"


def test_the_text_has_no_times_unless_asked_for(notebook: Notebook) -> None:
    notebook.run(QUIET)
    result = notebook.run(f"%triton bench add_sub {INPUTS} --n 12 --warmup 3")
    assert repr(result) == "Bench add_sub: 12 requests answered, 3 before them to warm up, 1 at a time"
    assert len(result.latencies) == 12
    assert 0 < result.latencies.min() <= result.p50 <= result.p90 <= result.p99 <= result.max
    assert sum(result.latencies) <= result.seconds
    assert api.live().statistics("add_sub")["success"] == 15
    timed = repr(notebook.run(f"%triton bench add_sub {INPUTS} --n 12 --times")).splitlines()
    assert [line.split()[0] for line in timed[1:]] == ["p50", "p90", "p99", "mean", "max", "rate"]
    assert re.search(r"p50 +\d[\d.]* (us|ms|s)$", timed[1])


def test_without_inputs_the_last_request_is_repeated(notebook: Notebook) -> None:
    notebook.run(QUIET)
    with pytest.raises(InputError, match="no inputs for add_sub, and no request of it is recorded"):
        notebook.run("%triton bench add_sub")
    notebook.run(f"%triton infer add_sub {INPUTS}")
    assert len(notebook.run("%triton bench add_sub --n 5").latencies) == 5
    # What was measured is not what is replayed.
    assert len(notebook.run("%triton replay add_sub")) == 1


def test_requests_at_a_time_meet_in_the_model(live: LiveTarget) -> None:
    model = define(
        live,
        "import glob\n"
        "open(f'{self.folder}/{os.getpid()}', 'w').close()\n"
        "while len(os.listdir(self.folder)) < 2: time.sleep(0.001)\n"
        "return [reply(r, take(r)) for r in requests]",
        more="""
        def initialize(self, args):
            self.folder = args["model_repository"] + "/meeting"
            os.makedirs(self.folder, exist_ok=True)
        """,
        instances=2,
    )
    # One request alone would wait for ever: each of the two instances waits for the other's file.
    result = model.bench({"X": [1, 2]}, n=6, warmup=0, concurrency=2, timeout=20.0)
    assert (len(result.latencies), result.concurrency) == (6, 2)
    # No more can be under way than there are.
    assert model.bench({"X": [1, 2]}, n=2, warmup=0, concurrency=9, timeout=20.0).concurrency == 2


def test_a_failure_ends_it(notebook: Notebook) -> None:
    notebook.run(QUIET)
    for more in ("", "--warmup 0", "--warmup 0 --concurrency 3"):
        with pytest.raises(ModelExecutionError, match="ZeroDivisionError"):
            notebook.run(f"%triton bench add_sub INPUT0=[1,2,3,4] INPUT1=[0,0,0,0] {more}")


@pytest.mark.parametrize("option", ["--n 0", "--warmup -1", "--concurrency 0"])
def test_numbers_too_small(notebook: Notebook, option: str) -> None:
    notebook.run(QUIET)
    with pytest.raises(WorkbenchUsageError, match="or more; got"):
        notebook.run(f"%triton bench add_sub {INPUTS} {option}")


SLEEPS = "time.sleep(0.02)\nreturn [reply(r, take(r)) for r in requests]"


def test_a_profile_tells_where_the_time_goes(live: LiveTarget) -> None:
    model = define(live, SLEEPS)
    result = model.bench({"X": [1, 2]}, n=5, warmup=1, profile=True)
    stages = dict(result.stages or {})
    assert list(stages) == ["prepare", "queue", "copy in", "execute", "copy out"]
    assert min(stages.values()) >= 0
    assert sum(stages.values()) == pytest.approx(result.mean)
    assert stages["execute"] >= 0.02 > stages["queue"]
    rows = repr(result).splitlines()[1:]
    assert [re.sub(r" {2,}.*", "", row.strip()) for row in rows] == list(stages)
    # Two at a time at one instance: one of them waits for the other.
    waited = model.bench({"X": [1, 2]}, n=6, warmup=0, concurrency=2, profile=True).stages
    assert waited is not None
    assert waited["queue"] >= 0.01


def test_a_profile_of_more_requests_than_are_kept(live: LiveTarget) -> None:
    model = define(live, "return [reply(r, take(r)) for r in requests]")
    result = model.bench({"X": [1, 2]}, n=450, profile=True)
    assert len(result.latencies) == 450
    assert sum((result.stages or {}).values()) == pytest.approx(result.mean)


def test_a_profile_needs_recorded_requests(live: LiveTarget) -> None:
    model = define(live, SLEEPS)
    live.workbench.recorder.enabled = False
    with pytest.raises(WorkbenchError, match="are not recorded"):
        model.bench({"X": [1, 2]}, n=1, profile=True)
