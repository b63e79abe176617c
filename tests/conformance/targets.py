"""What a conformance case drives: a host and a stub, seen as one `Target`.

The four cells of the table in docs (our host or NVIDIA's server, our stub or NVIDIA's) differ only in what stands behind this
interface, so a case is written once. Texts and codes come back as a client sees them, without the wrapping that one host adds.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

#: Seconds a case waits for something that normally takes milliseconds: also on a machine with other work to do.
PATIENCE = 30.0

#: Datatype on the wire → NumPy. BF16 has no NumPy type: its raw bits travel as uint16.
NUMPY_OF: dict[str, Any] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BF16": np.uint16,
    "BYTES": np.object_,
}


class LoadError(Exception):
    """A model did not load. ``text`` is what the stub or the backend said, without the server's framing."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True)
class Typed:
    """An input whose datatype its array does not tell: BF16 as uint16 bits."""

    datatype: str
    array: np.ndarray[Any, Any]


Value = np.ndarray[Any, Any] | Typed


def datatype_of(value: Value) -> tuple[str, np.ndarray[Any, Any]]:
    """Wire name and array of an input."""
    if isinstance(value, Typed):
        return value.datatype, value.array
    if value.dtype.kind in "OSU":
        return "BYTES", value
    return next(name for name, kind in NUMPY_OF.items() if value.dtype == np.dtype(kind)), value


@dataclass(frozen=True)
class Answer:
    """One response.

    Attributes:
        outputs: name → array; BYTES are object arrays of ``bytes``, BF16 raw bits.
        datatypes: name → wire name of the datatype.
        error: The text, or None.
        code: Name of the TritonError code of an error (``INTERNAL``); None where the road does not carry it.
        parameters: Response parameters, without those that a front end adds.
        final: It is known to have completed the request.
    """

    outputs: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    datatypes: dict[str, str] = field(default_factory=dict)
    error: str | None = None
    code: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    final: bool = False

    @property
    def empty(self) -> bool:
        """Nothing but the final flag."""
        return not self.outputs and self.error is None

    def text(self, name: str) -> str:
        """A one-element BYTES output as text."""
        return str(self.outputs[name].reshape(-1)[0].decode())


class Pending(ABC):
    """A request on its way."""

    @abstractmethod
    def result(self, timeout: float = PATIENCE) -> Answer:
        """The (only) response. Raises TimeoutError."""

    @abstractmethod
    def responses(self, timeout: float = PATIENCE) -> list[Answer]:
        """All responses, once the request is complete; a final flag alone is none.

        Raises TimeoutError, whose text tells what had arrived.
        """

    @abstractmethod
    def cancel(self) -> None:
        """The client gives up."""


@dataclass(frozen=True)
class LogLine:
    """One line of a model's or stub's log.

    Attributes:
        level: ``I``, ``W`` or ``E``.
        file: Base name of the Python file, or of the backend's own source.
        line: Its line; 0 where unknown.
        text: The message, unquoted, with real newlines.
    """

    level: str
    file: str
    line: int
    text: str


