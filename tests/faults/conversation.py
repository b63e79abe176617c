"""One conversation that goes through every kind of message, phase by phase, on both sides the real thing.

As a program it is a host that can be killed: ``python -m tests.faults.conversation`` with a `Task` on
standard input. It prints each phase with the steps made before it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.injector import Injector
from tests.protocol import harness
from tests.protocol.harness import ANSWER_TIMEOUT, Instance, StubKind, make_request, tensor
from tests.protocol.models import DECOUPLED, MANY_WAYS
from workbench import _host

FOUR = np.arange(4, dtype=np.float32)
EVERY_WAY = ("identity", "log", "fail", "bls", "bls_stream", "metrics", "control")
PHASES = ("start", "initialize", *EVERY_WAY, "finalize")
STREAM_PHASES = ("start", "initialize", "stream", "finalize")

Reached = Callable[[str], None]


def serve(stub: Instance) -> None:
    """Handlers for all that the model asks."""

    def bls(call: _host.BlsCall) -> None:
        outputs = [tensor("OUTPUT0", call.inputs[0].numpy() * 2)]
        if call.decoupled:
            call.send(outputs, final=False)
        call.send(outputs)

    stub.handlers.bls = bls
    stub.handlers.metric = lambda call: 1
    stub.handlers.control = lambda call: True


def talk(kind: StubKind, folder: Path, reached: Reached, **options: Any) -> None:
    """The whole of it, with right answers; what goes wrong is raised."""
    reached("start")
    with harness.start(kind, folder, MANY_WAYS, initialize=False, **options) as stub:
        serve(stub)
        reached("initialize")
        stub.channel.initialize(harness.initialize_arguments(folder, {}), ANSWER_TIMEOUT)
        for way in EVERY_WAY:
            reached(way)
            response = stub.infer(FOUR, request_id=way)
            assert (response.error is not None) == (way == "fail"), response.error
            if way == "identity":
                np.testing.assert_array_equal(response.outputs[0].numpy(), FOUR)
        reached("finalize")
        assert stub.finalize() == 0
        reached("end")


def stream(kind: StubKind, folder: Path, reached: Reached, **options: Any) -> None:
    """The same for a decoupled model, whose responses come from a thread of its own."""
    config = {"model_transaction_policy": {"decoupled": True}}
    reached("start")
    with harness.start(kind, folder, DECOUPLED, initialize=False, decoupled=True, **options) as stub:
        reached("initialize")
        stub.channel.initialize(harness.initialize_arguments(folder, config), ANSWER_TIMEOUT)
        reached("stream")
        request = make_request(FOUR, request_id="send_later")
        stub.channel.execute([request], ANSWER_TIMEOUT)
        values = []
        while (response := request.next_response(ANSWER_TIMEOUT)) is not None:
            values += [each.numpy()[0] for each in response.outputs]
        np.testing.assert_array_equal(values, FOUR)
        reached("finalize")
        assert stub.finalize() == 0
        reached("end")


@dataclasses.dataclass(frozen=True)
class Task:
    """What the program is to do.

    Attributes:
        kind: The stub, as `dataclasses.asdict` gives it.
        folder: For the model.
        region: The region's name.
        streamed: `stream` instead of `talk`.
        phase: Where the fault is armed, "" for none.
        steps: How many steps later it happens.
        signal: What the host gets then.
    """

    kind: dict[str, Any]
    folder: str
    region: str
    streamed: bool = False
    phase: str = ""
    steps: int = 0
    signal: int = 9


def main() -> None:
    """Run the task on standard input."""
    task = Task(**json.loads(sys.stdin.read()))
    control = os.environ.get("WORKBENCH_FAULT_CONTROL")
    injector = Injector.attach(Path(control)) if control else None
    kind = dict(task.kind)
    kind["command"] = tuple(kind["command"])
    kind["python_lib"] = Path(kind["python_lib"])
    kind["environment"] = {"LD_PRELOAD": "", "WORKBENCH_FAULT_CONTROL": "", **kind["environment"]}

    def reached(phase: str) -> None:
        print(phase, injector.steps if injector else 0, flush=True)
        if injector and phase == task.phase:
            injector.arm(task.steps, task.signal)

    which = stream if task.streamed else talk
    which(StubKind(**kind), Path(task.folder), reached, region_name=task.region)


if __name__ == "__main__":
    main()
