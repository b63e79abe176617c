"""What a Triton Python model imports as ``pb_utils``. It can be imported only where a model runs.

``pb_utils.Tensor`` and the other compiled names exist once the model is running: use them inside the methods
of ``TritonPythonModel``. In annotations they need ``from __future__ import annotations``.

Releases are given as YY.MM of the server; a name without one is as old as 21.08. Types that have no name in
the module (the sender, the iterator, a trace, a metric) begin with an underscore here; annotate with their
real names from ``c_python_backend_utils``, under ``if TYPE_CHECKING``.
"""

from collections.abc import Awaitable, Sequence
from typing import Any, ClassVar, Final, Literal, Protocol, TypeAlias, final, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray
from typing_extensions import CapsuleType, Self

# Stands for None where None comes only from a name that does not exist or an optional input. Spelt None, it
# would make every `get_input_tensor_by_name(request, "INPUT").as_numpy()` an error.
_MaybeNone: TypeAlias = Any

TRITONSERVER_REQUEST_FLAG_SEQUENCE_START: Final[int] = 1
TRITONSERVER_REQUEST_FLAG_SEQUENCE_END: Final[int] = 2
TRITONSERVER_RESPONSE_COMPLETE_FINAL: Final[int] = 1
TRITONSERVER_REQUEST_RELEASE_ALL: Final[int] = 1
TRITONSERVER_REQUEST_RELEASE_RESCHEDULE: Final[int] = 2

TRITON_STRING_TO_NUMPY: Final[dict[str, type[Any]]]
"""``{"TYPE_FP32": numpy.float32, ...}``; TYPE_BF16 is not in it."""

def triton_string_to_numpy(triton_type_string: str) -> type[Any]:
    """NumPy type of a datatype's name in config.pbtxt, ``"TYPE_FP32"`` -> ``numpy.float32``.

    Raises:
        KeyError: the name is unknown, or it is TYPE_BF16, which NumPy cannot represent.
    """

def triton_to_numpy_type(data_type: int) -> type[Any] | None:
    """NumPy type of a datatype number, ``11`` -> ``numpy.float32``; None if there is none."""

def numpy_to_triton_type(data_type: DTypeLike) -> int | None:
    """Datatype number of a NumPy type or dtype, ``numpy.float32`` -> ``11``; None if Triton has none."""

def serialize_byte_tensor(input_tensor: NDArray[np.object_] | NDArray[np.bytes_]) -> bytes | tuple[()] | None:
    """Wire form of an array of strings: for each element, in C order, a 4-byte length and its bytes.

    Returns:
        ``bytes``; ``()`` for an empty array and None for a dtype other than ``object`` and ``S<n>``.
    """

def deserialize_bytes_tensor(encoded_tensor: bytes) -> NDArray[np.object_]:
    """The elements in that wire form, as a 1-D array of ``bytes`` objects.

    Raises:
        struct.error: the buffer ends in the middle of an element.
    """

def get_input_tensor_by_name(inference_request: InferenceRequest, name: str) -> Tensor | _MaybeNone:
    """First input tensor of that name, or None: an optional input the client left out is not there."""

def get_output_tensor_by_name(inference_response: InferenceResponse, name: str) -> Tensor | _MaybeNone:
    """First output tensor of that name in another model's response, or None."""

def get_input_config_by_name(model_config: dict[str, Any], name: str) -> dict[str, Any] | _MaybeNone:
    """That input's part of the parsed configuration, or None.

    Args:
        model_config: ``json.loads(args["model_config"])``.
        name: The input's name.
    """

def get_output_config_by_name(model_config: dict[str, Any], name: str) -> dict[str, Any] | _MaybeNone:
    """That output's part of the parsed configuration, or None."""

def using_decoupled_model_transaction_policy(model_config: dict[str, Any]) -> bool:
    """Whether the parsed configuration says ``model_transaction_policy { decoupled: true }`` (22.05+)."""

