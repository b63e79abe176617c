"""A live model answers: values, datatypes, batches, streams, output."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.support.live import ECHO, define, source
from tests.support.waiting import until
from workbench import _host
from workbench.datatypes import DATATYPES
from workbench.errors import InputError, ModelConfigError, ModelExecutionError, ModelNotFound
from workbench.session.workbench import Workbench
from workbench.targets.live import LiveTarget


def test_the_first_five_minutes(live: LiveTarget) -> None:
    model = live.define(
        "add_sub",
        source(
            "return [pb_utils.InferenceResponse([pb_utils.Tensor('SUM', x + take(r, 'Z'))]) for r in "
            "requests]"
        ),
        ["X:FP32[4]", "Z:FP32[4]"],
        ["SUM:FP32[4]"],
    )
    assert repr(model) == (
        f"Model add_sub  READY  live  {model.src}  in: X FP32[4], Z FP32[4]  out: SUM FP32[4]"
    )
    result = model.infer(X=[1, 2, 3, 4], Z=np.ones(4))
    assert repr(result) == "InferResult add_sub: 1 response\n  SUM  FP32[4]  [2. 3. 4. 5.]"
    assert not result["SUM"].numpy().flags.writeable
    assert live.statistics("add_sub") == {"success": 1, "failure": 0}
    assert live.metadata("add_sub")["inputs"][0] == {"name": "X", "datatype": "FP32", "shape": [4]}


def test_every_datatype_there_and_back(live: LiveTarget) -> None:
    rows = [row for row in DATATYPES if row.name != "BF16"]
    model = live.define(
        "echo",
        source(
            "return [pb_utils.InferenceResponse([pb_utils.Tensor('O_' + t.name(), t.as_numpy()) for t in "
            "r.inputs()])"
            " for r in requests]"
        ).replace("x = take(requests[0])", ""),
        [f"{row.name}:{row.label}[2,-1]" for row in rows],
        [f"O_{row.name}:{row.label}[2,-1]" for row in rows],
    )
    values = {
        row.name: np.array([[b"a", b""], [b"\xff\x00", "é".encode()]], dtype=object)
        if row.name == "BYTES"
        else np.array([[0, 1], [1, 0]], dtype=row.numpy)
        for row in rows
    }
    result = model.infer(values)
    for row in rows:
        tensor = result[f"O_{row.name}"]
        assert tensor.datatype is row
        assert tensor.numpy().tolist() == values[row.name].tolist()


def test_outputs_outlive_the_model(live: LiveTarget) -> None:
    model = define(live, ECHO)
    results = [model.infer(X=[number, number]) for number in range(50)]
    live.workbench.close()
    assert [result["Y"][0] for result in results] == list(range(50))


def test_large_tensors_grow_the_region(live: LiveTarget) -> None:
    model = live.define(
        "big",
        source(ECHO),
        ["X:FP32[-1]"],
        ["Y:FP32[-1]"],
        backend_config={"shm-default-byte-size": 1 << 20, "shm-growth-byte-size": 1 << 20},
    )
    first = model.infer(X=np.arange(10, dtype="f4"))
    array = np.arange(3_000_000, dtype=np.float32)
    np.testing.assert_array_equal(model.infer(X=array)["Y"], array)
    assert first["Y"].tolist() == list(range(10))


def test_the_model_sees_what_a_server_would_show(live: LiveTarget) -> None:
    model = define(
        live,
        "print(requests[0].request_id(), requests[0].parameters(), requests[0].correlation_id(), "
        "requests[0].flags())\n"
        "print(sorted(self.args), self.args['model_instance_name'], self.args['model_version'])\n"
        "print(os.path.basename(self.args['model_repository']), __name__, sys.argv)\n"
        "return [pb_utils.InferenceResponse([pb_utils.Tensor('Y', "
        "np.frombuffer(self.args['model_config'].encode(),"
        " np.uint8))])]",
        more="def initialize(self, args):\n    self.args = args",
    )
    lines: list[str] = []
    live.workbench.on_output = lambda _, line: lines.append(line)
    result = model.infer(X=[0, 0], request_id="r1", parameters={"a": 1, "b": True}, sequence=(7, True, False))
    assert lines == [
        'r1 {"a":1,"b":true} 7 1',
        "['model_config', 'model_instance_device_id', 'model_instance_kind', 'model_instance_name', "
        "'model_name', "
        "'model_repository', 'model_version'] m_0 1",
        "m 1.model ['']",
    ]
    assert json.loads(result["Y"].numpy().tobytes()) == model.config.to_dict()


def test_batches(live: LiveTarget) -> None:
    model = define(live, "print(x.shape)\n" + ECHO, max_batch_size=4)
    added = model.infer(X=[1, 2])
    assert added["Y"].shape == (1, 2)
    assert "note: batch dimension added: X sent as FP32[1,2]" in repr(added)
    assert model.infer(X=np.ones((4, 2)))["Y"].shape == (4, 2)
    with pytest.raises(InputError, match="batch size 5 for m, max allowed is 4"):
        model.infer(X=np.ones((5, 2)))


def test_requests_that_come_together_share_an_execute(live: LiveTarget, printed: list[str]) -> None:
    config = """
        max_batch_size: 4
        input { name: "X" data_type: TYPE_FP32 dims: 2 }
        output { name: "Y" data_type: TYPE_FP32 dims: 2 }
        dynamic_batching { max_queue_delay_microseconds: 2000000 }"""
    model = live.define("m", source("print(len(requests))\n" + ECHO), config=config)
    answers: dict[int, float] = {}

    def ask(number: int) -> None:
        answers[number] = float(model.infer(X=[number, 0])["Y"][0, 0])

    askers = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for each in askers:
        each.start()
    for each in askers:
        each.join()
    assert answers == {number: number for number in range(8)}
    # Two full batches: neither had to wait for its two seconds.
    assert printed == ["m: 4", "m: 4"]


def test_requests_of_other_shapes_do_not_share(live: LiveTarget, printed: list[str]) -> None:
    config = """
        max_batch_size: 8
        input { name: "X" data_type: TYPE_FP32 dims: -1 }
        output { name: "Y" data_type: TYPE_FP32 dims: -1 }
        dynamic_batching { max_queue_delay_microseconds: 100000 }"""
    model = live.define(
        "m", source("print(sorted({take(r).shape for r in requests}))\n" + ECHO), config=config
    )
    sizes = [1, 2, 1, 2]
    askers = [threading.Thread(target=lambda size=size: model.infer(X=np.ones((1, size)))) for size in sizes]
    for each in askers:
        each.start()
    for each in askers:
        each.join()
    assert set(printed) == {"m: [(1, 1)]", "m: [(1, 2)]"}


def test_instances_work_side_by_side(live: LiveTarget, tmp_path: Path) -> None:
    # Each waits until all three have begun: one after the other they would wait for ever.
    meet = f"""
