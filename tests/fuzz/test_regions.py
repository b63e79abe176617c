"""A broken region is an error of the reader, never the end of the process that reads.

The readers run in a process of their own, so that a crash is seen as what it is. ``WORKBENCH_FUZZ`` sets how
many broken regions, ``WORKBENCH_FUZZ_SEED`` repeats a run.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.protocol import harness
from tests.protocol.models import MANY_WAYS
from workbench import _host

COUNT = int(os.environ.get("WORKBENCH_FUZZ", "300"))
SEED = int(os.environ.get("WORKBENCH_FUZZ_SEED", str(random.randrange(1 << 32))))

pytestmark = pytest.mark.timeout(120 + COUNT)

PROGRAM = """
import random, sys
from pathlib import Path
from workbench.errors import WorkbenchError
from workbench.shm_inspect.region import RegionReader

good = Path(sys.argv[1]).read_bytes()
broken = Path(sys.argv[1]).with_suffix(".broken")
count, seed = int(sys.argv[2]), int(sys.argv[3])
used = [at for at in range(0, len(good), 8) if good[at : at + 8] != bytes(8)]
read = refused = 0
for number in range(count):
    random_ = random.Random(seed + number)
    data = bytearray(good)
    for _ in range(random_.choice([1, 2, 5, 50])):
        at = random_.choice(used)
        way = random_.randrange(4)
        if way == 0:
            data[at + random_.randrange(8)] = random_.randrange(256)
        elif way == 1:  # a handle, or a length, of another place
            other = random_.choice(used)
            data[at : at + 8] = good[other : other + 8]
        elif way == 2:
            value = random_.choice([0, 1, (1 << 64) - 1, 1 << 63, 1 << 40, len(good), len(good) - 8])
            data[at : at + 8] = value.to_bytes(8, "little")
        else:
            data[at : at + 8] = random_.randbytes(8)
    if random_.random() < 0.1:
        del data[random_.randrange(len(data)) :]
    broken.write_bytes(data)
    print(number, end=" ", file=sys.stderr, flush=True)
    try:
        RegionReader(broken).read()
        read += 1
    except WorkbenchError:
        refused += 1
print(read, refused)
"""


@pytest.fixture
def region(tmp_path: Path) -> Path:
    """A copy of a real region while a model of ours waits for an answer in it."""
    copy = tmp_path / "region"
    with harness.start(harness.our_stub("24.10"), tmp_path, MANY_WAYS) as stub:

        def serve(call: _host.BlsCall) -> None:
            shutil.copyfile(Path("/dev/shm", stub.channel.region_name), copy)
            call.send([harness.tensor("OUTPUT0", call.inputs[0].numpy())])

        stub.handlers.bls = serve
        stub.infer(np.arange(4, dtype=np.float32), request_id="bls")
        assert stub.finalize() == 0
    return copy


def test_the_inspector_on_broken_regions(region: Path) -> None:
    print(f"WORKBENCH_FUZZ={COUNT} WORKBENCH_FUZZ_SEED={SEED}")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(region), str(COUNT), str(SEED)], capture_output=True, text=True
    )
    assert done.returncode == 0, f"seed {SEED}: {done.returncode}, {done.stderr[-2000:]}"
    read, refused = map(int, done.stdout.split())
    assert read
    assert refused