class ModelConfig:
    """The configuration that ``auto_complete_config`` may fill in and must return (22.06+).

    What the user wrote in config.pbtxt stands: a setter that would contradict it raises ValueError.

    Args:
        model_config: JSON text of the configuration.
    """

    _model_config: dict[str, Any]

    def __init__(self, model_config: str) -> None: ...
    def as_dict(self) -> dict[str, Any]:
        """The live dictionary, not a copy."""

    def set_max_batch_size(self, max_batch_size: int) -> None:
        """Set the largest batch; 0 means that tensors have no batch dimension."""

    def set_dynamic_batching(self) -> None:
        """Turn on dynamic batching, with its defaults unless the configuration has it already."""

    def add_input(self, input: dict[str, Any]) -> None:
        """Declare an input, or complete the one of that name.

        Args:
            input: ``name``, ``data_type`` (``"TYPE_FP32"``), ``dims`` (without the batch dimension, -1 for
                any) and, if wanted, ``optional`` (23.11+).
        """

    def add_output(self, output: dict[str, Any]) -> None:
        """Declare an output, or complete the one of that name: ``name``, ``data_type``, ``dims``."""

    def set_model_transaction_policy(self, transaction_policy_dict: dict[str, bool]) -> None:
        """Make the model decoupled, with ``{"decoupled": True}`` (23.11+)."""

class _SupportsDLPack(Protocol):
    # The stream argument differs between libraries, so it is not spelt out.
    def __dlpack__(self, *args: Any, **kwargs: Any) -> CapsuleType: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

# A real dict is wanted, and dict is invariant, so that the unions have to be spelt out.
_Parameters: TypeAlias = dict[str, bool | int | str] | dict[str, bool] | dict[str, int] | dict[str, str]