class Target(ABC):
    """A host with a stub."""

    #: ``live`` (our host, in this process) or ``server`` (NVIDIA's).
    host: str
    #: ``own`` or ``nvidia``.
    stub: str
    #: Release whose protocol is spoken, as ``24.10``.
    release: str

    _numbers = itertools.count(1)

    @property
    def id(self) -> str:
        return f"{self.host}-{self.stub}"

    def fresh_name(self, base: str) -> str:
        """A model name no other case uses: several cases share a host."""
        return f"{base}_{next(self._numbers)}"

    def load(
        self,
        source: str | Mapping[str, str | bytes],
        config: str,
        *,
        name: str = "m",
        exact_name: bool = False,
        version: int = 1,
        loaded: bool = True,
        wait: float = PATIENCE,
    ) -> Model:
        """Put a model into the repository and load it.

        Args:
            source: Text of ``model.py``, or files: path in the model's folder → content.
            config: Text of config.pbtxt; "" leaves the file out.
            name: Beginning of its name; a number is added unless `exact_name`.
            version: Its version folder.
            loaded: False only writes the files.
            wait: Seconds.

        Raises:
            LoadError: it did not load.
            TimeoutError: it neither loaded nor failed in time.
        """
        model = Model(self, name if exact_name else self.fresh_name(name), version)
        files = {f"{version}/model.py": source} if isinstance(source, str) else source
        self.write(model.name, files, config)
        if loaded:
            self.load_named(model.name, wait)
        return model

    @abstractmethod
    def write(self, name: str, files: Mapping[str, str | bytes], config: str) -> None:
        """Write a model's folder, with this target's stub where a folder chooses it."""

    @abstractmethod
    def load_named(self, name: str, wait: float = PATIENCE) -> None: ...

    @abstractmethod
    def unload(self, name: str) -> None:
        """Unload and wait until it is gone."""

    @abstractmethod
    def drop(self, name: str) -> None:
        """Ask to unload, without waiting, and without caring whether it works."""

    @abstractmethod
    def ready(self, name: str) -> bool: ...

    @abstractmethod
    def send(
        self,
        name: str,
        inputs: Mapping[str, Value],
        *,
        stream: bool = False,
        outputs: Sequence[str] = (),
        request_id: str = "",
        parameters: Mapping[str, bool | int | str | float] | None = None,
        sequence: tuple[int | str, bool, bool] | None = None,
        timeout_us: int = 0,
        priority: int = 0,
    ) -> Pending:
        """Send a request.

        Args:
            inputs: name → array.
            stream: By the road that carries several responses.
            outputs: Names wanted; none: all configured.
            sequence: (correlation id, start, end).
        """

    @abstractmethod
    def directory(self, name: str) -> Path:
        """The model's folder, as the model sees it in ``model_repository``."""

    @abstractmethod
    def stub_pids(self, name: str) -> list[int]: ...

    @abstractmethod
    def regions(self) -> list[Path]:
        """Files of this target's shared-memory regions."""

    @abstractmethod
    def log_mark(self) -> Any:
        """A position in the log."""

    @abstractmethod
    def log_lines(self, since: Any) -> list[LogLine]: ...

    @abstractmethod
    def log_text(self, since: Any) -> str:
        """Everything written, raw output of the stubs included."""

    @abstractmethod
    def metrics(self) -> str:
        """Prometheus text."""

    @abstractmethod
    def another(self, **options: Any) -> contextlib.AbstractContextManager[Target]:
        """A second host of this kind. Options: ``auto_complete`` (bool), ``backend_config``, ``env``, ``log_verbose``."""

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def kill_host(self) -> None:
        """Kill the host process as the kernel's memory killer would. Raises NotImplementedError where it is this process."""

    def wait_log(self, wanted: str, since: Any, count: int = 1, timeout: float = PATIENCE) -> str:
        """The log, once it holds `wanted` (`count` times); the last state of it after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            text = self.log_text(since)
            if text.count(wanted) >= count or time.monotonic() > deadline:
                return text
            time.sleep(0.02)


@dataclass(frozen=True)
class Model:
    """A model on a target."""

    target: Target
    name: str
    version: int = 1

    @property
    def instance(self) -> str:
        """Name of the first instance of the first group, where the group has no name of its own."""
        return f"{self.name}_0_0"

    @property
    def directory(self) -> Path:
        return self.target.directory(self.name)

    @property
    def file(self) -> str:
        """Path of model.py as tracebacks show it."""
        return f"{self.directory}/{self.version}/model.py"

    @property
    def pid(self) -> int:
        (pid,) = self.target.stub_pids(self.name)
        return pid

    @property
    def ready(self) -> bool:
        return self.target.ready(self.name)

    def infer(self, wait: float = PATIENCE, **arguments: Any) -> Answer:
        """Send and wait. Capitalised arguments are inputs, the others those of `Target.send`."""
        return self.send(**arguments).result(wait)

    def stream(self, wait: float = PATIENCE, **arguments: Any) -> list[Answer]:
        return self.send(stream=True, **arguments).responses(wait)

    def send(self, **arguments: Any) -> Pending:
        inputs = {key: value for key, value in arguments.items() if key.isupper()}
        options = {key: value for key, value in arguments.items() if not key.isupper()}
        return self.target.send(self.name, inputs, **options)

    def unload(self) -> None:
        self.target.unload(self.name)


def text_input(text: str) -> np.ndarray[Any, Any]:
    """A BYTES tensor of one element."""
    return np.array([text.encode()], dtype=np.object_)


def config(
    inputs: Sequence[tuple[str, str, Sequence[int]]] = (),
    outputs: Sequence[tuple[str, str, Sequence[int]]] = (),
    *,
    max_batch_size: int = 0,
    decoupled: bool = False,
    optional: bool = False,
    instances: int = 1,
    extra: str = "",
) -> str:
    """Text of a config.pbtxt: tensors as (name, ``FP32``, dims)."""

    def tensor(kind: str, name: str, datatype: str, dims: Sequence[int]) -> str:
        wanted = "STRING" if datatype == "BYTES" else datatype
        more = " optional: true" if optional and kind == "input" else ""
        return f'{kind} [ {{ name: "{name}" data_type: TYPE_{wanted} dims: {list(dims)}{more} }} ]\n'

    text = f'backend: "python"\nmax_batch_size: {max_batch_size}\n'
    text += "".join(tensor("input", *each) for each in inputs)
    text += "".join(tensor("output", *each) for each in outputs)
    text += f"instance_group [ {{ count: {instances} kind: KIND_CPU }} ]\n"
    if decoupled:
        text += "model_transaction_policy { decoupled: true }\n"
    return text + extra


def until(condition: Callable[[], Any], timeout: float = PATIENCE) -> Any:
    """Poll until `condition` holds; returns its last value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.02)


def source_of(name: str) -> str:
    """Text of one of the models beside this file."""
    return (Path(__file__).parent / "models" / f"{name}.py").read_text()


@contextlib.contextmanager
def loaded(target: Target, *arguments: Any, **options: Any) -> Iterator[Model]:
    """A model for the length of a block."""
    model = target.load(*arguments, **options)
    try:
        yield model
    finally:
        target.drop(model.name)
