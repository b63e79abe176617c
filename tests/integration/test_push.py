"""Live models pushed to real servers: to one, to several at once, and when things go wrong on the way."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import revision, value, wait_until_unloaded
from tests.support.waiting import until
from workbench.errors import ModelExecutionError, StubCrashedError, WorkbenchError, WorkbenchUsageError
from workbench.model_config import ModelConfig
from workbench.server_errors import LoadTimeout, PushError, ServerUnreachable
from workbench.server_install import ServerInstall
from workbench.session.model import Model
from workbench.targets import delivery
from workbench.targets.client import ServerClient
from workbench.targets.live import LiveTarget
from workbench.targets.local import LocalOptions, LocalTarget
from workbench.targets.process_server import ServerProcess
from workbench.targets.push_report import PushReport, PushReports
from workbench.targets.pushed import make_pushed
from workbench.targets.remote import ServerTarget

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def servers(
    triton_2410: ServerInstall, triton_2407: ServerInstall, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Two servers, of two releases, that know nothing of this kernel."""
    first, second = (
        ServerProcess(tmp_path_factory.mktemp("models"), each, auto_complete=False, stop_timeout=3.0)
        for each in (triton_2410, triton_2407)
    )
    with first, second:
        yield first, second


@pytest.fixture
def pair(servers: tuple[ServerProcess, ServerProcess]) -> Iterator[list[ServerTarget]]:
    targets = [
        ServerTarget("staging", ServerClient(f"http://{servers[0].http_address}")),
        ServerTarget("edge", ServerClient(f"grpc://{servers[1].grpc_address}")),
    ]
    yield targets
    for each in targets:
        if each.ready("m"):
            each.unload("m", yes=True)
    for process in servers:
        wait_until_unloaded(process)


def define(live: LiveTarget, expression: str) -> Model:
    entry = revision(expression)
    return live.define("m", entry.source, config=entry.config)


def test_the_new_code_answers_twenty_times_in_a_row(pair: list[ServerTarget]) -> None:
    staging = pair[0]
    for number in range(1, 21):
        staging.push(revision(f"x * {number}"))
        assert value(staging) == [number, 2 * number]


def test_a_plain_load_of_new_files_does_not_show_them(pair: list[ServerTarget]) -> None:
    """Why a push carries a mark: the same configuration and other files are no reason to load again."""
    client = pair[0].client
    first, second = (make_pushed(revision(f"x * {factor}")) for factor in (2, 3))
    client.load("m", first.config, first.files)
    client.load("m", first.config, second.files)
    assert value(pair[0]) == [2, 4]


