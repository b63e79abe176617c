"""Parent side of the Python backend's shared-memory protocol, one channel per stub process.

Every call that can wait releases the GIL. Times are seconds (float) unless named otherwise.
Datatype numbers are Triton's (``TRITONSERVER_DataType``): BOOL 1 ... BYTES 13, BF16 14.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, final

import numpy as np

class StubError(RuntimeError):
    """Base of all errors of this module."""

class StubNotHealthy(StubError):
    """The stub process is dead or stopped answering. Text as upstream: ``Stub process 'X' is not
    healthy.``"""

class StubTimeout(StubError):
    """The stub is alive but did not answer within the given time."""

class ModelError(StubError):
    """The model refused: initialize or auto-complete failed. ``args[0]`` is the stub's text, unchanged."""

class PoolExhausted(StubError):
    """The region could not grow. Text starts ``Failed to increase the shared memory pool size``."""

class ProtocolError(StubError):
    """The other side broke the protocol or the region is corrupt."""

@final
class Release:
    """One row of the release table."""

    @property
    def name(self) -> str: ...  # "24.10"
    @property
    def server_version(self) -> str: ...  # "2.51.0"
    @property
    def family(self) -> str: ...  # "24.10"

RELEASES: tuple[Release, ...]

def find_release(name_or_server_version: str) -> Release:
    """Row for ``24.10`` or ``2.51.0``; a newer one gives the newest row. Raises ValueError for anything
    else."""

class StructLayout(TypedDict):
    size: int
    fields: dict[str, tuple[int, int]]  # name: (offset, size)

def layout(release: str) -> dict[str, StructLayout]:
    """The wire structures of a release (protocol.md §3 to §5), as this machine's compiler laid them out."""

def command_number(release: str, command: str) -> int | None:
    """Number of a command on the wire; None if the release has no such command. Raises ValueError for other
    names."""

def on_wait(hook: Callable[[], None]) -> None:
    """Have every wait call this a few times a second, in its own thread; what it raises ends the wait."""

def encode_bytes(array: np.ndarray) -> bytes:
    """Object or ``S`` array -> BYTES wire form (4-byte little-endian length, then data, C order)."""

def decode_bytes(data: Any, count: int) -> np.ndarray:
    """BYTES wire form -> 1-D object array of ``bytes``. Raises ValueError if malformed."""

