"""``%triton infer`` with more than one response or request, and errors in full."""

from __future__ import annotations

import pytest

from tests.support.notebook import CELL, Notebook, traceback_of
from workbench import api
from workbench.errors import ModelExecutionError, WorkbenchUsageError

DECOUPLED = """%%triton model count --decoupled --in N:INT32[1] --out OUT:INT32[1]
import numpy as np
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        for r in requests:
            n = int(pb_utils.get_input_tensor_by_name(r, "N").as_numpy()[0])
            sender = r.get_response_sender()
            for i in range(abs(n)):
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([i], np.int32))]))
            if n < 0:
                raise ValueError("negative")
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""

BATCHED = """%%triton model total --max-batch 8 --in X:FP32[2] --out Y:FP32[1]
import json
import numpy as np
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        out = []
        for i, r in enumerate(requests):
            x = pb_utils.get_input_tensor_by_name(r, "X").as_numpy()
            if x[0, 0] < 0 and i == 1:
                out.append(pb_utils.InferenceResponse(error=pb_utils.TritonError("second one")))
                continue
            y = np.full((len(x), 1), 100 * len(requests) + i, np.float32)
            out.append(pb_utils.InferenceResponse([pb_utils.Tensor("Y", y)]))
        return out
"""


def test_stream_prints_responses_and_gives_them_all(
    notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook.run(DECOUPLED)
    capsys.readouterr()
    result = notebook.run("%triton infer count --stream N=[3] --id abc")
    shown = capsys.readouterr().out.splitlines()
    assert shown[:3] == ["[0]  OUT  INT32[1]  [0]", "[1]  OUT  INT32[1]  [1]", "[2]  OUT  INT32[1]  [2]"]
    # In the cell that printed them only the head is shown, elsewhere all of it.
    assert shown[-1].endswith("InferResult count: 3 responses")
    assert [each["OUT"].tolist() for each in result.responses] == [[0], [1], [2]]
    assert result.request_id == "abc"
    assert repr(result).splitlines()[3] == "  [2]  OUT  INT32[1]  [2]"
    notebook.run("1")
    assert result._repr_mimebundle_()["text/plain"] == repr(result)


def test_stream_shows_what_came_before_the_error(
    notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook.run(DECOUPLED)
    shown = traceback_of(notebook, capsys, "%triton infer count --stream N=[-2]", ModelExecutionError)
    assert shown[:2] == ["[0]  OUT  INT32[1]  [0]", "[1]  OUT  INT32[1]  [1]"]
    assert any("negative" in line for line in shown)


def test_a_batch_is_one_execute(notebook: Notebook) -> None:
    notebook.run(BATCHED)
    batch = notebook.run("%triton infer total --batch 3 X=[1,2]")
    assert [each["Y"].tolist() for each in batch] == [[[300]], [[301]], [[302]]]
    assert repr(batch).splitlines() == [
        "InferBatch total: 3 requests in one execute",
        "  [0]  Y  FP32[1,1]  [[300.]]",
        "  [1]  Y  FP32[1,1]  [[301.]]",
        "  [2]  Y  FP32[1,1]  [[302.]]",
        "  note: a server puts requests together only with dynamic_batching and max_batch_size of 2 or more",
    ]


def test_a_batch_says_which_request_failed(notebook: Notebook) -> None:
    notebook.run(BATCHED)
    with pytest.raises(ModelExecutionError, match="second one") as caught:
        notebook.run("%triton infer total --batch 3 X=[-1,2]")
    assert caught.value.request is not None
    assert (caught.value.request.index, caught.value.request.count) == (2, 3)
    assert notebook.run("%triton infer total X=[1,2]")["Y"].tolist() == [[100]]


def test_a_batch_of_a_decoupled_model(notebook: Notebook) -> None:
    notebook.run(DECOUPLED)
    batch = notebook.run("%triton infer count --batch 2 N=[2]")
    assert [[r["OUT"].tolist() for r in each.responses] for each in batch] == [[[0], [1]]] * 2
    assert "  [1.0]  OUT" in repr(batch)


def test_with_a_scheduler_a_batch_is_still_one_execute(notebook: Notebook) -> None:
    tensors = (
        "input { name: 'X' data_type: TYPE_FP32 dims: 2 } output { name: 'Y' data_type: TYPE_FP32 dims: 1 }"
    )
    notebook.run(f"%%triton config total\nmax_batch_size: 8 dynamic_batching {{ }} {tensors}")
    notebook.run("%%triton model total\n" + BATCHED.split("\n", 1)[1])
    batch = notebook.run("%triton infer total --batch 4 X=[1,2]")
    assert [each["Y"].tolist() for each in batch] == [[[400]], [[401]], [[402]], [[403]]]
    assert "note" not in repr(batch)
    assert "a server would not: 9 is more" in repr(notebook.run("%triton infer total --batch 9 X=[1,2]"))


def test_stream_and_batch_exclude_each_other(notebook: Notebook) -> None:
    notebook.run(BATCHED)
    with pytest.raises(WorkbenchUsageError, match="do not go together"):
        notebook.run("%triton infer total --batch 2 --stream X=[1,2]")


def test_full_shows_the_frames_of_libraries(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.run(CELL.replace("q = 1 / float(b[0])", 'import json; json.loads("{")'))
    line = "%triton infer add_sub INPUT0=[1,2,3,4] INPUT1=[0,0,0,0]"
    short = traceback_of(notebook, capsys, line, ModelExecutionError)
    full = traceback_of(notebook, capsys, f"{line} --full", ModelExecutionError)
    assert not any("decoder.py" in each for each in short)
    assert any("decoder.py" in each for each in full)
    assert api.model("add_sub").state == "READY"


@pytest.mark.parametrize(
    ("text", "value"), [("-5", -5), ("+5", 5), ("+-5", "+-5"), ("5x", "5x"), ("true", True)]
)
def test_parameters_are_what_they_look_like(notebook: Notebook, text: str, value: object) -> None:
    notebook.run(CELL)
    notebook.run(f"%triton infer add_sub INPUT0=[1,2,3,4] INPUT1=[1,1,1,1] --param k={text}")
    [record] = api.current().hosts["add_sub"].recorder.requests
    assert record.options["parameters"] == {"k": value}
