"""What models ask of their server: loading others, readiness, queues, metrics; and mocks."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gate import Gate
from tests.support.live import ECHO, define, source
from tests.support.notebook import Notebook
from tests.support.waiting import until
from workbench.errors import (
    InputError,
    ModelExecutionError,
    ModelNotFound,
    WorkbenchError,
    WorkbenchUsageError,
)
from workbench.model_config import ModelConfig
from workbench.session.mocks import MockModel
from workbench.session.model import Model
from workbench.session.scheduler import BatchScheduler
from workbench.targets.live import LiveTarget

CONFIG = """
input { name: "X" data_type: TYPE_FP32 dims: [ 2 ] }
output { name: "Y" data_type: TYPE_FP32 dims: [ 2 ] }
"""


def call(target: str, more: str = "") -> str:
    """Asks another model and prints what it says."""
    return (
        "a = pb_utils.get_input_tensor_by_name(requests[0], 'X')\n"
        f"q = pb_utils.InferenceRequest(model_name='{target}', requested_output_names=['Y'],"
        f" inputs=[a]{more})\n"
        "r = q.exec()\n"
        "print(r.error().message() if r.has_error() else r.output_tensors()[0].as_numpy().tolist())\n" + ECHO
    )


# -- model control -------------------------------------------------------------------------------------------


def config_json(name: str, **more: Any) -> str:
    return ModelConfig.from_specs(name, ["X:FP32[2]"], ["Y:FP32[2]"], **more).to_json()


def test_a_model_loads_models(live: LiveTarget, tmp_path: Path, printed: list[str]) -> None:
    folder = tmp_path / "repository" / "child"
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(CONFIG)
    (folder / "1" / "model.py").write_text(source("return [reply(r, 2 * take(r)) for r in requests]"))
    live.load_repository(folder.parent)
    live.unload("child")
    helper = "def scale(x): return 7 * x\n"
    files = {
        "file:1/model.py": ("from helper import scale\n" + source("return [reply(None, scale(x))]")).encode(),
        "file:1/helper.py": helper.encode(),
    }
    steps = f"""
def tell(): print(pb_utils.is_model_ready("child"), pb_utils.is_model_ready("child", "2"))
def ask():
    a = pb_utils.get_input_tensor_by_name(requests[0], 'X')
    r = pb_utils.InferenceRequest(model_name='child', requested_output_names=['Y'], inputs=[a]).exec()
    print(r.error().message() if r.has_error() else r.output_tensors()[0].as_numpy().tolist())
def fails(**given):
    try: pb_utils.load_model(**given)
    except pb_utils.TritonModelException as error: print(str(error).splitlines()[0])
