"""The last requests of a model and their answers, kept so that they can be sent again.

Every request passes here, so keeping one costs a copy of what may change (the user's own arrays, outputs in
shared memory) and nothing else. Beyond `_COPIED` bytes arrays of the user are kept by reference, with a
hundred of their bytes: a replay refuses an array that was changed since. Of outputs that large the hundred
bytes are all there is.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import _host
from workbench.errors import InputError
from workbench.messages import InferResult, RawResponse

if TYPE_CHECKING:
    from workbench._host import TensorTuple
    from workbench.session.inputs import InputEncoder

__all__ = ["Answer", "Output", "RecordedRequest", "Recorder", "sample_of"]

REQUESTS = 32
BYTES = 64 << 20
# Bytes of a request, and again of its answer, that are copied. A larger block is mapped anew for each copy,
# which costs several times the copying; and what another core has just written is slow to read.
_COPIED = 64 << 10
_SAMPLES = 100

#: name, datatype number, shape, raw bytes (BYTES in wire form) or some of them
Output = tuple[str, int, tuple[int, ...], "bytes | np.ndarray"]
#: outputs, parameters as JSON
Answer = tuple[tuple[Output, ...], str]


class RecordedRequest:
    """One request as it was sent, and how it ended.

    Attributes:
        inputs: Encoded tensors; the data of each is an array, or bytes in wire form.
        options: parameters, request_id and sequence, as of `ModelHost.infer`; what was not given is left out.
        responses: Of each response the outputs and parameters.
        error: (class, cause) of the exception it ended with, or None.
        src: The source that answered.
        size: Bytes held.
    """

    __slots__ = ("_samples", "error", "inputs", "options", "responses", "size", "src")

    def __init__(
        self,
        inputs: list[TensorTuple],
        options: dict[str, Any],
        responses: list[Answer],
        error: tuple[str, str] | None,
        src: str,
        size: int,
        samples: list[tuple[str, np.ndarray, np.ndarray]] | None = None,
    ) -> None:
        self.inputs = inputs
        self.options = options
        self.responses = responses
        self.error = error
        self.src = src
        self.size = size
        self._samples = samples

    def check(self) -> None:
        """Raise InputError if an array that was kept by reference holds other values now."""
        for name, array, before in self._samples or ():
            if not np.array_equal(sample_of(array), before):
                raise InputError(
                    f"{name} was changed in place after the request: it cannot be sent again",
                    hint="send a copy of large arrays that you go on writing to",
                )


class Recorder:
    """A ring of at most 32 requests and 64 MiB. The last one that failed is kept besides, however old."""

    def __init__(self) -> None:
        self.last_error: RecordedRequest | None = None
        self._ring: deque[RecordedRequest] = deque()
        self._size = 0
        self._lock = threading.Lock()
        self._paused: set[int] = set()  # threads

    @property
    def requests(self) -> list[RecordedRequest]:
        """Oldest first."""
        with self._lock:
            return list(self._ring)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Requests of this thread are not recorded: they are repetitions of recorded ones."""
        thread = threading.get_ident()
        self._paused.add(thread)
        try:
            yield
        finally:
            self._paused.discard(thread)

    def keep(
        self,
        given: Mapping[str, Any],
        tuples: list[TensorTuple],
        responses: Sequence[RawResponse | _Copy],
        error: BaseException | None,
        src: str,
        parameters: Mapping[str, Any] | None = None,
        request_id: str = "",
        sequence: Any = None,
    ) -> None:
        """Record a request that has ended. ``given`` holds the values as the user gave them."""
        if self._paused and threading.get_ident() in self._paused:
            return
        size = 0
        inputs, samples = tuples, None
        for position, each in enumerate(tuples):
            data = each[3]
            if type(data) is not np.ndarray:
                size += len(data) if isinstance(data, bytes) else 0
                continue
            size += data.nbytes
            if data.base is None and data is not given.get(each[0]):
                continue  # made by the encoder, nobody else has it
            if size <= _COPIED or not data.flags.writeable:
                if inputs is tuples:
                    inputs = list(tuples)
                inputs[position] = (each[0], each[1], each[2], data.copy())
            else:
                samples = samples or []
                samples.append((each[0], data, sample_of(data)))
        kept, outputs = _copies(responses)
        size += outputs
        options: dict[str, Any] = {}
        if request_id:
            options["request_id"] = request_id
        if parameters:
            options["parameters"] = dict(parameters)
        if sequence is not None:
            options["sequence"] = sequence
        failed = None if error is None else (type(error).__name__, str(getattr(error, "cause", "") or error))
        self.add(RecordedRequest(inputs, options, kept, failed, src, size, samples))

    def add(self, record: RecordedRequest) -> None:
        """Put a record into the ring; the oldest make room for it."""
        with self._lock:
            if record.error is not None:
                self.last_error = record
            if record.size > BYTES:
                return
            ring = self._ring
            ring.append(record)
            self._size += record.size
            while len(ring) > REQUESTS or self._size > BYTES:
                self._size -= ring.popleft().size

    def following(
        self,
        given: Mapping[str, Any],
        encoder: InputEncoder,
        results: Iterator[InferResult],
        src: str,
        options: Mapping[str, Any],
    ) -> Iterator[InferResult]:
        """The results of a stream, recorded when it has come to its end; one left early is not recorded."""
        tuples = encoder.encode(given)
        seen: list[_Copy] = []
        size = 0
        try:
            for each in results:
                # Copied at once: a long stream would keep its blocks in the region otherwise.
                copied, more = _copies([response.raw for response in each.responses], size)
                size += more
                seen += [_Copy(*answer) for answer in copied]
                yield each
        except GeneratorExit:
            results.close()  # type: ignore[attr-defined]  # a generator's: cancels the request
            raise
        except BaseException as error:
            self.keep(given, tuples, seen, error, src, **options)
            raise
        self.keep(given, tuples, seen, None, src, **options)


class _Copy:
    """A response that was copied already."""

    __slots__ = ("answer",)

    def __init__(self, *answer: Any) -> None:
        self.answer: Answer = answer


def _copies(responses: Sequence[Any], size: int = 0) -> tuple[list[Answer], int]:
    """Responses as data of our own, and the bytes that takes.

    Args:
        responses: As `_host` or an ensemble gives them, or copied already.
        size: Bytes copied before.
    """
    kept: list[Answer] = []
    before = size
    for response in responses:
        if type(response) is _Copy:
            size += sum(len(each[3]) for each in response.answer[0])
            kept.append(response.answer)
            continue
        outputs: list[Output] = []
        for each in response.outputs:
            # An ensemble's outputs lie in this process already.
            mapped = type(each) is _host.OutputTensor
            data = each if mapped else each.data
            count = each.byte_size if mapped else memoryview(data).nbytes
            raw: bytes | np.ndarray
            if size + count <= _COPIED:
                raw = bytes(data)
            else:
                raw = sample_of(np.frombuffer(data, np.uint8))
            size += len(raw)
            outputs.append((each.name, each.datatype, tuple(each.shape), raw))
        kept.append((tuple(outputs), response.parameters))
    return kept, size - before


def sample_of(array: np.ndarray) -> np.ndarray:
    """Some values from all over an array, first and last among them."""
    flat = array.reshape(-1)
    # Odd, so that it does not meet the same byte of every number.
    step = max(1, flat.size // _SAMPLES) | 1
    return np.concatenate([flat[::step], flat[-1:]])