def test_the_same_revision_again(pair: list[ServerTarget]) -> None:
    pair[0].push(revision("x + 1"))
    report = pair[0].push(revision("x + 1"))
    assert ("snapshot", f"{report.src} kept") in report.steps
    assert value(pair[0]) == [2, 3]
    assert pair[0].rollback("m").state == "UNAVAILABLE"


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_process_that_does_not_know_what_was_before_unloads_nothing(
    pair: list[ServerTarget], servers: tuple[ServerProcess, ServerProcess], scheme: str
) -> None:
    first = pair[0].push(revision("x + 1"))
    second = pair[0].push(revision("x + 2"))
    process = servers[0]
    address = process.http_address if scheme == "http" else process.grpc_address
    url = f"{scheme}://{address}"
    done = subprocess.run(
        [sys.executable, "-m", "workbench.commands", "rollback", "m", "--on", url],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "served before this push of m is not known here" in done.stderr
    assert f"serves {second.src}" in done.stderr
    assert "push the earlier revision" in done.stderr
    assert value(pair[0]) == [3, 4]
    # Another kernel, whose push follows one that it does not know: its own is no reason to unload either.
    other = ServerTarget("theirs", ServerClient(url))
    other.push(revision("x + 3"))
    with pytest.raises(PushError, match="served before this push of m is not known here") as failed:
        other.rollback("m")
    assert failed.value.serving == revision("x + 3").source.src
    assert value(pair[0]) == [4, 5]
    # What to do next: it is a push like any other, and can be taken back.
    assert other.push(revision("x + 1")).src == first.src
    assert value(pair[0]) == [2, 3]
    assert other.rollback("m").src == failed.value.serving


def test_what_was_before_and_does_not_load_any_more(pair: list[ServerTarget], tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.touch()
    pair[0].push(revision("x + 1", top=f"import os; assert os.path.exists({str(there)!r}), 'gone'"))
    second = pair[0].push(revision("x + 2"))
    there.unlink()
    with pytest.raises(PushError, match=f"again: AssertionError: gone; staging serves {second.src}"):
        pair[0].rollback("m")
    assert value(pair[0]) == [3, 4]
    there.touch()
    pair[0].rollback("m")
    assert value(pair[0]) == [2, 3]


def test_two_servers_get_it_or_none(live: LiveTarget, pair: list[ServerTarget]) -> None:
    staging, edge = pair
    model = define(live, "x + 1")
    model.infer(X=[1, 2])
    reports = delivery.push(live, "m", pair)
    assert isinstance(reports, PushReports)
    assert [each["server"] for each in reports.to_data()] == ["staging", "edge"]
    assert [(each.server, each.src) for each in reports] == [("staging", model.src), ("edge", model.src)]
    assert repr(reports).splitlines()[1] == "  lint      portable to 24.10"
    assert [value(each) for each in pair] == [[2, 3], [2, 3]]

    # The second server refuses what the first one takes, and later answers otherwise.
    good = model.src
    for expression, top, said in (
        ("x + 2", _NOT_2407, f"AssertionError: not here (m); edge serves {good}"),
        (
            "x + 2 + ('24.07' in pb_utils.__file__)",
            "",
            f"smoke request 1 differs in Y: .*; edge serves {good}",
        ),
    ):
        entry = revision(expression, top=top)
        live.define("m", entry.source, config=entry.config)
        with pytest.raises(PushError, match=said.replace("(m)", r"\(m\)")) as failed:
            delivery.push(live, "m", pair)
        assert str(failed.value).endswith(f"; staging serves {good}")
        own = [(each.label, each.line) for each in failed.value.frames if each.is_model]
        assert own == ([("Cell In[4]", 1)] if top else [])
        assert [value(each) for each in pair] == [[2, 3], [2, 3]]
    # The history of the first server has no trace of what was taken back.
    assert staging.rollback("m").state == "UNAVAILABLE"
    assert edge.ready("m")


#: Loads here and on a server of 24.10, by where the backend's module lies.
_NOT_2407 = "import triton_python_backend_utils as u; assert '24.07' not in u.__file__, 'not here'"


def test_nothing_is_sent_if_one_does_not_answer(live: LiveTarget, pair: list[ServerTarget]) -> None:
    define(live, "x + 1")
    gone = ServerTarget("gone", ServerClient("http://127.0.0.1:9"))
    with pytest.raises(ServerUnreachable, match=r"gone does not answer at 127\.0\.0\.1:9"):
        delivery.push(live, "m", [pair[0], gone])
    assert not pair[0].ready("m")
    pair[1].protect = True
    with pytest.raises(WorkbenchUsageError, match="edge is protected"):
        delivery.push(live, "m", pair)
    assert not pair[0].ready("m")
    reports = delivery.push(live, "m", pair, yes=True)
    assert isinstance(reports, PushReports)
    assert [each.state for each in reports] == ["READY", "READY"]


def test_a_version_of_ones_own(live: LiveTarget, pair: list[ServerTarget]) -> None:
    define(live, "x * int(__file__.split('/')[-2])")
    report = delivery.push(live, "m", [pair[0]], version=3, smoke=False)
    assert "config and 3/model.py sent as overrides" in repr(report)
    assert pair[0].metadata("m")["versions"] == ["3"]
    assert value(pair[0]) == [3, 6]


def test_errors_of_a_pushed_version_are_at_the_cells_line(live: LiveTarget, pair: list[ServerTarget]) -> None:
    define(live, "x[: 1 // int(x[0])]")
    delivery.push(live, "m", [pair[0]], version=12, smoke=False)
    with pytest.raises(ModelExecutionError, match="ZeroDivisionError") as failed:
        pair[0].infer("m", X=[0, 1])
    assert [each.label for each in failed.value.frames if each.is_model] == ["Cell In[4]"]


def test_a_patched_model_is_refused(live: LiveTarget, pair: list[ServerTarget]) -> None:
    define(live, "x + 1").infer(X=[1, 2])
    entry = revision("x + 2")
    assert live.define("m", entry.source, config=entry.config, patch=True).is_patched
    with pytest.raises(PushError, match="m is patched") as refused:
        delivery.push(live, "m", [pair[0]])
    assert "without --patch" in refused.value.hint
    with pytest.raises(PushError, match="m is patched"):
        delivery.compare(live, "m", pair[0])
    # A clean load mends it.
    define(live, "x + 2")
    delivery.push(live, "m", [pair[0]])
    assert value(pair[0]) == [3, 4]


def test_a_load_that_takes_too_long(pair: list[ServerTarget]) -> None:
    staging = pair[0]
    staging.push(revision("x + 1"))
    old = staging.src("m")
    slow = revision("x + 2", top="import time; time.sleep(8)")
    with pytest.raises(LoadTimeout) as late:
        staging.push(slow, timeout=2.0)
    assert str(late.value).startswith(f"staging is still loading {slow.source.src} of m after 2 s")
    assert f"staging serves {old} until that is done" in str(late.value)
    assert value(staging) == [2, 3]
    until(lambda: staging.src("m") != old, "the late load to be over")
    assert value(staging) == [3, 4]
    # It came late, but it is known, and so is the way back.
    assert old in repr(staging.rollback("m"))
    assert value(staging) == [2, 3]


def _kill_while(process: ServerProcess, started: Path) -> threading.Thread:
    """End a server the hard way once a model of it has written a file."""

    def run() -> None:
        until(started.exists, "the model to begin")
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_dies_during_a_push(
    triton_2410: ServerInstall, live: LiveTarget, tmp_path: Path, scheme: str
) -> None:
    marker = tmp_path / "started"
    (tmp_path / "models").mkdir()
    process = ServerProcess(tmp_path / "models", triton_2410, auto_complete=False, stop_timeout=3.0)
    with process:
        address = process.http_address if scheme == "http" else process.grpc_address
        staging = ServerTarget("staging", ServerClient(f"{scheme}://{address}"))
        define(live, "x + 1").infer(X=[1, 2])
        first = delivery.push(live, "m", [staging])
        assert isinstance(first, PushReport)
        entry = revision("x + 2", top=f"import time; open({str(marker)!r}, 'w').close(); time.sleep(60)")
        killer = _kill_while(process, marker)
        with pytest.raises(ServerUnreachable) as lost:
            staging.push(entry)
        killer.join()
    text = str(lost.value)
    assert text.startswith("staging does not answer at 127.0.0.1:")
    assert text.endswith(f"(while {entry.source.src} of m was pushed; nothing here is lost)")
    # The live model answers, and what was sent before is known still.
    assert live.infer("m", {"X": [1, 2]})["Y"].tolist() == [2, 3]
    assert [each.src for each in staging._pushes._history["m"]] == [first.src, entry.source.src]


def test_a_local_server_that_dies_comes_back_with_its_models(triton_2410: ServerInstall) -> None:
    target = LocalTarget("lab", triton_2410, options=LocalOptions())
    try:
        target.push(revision("x + 1"))
        target.push(revision("x * 3", "n"))
        assert target.state == "ready"
        assert target.process.pid is not None
        os.kill(target.process.pid, signal.SIGKILL)
        with pytest.raises(ServerUnreachable, match="lab ended with signal 9") as gone:
            until(lambda: not value(target), "the server to be missed")
        assert "%triton server restart lab" in gone.value.hint
        assert target.state == "ended with signal 9"
        served = target.restart()
        assert served == {"m": revision("x + 1").source.src, "n": revision("x * 3", "n").source.src}
        assert (value(target), value(target, "n")) == ([2, 3], [3, 6])
        assert target.rollback("m").state == "UNAVAILABLE"
    finally:
        target.close()


def test_a_server_that_dies_during_a_request(triton_2410: ServerInstall, tmp_path: Path) -> None:
    marker = tmp_path / "started"
    target = LocalTarget("lab", triton_2410)
    try:
        top = f"import time; WAIT = lambda: (open({str(marker)!r}, 'w').close(), time.sleep(60))"
        target.push(revision("x + (WAIT() and 1)", top=top))
        killer = _kill_while(target.process, marker)
        with pytest.raises(ServerUnreachable, match="lab ended with signal 9"):
            target.infer("m", X=[1, 2])
        killer.join()
    finally:
        target.close()


def test_a_model_that_runs_out_of_time(pair: list[ServerTarget]) -> None:
    for each in pair:
        each.push(revision("x + (time.sleep(1) or 1)"))
        with pytest.raises(WorkbenchError, match=rf"^m on {each.name} did not answer in time"):
            each.infer("m", {"X": [1, 2]}, timeout=0.2)


def test_a_model_whose_process_died(triton_2410: ServerInstall) -> None:
    """A server goes on saying that it is ready; a push of the same revision starts it anew."""
    # A server of its own: it removes the dead process's region only when it ends.
    target = LocalTarget("lab", triton_2410, options=LocalOptions(stub="nvidia"))
    try:
        report = target.push(revision("x if x[0] != 7 else os._exit(3)"))
        with pytest.raises(StubCrashedError, match="the process of m on lab died") as died:
            target.infer("m", X=[7, 1])
        assert died.value.hint == "%triton push m --to lab starts another"
        assert target.ready("m")
        again = target.push(revision("x if x[0] != 7 else os._exit(3)"))
        assert (value(target), again.src, target.src("m")) == ([1, 2], report.src, report.src)
        assert target.rollback("m").state == "UNAVAILABLE"  # it counts as one push
    finally:
        target.close()


def test_packages_that_a_server_lacks(pair: list[ServerTarget]) -> None:
    with pytest.raises(PushError, match="No module named 'no_such_package'") as failed:
        pair[0].push(revision("x", top="import no_such_package"))
    assert [(each.label, each.line) for each in failed.value.frames if each.is_model] == [("Cell In[4]", 1)]
    assert "no packages are sent" in failed.value.hint


def test_names_of_models_that_are_not_there(pair: list[ServerTarget]) -> None:
    with pytest.raises(WorkbenchError, match="staging does not serve nosuch"):
        pair[0].unload("nosuch")
    with pytest.raises(WorkbenchError, match="edge does not serve nosuch"):
        pair[1].infer("nosuch", X=[1])


def test_what_a_server_has(pair: list[ServerTarget]) -> None:
    for each in pair:
        assert len(each.models()) == 0
        report = each.push(revision("x"))
        shown = (
            f"Models on {each.name}: 1\n  m  READY  {each.name}  {report.src}  in: X FP32[2]  out: Y FP32[2]"
        )
        assert repr(each.models()) == shown
        assert each.state == "ready"
    assert (pair[0].release, pair[1].release) == ("24.10", "24.07")


def test_metrics(servers: tuple[ServerProcess, ServerProcess], pair: list[ServerTarget]) -> None:
    staging = ServerTarget(
        "staging",
        ServerClient(f"http://{servers[0].http_address}", metrics_url=servers[0].metrics_url),
    )
    staging.push(revision("x"))
    value(staging)
    counted = re.compile(r'nv_inference_request_success\{model="m",version="1"\} [1-9]')
    until(lambda: counted.search(staging.metrics()), "requests to be counted")
    with pytest.raises(ServerUnreachable, match="no metrics at"):
        ServerClient(f"http://{servers[0].http_address}", metrics_url="http://127.0.0.1:9/metrics").metrics()


def test_an_ensemble_goes_with_its_own_models(live: LiveTarget, pair: list[ServerTarget]) -> None:
    staging = pair[0]
    define(live, "x + 1")
    text = """
      platform: "ensemble"
      input { name: "A" data_type: TYPE_FP32 dims: [ 2 ] }
      output { name: "B" data_type: TYPE_FP32 dims: [ 2 ] }
      ensemble_scheduling { step {
        model_name: "m" model_version: -1
        input_map { key: "X" value: "A" } output_map { key: "Y" value: "B" } } }
    """
    live.define("both", config=ModelConfig.from_text(text, name="both"))
    live.infer("both", {"A": [1, 2]})
    delivery.push(live, "m", [staging])
    delivery.push(live, "both", [staging])
    assert staging.infer("both", A=[1, 2])["B"].tolist() == [2, 3]
    staging.unload("both")
