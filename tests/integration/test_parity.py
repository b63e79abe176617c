"""The same requests here and on a real server, and in all four pairings of hosts and stubs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import leaks
from tests.support.live import HEAD, source
from tests.support.servers import wait_until_unloaded
from workbench.errors import InputError, ModelExecutionError, WorkbenchUsageError
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.server_errors import ParityError, ServerUnreachable
from workbench.server_install import ServerInstall
from workbench.session.settings import Settings
from workbench.session.workbench import Workbench
from workbench.targets import delivery
from workbench.targets.client import ServerClient
from workbench.targets.compare import config_difference
from workbench.targets.live import LiveTarget
from workbench.targets.local import LocalOptions, LocalTarget
from workbench.targets.parity import MatrixReport, parity
from workbench.targets.pushed import loose_entry
from workbench.targets.remote import ServerTarget

pytestmark = pytest.mark.server

SENDER = """
class TritonPythonModel:
    def execute(self, requests):
        for r in requests:
            n = int(pb_utils.get_input_tensor_by_name(r, "X").as_numpy()[0])
            sender = r.get_response_sender()
            last = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
            for i in range(n):
                if n > 3 and i == 2:
                    sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError("no more")), flags=last)
                    break
                response = pb_utils.InferenceResponse([pb_utils.Tensor("Y", np.array([i], np.float32))])
                sender.send(response, flags=last if FLAG_WITH_LAST and i == n - 1 else 0)
            else:
                if not FLAG_WITH_LAST or not n:
                    sender.send(flags=last)
"""


@pytest.fixture(scope="module")
def older(triton_2407: ServerInstall) -> Iterator[LocalTarget]:
    target = LocalTarget("older", triton_2407, options=LocalOptions(auto_complete=True))
    with leaks.long_lived(target.process):
        yield target
    target.close()


@pytest.fixture(scope="module")
def shared(triton_2410: ServerInstall) -> Iterator[LocalTarget]:
    target = LocalTarget("local", triton_2410, options=LocalOptions(auto_complete=True))
    with leaks.long_lived(target.process):
        yield target
    target.close()


@pytest.fixture
def local(shared: LocalTarget) -> Iterator[LocalTarget]:
    yield shared
    for name in shared.client.loaded():
        shared.unload(name)
    wait_until_unloaded(shared.process)


@pytest.fixture
def live() -> Iterator[LiveTarget]:
    with Workbench(Settings(release="24.10")) as workbench:
        yield LiveTarget(workbench)


def test_everything_that_is_compared(live: LiveTarget, local: LocalTarget) -> None:
    """A model that completes its own configuration, answers, and fails."""
    body = """
if x[0] == 3: raise ValueError("no threes")
if x[0] == 4: return [pb_utils.InferenceResponse(error=pb_utils.TritonError("none", 3))]
return [reply(r, take(r) * np.float32(0.1)) for r in requests]
"""
    more = """
@staticmethod
def auto_complete_config(config):
    config.add_input({"name": "X", "data_type": "TYPE_FP32", "dims": [2]})
    config.add_output({"name": "Y", "data_type": "TYPE_FP32", "dims": [2]})
    config.set_max_batch_size(0)
    return config
