"""An ensemble's steps: what fits, and what is said of what does not."""

from __future__ import annotations

import pytest

from workbench.errors import ModelConfigError
from workbench.model_config import ModelConfig
from workbench.session.ensemble_graph import EnsembleGraph, Signature
from workbench.tensor_spec import parse_spec


def signature(inputs: str, outputs: str, batch: int = 0) -> Signature:
    return Signature(
        [parse_spec(each) for each in inputs.split()],
        [parse_spec(each, output=True) for each in outputs.split()],
        batch,
    )


MODELS = {
    "one": signature("A:FP32[2]", "B:FP32[2]"),
    "two": signature("A:FP32[2] C?:INT32[1]", "B:FP32[2] D:INT32[-1]"),
    "half": signature("A:FP16[2]", "B:FP16[2]"),
    "wide": signature("A:FP32[3]", "B:FP32[3]"),
    "free": signature("A:FP32[-1]", "B:FP32[-1]"),
    "batch": signature("A:FP32[2]", "B:FP32[2]", 4),
}


def step(model: str, inputs: str, outputs: str) -> str:
    """A step; maps as ``A=X B=Y``."""
    lines = [f'input_map {{ key: "{a}" value: "{b}" }}' for a, b in (e.split("=") for e in inputs.split())]
    lines += [f'output_map {{ key: "{a}" value: "{b}" }}' for a, b in (e.split("=") for e in outputs.split())]
    return f'step {{ model_name: "{model}" model_version: -1 {" ".join(lines)} }}'


def graph(
    *steps: str, inputs: str = "X:FP32[2]", outputs: str = "Y:FP32[2]", batch: int = 0
) -> EnsembleGraph:
    def tensors(kind: str, specs: str) -> str:
        parsed = [parse_spec(each) for each in specs.split()]
        return "\n".join(
            f'{kind} {{ name: "{each.name}" data_type: {each.datatype.config} dims: {list(each.dims)} }}'
            for each in parsed
        )

    text = (
        f'platform: "ensemble"\nmax_batch_size: {batch}\n'
        f"{tensors('input', inputs)}\n{tensors('output', outputs)}\n"
        f"ensemble_scheduling {{ {' '.join(steps)} }}"
    )
    return EnsembleGraph(ModelConfig.from_text(text, name="e"), MODELS.get)


def refusal(*steps: str, **options: object) -> str:
    with pytest.raises(ModelConfigError) as caught:
        graph(*steps, **options)  # type: ignore[arg-type]
    return str(caught.value)


FIRST = step("one", "A=X", "B=T")
LAST = step("one", "A=T", "B=Y")


def test_a_chain() -> None:
    made = graph(FIRST, LAST)
    assert [each.model for each in made.steps] == ["one", "one"]
    assert made.writer["Y"].index == 1


def test_the_order_of_steps_is_that_of_the_data() -> None:
    assert [each.index for each in graph(LAST, FIRST).needed(["Y"])] == [0, 1]


def test_steps_no_wanted_output_needs_are_left_out() -> None:
    made = graph(FIRST, LAST, step("one", "A=X", "B=Z"), outputs="Y:FP32[2] Z:FP32[2]")
    assert [each.index for each in made.needed(["Y"])] == [0, 1]
    assert [each.index for each in made.needed(["Z"])] == [2]


def test_optional_inputs_and_unused_outputs_need_no_map() -> None:
    graph(step("two", "A=X", "B=Y"))


def test_free_dimensions_and_batches_agree_with_any_size() -> None:
    graph(step("free", "A=X", "B=Y"))
    graph(step("batch", "A=X", "B=Y"), inputs="X:FP32[3,2]", outputs="Y:FP32[3,2]")
    graph(step("batch", "A=X", "B=Y"), batch=4)


@pytest.mark.parametrize(
    ("steps", "options", "message"),
    [
        ((), {}, "must specify 'step' for ensemble 'e'"),
        (("step { }",), {}, "must specify 'model_name' in step 0 of ensemble 'e'"),
        (('step { model_name: "one" }',), {}, "must specify 'input_map' in step 0 of ensemble 'e'"),
        (
            (step("one", "A=X", ""),),
            {},
            "must specify 'output_map' in step 0 of ensemble 'e'",
        ),
        ((step("e", "A=X", "B=Y"),), {}, "in step 0 of ensemble 'e': an ensemble cannot be a step of itself"),
        (
            (step("gone", "A=X", "B=Y"),),
            {},
            "ensemble e contains models that are not available or ambiguous: gone",
        ),
        (
            (step("one", "NOPE=X", "B=Y"),),
            {},
            "in ensemble e, ensemble tensor X is mapping to non-existing input NOPE in model one",
        ),
        (
            (step("one", "A=X", "NOPE=Y"),),
            {},
            "in ensemble e, ensemble tensor Y is mapping to non-existing output NOPE in model one",
        ),
        (
            (step("half", "A=X", "B=Y"),),
            {},
            "in ensemble e, ensemble tensor X: inconsistent data type: TYPE_FP32 is inferred from model e "
            "while TYPE_FP16 is inferred from model half",
        ),
        (
            (step("wide", "A=X", "B=Y"),),
            {},
            "in ensemble e, ensemble tensor X: inconsistent shape: [2] is inferred from model e while [3] is "
            "inferred from model wide",
        ),
        (
            (step("batch", "A=X", "B=Y"),),
            {},
            "in ensemble e, ensemble tensor X: inconsistent shape: [2] is inferred from model e while [-1,2] "
            "is inferred from model batch",
        ),
        (
            (step("batch", "A=X", "B=Y"),),
            {"batch": 8},
            "ensemble e allows batches of 8, but step 1 (batch) at most 4",
        ),
        (
            (step("two", "C=X", "B=Y"),),
            {"inputs": "X:INT32[1]"},
            "in ensemble e, input A in model two is not mapped to any ensemble tensor",
        ),
        ((FIRST, step("one", "A=U", "B=Y")), {}, "e: step 2 (one) reads U, which nothing gives"),
        ((FIRST,), {}, "e: no step writes the output Y"),
        ((FIRST, LAST), {"inputs": "X:FP32[2] X2:FP32[2]"}, "e: no step reads the input X2"),
        ((FIRST, LAST, FIRST), {}, "e: step 1 (one) and step 3 (one) both write T"),
        ((step("one", "A=X", "B=X"),), {}, "e: step 1 (one) writes X, which is an input of the ensemble"),
        (
            (step("two", "A=V", "B=T"), step("one", "A=T", "B=V"), step("one", "A=X", "B=Y")),
            {},
            "e: steps wait for each other in a circle: step 1 (two) -> step 2 (one) -> step 1 (two)",
        ),
    ],
)
def test_refusals(steps: tuple[str, ...], options: dict[str, object], message: str) -> None:
    assert refusal(*steps, **options).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('platform: "ensemble"', 'e: platform: "ensemble" and ensemble_scheduling belong together'),
        ("ensemble_scheduling { }", 'e: platform: "ensemble" and ensemble_scheduling belong together'),
        (
            'platform: "ensemble" backend: "python" ensemble_scheduling { }',
            "e is an ensemble, which has no backend",
        ),
        (
            'platform: "ensemble" instance_group { count: 1 } ensemble_scheduling { }',
            "e is an ensemble, which has no instance_group",
        ),
    ],
)
def test_refusals_of_configurations(text: str, message: str) -> None:
    with pytest.raises(ModelConfigError) as caught:
        ModelConfig.from_text(text, name="e")
    assert str(caught.value) == message
