"""A pipeline of three models that a fourth calls in every way there is, and its trace as written by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from workbench.trace.span import Span
from workbench.trace.trace import Trace

__all__ = ["PIPELINE_LINES", "PIPELINE_TEXT", "PIPELINE_TREE", "define_pipeline", "shape_of"]

_HEAD = "import numpy as np\nimport triton_python_backend_utils as pb_utils\n"

TOKENIZE = (
    _HEAD
    + """
class TritonPythonModel:
    def execute(self, requests):
        out = []
        for request in requests:
            text = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy()
            ids = np.zeros(8, dtype=np.int64)
            ids[: len(text[0])] = list(text[0])[:8]
            out.append(pb_utils.InferenceResponse([pb_utils.Tensor("IDS", ids)]))
        return out
"""
)
EMBED = (
    _HEAD
    + """
class TritonPythonModel:
    def execute(self, requests):
        out = []
        for request in requests:
            ids = pb_utils.get_input_tensor_by_name(request, "IDS").as_numpy()
            vector = np.resize(ids, 384).astype(np.float32)
            out.append(pb_utils.InferenceResponse([pb_utils.Tensor("VECTOR", vector)]))
        return out
"""
)
RANK = (
    _HEAD
    + """
class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            vector = pb_utils.get_input_tensor_by_name(request, "VECTOR").as_numpy()
            sender = request.get_response_sender()
            for part in range(3):
                score = np.array([vector[part]], dtype=np.float32)
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("SCORE", score)]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
)
PIPELINE = (
    _HEAD
    + """
def ask(model, name, tensor):
    return pb_utils.InferenceRequest(model_name=model, requested_output_names=[name], inputs=[tensor])

class TritonPythonModel:
    async def execute(self, requests):
        out = []
        for request in requests:
            text = pb_utils.get_input_tensor_by_name(request, "TEXT")
            ids = ask("tokenize", "IDS", text).exec()
            ids = pb_utils.get_output_tensor_by_name(ids, "IDS")
            vector = await ask("embed", "VECTOR", ids).async_exec()
            vector = pb_utils.get_output_tensor_by_name(vector, "VECTOR")
            score = 0.0
            for part in ask("rank", "SCORE", vector).exec(decoupled=True):
                if part.output_tensors():
                    score += float(pb_utils.get_output_tensor_by_name(part, "SCORE").as_numpy()[0])
            out.append(pb_utils.InferenceResponse([pb_utils.Tensor("SCORE", np.array([score], np.float32))]))
        return out
"""
)

PIPELINE_TEXT = """\
Trace pipeline: ok, 3 BLS calls
pipeline                       STRING[1] -> FP32[1]
|- tokenize  exec              STRING[1] -> INT64[8]
|- embed     async_exec        INT64[8] -> FP32[384]
`- rank      exec(decoupled)   FP32[384] -> FP32[1] x3"""

PIPELINE_LINES = [
    PIPELINE.splitlines().index(line) + 1
    for line in (
        '            ids = ask("tokenize", "IDS", text).exec()',
        '            vector = await ask("embed", "VECTOR", ids).async_exec()',
        '            for part in ask("rank", "SCORE", vector).exec(decoupled=True):',
    )
]

#: model, kind, how, line, inputs, outputs, responses, children
Shape = tuple[Any, ...]


def _leaf(model: str) -> list[Shape]:
    return [(model, kind, "", None, [], [], 0, []) for kind in ("queue", "execute")]


_TEXT = ("TEXT", "STRING", (1,), 6)
_IDS = ("IDS", "INT64", (8,), 64)
_VECTOR = ("VECTOR", "FP32", (384,), 1536)
_SCORE = ("SCORE", "FP32", (1,), 4)
#: What `shape_of` gives for TEXT=["hi"].
PIPELINE_TREE: Shape = (
    "pipeline",
    "request",
    "",
    None,
    [_TEXT],
    [_SCORE],
    1,
    [
        ("pipeline", "queue", "", None, [], [], 0, []),
        (
            "pipeline",
            "execute",
            "",
            None,
            [],
            [],
            0,
            [
                ("tokenize", "bls", "exec", PIPELINE_LINES[0], [_TEXT], [_IDS], 1, _leaf("tokenize")),
                ("embed", "bls", "async_exec", PIPELINE_LINES[1], [_IDS], [_VECTOR], 1, _leaf("embed")),
                ("rank", "bls", "exec(decoupled)", PIPELINE_LINES[2], [_VECTOR], [_SCORE], 3, _leaf("rank")),
            ],
        ),
    ],
)


def shape_of(span: Span) -> Shape:
    """A tree without times and ids, to be compared."""

    def plain(tensors: Sequence[Any]) -> list[Any]:
        return [(each.name, each.datatype, each.shape, each.bytes) for each in tensors]

    return (
        span.model,
        span.kind,
        span.how_text,
        span.line,
        plain(span.inputs),
        plain(span.outputs),
        span.responses,
        [shape_of(each) for each in span.children],
    )


def define_pipeline(define: Callable[..., Any]) -> None:
    """Make the four models."""
    define("tokenize", TOKENIZE, ["TEXT:STRING[1]"], ["IDS:INT64[8]"])
    define("embed", EMBED, ["IDS:INT64[8]"], ["VECTOR:FP32[384]"])
    define("rank", RANK, ["VECTOR:FP32[384]"], ["SCORE:FP32[1]"], decoupled=True)
    define("pipeline", PIPELINE, ["TEXT:STRING[1]"], ["SCORE:FP32[1]"])


def check_nesting(trace: Trace) -> None:
    """Children begin and end inside their parents, as far as clocks of several processes can tell."""
    slack = 250_000_000  # an end may be written down late where other work has the processor
    for span in trace.root.walk():
        assert span.duration_ns >= 0
        for child in span.children:
            assert child.start_ns >= span.start_ns - slack
            # A decoupled model's execute returns when its last response is long there.
            assert span.decoupled or child.end_ns <= span.end_ns + slack