@final
class OutputTensor:
    """A tensor in a region; keeps its block (and the mapping) alive.

    Supports the buffer protocol (read-only, raw bytes).
    """

    @property
    def name(self) -> str: ...
    @property
    def datatype(self) -> int: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def byte_size(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def numpy(self) -> np.ndarray:
        """Read-only view on the region (a copy where it lies unaligned there); BYTES: new object array of
        ``bytes``; BF16: uint16 view of the raw bits."""

@final
class Response:
    @property
    def outputs(self) -> list[OutputTensor]: ...
    @property
    def error(self) -> tuple[int, str] | None:
        """(TritonError code number, text) or None."""
    @property
    def parameters(self) -> str:
        """JSON object, or "" (releases before 25.02 never send any)."""
    @property
    def is_last(self) -> bool:
        """It came with the final flag. A model may also send that flag alone."""

# name, datatype number, shape, data: C-contiguous buffer, a bytes object in wire form for BYTES,
# or an OutputTensor's memory passed on.
TensorTuple = tuple[str, int, Sequence[int], Any]

@final
class Request:
    """One inference request and the responses that arrive for it. Thread-safe."""

    def __init__(
        self,
        inputs: Sequence[TensorTuple],
        requested_outputs: Sequence[str],
        *,
        request_id: str = "",
        correlation_id: int | str = 0,
        flags: int = 0,
        timeout_us: int = 0,
        parameters: str = "{}",
        model_name: str = "",
        model_version: int = 1,
        trace_context: str = "",
        parent: int = 0,
    ) -> None:
        """``parent`` is the span the request is made for, 0 for none."""
    @property
    def span(self) -> int:
        """The request in events of the tap."""
    def next_response(self, timeout: float | None = None) -> Response | None:
        """Next response in order; None when the request is complete and all were taken.

        Raises TimeoutError after `timeout` seconds, StubNotHealthy if the stub died before completing it.
        """
    def cancel(self) -> None:
        """The model's ``is_cancelled()`` answers True from now on."""
    @property
    def cancelled(self) -> bool: ...
    @property
    def complete(self) -> bool:
        """The final flag arrived (or the batch failed, or the sender was dropped without a final)."""
    @property
    def abandoned(self) -> bool:
        """Complete, but the model dropped its response sender without sending the final flag."""
    @property
    def rescheduled(self) -> bool:
        """The model asked for the request back (TRITONSERVER_REQUEST_RELEASE_RESCHEDULE) in the last
        execute."""

@final
class BlsCall:
    """A business-logic-scripting call made by the model, waiting for `send`."""

    @property
    def model_name(self) -> str: ...
    @property
    def model_version(self) -> int: ...  # -1: latest
    @property
    def decoupled(self) -> bool: ...  # made with decoupled=True
    @property
    def request_id(self) -> str: ...
    @property
    def correlation_id(self) -> int | str: ...
    @property
    def flags(self) -> int: ...
    @property
    def timeout_us(self) -> int: ...
    @property
    def parameters(self) -> str: ...
    @property
    def requested_outputs(self) -> list[str]: ...
    @property
    def inputs(self) -> list[OutputTensor]: ...
    @property
    def form(self) -> bytes:
        """Version, decoupled or not, parameters, requested outputs, and each input's name, datatype and
        shape: calls of equal form are taken or refused alike."""
    def request_for(self, model_name: str, model_version: int, requested_outputs: Sequence[str]) -> Request:
        """The same request for the model that answers it, its inputs as they lie in the caller's region, made
        on behalf of this call; parameters are left out."""
    @property
    def trace_context(self) -> str: ...
    @property
    def span(self) -> int:
        """The call in events of the tap."""
    @property
    def cancelled(self) -> bool:
        """The model called ``cancel()`` on the response iterator (25.04+)."""
    def send(
        self,
        outputs: Sequence[TensorTuple] = (),
        *,
        error: tuple[int, str] | None = None,
        parameters: str = "",
        final: bool = True,
    ) -> None:
        """Deliver one response. A call without ``decoupled`` takes exactly one, final. Tensors are copied.

        The handler may return before the final one was sent and send the rest from any thread.
        """
    def send_response(self, response: Response, *, final: bool = True) -> None:
        """Same, passing on a response of another channel (one copy, region to region)."""
    def pass_on(self, request: Request, timeout: float) -> bool:
        """The request's next response as the final one of this call; False if it has none. Raises what
        `Request.next_response` and `send_response` raise.
        """

def next_span() -> int:
    """A number that identifies a request, a batch or a call; unique in this process."""

# name, datatype number, shape, bytes
TapTensor = tuple[str, int, tuple[int, ...], int]

@final
class TapRecord:
    """One message that crossed, as the tap saw it."""

    @property
    def kind(self) -> str:
        """``request``: it went to its stub; ``response``: to it, or its end; ``executed``: a batch is over;
        ``call``: a model called another; ``reply``: to that; ``begin``: something of the session's own."""
    @property
    def final(self) -> bool: ...
    @property
    def error(self) -> str | None: ...
    @property
    def decoupled(self) -> bool: ...
    @property
    def form(self) -> str | None:
        """call: ``exec`` or ``async_exec``, None if the stub does not say."""
    @property
    def line(self) -> int:
        """call: line of model.py, 0 if not known."""
    @property
    def order(self) -> int:
        """call: counts the calls of its stub process, 0 if not known."""
    @property
    def span(self) -> int:
        """executed: the batch."""
    @property
    def parent(self) -> int:
        """request, begin: the span it was made for; call: the batch its model was executing."""
    @property
    def batch(self) -> int:
        """request: the batch it went in."""
    @property
    def time_ns(self) -> int:
        """CLOCK_MONOTONIC."""
    @property
    def since_ns(self) -> int:
        """request: when it was made; executed: when all of the batch lay in the region."""
    @property
    def model(self) -> str: ...
    @property
    def tensors(self) -> list[TapTensor]: ...

@final
class Tap:
    """A ring of the last messages; the oldest make room. Given to channels."""

    def __init__(self, byte_size: int) -> None:
        """``byte_size`` 0 records nothing."""
    enabled: bool
    byte_size: int  # setting it forgets all events
    @property
    def position(self) -> int:
        """Where the next event will stand; goes up only."""
    @property
    def dropped(self) -> int: ...
    def begin(self, span: int, model: str, tensors: Sequence[TapTensor], parent: int = 0) -> None: ...
    def end(self, span: int, tensors: Sequence[TapTensor] = (), error: str | None = None) -> None: ...
    def read(self, since: int = 0, most_bytes: int | None = None) -> list[TapRecord]:
        """Events from a position on, oldest first; of more than `most_bytes` in the ring the newest."""

@final
class MetricCall:
    """What a model asks of the metrics registry. kind of operation, with its operands."""

    operation: str  # family_new family_delete metric_new metric_delete value increment set observe
    name: str  # family_new
    description: str  # family_new
    kind: int  # family_new: 0 counter, 1 gauge, 2 histogram
    labels: str  # metric_new: JSON object
    buckets: list[float]  # metric_new of a histogram
    has_buckets: bool
    value: float  # increment, set, observe
    family: int  # address given to the family
    metric: int  # address given to the metric

@final
class ControlCall:
    operation: str  # load unload ready
    model_name: str
    model_version: str  # ready: "" = any
    config: str  # load: JSON override or ""
    files: dict[str, bytes]  # load
    unload_dependents: bool

LogHandler = Callable[
    [int, str, int, str], None
]  # level (0 info 1 warning 2 error 3 verbose), file, line, text
BlsHandler = Callable[[BlsCall], None]
MetricHandler = Callable[
    [MetricCall], int | float | None
]  # *_new: address (> 0); value: float. Raise to refuse
ControlHandler = Callable[[ControlCall], bool | None]  # ready: bool. Raise to refuse

@final
class Channel:
    """Region, queues and conversation with one stub process.

    Life: create; `arguments` → someone starts the process; `attach`; `wait_started`; then either
    `auto_complete` + `finalize`, or `initialize`, `execute` …, `finalize`; `close`. One thread at a time may
    be inside wait_started/auto_complete/initialize/execute/finalize; everything else is free.
    """

    def __init__(
        self,
        *,
        name: str,
        release: str,
        region_name: str,
        shm_default_byte_size: int = 64 << 20,
        shm_growth_byte_size: int = 64 << 20,
        queue_size: int = 1000,
        thread_pool_size: int = 32,
        decoupled: bool = False,
        uses_env: bool = False,
        on_log: LogHandler | None = None,
        on_bls: BlsHandler | None = None,
        on_metric: MetricHandler | None = None,
        on_control: ControlHandler | None = None,
        tap: Tap | None = None,
    ) -> None:
        """Creates the region, mode 0600. `name` is the instance name used in error texts (argv 8)."""
    def arguments(self, model_file: str, python_lib: str, runtime_model_dir: str = "DEFAULT") -> list[str]:
        """argv[1:] of the stub (protocol.md §6.1)."""
    def attach(self, pid: int) -> None:
        """Start the service thread and watch this process. Raises StubNotHealthy if it is gone."""
    def wait_started(self, timeout: float) -> None: ...
    def auto_complete(self, config_json: str, timeout: float | None = None) -> str: ...
    def initialize(self, args: Mapping[str, str], timeout: float | None = None) -> None: ...
    def execute(self, requests: Sequence[Request], timeout: float | None = None) -> None:
        """Run one batch; returns when the model's execute has returned and its responses were taken over.

        A failed batch is not raised: each request gets it as an error response. A request of a decoupled
        model, or one answered
        through a response sender, may still be incomplete on return. Raises StubNotHealthy (every open
        request
        fails with it too), StubTimeout (the batch stays in flight: only `close` is allowed then),
        PoolExhausted (nothing was sent).
        """
    def is_ready(self, timeout: float = 5.0) -> bool | None:
        """The model's is_ready() (26.03+ with one defined), else None. Raises ModelError, StubTimeout."""
    def finalize(self, timeout: float) -> None:
        """FinalizeRequest; returns when the process answered it. The process then exits by itself."""
    def close(self) -> None:
        """Stop the service threads, fail open requests, unlink the region. Idempotent. Does not kill the
        process.

        Call it after the process has exited or was killed. Views on outputs stay valid.
        """
    @property
    def region_name(self) -> str: ...
    @property
    def capacity(self) -> int: ...
    @property
    def free_bytes(self) -> int: ...
    @property
    def peak_bytes(self) -> int:
        """The most this side has seen in use; it looks whenever it takes the region's lock."""
    @property
    def growths(self) -> int:
        """How often the region was seen to have grown, whichever side did it."""
    @property
    def held_blocks(self) -> list[int]:
        """Handles of the tensors that results in this process keep."""
    @property
    def requests_sent(self) -> int: ...
    @property
    def open_requests(self) -> int:
        """Requests whose response factory still lives."""
    @property
    def alive(self) -> bool:
        """The attached process exists (pidfd not readable)."""

# offset, bytes, kind, references, label, then from the note, each None without one: origin, line, request,
# age in seconds
BlockTuple = tuple[int, int, str, int, str, int | None, int | None, int | None, float | None]

@final
class RegionSnapshot:
    """A region's allocator, queues and blocks at one moment. Sizes in bytes."""

    @property
    def capacity(self) -> int: ...
    @property
    def file_size(self) -> int: ...
    @property
    def used(self) -> int:
        """Sum of the used blocks."""
    @property
    def free(self) -> int:
        """Sum of the free blocks."""
    @property
    def overhead(self) -> int:
        """In no block: ``used + free + overhead == capacity``."""
    @property
    def free_memory(self) -> int:
        """The allocator's own figure; it counts its end mark (16 bytes) as free."""
    @property
    def largest_free(self) -> int: ...
    @property
    def steady(self) -> bool:
        """Two walks in a row found the same."""
    @property
    def attempts(self) -> int: ...
    @property
    def is_triton(self) -> bool:
        """It has a control block with five queues."""
    @property
    def noted(self) -> bool:
        """Both sides leave notes on what they allocate."""
    def blocks(self) -> list[BlockTuple]:
        """The used blocks, in order of offset."""
    def queues(self) -> list[tuple[str, int, int]]:
        """Name, depth, size."""

@final
class RegionInspector:
    """Reads a region, of any owner, without its lock and without mapping it. Thread-safe."""

    def __init__(self, path: str) -> None:
        """Raises StubError if the file cannot be read."""
    def snapshot(self, seconds: float = 0.05, contents: bool = True) -> RegionSnapshot:
        """Look until two looks in a row agree, at most that long.

        Without `contents` no block's content is read and ``blocks()`` is empty. Raises ProtocolError if there
        is no allocator that can be walked.
        """
    @property
    def linked(self) -> bool:
        """Whether the file still has a name."""
