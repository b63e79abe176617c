"""Business-logic scripting between models of many kinds: chains, warm-up, queues, a circle. Section 4."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import numpy as np
import pytest

from tests.conformance.bls import HELPERS, Children
from tests.conformance.lab import Lab
from tests.conformance.targets import Target, config, source_of


def test_request_input_passed_on(target: Target) -> None:
    """A tensor of the request, untouched, as a child's input; and a child's output as an output."""
    text = config([("X", "FP32", [-1])], [("OUT", "FP32", [-1])])
    source = """\
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        out = []
        for r in requests:
            child = pb_utils.InferenceRequest(inputs=r.inputs(), requested_output_names=["OUT"], model_name="%s")
            out.append(pb_utils.InferenceResponse(child.exec().output_tensors()))
        return out
"""
    identity = source_of("identity").replace('"IN"', '"X"')
    child = target.load(identity, text, name="passed_child")
    model = target.load(source % child.name, text, name="passed")
    value = np.arange(5, dtype=np.float32)
    assert model.infer(X=value).outputs["OUT"].tolist() == value.tolist()
    target.drop(model.name)


def test_parameters_through_nested_calls(target: Target) -> None:
    """Each level adds a parameter; the innermost sees them all."""
    source = """\
import json
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        self.name = args["model_name"]

    def execute(self, requests):
        out = []
        for r in requests:
            level = int(pb_utils.get_input_tensor_by_name(r, "IN").as_numpy()[0])
            seen = json.loads(r.parameters())
            if level:
                seen[f"level{level}"] = [True, level, "text"][level %% 3]
                child = pb_utils.InferenceRequest(
                    inputs=[pb_utils.Tensor("IN", np.array([level - 1], dtype=np.int32))],
                    requested_output_names=["TEXT"], model_name="%s", parameters=seen)
                out.append(pb_utils.InferenceResponse(child.exec().output_tensors()))
            else:
                text = np.array([json.dumps(seen).encode()], dtype=object)
                out.append(pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", text)]))
        return out
"""
    # A call needs a free instance of the model it names: a chain of models, not one that calls itself.
    text = config([("IN", "INT32", [1])], [("TEXT", "BYTES", [1])])
    name = ""
    for level in range(4):
        model = target.load(source % name, text, name=f"nested_{level}")
        name = model.name
    answer = model.infer(IN=np.array([3], dtype=np.int32))
    assert answer.error is None
    assert json.loads(answer.text("TEXT")) == {"level3": True, "level2": "text", "level1": 1}


def test_calls_while_warming_up(target: Target, children: Children) -> None:
    """A warm-up request runs `execute`, so calls are allowed; it is a request like any other, without an id."""
    source = f"""\
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    seen = []
    def execute(self, requests):
        out = []
        for r in requests:
            child = pb_utils.InferenceRequest(
                inputs=[pb_utils.Tensor("IN", np.array([1], dtype=np.int32))], requested_output_names=["OUT"],
                model_name="{children.plain.name}")
            self.seen.append((len(requests), r.request_id(), child.exec().has_error()))
            text = np.array([[str(self.seen).encode()]], dtype=object)
            out.append(pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", text)]))
        return out
"""
    warmup = 'model_warmup [ { name: "w" batch_size: 2 inputs { key: "IN" value { data_type: TYPE_INT32 dims: [1] zero_data: true } } } ]\n'
    text = config([("IN", "INT32", [1])], [("TEXT", "BYTES", [1])], max_batch_size=2, extra=warmup)
    model = target.load(source, text, name="warm")
    answer = model.infer(IN=np.array([[5]], dtype=np.int32), request_id="mine")
    assert answer.outputs["TEXT"][0, 0].decode() == "[(2, '', False), (2, '', False), (1, 'mine', False)]"


def test_queue_timeout_of_a_child(lab: Lab, target: Target, tmp_path: Path) -> None:
    """Only the child's queue policy enforces a timeout: a busy child with such a policy refuses."""
    source = f"""\
import time
from pathlib import Path
import triton_python_backend_utils as pb_utils

BUSY = Path({str(tmp_path / "busy")!r})

class TritonPythonModel:
    def execute(self, requests):
        BUSY.touch()
        time.sleep(1)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", r.inputs()[0].as_numpy())]) for r in requests]
"""
    extra = """dynamic_batching {
      default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 60000000 allow_timeout_override: true } }
    """
    child = target.load(
        source,
        config([("IN", "INT32", [1])], [("OUT", "INT32", [1])], max_batch_size=1, extra=extra),
        name="slow",
    )
    code = f"""
        from pathlib import Path
        S, BUSY = {child.name!r}, Path({str(tmp_path / "busy")!r})
        found = []
        def first():
            found.append(out(call(S, [[1]]).exec()))
        thread = threading.Thread(target=first)
        thread.start()
        until = time.monotonic() + 20
        while not BUSY.exists() and time.monotonic() < until:
            time.sleep(0.01)
        late = out(call(S, [[2]], timeout=5).exec())
        thread.join()
        result = ('Request timeout expired' in late, found)
    """
    assert lab.run(HELPERS + textwrap.dedent(code)) == "(True, [[[1]]])"
    target.drop(child.name)


def test_circle(target: Target) -> None:
    """A model that calls itself with no instance free: an error, where upstream waits for ever."""
    if target.host == "server":
        pytest.skip("whether an instance is free is for NVIDIA's server to know; it waits for ever")
    text = config([("IN", "INT32", [1])], [("TEXT", "BYTES", [1])])
    name = target.fresh_name("circle")
    source = f"""\
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        child = pb_utils.InferenceRequest(inputs=requests[0].inputs(), requested_output_names=["TEXT"], model_name="{name}")
        response = child.exec()
        text = response.error().message() if response.has_error() else "answered"
        return [pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", np.array([text.encode()], dtype=object))])]
"""
    model = target.load(source, text, name=name, exact_name=True)
    answer = model.infer(IN=np.array([1], dtype=np.int32))
    assert answer.error is None
    assert name in answer.text("TEXT")
    assert answer.text("TEXT") != "answered"
