"""An ensemble's steps as a graph over tensors, checked against the models it is made of.

Refusals say what a server says of the same mistake, where it says anything but "failed to poll".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import ModelConfigError
from workbench.suggest import did_you_mean
from workbench.tensor_spec import TensorSpec, format_shape

if TYPE_CHECKING:
    from workbench.model_config import ModelConfig

__all__ = ["EnsembleGraph", "Signature", "Step"]


@dataclass(frozen=True)
class Signature:
    """What a model takes and gives, as far as a step needs to know."""

    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
    max_batch_size: int = 0


@dataclass(frozen=True)
class Step:
    """One step: a model, where its inputs come from and where its outputs go (ensemble tensors)."""

    index: int
    model: str
    version: int  # -1: the newest
    inputs: dict[str, str]  # the model's input → ensemble tensor
    outputs: dict[str, str]  # the model's output → ensemble tensor

    def __str__(self) -> str:
        return f"step {self.index + 1} ({self.model})"


class EnsembleGraph:
    """The steps of an ensemble.

    Attributes:
        steps: In the order of the configuration.
        writer: Ensemble tensor → the step that gives it; ensemble inputs have none.
    """

    def __init__(self, config: ModelConfig, signature: Callable[[str], Signature | None]) -> None:
        """Read and check a configuration.

        Args:
            config: One with ``ensemble_scheduling``.
            signature: Of a model by name; None if there is no such model.

        Raises:
            ModelConfigError: the steps do not fit together, or do not fit their models.
        """
        self.name = config.name
        self.inputs = [spec.name for spec in config.inputs]
        self.outputs = [spec.name for spec in config.outputs]
        self.steps = _read_steps(config)
        self.writer: dict[str, Step] = {}
        self._check_tensors()
        self._check_order()
        self._check_models(config, signature)

    def needed(self, outputs: Collection[str]) -> list[Step]:
        """The steps it takes to produce these ensemble outputs, in the order of the configuration."""
        found: set[int] = set()
        todo = [self.writer[name] for name in outputs if name in self.writer]
        while todo:
            step = todo.pop()
            if step.index not in found:
                found.add(step.index)
                todo += [self.writer[name] for name in step.inputs.values() if name in self.writer]
        return [step for step in self.steps if step.index in found]

    # -- checks --------------------------------------------------------------------------------------------

    def _check_tensors(self) -> None:
        for step in self.steps:
            for tensor in step.outputs.values():
                if tensor in self.inputs:
                    raise ModelConfigError(
                        f"{self.name}: {step} writes {tensor}, which is an input of the ensemble"
                    )
                other = self.writer.get(tensor)
                if other is not None:
                    raise ModelConfigError(f"{self.name}: {other} and {step} both write {tensor}")
                self.writer[tensor] = step
        known = [*self.inputs, *self.writer]
        read = set()
        for step in self.steps:
            for tensor in step.inputs.values():
                read.add(tensor)
                if tensor not in known:
                    guess = did_you_mean(tensor, known)
                    raise ModelConfigError(
                        f"{self.name}: {step} reads {tensor}, which nothing gives{guess}",
                        hint="an input_map value is an input of the ensemble or a value of an output_map",
                    )
        for name in self.outputs:
            if name not in self.writer:
                raise ModelConfigError(
                    f"{self.name}: no step writes the output {name}{did_you_mean(name, self.writer)}",
                    hint=f'a step needs: output_map {{ key: "ITS_OUTPUT" value: "{name}" }}',
                )
        for name in self.inputs:
            if name not in read:
                raise ModelConfigError(
                    f"{self.name}: no step reads the input {name}",
                    hint=f'a step needs: input_map {{ key: "ITS_INPUT" value: "{name}" }}',
                )

    def _check_order(self) -> None:
        """No step may wait, directly or not, for its own outputs."""
        done = set(self.inputs)
        left = list(self.steps)
        while left:
            able = [step for step in left if done.issuperset(step.inputs.values())]
            if not able:
                names = " -> ".join(str(step) for step in self._circle(left))
                raise ModelConfigError(f"{self.name}: steps wait for each other in a circle: {names}")
            for step in able:
                left.remove(step)
                done.update(step.outputs.values())

    def _circle(self, steps: Sequence[Step]) -> list[Step]:
        """A way from a step back to itself, among steps that are all stuck."""
        way = [steps[0]]
        while True:
            last = way[-1]
            before = next(
                self.writer[each] for each in last.inputs.values() if self.writer.get(each) in steps
            )
            if before in way:
                return [before, *way[way.index(before) :][::-1]]
            way.append(before)

    def _check_models(self, config: ModelConfig, signature: Callable[[str], Signature | None]) -> None:
        found = {step.model: signature(step.model) for step in self.steps}
        missing = sorted(name for name, each in found.items() if each is None)
        if missing:
            raise ModelConfigError(
                f"ensemble {self.name} contains models that are not available or ambiguous: "
                + ", ".join(missing),
                hint="load the models of its steps first; %triton models lists them",
            )
        batch = config.max_batch_size
        #: Ensemble tensor → (specification, whether it has a batch dimension, whose it is).
        seen: dict[str, tuple[TensorSpec, bool, str]] = {
            spec.name: (spec, batch > 0, self.name) for spec in (*config.inputs, *config.outputs)
        }
        for step in self.steps:
            model = found[step.model]
            assert model is not None
            if batch and model.max_batch_size and model.max_batch_size < batch:
                raise ModelConfigError(
                    f"ensemble {self.name} allows batches of {batch}, but {step} at most "
                    f"{model.max_batch_size}"
                )
            for what, maps, specs in (
                ("input", step.inputs, model.inputs),
                ("output", step.outputs, model.outputs),
            ):
                self._check_maps(step, what, maps, specs, model.max_batch_size > 0, seen)
            for spec in model.inputs:
                if not spec.optional and spec.name not in step.inputs:
                    raise ModelConfigError(
                        f"in ensemble {self.name}, input {spec.name} in model {step.model} is not mapped to "
                        "any ensemble tensor",
                        hint=f'{step} needs: input_map {{ key: "{spec.name}" value: "..." }}',
                    )

    def _check_maps(
        self,
        step: Step,
        what: str,
        maps: dict[str, str],
        specs: Sequence[TensorSpec],
        batched: bool,
        seen: dict[str, tuple[TensorSpec, bool, str]],
    ) -> None:
        by_name = {spec.name: spec for spec in specs}
        for name, tensor in maps.items():
            spec = by_name.get(name)
            if spec is None:
                raise ModelConfigError(
                    f"in ensemble {self.name}, ensemble tensor {tensor} is mapping to non-existing {what} "
                    f"{name} in model {step.model}{did_you_mean(name, by_name)}"
                )
            other, other_batched, owner = seen.setdefault(tensor, (spec, batched, step.model))
            if other.datatype is not spec.datatype:
                raise ModelConfigError(
                    f"in ensemble {self.name}, ensemble tensor {tensor}: inconsistent data type: "
                    f"{other.datatype.config} is inferred from model {owner} while {spec.datatype.config} is "
                    f"inferred from model {step.model}"
                )
            first, second = _shape(other, other_batched), _shape(spec, batched)
            if not _agree(first, second):
                raise ModelConfigError(
                    f"in ensemble {self.name}, ensemble tensor {tensor}: inconsistent shape: "
                    f"{format_shape(first)} is inferred from model {owner} while {format_shape(second)} is "
                    f"inferred from model {step.model}"
                )


def _read_steps(config: ModelConfig) -> list[Step]:
    scheduling = config.ensemble_scheduling
    if scheduling is None or not scheduling.step:
        raise ModelConfigError(
            f"must specify 'step' for ensemble '{config.name}'", hint="ensemble_scheduling { step [ ... ] }"
        )
    steps = []
    for index, each in enumerate(scheduling.step):
        place = f"in step {index} of ensemble '{config.name}'"
        if not each.model_name:
            raise ModelConfigError(f"must specify 'model_name' {place}")
        if each.model_name == config.name:
            raise ModelConfigError(f"{place}: an ensemble cannot be a step of itself")
        if not each.input_map:
            raise ModelConfigError(f"must specify 'input_map' {place}")
        if not each.output_map:
            raise ModelConfigError(f"must specify 'output_map' {place}")
        steps.append(
            Step(index, each.model_name, each.model_version, dict(each.input_map), dict(each.output_map))
        )
    return steps


def _shape(spec: TensorSpec, batched: bool) -> tuple[int, ...]:
    return (-1, *spec.dims) if batched else tuple(spec.dims)


def _agree(first: Sequence[int], second: Sequence[int]) -> bool:
    return len(first) == len(second) and all(
        -1 in (a, b) or a == b for a, b in zip(first, second, strict=True)
    )
