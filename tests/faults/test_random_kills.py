"""Random kills of a live model's processes, in every state of it.

``WORKBENCH_FAULTS=1000`` sets how many, ``WORKBENCH_FAULTS_SEED`` repeats a run. After each the kernel
lives, the last good revision answers, and what the caller saw says what happened.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.injector import Injector
from tests.support.leaks import mapped_regions
from tests.support.live import define
from workbench.errors import (
    InferTimeout,
    ModelExecutionError,
    ModelLoadError,
    StubCrashedError,
    WorkbenchError,
)
from workbench.session.model import Model
from workbench.session.workbench import Workbench
from workbench.targets.live import LiveTarget

KILLS = int(os.environ.get("WORKBENCH_FAULTS", "30"))
SEED = int(os.environ.get("WORKBENCH_FAULTS_SEED", str(random.randrange(1 << 32))))
_ASK_S = 60.0

pytestmark = pytest.mark.timeout(120 + 4 * KILLS)

ECHO = "return [reply(r, take(r) + {add}) for r in requests]"
CALLER = """
inputs = [pb_utils.Tensor("X", x)]
inner = pb_utils.InferenceRequest(model_name="m", inputs=inputs, requested_output_names=["Y"])
response = inner.exec()
if response.has_error():
    raise pb_utils.TritonModelException(response.error().message())
return [reply(requests[0], pb_utils.get_output_tensor_by_name(response, "Y").as_numpy())]
"""
STREAM = """
sender = requests[0].get_response_sender()
for _ in range(5):
    sender.send(reply(None, x))
sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


@pytest.fixture
def live(injector: Injector, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveTarget]:
    """A session whose stubs, and the warm process that they are forked from, carry the injector."""
    for name, value in injector.environment.items():
        monkeypatch.setenv(name, value)
    with Workbench() as workbench:
        yield LiveTarget(workbench)


class Session:
    """Three models of which one is the victim, and what may be asked of them."""

    def __init__(self, live: LiveTarget) -> None:
        self.live = live
        self.revision = 0
        self.model: Model = define(live, ECHO.format(add=0))
        self.caller = define(live, CALLER, name="caller")
        self.stream = define(live, STREAM, name="stream", decoupled=True)

    def answers(self) -> None:
        """Every model, rightly, with the last good revision."""
        assert self.model.infer(X=[1, 2])["Y"].tolist() == [1 + self.revision, 2 + self.revision]
        assert self.caller.infer(X=[1, 2])["Y"].tolist() == [1 + self.revision, 2 + self.revision]
        assert len(list(self.stream.stream(X=[1, 2]))) == 5

    def reload(self) -> None:
        define(self.live, ECHO.format(add=self.revision + 1))
        self.revision += 1

    def work(self, way: str) -> None:
        """One thing of a kind that a user does."""
        if way == "infer":
            self.model.infer(X=[1, 2])
        elif way == "call":
            self.caller.infer(X=[1, 2])
        elif way == "stream":
            list(self.stream.stream(X=[1, 2]))
        else:
            self.reload()

    def pids(self) -> list[int]:
        """Of all stubs."""
        hosts = [host.current for host in self.live.workbench.hosts.values()]
        return [each.process.pid for host in hosts if host for each in host.instances if each.process]


WAYS = ("infer", "call", "stream", "reload")


def one_kill(session: Session, injector: Injector, random_: random.Random) -> list[WorkbenchError]:
    """Until the fault has happened; gives the errors that the caller saw."""
    way = random_.choice(WAYS)
    seen: list[WorkbenchError] = []
    by_step = random_.random() < 0.7
    victim = random_.choice(session.pids())
    if by_step:
        injector.arm(random_.randint(1, 400))
    else:
        timer = threading.Timer(random_.uniform(0, 0.05), _kill, [victim])
        timer.start()
    end = time.monotonic() + _ASK_S
    while True:
        try:
            session.work(way)
        except WorkbenchError as error:
            seen.append(error)
        if (injector.fired if by_step else not timer.is_alive()) or time.monotonic() > end:
            break
    if by_step:
        assert injector.fired, "the fault did not happen"
    return seen


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # a reload has replaced it
        pass


def until_it_answers(session: Session) -> list[WorkbenchError]:
    """One error each for the models whose process died between requests; then right answers."""
    seen: list[WorkbenchError] = []
    end = time.monotonic() + _ASK_S
    while True:
        try:
            session.answers()
            return seen
        except WorkbenchError as error:
            seen.append(error)
            assert time.monotonic() < end, seen


def is_clear(error: WorkbenchError) -> bool:
    """Whether it says which model died, of what, and what serves now."""
    text = str(error)
    if isinstance(error, StubCrashedError | ModelLoadError):
        return "SIGKILL" in text and ("src:" in text or "not loaded" in text)
    # A model that called the one that died passes on that it did.
    return isinstance(error, ModelExecutionError | InferTimeout) and "died (SIGKILL)" in text


def test_random_kills(live: LiveTarget, injector: Injector) -> None:
    print(f"WORKBENCH_FAULTS={KILLS} WORKBENCH_FAULTS_SEED={SEED}")
    random_ = random.Random(SEED)
    others = mapped_regions("wb_live_")  # what other tests of this process still hold
    session = Session(live)
    session.answers()
    errors = 0
    for number in range(KILLS):
        injector.disarm()
        seen = one_kill(session, injector, random_) + until_it_answers(session)
        errors += len(seen)
        unclear = [f"{type(each).__name__}: {each}" for each in seen if not is_clear(each)]
        assert not unclear, f"kill {number}, seed {SEED}: {unclear}"
    assert errors
    seen.clear()  # an error keeps its traceback, and that what it names
    assert len(session.pids()) == 3
    regions = {
        each.channel.region_name
        for host in live.workbench.hosts.values()
        if host.current
        for each in host.current.instances
    }
    end = time.monotonic() + 60
    while (left := mapped_regions("wb_live_") - regions - others) and time.monotonic() < end:
        gc.collect()
        time.sleep(0.05)
    assert not left
    print(f"{KILLS} kills, {errors} errors seen")
