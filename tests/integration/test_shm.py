"""What models keep in shared memory, told apart; what cells leave; what nobody has any more."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.live import ECHO, define, source
from tests.support.notebook import Notebook
from tests.support.waiting import until
from workbench.commands import main
from workbench.errors import WorkbenchUsageError
from workbench.session.model import Model
from workbench.shm_inspect.machine import Machine
from workbench.shm_inspect.orphans import find_orphans
from workbench.shm_inspect.owners import find_regions
from workbench.targets.live import LiveTarget

SHM = Path("/dev/shm")
WORKBENCH = [sys.executable, "-m", "workbench.commands"]
SMALL = {"shm-default-byte-size": 1 << 20, "shm-growth-byte-size": 1 << 20}
WIDE = np.arange(1 << 16, dtype=np.float32)  # 256 KiB


def wide(live: LiveTarget, execute: str, name: str = "m", more: str = "") -> Model:
    return live.define(name, source(execute, more=more), ["X:FP32[-1]"], ["Y:FP32[-1]"], backend_config=SMALL)


def line_of(model: Model, text: str) -> int:
    return next(number for number, line in enumerate(model.source.splitlines(), 1) if text in line)


def test_a_model_that_keeps_a_tensor(live: LiveTarget) -> None:
    model = wide(
        live,
        "if not hasattr(self, 'kept'): self.kept = pb_utils.get_input_tensor_by_name(requests[0], 'X')\n"
        "return [reply(r, take(r)[:1]) for r in requests]",
    )
    for _ in range(3):
        model.infer(X=WIDE)
    found = model.shm()
    assert found.verdict == "keeps"
    assert {(each.origin, each.request, each.kind) for each in found.kept} == {("request", 1, "tensor")}
    assert sum(each.bytes for each in found.kept) == pytest.approx(WIDE.nbytes, rel=0.01)
    assert "alive after 3 requests" in repr(found)
    assert "hint: a tensor stored on self keeps its block; copy with as_numpy().copy()" in repr(found)


def test_a_model_that_leaks_the_answers_of_its_calls(live: LiveTarget) -> None:
    wide(live, ECHO, name="other")
    model = wide(
        live,
        "call = pb_utils.InferenceRequest(model_name='other', requested_output_names=['Y'],\n"
        "    inputs=[pb_utils.Tensor('X', x)])\n"
        "self.answers = getattr(self, 'answers', [])\n"
        "self.answers.append(call.exec())  # here\n"
        "return [reply(r, take(r)[:1]) for r in requests]",
    )
    for _ in range(4):
        model.infer(X=WIDE)
    found = model.shm()
    assert found.verdict == "leaks"
    assert {each.origin for each in found.kept} == {"bls response"}
    assert {each.line for each in found.kept} == {line_of(model, "# here")}
    assert {each.request for each in found.kept} == {1, 2, 3, 4}
    assert "hint: responses of BLS calls pile up" in repr(found)
    assert live.workbench.model("other").shm().verdict == "steady"


def test_a_model_that_only_grows(live: LiveTarget) -> None:
    model = wide(live, "return [reply(r, np.resize(take(r), 1 << 20)[:1]) for r in requests]")
    model.infer(X=[1])
    assert model.shm().verdict == "steady"
    before = model.shm()
    model.infer(X=np.zeros(3 << 18, np.float32))  # 3 MiB
    found = model.shm()
    assert found.verdict == "grew"
    assert found.growths == 1
    assert found.peak > 3 << 20
    assert found.in_use == before.in_use
    assert found.capacity > before.capacity
    assert "nothing is kept" in found.hint
    assert not found.diff(before).kept


def test_an_output_kept_by_the_model_and_one_held_by_a_result(live: LiveTarget) -> None:
    model = wide(
        live,
        "self.last = pb_utils.Tensor('Y', x * 2)  # made here\n"
        "return [pb_utils.InferenceResponse([self.last])]",
    )
    result = model.infer(X=WIDE)
    held = model.shm()
    assert held.verdict == "steady"
    assert [each.label for each in held.held if each.label] == ["Y FP32[65536]"]
    del result
    live.workbench.hosts["m"].recorder._ring.clear()
    kept = model.shm()
    assert kept.verdict == "keeps"
    assert {each.line for each in kept.kept} == {line_of(model, "# made here")}


def test_the_books_of_a_live_region(live: LiveTarget) -> None:
    model = define(live, ECHO)
    model.infer(X=[1, 2])
    found = model.shm()
    channel = live.workbench.hosts["m"].current.instances[0].channel  # type: ignore[union-attr]
    assert found.free == channel.free_bytes
    assert found.capacity == channel.capacity
    assert found.state.used + found.free + found.state.overhead == found.capacity
    assert found.peak >= found.in_use


CELL = """%%triton model m --in X:FP32[-1] --out Y:FP32[-1]
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def initialize(self, args):
        self.kept = []
    def execute(self, requests):
        tensor = pb_utils.get_input_tensor_by_name(requests[0], "X")
        if requests[0].request_id() == "keep":
            self.kept.append(tensor)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", tensor.as_numpy())])]