tell()
pb_utils.load_model("child")
tell(); ask()
config = {config_json("child")!r}
files = {files!r}
fails(model_name="child", config="{{")
ask()
fails(model_name="child", files=files)
pb_utils.load_model("child", config=config, files=files)
ask()
broken = {{"file:1/model.py": b"class TritonPythonModel: initialize = 1 / 0"}}
fails(model_name="child", config=config, files=broken)
ask()
pb_utils.load_model("child")
ask()
pb_utils.load_model("fresh", config={config_json("fresh")!r}, files=files)
print(pb_utils.is_model_ready("fresh"))
pb_utils.unload_model("fresh")
while pb_utils.is_model_ready("fresh"): time.sleep(0.01)
pb_utils.unload_model("nosuch")
"""
    define(live, steps + ECHO).infer(X=[1, 2], timeout=60)
    said = "Failed to load model: Failed to process the request for model 'm_0', message: "
    lines = [each.removeprefix("m: ") for each in printed]
    assert lines[:3] == ["False False", "True False", "[2.0, 4.0]"]
    assert lines[3].startswith(f"{said}failed to load 'child': the model configuration is not valid")
    assert lines[4] == "[2.0, 4.0]"
    assert lines[5] == "failed to load model 'child', files need a config"
    assert lines[6] == "[7.0, 14.0]"
    assert lines[7].startswith(
        f"{said}load failed for model 'child': version 1 is at UNAVAILABLE state: Internal: ZeroDivisionError"
    )
    assert lines[8:] == ["[7.0, 14.0]", "[2.0, 4.0]", "True"]


def test_a_file_may_not_lead_out_of_the_model(live: LiveTarget, tmp_path: Path) -> None:
    files = {"file:1/model.py": source(ECHO).encode(), "file:../../../out.py": b""}
    with pytest.raises(WorkbenchError, match="leads out of the model's directory"):
        live.workbench.loader("m", config_json("m"), files)
    files = {"file:1/model.py": source(ECHO).encode(), f"file:{tmp_path}/out.py": b""}
    with pytest.raises(WorkbenchError, match="leads out of the model's directory"):
        live.workbench.loader("m", config_json("m"), files)


# -- readiness -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("return True", ""),
        ("return False", "Model 'm_0' is not ready (user-defined check failed)."),
        ("raise ValueError('unwell')", "ValueError: unwell"),
        ("return 1", "is_ready() must return a boolean value"),
    ],
)
def test_is_ready(live: LiveTarget, body: str, why: str) -> None:
    model = define(live, ECHO, more=f"def is_ready(self):\n    {body}\n")
    said = live.workbench.why_not_ready("m")
    assert said == why if not why else why in said
    assert model.ready() == live.ready("m") == (why == "")
    assert model.infer(X=[1, 2])["Y"].tolist() == [1.0, 2.0]  # served either way


def test_readiness_of_what_has_no_say(live: LiveTarget) -> None:
    define(live, ECHO)
    assert live.ready("m")
    assert not live.ready("nosuch")
    assert live.workbench.why_not_ready("m", 2) == "Model 'm' is not ready."


# -- queues --------------------------------------------------------------------------------------------------


def queued(live: LiveTarget, policy: str, body: str) -> Model:
    """The model ``q``, whose queue has this policy."""
    config = f"max_batch_size: 2{CONFIG}dynamic_batching {{ default_queue_policy {{ {policy} }} }}"
    return live.define("q", source(body), config=config)


def test_a_request_that_waited_too_long(live: LiveTarget, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    model = queued(live, "default_timeout_microseconds: 500000", f"{gate.wait}\n{ECHO}")
    first = threading.Thread(target=lambda: model.infer(X=[[1, 2], [3, 4]]))
    first.start()
    gate.wait_for_model()
    with pytest.raises(ModelExecutionError, match=r"^Request timeout expired \(q\)$") as caught:
        model.infer(X=[[1, 2]])
    assert caught.value.code == "UNAVAILABLE"
    gate.open()
    first.join()


def test_the_timeout_of_a_call(live: LiveTarget, printed: list[str]) -> None:
    queued(live, "allow_timeout_override: true", ECHO)
    live.define("m", source(call("q", ", timeout=1")), ["X:FP32[1,2]"], ["Y:FP32[1,2]"]).infer(X=[[1, 2]])
    assert printed == ["m: Model q - Error when running inference: Request timeout expired"]
    queued(live, "", ECHO)
    live.workbench.model("m").infer(X=[[1, 2]])
    assert printed[1:] == ["m: [[1.0, 2.0]]"]  # without a policy nobody looks at it


def test_a_queue_that_is_full(live: LiveTarget, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    model = queued(live, "max_queue_size: 1", f"{gate.wait}\n{ECHO}")
    queue = live.workbench.hosts["q"].current.queue  # type: ignore[union-attr]
    assert isinstance(queue, BatchScheduler)
    threads = [threading.Thread(target=lambda: model.infer(X=[[1, 2], [3, 4]])) for _ in range(2)]
    threads[0].start()
    gate.wait_for_model()
    threads[1].start()
    until(lambda: queue._items, "the second request to be in the queue")
    with pytest.raises(ModelExecutionError, match="Exceeds maximum queue size"):
        model.infer(X=[[1, 2]])
    gate.open()
    for each in threads:
        each.join()


def test_calls_of_models_share_a_batch(live: LiveTarget, printed: list[str]) -> None:
    config = f"max_batch_size: 4{CONFIG}dynamic_batching {{ max_queue_delay_microseconds: 2000000 }}"
    live.define("b", source("print(len(requests))\n" + ECHO), config=config)
    text = source(
        "import asyncio\na = pb_utils.get_input_tensor_by_name(requests[0], 'X')\n"
        "await asyncio.gather(*[pb_utils.InferenceRequest(model_name='b', requested_output_names=['Y'],"
        " inputs=[a]).async_exec() for _ in range(4)])\n" + ECHO,
        signature="async def execute(self, requests):",
    )
    live.define("m", text, ["X:FP32[1,2]"], ["Y:FP32[1,2]"]).infer(X=[[1, 2]])
    said = [*printed, *(each.text for each in live.workbench.logs.records("b", 50))]
    assert sum(each.endswith("4") for each in said) == 1, said


def test_a_circle_through_a_queue_is_named(live: LiveTarget, printed: list[str]) -> None:
    config = f"max_batch_size: 2{CONFIG}dynamic_batching {{ }}"
    live.define("b", source(call("m")), config=config)
    live.define("m", source(call("b")), ["X:FP32[1,2]"], ["Y:FP32[1,2]"]).infer(X=[[1, 2]])
    said = [*printed, *(each.text for each in live.workbench.logs.records("b", 50))]
    assert any("BlsDeadlockError: b -> m -> b" in each for each in said), said


# -- metrics -------------------------------------------------------------------------------------------------

COUNTING = """
def initialize(self, args):
    kind = pb_utils.MetricFamily.{kind}
    self.family = pb_utils.MetricFamily(name="seen_{name}", description="what was seen", kind=kind)
    self.metric = self.family.Metric(labels={{"model": "{name}"}}{more})