class _Enum:
    # pybind11's enumeration: not enum.Enum, but with a name, a value and int().
    def __init__(self, value: int) -> None: ...
    def __int__(self) -> int: ...
    def __index__(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> int: ...

@final
class _MemoryType(_Enum):
    TRITONSERVER_MEMORY_GPU: ClassVar[_MemoryType]
    TRITONSERVER_MEMORY_CPU: ClassVar[_MemoryType]

TRITONSERVER_MEMORY_GPU: Final[_MemoryType]
TRITONSERVER_MEMORY_CPU: Final[_MemoryType]

class TritonModelException(Exception):  # noqa: N818
    """Raised by a model to report a failure, and by the functions of this module for everything but wrong
    types.

    Raised in ``execute`` it fails every request of the batch, in ``initialize`` the load.
    """

@final
class TritonError:
    """An error for one request: ``InferenceResponse(error=TritonError("text", TritonError.INVALID_ARG))``.

    Not an exception; to raise, use `TritonModelException`.

    Args:
        message: What the client gets, word for word.
        code: One of the codes below (23.09+), which decides the HTTP and gRPC status.
    """

    @final
    class _ErrorCode(_Enum): ...

    UNKNOWN: ClassVar[_ErrorCode]
    INTERNAL: ClassVar[_ErrorCode]
    NOT_FOUND: ClassVar[_ErrorCode]
    INVALID_ARG: ClassVar[_ErrorCode]
    UNAVAILABLE: ClassVar[_ErrorCode]
    UNSUPPORTED: ClassVar[_ErrorCode]
    ALREADY_EXISTS: ClassVar[_ErrorCode]
    CANCELLED: ClassVar[_ErrorCode]
    """23.10+"""

    def __init__(self, message: str, code: _ErrorCode = ...) -> None: ...
    def message(self) -> str: ...
    def code(self) -> _ErrorCode: ...

class Tensor:
    """A named tensor in host memory or on a GPU.

    An array that is C-contiguous is not copied, but kept; it is copied into shared memory when the tensor is
    first sent, and that copy is sent again later. So build a new tensor rather than change an array that was
    sent.

    Args:
        name: Name of the output (or of the other model's input). Not empty.
        array: Any numeric dtype of Triton's (not BF16), ``object`` or ``S<n>`` for BYTES. Elements of an
            ``object`` array that are not ``bytes`` are sent as the UTF-8 text of ``str(element)``.

    Raises:
        TritonModelException: the name is empty, or the dtype has no counterpart in Triton (``U<n>`` is one).
    """

    def __init__(self, name: str, array: NDArray[Any], /) -> None: ...
    def name(self) -> str: ...
    def as_numpy(self) -> NDArray[Any]:
        """The same array at every call, writable and independent of shared memory.

        BYTES give dtype ``object`` with ``bytes`` as elements, in the tensor's shape.

        Raises:
            TritonModelException: the tensor is on a GPU, or its datatype is BF16; use DLPack for both.
        """

    def shape(self) -> list[int]:
        """With the batch dimension, if the model has one (22.08+)."""

    def is_cpu(self) -> bool:
        """Whether the data is in host memory, pageable or pinned."""

    def triton_dtype(self) -> int:
        """Number of the datatype, BOOL 1 to BF16 14. NVIDIA's stub raises TypeError instead."""

    def to_dlpack(self) -> CapsuleType:
        """The tensor's own memory, not a copy; kept alive until the consumer lets it go.

        Raises:
            TritonModelException: the datatype is BYTES.
        """

    @staticmethod
    def from_dlpack(name: str, tensor: CapsuleType | _SupportsDLPack, /) -> Tensor:
        """A tensor on the memory of another library's, without a copy.

        Args:
            name: Not empty.
            tensor: A DLPack capsule, or (23.05+) any object with the protocol, as arrays of torch, CuPy or
                JAX are.

        Raises:
            TritonModelException: the name is empty, or the object is not a contiguous tensor on a CPU or CUDA
            device.
        """

    def __dlpack__(self, stream: object = None) -> CapsuleType:
        """For ``torch.from_dlpack(tensor)`` and the like (23.05+); `stream` is ignored."""

    def __dlpack_device__(self) -> tuple[int, int]:
        """(kind, number): CPU (1, 0), CUDA (2, n), pinned host memory (3, 0)."""

@final
class PreferredMemory:
    """Where the outputs of a request to another model shall lie (23.04+).

    Args:
        preferred_memory_type: ``pb_utils.TRITONSERVER_MEMORY_CPU`` or ``..._GPU``.
        preferred_device_id: Number of the GPU.
    """

    def __init__(self, preferred_memory_type: _MemoryType, preferred_device_id: int = 0) -> None: ...

@final
class _InferenceTrace:
    """The trace of a request, to be handed to requests that the model makes (23.08+)."""

    def __init__(self) -> None: ...
    def get_context(self) -> str | None:
        """Propagation context, a JSON object of headers, if OpenTelemetry tracing is on (24.03+)."""

class InferenceResponse:
    """The answer to one request.

    Args:
        output_tensors: In any order. Outputs the client did not ask for are dropped; they are not checked
            against the configuration.
        error: Given one, the tensors are not sent.
        parameters: Values for the client (25.02+).

    Raises:
        TritonModelException: an element of `output_tensors` is None, or a parameter is of another type.
    """

    def __init__(
        self,
        output_tensors: Sequence[Tensor] = ...,
        error: TritonError | None = None,
        parameters: _Parameters | None = None,
    ) -> None: ...
    def output_tensors(self) -> list[Tensor]: ...
    def has_error(self) -> bool: ...
    def error(self) -> TritonError | None: ...
    def parameters(self) -> str:
        """A JSON object as text (25.02+)."""

@final
class _InferenceResponseSender:
    """Sends the responses of one request, from any thread, also after ``execute`` has returned.

    From ``request.get_response_sender()``: of a decoupled model since 22.05, of any model since 24.06.
    """

    def send(self, response: InferenceResponse | None = None, flags: int = 0) -> None:
        """Send a response, the final flag, or both.

        Args:
            response: May be None together with the final flag.
            flags: 0 or ``pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL``, once per request.

        Raises:
            TritonModelException: nothing to send, another flag, the sender is closed, or a model that is not
                decoupled sends a second response.
        """

    def is_cancelled(self) -> bool:
        """Whether the client has cancelled the request (23.10+)."""

@final
class _ResponseIterator:
    """The responses of a request made with ``decoupled=True`` (23.03+).

    ``next`` waits for the response. The last response is often empty. After the end a new loop starts over.
    """

    def __iter__(self) -> Self: ...
    def __next__(self) -> InferenceResponse: ...
    def cancel(self) -> None:
        """Ask the server to cancel the request; without effect once it is finished (25.04+)."""

class InferenceRequest:
    """A request: one that ``execute`` got, or one that the model makes to another model ("BLS").

    Args:
        request_id: Free text, seen by the other model and in messages.
        correlation_id: Names a sequence; text since 24.04.
        inputs: Tensors, in any order.
        requested_output_names: Empty for all outputs.
        model_name: The model to ask.
        model_version: -1 leaves the choice to the server.
        flags: ``TRITONSERVER_REQUEST_FLAG_SEQUENCE_START`` and ``..._END``, or-ed (22.02+).
        timeout: Microseconds for the scheduler of the other model; 0 for none (23.03+).
        preferred_memory: Where the outputs shall lie; by default where they are made (23.04+).
        trace: ``request.trace()`` of the request being answered, to have both in one trace (23.08+).
        parameters: Values the other model can read (23.11+).

    Raises:
        TypeError: an argument is missing or of another type.
        TritonModelException: an element of `inputs` is None, an output's name is empty, or a parameter is of
            another type.
    """

    @overload
    def __init__(
        self,
        *,
        inputs: Sequence[Tensor],
        requested_output_names: Sequence[str],
        model_name: str,
        request_id: str = "",
        correlation_id: int | str = 0,
        model_version: int = -1,
        flags: int = 0,
        timeout: int = 0,
        preferred_memory: PreferredMemory = ...,
        trace: _InferenceTrace = ...,
        parameters: _Parameters | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        request_id: str,
        correlation_id: int | str,
        inputs: Sequence[Tensor],
        requested_output_names: Sequence[str],
        model_name: str,
        model_version: int = -1,
        flags: int = 0,
        timeout: int = 0,
        preferred_memory: PreferredMemory = ...,
        trace: _InferenceTrace = ...,
        parameters: _Parameters | None = None,
    ) -> None: ...
    def inputs(self) -> list[Tensor]:
        """The same objects at every call. Optional inputs that the client left out are missing."""

    def request_id(self) -> str: ...
    def correlation_id(self) -> int | str: ...
    def requested_output_names(self) -> set[str]:
        """All outputs of the configuration, if the client asked for none in particular."""

    def flags(self) -> int: ...
    def set_flags(self, flags: int, /) -> None: ...
    def timeout(self) -> int:
        """Microseconds the client grants; 0 for no limit."""

    def parameters(self) -> str:
        """A JSON object as text."""

    def trace(self) -> _InferenceTrace: ...
    @overload
    def exec(self, decoupled: Literal[False] = False) -> InferenceResponse:
        """Ask the other model and wait, with the GIL released.

        Args:
            decoupled: True for a decoupled model; then an iterator over its responses is returned (23.03+).

        Returns:
            The response. Errors of the other model are not raised: look at ``has_error()``.

        Raises:
            TritonModelException: not called from ``execute`` or a thread that may run meanwhile.
        """

    @overload
    def exec(self, decoupled: Literal[True]) -> _ResponseIterator: ...
    @overload
    def exec(self, decoupled: bool) -> InferenceResponse | _ResponseIterator: ...
    @overload
    def async_exec(self, decoupled: Literal[False] = False) -> Awaitable[InferenceResponse]:
        """As `exec`, to be awaited; many at once with ``asyncio.gather``.

        Raises:
            RuntimeError: no event loop is running in this thread.
        """

    @overload
    def async_exec(self, decoupled: Literal[True]) -> Awaitable[_ResponseIterator]: ...
    @overload
    def async_exec(self, decoupled: bool) -> Awaitable[InferenceResponse | _ResponseIterator]: ...
    def get_response_sender(self) -> _InferenceResponseSender:
        """The same object at every call (22.05+; for models that are not decoupled 24.06+)."""

    def is_cancelled(self) -> bool:
        """Whether the client has cancelled the request (23.10+)."""

    def set_release_flags(self, flags: int, /) -> None:
        """``TRITONSERVER_REQUEST_RELEASE_RESCHEDULE`` to get the request again in a later batch (23.11+).

        Needs ``sequence_batching { iterative_sequence: true }``, and None as the request's entry in what
        ``execute`` returns.
        """

class Logger:
    """Writes to the server's log (22.09+). Never constructed: ``pb_utils.Logger.log_info("text")``."""

    @final
    class LogLevel(_Enum): ...

    INFO: ClassVar[LogLevel]
    WARNING: ClassVar[LogLevel]
    ERROR: ClassVar[LogLevel]
    VERBOSE: ClassVar[LogLevel]

    @staticmethod
    def log(message: str, level: LogLevel = ...) -> None: ...
    @staticmethod
    def log_info(message: str) -> None: ...
    @staticmethod
    def log_warn(message: str) -> None: ...
    @staticmethod
    def log_error(message: str) -> None: ...
    @staticmethod
    def log_verbose(message: str) -> None:
        """Written if the server's verbose level is at least 1."""

@final
class _MetricKind(_Enum):
    COUNTER: ClassVar[_MetricKind]
    GAUGE: ClassVar[_MetricKind]
    HISTOGRAM: ClassVar[_MetricKind]

@final
class _Metric:
    """One time series of a family. Made by `MetricFamily.Metric`."""

    def increment(self, value: float, /) -> None:
        """Counter: by 0 or more. Gauge: by any value. Raises TritonModelException otherwise."""

    def set(self, value: float, /) -> None:
        """Gauge only."""

    def observe(self, value: float, /) -> None:
        """Histogram only (24.08+)."""

    def value(self) -> float:
        """Counter and gauge only."""

@final
class MetricFamily:
    """A metric of the model's own, shown by the server's metrics endpoint (23.05+).

    Must live longer than its metrics. A family of the same name and kind is shared, and the first description
    stays.

    Args:
        name: As Prometheus allows it.
        description: The HELP line.
        kind: ``MetricFamily.COUNTER``, ``GAUGE`` or (24.08+) ``HISTOGRAM``.

    Raises:
        TritonModelException: the name is not allowed, or taken by a family of another kind.
    """

    COUNTER: ClassVar[_MetricKind]
    GAUGE: ClassVar[_MetricKind]
    HISTOGRAM: ClassVar[_MetricKind]

    def __init__(self, name: str, description: str, kind: _MetricKind) -> None: ...
    def Metric(  # noqa: N802
        self, labels: dict[str, str] | None = None, buckets: list[float] | list[int] | None = None
    ) -> _Metric:
        """A time series of this family; the same labels give the same series.

        Args:
            labels: Name → value.
            buckets: Upper bounds of a histogram, rising; a histogram must have them, others must not.

        Raises:
            TritonModelException: labels or buckets are not as described.
        """

def get_model_dir() -> str:
    """``<repository>/<model>/<version>`` of the model being served (23.07+)."""

def load_model(model_name: str, config: str = "", files: dict[str, bytes] | None = None) -> None:
    """Load a model and wait (23.07+). The server must run in explicit control mode.

    Args:
        model_name: The model.
        config: JSON text in place of config.pbtxt.
        files: ``{"file:1/model.py": content}`` in place of the model's folder; needs `config`.

    Raises:
        TritonModelException: the load failed.
    """

def unload_model(model_name: str, unload_dependents: bool = False) -> None:
    """Start unloading a model (23.07+). An unknown name is not an error."""

def is_model_ready(model_name: str, model_version: str = "") -> bool:
    """Whether a model, or the given version of it (as text), is ready (23.07+).

    Raises:
        TritonModelException: the version is not a number greater than 0.
    """
