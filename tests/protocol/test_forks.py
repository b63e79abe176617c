"""Children that are forked: of the process that leads conversations, and of a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.protocol import harness
from tests.protocol.models import MANY_WAYS

_FORKS = """
import os, subprocess, sys, time
from pathlib import Path
import numpy as np
from tests.protocol import harness
from tests.protocol.models import MANY_WAYS

folder = Path(sys.argv[1])
kind = harness.our_stub("24.10")
(folder / "test" / "1").mkdir(parents=True)
(folder / "test" / "1" / "model.py").write_text(MANY_WAYS)
channel = harness._host.Channel(name="test_0", release="24.10", region_name=f"wb_test_{os.getpid()}")
arguments = channel.arguments(str(folder / "test" / "1" / "model.py"), str(kind.python_lib))
process = subprocess.Popen([*kind.command, *arguments], env={**os.environ, **kind.environment})
channel.attach(process.pid)
channel.wait_started(30)
channel.initialize(harness.initialize_arguments(folder, {}), 30)
stub = harness.Instance(kind, channel, process, harness.Handlers())
numbers = np.arange(1000, dtype=np.float32)
kept = stub.infer(numbers, request_id="identity")
time.sleep(0.3)  # until the stub has let go of the request
free = channel.free_bytes

child = os.fork()
if child == 0:
    sys.exit(0)
deadline = time.monotonic() + 10
while os.waitpid(child, os.WNOHANG) == (0, 0):
    if time.monotonic() > deadline:
        os.kill(child, 9)
        os.waitpid(child, 0)
        raise SystemExit("the child does not end")
    time.sleep(0.01)
assert Path("/dev/shm", channel.region_name).exists(), "the region lost its name"
assert channel.free_bytes == free, "something was given back"
for _ in range(3):
    np.testing.assert_array_equal(stub.infer(numbers, request_id="identity").outputs[0].numpy(), numbers)
np.testing.assert_array_equal(kept.outputs[0].numpy(), numbers)
assert stub.finalize() == 0
channel.close()
"""


def test_a_forked_child_ends_without_a_trace(tmp_path: Path) -> None:
    """It ends as programs do, with what is registered for that and the objects it inherited."""
    harness.run_program(_FORKS, tmp_path)


WORKER = """

def worker(request):
    import os

    pid = os.fork()
    if pid == 0:
        pb_utils.Logger.log_info("said by a worker")
        os._exit(0)
    os.waitpid(pid, 0)
    return answer(array(request))
"""


def test_what_a_worker_of_a_model_logs_is_not_lost(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It has no thread that would bring the line to the parent: it goes to stderr, as before initialize."""
    with harness.start(harness.our_stub("24.10"), tmp_path, MANY_WAYS + WORKER) as stub:
        assert stub.infer(np.zeros(1, dtype=np.float32), request_id="worker").error is None
        assert stub.logs == []
        assert stub.finalize() == 0
    assert "said by a worker" in capfd.readouterr().err
