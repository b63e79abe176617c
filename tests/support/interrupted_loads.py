"""Loads with Ctrl-C at any of their moments: ``python -m tests.support.interrupted_loads INSTANCES``."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time

from tests.support.live import ECHO, define
from workbench.errors import StubCrashedError
from workbench.session.workbench import Workbench
from workbench.targets.live import LiveTarget

LOADS = 40


def main() -> None:
    """After each load the model answers, also once its processes had to be started again."""
    instances = int(sys.argv[1])
    with Workbench() as workbench:
        live = LiveTarget(workbench)
        model = define(live, ECHO, instances=instances)
        for number in range(LOADS):
            timer = threading.Timer(number % 20 / 1000, os.kill, (os.getpid(), signal.SIGINT))
            # CPython 3.11 makes a SystemError of an interrupt while it parses.
            with contextlib.suppress(KeyboardInterrupt, SystemError):
                timer.start()
                define(live, ECHO, more=f"number = {number}", instances=instances)
                timer.join()
                time.sleep(1)  # the signal may come late
            timer.join()
            serving = workbench.hosts["m"].current
            assert serving is not None
            for each in serving.instances:
                assert each.process is not None
                each.process.kill()
            for _ in range(instances):
                with contextlib.suppress(StubCrashedError):
                    model.infer(X=[1, 1])
            assert model.infer(X=[1, 1])["Y"].tolist() == [1.0, 1.0]
    print(f"{LOADS} loads")


if __name__ == "__main__":
    main()