open(f"{tmp_path}/{{os.getpid()}}", "w").close()
while len(os.listdir({str(tmp_path)!r})) < 3: time.sleep(0.005)
return [reply(r, x * 0 + os.getpid() % 10000) for r in requests]
"""
    model = define(live, meet, instances=3)
    with ThreadPoolExecutor(3) as pool:
        answers = pool.map(lambda _: model.infer(X=[1, 2])["Y"].tolist()[0], range(3))
    pids = {each.process.pid for each in live.workbench.hosts["m"].current.instances}  # type: ignore[union-attr]
    assert sorted(answers) == sorted(pid % 10000 for pid in pids)
    assert len(pids) == 3


DECOUPLED = """
for r in requests:
    sender = r.get_response_sender()
    for i in range(int(x[0])):
        sender.send(reply(r, x + i))
    sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


def test_a_decoupled_model_answers_many_times(live: LiveTarget) -> None:
    model = define(live, DECOUPLED, decoupled=True)
    result = model.infer(X=[3, 0])
    assert [each["Y"][0] for each in result.responses] == [3, 4, 5]
    assert repr(model.infer(X=[0, 0])) == "InferResult m: 0 responses"
    assert [each["Y"][0] for each in model.stream(X=[2, 0])] == [2, 3]


def test_a_stream_gives_responses_as_they_come_and_can_be_left(live: LiveTarget, printed: list[str]) -> None:
    model = define(
        live,
        "sender = requests[0].get_response_sender()\n"
        "for i in range(10000):\n"
        "    if requests[0].is_cancelled(): break\n"
        "    sender.send(reply(None, x + i)); time.sleep(0.01)\n"
        "print('left after', i < 10000)\n"
        "sender.send(flags=1)",
        decoupled=True,
    )
    stream = model.stream(X=[0, 0])
    assert [next(stream)["Y"][0] for _ in range(3)] == [0, 1, 2]
    stream.close()  # type: ignore[attr-defined]

    def said() -> list[str]:
        """Under the cell or in the logs, as the request was still known or not."""
        return [*printed, *(each.text for each in live.workbench.logs.records("m"))]

    until(lambda: any(each.endswith("left after True") for each in said()), "the model to notice")


def test_what_a_model_prints_comes_in_order_and_before_the_result(
    live: LiveTarget, printed: list[str]
) -> None:
    model = define(
        live,
        "print('one'); print('two', file=sys.stderr); print('three'); os.write(1, b'four\\n')\n" + ECHO,
        more="def initialize(self, args):\n    print('up')\ndef finalize(self):\n    print('down')",
    )
    assert printed == ["m: up"]
    for _ in range(20):
        printed.clear()
        model.infer(X=[0, 0])
        assert printed == ["m: one", "m: two", "m: three", "m: four"]


