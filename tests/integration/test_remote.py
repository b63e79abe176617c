"""Models on a real server: pushed, edited, pushed again, brought back."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.live import HEAD
from tests.support.models import write_model
from tests.support.servers import revision, value, wait_until_unloaded
from workbench.errors import InputError, ModelExecutionError, ModelNotFound, WorkbenchUsageError
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.server_errors import PushError, ServerModeError, ServerUnreachable
from workbench.server_install import ServerInstall
from workbench.targets.client import ServerClient
from workbench.targets.local import LocalTarget
from workbench.targets.process_server import ServerProcess
from workbench.targets.pushed import loose_entry
from workbench.targets.remote import ServerTarget

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server(triton_2410: ServerInstall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    repository = tmp_path_factory.mktemp("repository")
    write_model(repository, "echo")
    with ServerProcess(repository, triton_2410, auto_complete=False, stop_timeout=3.0) as process:
        yield process


@pytest.fixture
def remote(server: ServerProcess) -> Iterator[ServerTarget]:
    yield ServerTarget("staging", ServerClient(f"http://{server.http_address}"))
    wait_until_unloaded(server)


def test_a_push_says_what_it_did(remote: ServerTarget) -> None:
    remote.push(revision("x * 4"))
    new = revision("x * 5")
    report = remote.push(new)
    assert (value(remote), remote.src("m")) == ([5, 10], new.source.src)
    assert repr(report) == (
        f"Push m -> staging: READY  {new.source.src}\n"
        f"  snapshot  {revision('x * 4').source.src} kept\n"
        "  load      config and 1/model.py sent as overrides\n"
        "  note: the server must have numpy"
    )
    remote.unload("m")
    assert not remote.ready("m")


def test_a_revision_that_fails_leaves_the_old_one(remote: ServerTarget) -> None:
    old = revision("x + 1")
    remote.push(old)
    bad = revision("x")
    bad = ModelEntry(
        "m", Path("m"), ModelSource(bad.source.text + "import nosuch\n", "Cell In[7]"), bad.config
    )
    with pytest.raises(PushError) as failed:
        remote.push(bad)
    error = failed.value
    assert str(error) == (
        f"ModuleNotFoundError: No module named 'nosuch' (m); staging serves {old.source.src}"
    )
    assert error.serving == old.source.src
    own = [each for each in error.frames if each.is_model]
    assert [(each.label, each.line) for each in own] == [("Cell In[7]", len(bad.source.lines))]
    assert any("----> " in line and "import nosuch" in line for line in error.render())
    assert value(remote) == [2, 3]
    with pytest.raises(PushError, match="SyntaxError") as syntax:
        remote.push(loose_entry("m", ModelSource("def x(:\n", "Cell In[8]"), bad.config))
    assert [(each.label, each.line) for each in syntax.value.frames] == [("Cell In[8]", 1)]
    assert value(remote) == [2, 3]
    remote.unload("m")


def test_a_first_push_that_fails_leaves_nothing(remote: ServerTarget) -> None:
    with pytest.raises(PushError, match="staging does not serve it"):
        remote.push(loose_entry("m", ModelSource("1 / 0\n"), revision("x").config))
    assert not remote.ready("m")
    with pytest.raises(ModelNotFound, match="staging does not serve m"):
        remote.config("m")


def test_a_smoke_check_that_fails_brings_the_old_one_back(remote: ServerTarget) -> None:
    def check(target: ServerTarget) -> str:
        return "" if value(target) == [2, 3] else "differs in Y"

    old = revision("x + 1")
    assert ("smoke", "1 recorded request, outputs equal") in remote.push(old, smoke=[check]).steps
    with pytest.raises(PushError) as failed:
        remote.push(revision("x + 5"), smoke=[check])
    assert str(failed.value) == f"smoke request 1 differs in Y; staging serves {old.source.src}"
    assert (value(remote), remote.src("m")) == ([2, 3], old.source.src)
    with pytest.raises(PushError, match=r"smoke request 1 failed: .*ZeroDivisionError"):
        remote.push(revision("x * (1 // 0)"), smoke=[check])
    assert value(remote) == [2, 3]
    remote.unload("m")


def test_rolling_back_by_hand(remote: ServerTarget) -> None:
    first, second = revision("x + 1"), revision("x + 2")
    remote.push(first)
    remote.push(second)
    report = remote.rollback("m")
    assert repr(report) == (
        f"Roll back m on staging: READY  {first.source.src}\n  roll back  {first.source.src} sent again"
    )
    assert value(remote) == [2, 3]
    assert remote.rollback("m").state == "UNAVAILABLE"
    assert not remote.ready("m")
    with pytest.raises(PushError, match="staging serves no push of m"):
        remote.rollback("m")


def test_a_model_of_the_repository_comes_back(remote: ServerTarget) -> None:
    remote.load("echo", None, None)
    config = ModelConfig.from_specs("echo", ["INPUT0:FP32[-1]"], ["OUTPUT0:FP32[-1]"])
    text = revision("x").source.text.replace('"X"', '"INPUT0"').replace('"Y", x', '"OUTPUT0", x * 10')
    report = remote.push(loose_entry("echo", ModelSource(text), config))
    assert ("snapshot", "the repository's own model serves") in report.steps
    assert list(remote.infer("echo", {"INPUT0": [1]})["OUTPUT0"]) == [10]
    assert "the repository's own model" in repr(remote.rollback("echo"))
    assert list(remote.infer("echo", {"INPUT0": [1]})["OUTPUT0"]) == [1]
    assert remote.src("echo") == ""
    remote.unload("echo")


def test_two_kernels_on_one_server(server: ServerProcess, remote: ServerTarget) -> None:
    other = ServerTarget("theirs", ServerClient(f"grpc://{server.grpc_address}"))
    theirs = revision("x + 7")
    other.push(theirs)
    report = remote.push(revision("x + 8"))
    assert theirs.source.src in dict(report.steps)["snapshot"]
    assert "cannot be brought back from here" in dict(report.steps)["snapshot"]
    assert value(other) == [9, 10]
    remote.unload("m")


def test_the_failing_line_of_a_request(remote: ServerTarget) -> None:
    remote.push(revision("x / (1 // int(x[0]))"))
    with pytest.raises(ModelExecutionError) as failed:
        remote.infer("m", {"X": [0, 1]})
    own = [each for each in failed.value.frames if each.is_model]
    assert [(each.label, each.function) for each in own] == [("Cell In[4]", "TritonPythonModel.execute")]
    assert "1 // int(x[0])" in "\n".join(failed.value.render())
    with pytest.raises(InputError, match=r"m has no input 'Z'"):
        remote.infer("m", {"Z": [0, 1]})
    assert remote.statistics("m")["failure"] == 1
    remote.unload("m")


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_datatypes(server: ServerProcess, scheme: str) -> None:
    address = server.http_address if scheme == "http" else server.grpc_address
    target = ServerTarget("staging", ServerClient(f"{scheme}://{address}"))
    cases = {
        "STRING[2]": np.array([b"a", "ü".encode()], dtype=np.object_),
        "INT64[2]": np.array([1, -(2**62)]),
        "BOOL[2]": np.array([True, False]),
    }
    for spec, array in cases.items():
        config = ModelConfig.from_specs("m", [f"X:{spec}"], [f"Y:{spec}"], parameters={"kind": "test"})
        target.push(revision("x", config=config))
        got = target.infer("m", {"X": array})
        assert got["Y"].numpy().tolist() == array.tolist()
        assert got["Y"].type_text == spec
    assert target.config("m").parameters["kind"] == "test"
    target.unload("m")


ENDS = "sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)"
FAILS = """\
error = pb_utils.InferenceResponse(error=pb_utils.TritonError("no more"))
sender.send(error, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
GOES_ON = f"""\
sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError("no more")))
while not r.is_cancelled():
    time.sleep(0.1)
{ENDS}
"""


def three_responses(name: str, end: str = ENDS) -> ModelEntry:
    """A decoupled model: its responses, and then `end`."""
    text = (
        HEAD
        + """
class TritonPythonModel:
    def execute(self, requests):
        for r in requests:
            sender = r.get_response_sender()
            for n in range(3):
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("Y", np.array([n], np.float32))]))
"""
        + textwrap.indent(end, 12 * " ")
    )
    config = ModelConfig.from_specs(name, ["X:FP32[1]"], ["Y:FP32[1]"], decoupled=True)
    return loose_entry(name, ModelSource(text), config)


def test_a_decoupled_model_over_grpc(server: ServerProcess, remote: ServerTarget) -> None:
    target = ServerTarget("staging", ServerClient(f"grpc://{server.grpc_address}"))
    target.push(three_responses("m"))
    assert [float(each["Y"][0]) for each in target.infer("m", {"X": [0]}).responses] == [0, 1, 2]
    assert [float(each["Y"][0]) for each in target.stream("m", {"X": [0]})] == [0, 1, 2]
    with pytest.raises(WorkbenchUsageError, match="need gRPC"):
        list(remote.stream("m", {"X": [0]}))
    target.unload("m")


def test_models_that_streamed_go_when_they_are_unloaded(server: ServerProcess) -> None:
    """With their processes. A stream that is cancelled once it is complete could keep them for ever."""
    target = ServerTarget("staging", ServerClient(f"grpc://{server.grpc_address}"))
    for number in range(6):
        name = f"streamed_{number}"
        target.push(three_responses(name))
        assert len(list(target.stream(name, {"X": [0]}))) == 3
        target.unload(name)
    wait_until_unloaded(server)


def test_models_whose_streams_failed_go_when_they_are_unloaded(server: ServerProcess) -> None:
    """The same: an error is the last response, and to leave the stream then must not cancel it."""
    target = ServerTarget("staging", ServerClient(f"grpc://{server.grpc_address}"))
    for number in range(6):
        name = f"failed_{number}"
        target.push(three_responses(name, FAILS))
        for _ in range(5):
            with pytest.raises(ModelExecutionError, match="no more"):
                list(target.stream(name, {"X": [0]}))
        target.unload(name)
    wait_until_unloaded(server)


def test_a_model_that_goes_on_after_an_error_is_cancelled(server: ServerProcess) -> None:
    target = ServerTarget("staging", ServerClient(f"grpc://{server.grpc_address}"))
    target.push(three_responses("endless", GOES_ON))
    with pytest.raises(ModelExecutionError, match="no more"):
        list(target.stream("endless", {"X": [0]}))
    with pytest.raises(ModelExecutionError, match="no more"):  # it is free again
        list(target.stream("endless", {"X": [0]}))
    target.unload("endless")


def test_a_protected_server_asks(server: ServerProcess) -> None:
    target = ServerTarget("prod", ServerClient(f"http://{server.http_address}"), protect=True)
    with pytest.raises(WorkbenchUsageError, match="prod is protected"):
        target.push(revision("x"))
    assert not target.ready("m")
    target.push(revision("x"), yes=True)
    with pytest.raises(WorkbenchUsageError, match="prod is protected"):
        target.unload("m")
    target.unload("m", yes=True)


def test_a_server_that_loads_nothing_on_request(triton_2410: ServerInstall, tmp_path: Path) -> None:
    write_model(tmp_path, "echo")
    with ServerProcess(
        tmp_path, triton_2410, extra_args=["--model-control-mode=none"], stop_timeout=3.0
    ) as process:
        target = ServerTarget("fixed", ServerClient(f"http://{process.http_address}"))
        with pytest.raises(ServerModeError) as refused:
            target.push(revision("x"))
        assert "--model-control-mode=explicit" in refused.value.hint


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_nobody_there(scheme: str) -> None:
    with pytest.raises(ServerUnreachable, match=r"no Triton server answers at 127\.0\.0\.1:9"):
        ServerClient(f"{scheme}://127.0.0.1:9", timeout=5).server()


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://user:secret@host", "http://host:99999"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(WorkbenchUsageError, match="cannot read the address"):
        ServerClient(url)


def test_header_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    client = ServerClient("http://127.0.0.1:9", headers={"Authorization": "WB_TEST_TOKEN"})
    with pytest.raises(WorkbenchUsageError, match="WB_TEST_TOKEN, which is not set"):
        client.server()
    monkeypatch.setenv("WB_TEST_TOKEN", "Bearer x")
    assert client.headers() == {"Authorization": "Bearer x"}


def test_the_local_target_runs_this_kernels_packages(triton_2410: ServerInstall) -> None:
    target = LocalTarget(install=triton_2410)
    try:
        for number in (1, 2):
            target.push(revision(f"x * {number} if np.__version__ == {np.__version__!r} else x * 0"))
            assert value(target) == [number, 2 * number]
    finally:
        target.close()
    assert not target.process.running