"""


def test_metrics_are_prometheus_text(live: LiveTarget) -> None:
    a = define(
        live,
        "self.metric.increment(2)\n" + ECHO,
        name="a",
        more=COUNTING.format(name="a", kind="COUNTER", more=""),
    )
    b = define(
        live,
        "self.metric.observe(0.5)\n" + ECHO,
        name="b",
        more=COUNTING.format(name="b", kind="HISTOGRAM", more=", buckets=[0.1, 1]"),
    )
    a.infer(X=[1, 2])
    b.infer(X=[1, 2])
    dump = live.workbench.metrics.dump
    families = {each.name: each for each in text_string_to_metric_families(dump())}
    assert {name: each.type for name, each in families.items()} == {
        "seen_a": "counter",
        "seen_b": "histogram",
    }
    assert [(each.labels, each.value) for each in families["seen_a"].samples] == [({"model": "a"}, 2.0)]
    buckets = {each.labels["le"]: each.value for each in families["seen_b"].samples if "le" in each.labels}
    assert buckets == {"0.1": 0.0, "1": 1.0, "+Inf": 1.0}
    assert dump("a") + dump("b") == dump()
    assert "seen_b" not in dump("a")


# -- mocks ---------------------------------------------------------------------------------------------------


def test_a_mock_is_like_a_model(live: LiveTarget, printed: list[str]) -> None:
    mock = MockModel("child", lambda inputs: {"Y": inputs["X"] * 10}, ["X:FP32[2]"], ["Y:FP32[2]"])
    live.workbench.bls.mocks["child"] = mock
    model = define(live, call("child"))
    model.infer(X=[1, 2])
    assert printed == ["m: [10.0, 20.0]"]
    assert live.workbench.model("child").infer(X=[1, 2])["Y"].tolist() == [10.0, 20.0]
    assert repr(live.workbench.models).splitlines()[1].split()[:3] == ["child", "READY", "mock"]
    assert live.ready("child")
    live.unload("child")
    with pytest.raises(ModelNotFound):
        live.workbench.model("child")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("lambda inputs: {'Y': [1.5, 2, 3]}", "mock child: Y is FP32[2], got FP32[3]"),
        ("lambda inputs: {'Z': [1, 2]}", "mock child: child has no input 'Z'"),
        ("lambda inputs: 5", "mock child: infer of mock child gave int, not a dict of outputs"),
        ("lambda inputs: 1 / 0", "mock child: ZeroDivisionError: division by zero"),
        ("lambda inputs: {'Y': inputs['Q']}", "mock child: KeyError: 'Q'"),
    ],
)
def test_a_mock_that_answers_wrongly(
    live: LiveTarget, printed: list[str], function: str, message: str
) -> None:
    made = eval(function)
    live.workbench.bls.mocks["child"] = MockModel("child", made, ["X:FP32[2]"], ["Y:FP32[2]"])
    define(live, call("child")).infer(X=[1, 2])
    assert printed[0].startswith(f"m: {message}")


def test_a_mock_refuses_what_the_model_would() -> None:
    mock = MockModel("child", lambda inputs: {"Y": inputs["X"]}, ["X:FP32[2]"], ["Y:FP32[2]"])
    with pytest.raises(InputError, match=r"X is FP32\[2\], got FP32\[3\]"):
        mock.infer(X=[1.0, 2.0, 3.0])


def test_magics(notebook: Notebook) -> None:
    notebook.run("factor = 3")
    body = "def infer(inputs): return {'Y': factor * inputs['X']}"
    cell = f"%%triton mock child --in X:FP32[2] --out Y:FP32[2]\n{body}"
    assert repr(notebook.run(cell)) == "Mock child  READY  mock  in: X FP32[2]  out: Y FP32[2]"
    assert notebook.run("%triton infer child X=[1,2]")["Y"].tolist() == [3.0, 6.0]
    assert notebook.run("'infer' in globals()") is False
    assert repr(notebook.run("%triton metrics")) == "Metrics: no model has made any"
    body = source(
        "self.metric.increment(2)\n" + ECHO, more=COUNTING.format(name="a", kind="COUNTER", more="")
    )
    notebook.run(f"%%triton model a --in X:FP32[2] --out Y:FP32[2]\n{body}")
    notebook.run("%triton infer a X=[1,2]")
    assert repr(notebook.run("%triton metrics a")).splitlines() == [
        "# HELP seen_a what was seen",
        "# TYPE seen_a counter",
        'seen_a{model="a"} 2',
    ]


@pytest.mark.parametrize(
    "line",
    [
        "bench child X=[1,2]",
        "debug child",
        "debug child X=[1,2]",
        "debug child --port auto",
        "infer child X=[1,2] --batch 2",
        "infer child X=[1,2] --stream",
        "lint child",
        "replay child",
        "shm child",
        "trace child X=[1,2]",
    ],
)
def test_what_a_mock_has_not_is_refused(notebook: Notebook, line: str) -> None:
    notebook.run("%load_ext workbench")
    notebook.run("%%triton mock child --in X:FP32[2] --out Y:FP32[2]\ndef infer(inputs): return {}")
    with pytest.raises(WorkbenchUsageError, match="child is a mock"):
        notebook.run(f"%triton {line}")