"""
    model = live.define("m", source(body, more=more))
    for first in (1, 2, 3, 4):
        try:
            model.infer(X=[first, 2], parameters={"who": "me"}, request_id=f"r{first}")
        except ModelExecutionError:
            assert first > 2
    report = delivery.compare(live, "m", local)
    assert repr(report) == (
        "Parity m: 4 of 4 equal (live vs local)\n  configuration equal\n  stubs: live own, local own"
    )
    assert report


def variant(live: LiveTarget, name: str, old: str, new: str) -> ModelEntry:
    """What is live with some text replaced."""
    entry = live.workbench.hosts[name].entry
    assert old in entry.source.text
    return loose_entry(name, ModelSource(entry.source.text.replace(old, new)), entry.config)


@pytest.mark.parametrize("flag_with_last", [True, False])
def test_streams_and_their_flags(live: LiveTarget, local: LocalTarget, flag_with_last: bool) -> None:
    config = ModelConfig.from_specs("s", ["X:INT32[1]"], ["Y:FP32[1]"], decoupled=True)
    text = f"{HEAD}FLAG_WITH_LAST = {flag_with_last}\n{SENDER}"
    model = live.define("s", text, config=config)
    for count in (0, 1, 3, 5):
        try:
            model.infer(X=[count])
        except ModelExecutionError as error:
            assert (count, len(error.responses)) == (5, 2)
    report = delivery.compare(live, "s", local, report_only=True)
    assert (dict(report.differences), report.config) == ({}, "")
    # The same answers with the flag elsewhere are not the same.
    local.push(variant(live, "s", f"LAST = {flag_with_last}", f"LAST = {not flag_with_last}"))
    host = live.workbench.hosts["s"]
    other = parity(host, local, host.recorder.requests, stubs={}, report_only=True)
    assert "it is the last response" in other.differences[2]


def test_a_server_of_an_older_release(older: LocalTarget) -> None:
    with Workbench(Settings(release="24.07")) as workbench:
        live = LiveTarget(workbench)
        body = "if x[0] == 2: raise ValueError('no twos')\nreturn [reply(r, x + 1) for r in requests]"
        model = live.define("m", source(body), ["X:FP32[2]"], ["Y:FP32[2]"])
        model.infer(X=[1, 2])
        with pytest.raises(ModelExecutionError):
            model.infer(X=[2, 2])
        assert delivery.compare(live, "m", older).count == 2


def test_a_decoupled_model_without_grpc(live: LiveTarget, local: LocalTarget) -> None:
    config = ModelConfig.from_specs("s", ["X:INT32[1]"], ["Y:FP32[1]"], decoupled=True)
    live.define("s", f"{HEAD}FLAG_WITH_LAST = False\n{SENDER}", config=config).infer(X=[2])
    plain = ServerTarget("plain", ServerClient(local.url))
    report = delivery.push(live, "s", [plain])
    assert "note: not tried there: a decoupled model answers over gRPC only" in repr(report)
    for send in (lambda: plain.infer("s", X=[2]), lambda: delivery.compare(live, "s", plain)):
        with pytest.raises(WorkbenchUsageError, match="gRPC"):
            send()


def test_differences_are_told(live: LiveTarget, local: LocalTarget) -> None:
    model = live.define(
        "m",
        source("return [reply(r, x * 0 + len(__file__)) for r in requests]"),
        ["X:FP32[2]"],
        ["Y:FP32[2]"],
    )
    with pytest.raises(InputError, match="no request of m is recorded"):
        delivery.compare(live, "m", local)
    model.infer(X=[1, 2])
    with pytest.raises(
        ParityError, match=r"request 1 of m differs in Y: .* here, .* there at \[0\]"
    ) as found:
        delivery.compare(live, "m", local)
    assert not found.value.report
    assert delivery.compare(live, "m", local, rtol=100.0)


def test_configurations_that_differ() -> None:
    here = ModelConfig.from_specs("m", ["X:FP32[2]"], ["Y:FP32[2]"], parameters={"a": "1"})
    there = ModelConfig.from_specs(
        "m", ["X:FP32[2]"], ["Y:FP32[3]"], parameters={"a": "1", "workbench_src": "s"}
    )
    assert config_difference(here, here) == ""
    found = config_difference(here, there)
    assert found.startswith("its configuration differs in output[0].dims[0]: ")
    assert "2" in found
    assert "parameters" not in found


def test_four_places(triton_2410: ServerInstall, live: LiveTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_SERVER", str(triton_2410.binary))
    live.define(
        "half", source("return [reply(r, take(r) / 2) for r in requests]"), ["X:FP32[2]"], ["Y:FP32[2]"]
    )
    body = """
inner = pb_utils.InferenceRequest(
    model_name="half", requested_output_names=["Y"], inputs=[pb_utils.Tensor("X", x)]
)
answer = inner.exec()
if x[0] == 3: raise ValueError("no threes")
if x[0] == 4: return [reply(r, x * 0 + ("tritonserver" in pb_utils.__file__)) for r in requests]
return [pb_utils.InferenceResponse([pb_utils.get_output_tensor_by_name(answer, "Y")]) for r in requests]
"""
    model = live.define("m", source(body), ["X:FP32[2]"], ["Y:FP32[2]"])
    model.infer(X=[1, 2])
    with pytest.raises(ModelExecutionError):
        model.infer(X=[3, 2])
    report = delivery.compare_everywhere(live, "m")
    assert repr(report) == (
        "Parity m in 4 places, Triton 24.10\n"
        "                our stub      NVIDIA's stub\n"
        "  our host      2 of 2 equal  2 of 2 equal\n"
        "  Triton 24.10  2 of 2 equal  2 of 2 equal"
    )
    model.infer(X=[4, 2])
    with pytest.raises(
        ParityError, match=r"request 3 of m differs in Y: .* \(on our host with NVIDIA's stub\)"
    ):
        delivery.compare_everywhere(live, "m")
    assert model.state == "READY"
    assert isinstance(report, MatrixReport)


def test_a_server_that_dies_midway(triton_2410: ServerInstall, live: LiveTarget) -> None:
    target = LocalTarget("lab", triton_2410)
    try:
        pid = target.process.pid
        assert pid is not None
        body = f"""
if x[0] == 2 and os.getppid() == {pid}: os.kill({pid}, {int(signal.SIGKILL)}); time.sleep(30)
return [reply(r, take(r)) for r in requests]
"""
        model = live.define("m", source(body), ["X:FP32[2]"], ["Y:FP32[2]"])
        for first in (1, 2, 3):
            model.infer(X=[first, 2])
        with pytest.raises(ServerUnreachable) as gone:
            delivery.compare(live, "m", target)
        assert str(gone.value) == (
            "lab ended with signal 9 (after 1 of 3 requests; live models go on serving)"
        )
        assert "%triton server restart lab" in gone.value.hint
        assert model.infer(X=[1, 2])["Y"].tolist() == [1, 2]
        assert not Path(f"/proc/{pid}").exists()
    finally:
        target.close()