def test_logger_messages_go_to_the_logs(live: LiveTarget, printed: list[str]) -> None:
    model = define(live, "pb_utils.Logger.log_warn('careful')\n" + ECHO)
    model.infer(X=[0, 0])
    [record] = until(lambda: live.workbench.logs.records("m"))
    assert (record.level, record.text) == ("warning", "careful")
    assert printed == []


def test_auto_complete(live: LiveTarget) -> None:
    text = source(
        ECHO,
        more="""
        @staticmethod
        def auto_complete_config(config):
            config.add_input({"name": "X", "data_type": "TYPE_FP32", "dims": [2]})
            config.add_output({"name": "Y", "data_type": "TYPE_FP32", "dims": [2]})
            config.set_max_batch_size(3)
            return config
        """,
    )
    model = live.define("auto", text)
    assert model.config.max_batch_size == 3
    assert model.infer(X=[1, 2])["Y"].tolist() == [[1.0, 2.0]]
    with pytest.raises(ModelConfigError, match="other declares no inputs or outputs") as caught:
        live.define("other", source(ECHO))
    assert caught.value.hint == "add --in/--out, a %%triton config cell, or auto_complete_config"


def test_optional_inputs_may_be_absent(live: LiveTarget) -> None:
    model = live.define(
        "m",
        source(
            "return [reply(r, x if pb_utils.get_input_tensor_by_name(r, 'M') is None else -x) for r in "
            "requests]"
        ),
        ["X:FP32[1]", "M?:BOOL[1]"],
        ["Y:FP32[1]"],
    )
    assert model.infer(X=[1])["Y"][0] == 1
    assert model.infer(X=[1], M=[True])["Y"][0] == -1


def test_models_on_disk_are_used_in_place(live: LiveTarget, tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    (folder / "2").mkdir(parents=True)
    (folder / "2" / "helper.py").write_text("FACTOR = 3\n")
    (folder / "2" / "model.py").write_text(
        source("return [reply(r, x * FACTOR) for r in requests]").replace(
            "import os", "from helper import FACTOR\nimport os"
        )
    )
    (folder / "config.pbtxt").write_text(
        'input { name: "X" data_type: TYPE_FP32 dims: 1 } output { name: "Y" data_type: TYPE_FP32 dims: 1 }'
    )
    assert live.define("disk", folder).infer(X=[2])["Y"][0] == 6
    live.unload("disk")
    assert (folder / "2" / "model.py").exists()


def test_regions_are_private(live: LiveTarget) -> None:
    define(live, ECHO)
    [instance] = live.workbench.hosts["m"].current.instances  # type: ignore[union-attr]
    region = Path("/dev/shm") / instance.channel.region_name
    assert region.stat().st_mode & 0o777 == 0o600
    assert live.workbench.folder.stat().st_mode & 0o777 == 0o700
    live.unload("m")
    assert not region.exists()


def test_a_closed_session_leaves_nothing(live: LiveTarget) -> None:
    define(live, ECHO, instances=2)
    folder = live.workbench.folder
    instances = live.workbench.hosts["m"].current.instances  # type: ignore[union-attr]
    pids = [each.process.pid for each in instances if each.process]
    live.workbench.close()
    assert not folder.exists()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with pytest.raises(ModelNotFound):
        live.workbench.model("m")


def test_a_release_can_be_chosen(live: LiveTarget) -> None:
    assert live.workbench.release == _host.RELEASES[-1].name
    model = define(live, ECHO, backend_config={"release": "24.10"})
    assert model.infer(X=[1, 2])["Y"].tolist() == [1.0, 2.0]


def test_nvidias_stub(live: LiveTarget, triton_2410: object) -> None:
    model = define(live, ECHO, backend_config={"stub": "nvidia"})
    assert model.infer(X=[1, 2])["Y"].tolist() == [1.0, 2.0]
    define(live, "raise ValueError('boom')", backend_config={"stub": "nvidia"})
    with pytest.raises(ModelExecutionError, match="ValueError: boom") as caught:
        model.infer(X=[1, 2])
    assert caught.value.frames[0].function == "TritonPythonModel.execute"


def test_two_sessions_do_not_disturb_each_other(live: LiveTarget) -> None:
    model = define(live, ECHO)
    with Workbench() as second:
        other = define(LiveTarget(second), "return [reply(r, -x) for r in requests]")
        assert other.infer(X=[1, 2])["Y"][0] == -1
        assert model.infer(X=[1, 2])["Y"][0] == 1
    assert model.infer(X=[1, 2])["Y"][0] == 1


def test_two_releases_of_nvidias_stub_in_one_session(
    live: LiveTarget, triton_2410: object, triton_2407: object
) -> None:
    for release in ("24.10", "24.07"):
        name = f"m{release[-2:]}"
        settings = {"stub": "nvidia", "release": release}
        model = define(live, ECHO, name=name, backend_config=settings)
        assert model.infer(X=[1, 2])["Y"].tolist() == [1, 2]
        current = live.workbench.hosts[name].current
        assert current is not None
        assert current.plan.launcher.release == release
