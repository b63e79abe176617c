"""``model_warmup``: requests sent to a new revision before it takes over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tritonclient.grpc import model_config_pb2 as pb

from workbench import _host, datatypes
from workbench.datatypes import Datatype
from workbench.errors import ModelConfigError, ModelLoadError, RequestInfo, WorkbenchError
from workbench.session import failures
from workbench.session.running import run_batch

if TYPE_CHECKING:
    from workbench.session.instance import Instance
    from workbench.session.revision import Revision

__all__ = ["warm_up"]

_FOLDER = "warmup"  # in the model's directory, for input_data_file
_SEED = 0  # random_data that is the same on every load


def warm_up(revision: Revision) -> None:
    """Send every sample to every instance, ``count`` times each.

    A sample of ``batch_size`` n arrives as one list of n requests of batch 1, as on a server.

    Raises:
        ModelLoadError: a sample failed; as on a server that fails the load.
        ModelConfigError: a sample is described wrongly.
    """
    samples = revision.config.warmups
    if not samples:
        return
    for sample in samples:
        inputs = _inputs(revision, sample)
        for _ in range(max(sample.count, 1)):
            for instance in list(revision.instances):
                _run(revision, instance, sample, inputs)


def _run(revision: Revision, instance: Instance, sample: Any, inputs: list[_host.TensorTuple]) -> None:
    name, entry = revision.config.name, revision.plan.entry
    requests = [
        _host.Request(inputs, revision.output_names, model_name=name, model_version=entry.version)
        for _ in range(max(sample.batch_size, 1))
    ]
    limit = revision.plan.settings.stub_timeout_seconds
    try:
        run_batch(revision, instance, requests, limit)
        for request in requests:
            if request.rescheduled:
                continue
            while (response := request.next_response(limit)) is not None:
                if response.error is not None:
                    code, text = response.error
                    info = RequestInfo(name, revision.encoder.describe(inputs))
                    raise failures.execution_error(entry, code, text, info, lines=revision.plan.lines)
                if not revision.decoupled:
                    break
    except (WorkbenchError, _host.StubError, TimeoutError) as error:
        text = getattr(error, "cause", "") or str(error)
        serving = revision.plan.serving
        raise ModelLoadError(
            f"failed to run warmup sample '{sample.name}': {text} ({name}){failures.keeps(serving)}",
            cause=f"failed to run warmup sample '{sample.name}': {text}",
            frames=getattr(error, "frames", ()),
            serving=serving,
            hint=getattr(error, "hint", ""),
        ) from None
    finally:
        if not instance.lost:
            instance.catch_up()


def _inputs(revision: Revision, sample: Any) -> list[_host.TensorTuple]:
    config = revision.config
    if sample.batch_size > max(config.max_batch_size, 1):
        raise ModelConfigError(
            f"{config.name}: warmup sample '{sample.name}' has batch_size {sample.batch_size}, more than "
            f"max_batch_size {config.max_batch_size}"
        )
    head = (1,) if config.max_batch_size else ()
    inputs: list[_host.TensorTuple] = [] if revision.queue is None else list(revision.queue.controls(0, 0))
    for name, tensor in sample.inputs.items():
        spec = revision.encoder.specs.get(name)
        if spec is None:
            raise ModelConfigError(
                f"{config.name}: warmup sample '{sample.name}' has an input {name}, the model has none"
            )
        if pb.DataType.Name(tensor.data_type) != spec.datatype.config:
            raise ModelConfigError(
                f"{config.name}: warmup sample '{sample.name}': {name} is {spec.datatype.config}, not "
                f"{pb.DataType.Name(tensor.data_type)}"
            )
        if any(dim < 1 for dim in tensor.dims):
            raise ModelConfigError(
                f"{config.name}: warmup sample '{sample.name}': dims of {name} need a size each"
            )
        shape = (*head, *tensor.dims)
        folder = revision.plan.entry.path / _FOLDER
        inputs.append(
            (name, spec.datatype.number, shape, _data(config.name, tensor, spec.datatype, shape, folder))
        )
    return inputs


def _data(model: str, tensor: Any, datatype: Datatype, shape: tuple[int, ...], folder: Path) -> Any:
    count = int(np.prod(shape, dtype=np.int64))
    if tensor.input_data_file:
        file = folder / tensor.input_data_file
        if not file.resolve().is_relative_to(folder.resolve()) or not file.is_file():
            raise ModelConfigError(
                f"{model}: no warmup data file {tensor.input_data_file!r}", hint=f"it belongs in {_FOLDER}/"
            )
        data = file.read_bytes()
        if datatype.size and len(data) != count * datatype.size:
            raise ModelConfigError(
                f"{model}: warmup data file {tensor.input_data_file!r} has {len(data)} bytes, not "
                f"{count * datatype.size}"
            )
        return data
    random = np.random.default_rng(_SEED) if tensor.random_data else None
    if datatype is datatypes.BYTES:
        letters = np.empty(count, dtype=np.object_)
        letters[:] = [b"" if random is None else random.bytes(8).hex().encode() for _ in range(count)]
        return _host.encode_bytes(letters)
    kind = np.dtype(np.uint16) if datatype is datatypes.BF16 else datatype.numpy
    if random is None:
        return np.zeros(shape, dtype=kind)
    if kind.kind == "f":
        return random.random(shape).astype(kind)
    if kind.kind == "b":
        return random.integers(0, 2, shape).astype(kind)
    return random.integers(0, 100, shape).astype(kind)