"""


def test_the_magic_says_what_a_cell_left_behind(notebook: Notebook) -> None:
    notebook.run(CELL)
    assert repr(notebook.run("%%triton shm m --leaks\n%triton infer m X=[1,2] -q")) == (
        "Shm m: nothing survived"
    )
    found = notebook.run(
        "%%triton shm m --leaks\nfor _ in range(2):\n    _ = get_ipython().run_line_magic("
        "'triton', 'infer m X=np.zeros(1000) --id keep -q')"
    )
    assert {each.origin for each in found.kept} == {"request"}
    assert repr(found).startswith("Shm m: 4 blocks, 9 KiB, survived\n  request inputs  9 KiB in 4 blocks")
    with pytest.raises(ZeroDivisionError):
        notebook.run("%%triton shm m --leaks\n1 / 0")
    table = notebook.run("%triton shm")
    assert [each.model for each in table] == ["m"]
    listed = notebook.run("%triton shm m --blocks")
    assert "X FP32[1000]" in repr(listed)
    assert " s\n" not in repr(listed)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%triton shm --clean", "--clean goes with --orphans"),
        ("%triton shm m --leaks", "--leaks watches a cell"),
        ("%triton shm --leaks", "shm needs a model's name here"),
        ("%%triton shm m\npass", "a cell goes with --leaks"),
        ("%triton shm m --instance 2", "m has instances 1 to 1, not 2"),
    ],
)
def test_wrong_uses_of_the_magic(notebook: Notebook, line: str, message: str) -> None:
    notebook.run(CELL)
    with pytest.raises(WorkbenchUsageError, match=message):
        notebook.run(line)


def test_a_view_follows_a_live_model_and_ends_with_it(notebook: Notebook) -> None:
    notebook.run(CELL)
    view = notebook.run("%triton shm m --watch")
    assert not view.updating
    assert view._repr_mimebundle_()[0]["text/plain"].startswith("Shm m: capacity 64 MiB")
    first = view.data["report"]["in_use"]
    view._handle_custom_msg({"kind": "shown", "view": "v"}, [])
    notebook.run("%triton infer m X=np.zeros(100000) --id keep -q")
    until(lambda: view.data["report"]["in_use"] > first + 400_000)
    assert len(view.data["history"]) >= 2
    # A new revision has a region of its own; the view goes over to it.
    region = view.data["report"]["region"]
    notebook.run(CELL + "# edited\n")
    until(lambda: view.data["report"]["region"] != region)
    assert not view.problem
    notebook.run("%triton unload m")
    until(lambda: view.problem == "not updated any more: the model is unloaded")
    until(lambda: not view.updating)
    view.close()


# -- any region on the machine -----------------------------------------------------------------------------


MAKE = """
import sys, time
from workbench import _host
channel = _host.Channel(name="m_0_0", release="24.10", region_name=sys.argv[1], shm_default_byte_size=1 << 20)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def orphan() -> Any:
    """Name of a region whose maker was killed, old enough to be removed."""
    name = f"wb_live_orphan{os.getpid()}"
    with subprocess.Popen([sys.executable, "-c", MAKE, name], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "ready\n"
            (owner,) = find_regions([name])
            assert owner.alive
            assert owner.mapped_by == (child.pid,)
        finally:
            child.kill()
    old = time.time() - 60
    os.utime(SHM / name, (old, old))
    yield name
    (SHM / name).unlink(missing_ok=True)


def test_orphans_are_found_and_removed(orphan: str) -> None:
    found = find_orphans([orphan])
    assert [each.name for each in found] == [orphan]
    assert repr(found).startswith("Shm orphans: 1, 1 MiB\n")
    (report,) = Machine([orphan]).look()
    assert not report.owner_alive
    assert report.state.is_triton
    assert [each.name for each in find_orphans([orphan], clean=True).removed] == [orphan]
    assert not (SHM / orphan).exists()
    assert repr(find_orphans([orphan])) == "Shm orphans: none"


def test_a_servers_orphan_is_removed_on_request_only(orphan: str) -> None:
    name = f"triton_python_backend_shm_region_{os.getpid()}"
    shutil.move(SHM / orphan, SHM / name)
    try:
        found = find_orphans([name], clean=True)
        assert [each.name for each in found] == [name]
        assert not found.removed
        assert (SHM / name).exists()
        assert len(find_orphans([name], clean=True, servers=True).removed) == 1
        assert not (SHM / name).exists()
    finally:
        (SHM / name).unlink(missing_ok=True)


def test_a_region_in_use_or_young_is_no_orphan(live: LiveTarget) -> None:
    define(live, ECHO)
    channel = live.workbench.hosts["m"].current.instances[0].channel  # type: ignore[union-attr]
    assert not find_orphans([channel.region_name])
    (owner,) = find_regions([channel.region_name])
    assert owner.alive
    assert not owner.removable


def test_the_command_line(live: LiveTarget, capsys: pytest.CaptureFixture[str]) -> None:
    define(live, ECHO).infer(X=[1, 2])
    name = live.workbench.hosts["m"].current.instances[0].channel.region_name  # type: ignore[union-attr]
    assert main(["shm", name]) == 0
    assert capsys.readouterr().out.startswith("Shm: 1 region\n")
    assert main(["shm", name, "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)["reports"]
    assert report["region"] == name
    assert report["capacity"] == 64 << 20
    assert main(["shm", name, "--blocks"]) == 0
    assert "control" in capsys.readouterr().out
    assert main(["shm", "wb_live_no_such_region"]) == 1
    assert main(["shm"]) == 2
    capsys.readouterr()


def test_watching_in_the_terminal(live: LiveTarget) -> None:
    define(live, ECHO).infer(X=[1, 2])
    name = live.workbench.hosts["m"].current.instances[0].channel.region_name  # type: ignore[union-attr]
    child = subprocess.Popen(
        [*WORKBENCH, "shm", name, "--watch", "--json"], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        looks = [json.loads(child.stdout.readline())["reports"][0] for _ in range(2)]
    finally:
        child.kill()
        child.communicate()
    assert [each["region"] for each in looks] == [name, name]
    assert any(each["age_s"] is not None for each in looks[1]["blocks"])


@pytest.mark.timeout(300)
def test_watching_on_a_screen(live: LiveTarget) -> None:
    """As a terminal gets it: drawn anew, and ended by Ctrl-C."""
    define(live, ECHO).infer(X=[1, 2])
    name = live.workbench.hosts["m"].current.instances[0].channel.region_name  # type: ignore[union-attr]
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 140, 0, 0))
    child = subprocess.Popen(
        [*WORKBENCH, "shm", name, "--watch"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        # Without what other tests may have set: the size is the terminal's.
        env={
            **{name: each for name, each in os.environ.items() if name not in ("COLUMNS", "LINES")},
            "TERM": "xterm-256color",
        },
    )
    os.close(slave)
    shown = b""
    try:
        end = time.monotonic() + 200
        while shown.count(b"largest free") < 3:
            assert time.monotonic() < end, shown
            if select.select([master], [], [], 1.0)[0]:
                shown += os.read(master, 65536)
    finally:
        child.send_signal(signal.SIGINT)
        code = child.wait(30)
        os.close(master)
    assert code == 130
    text = shown.decode(errors="replace")
    assert "64 MiB" in text
    assert "queue" in text
    assert "live" in text


def test_a_broken_region_is_named(tmp_path: Path) -> None:
    path = tmp_path / "wb_live_broken"
    path.write_bytes(b"\xff" * 8192)
    found = Machine(folder=tmp_path).look()
    assert not found
    assert found.unreadable == (
        "wb_live_broken: this is not a region that can be read: "
        "it has no allocator of the kind that the Python backend uses",
    )
