"""One request's responses over a gRPC stream, and the leaving of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import Any

__all__ = ["responses"]

_LAST_SECONDS = 5.0  # for a stream to end after an error


def responses(
    client: Any, headers: Mapping[str, str], send: Callable[[], None], timeout: float
) -> Iterator[Any]:
    """Responses as they come, without one that says only that there are no more. Leaving early cancels.

    Args:
        client: tritonclient's, of gRPC; it has no other stream.
        headers: Of the stream.
        send: Sends the one request.
        timeout: Seconds; the longest wait for a response.

    Raises:
        TimeoutError: a response did not come.
        tritonclient.utils.InferenceServerException: the server said so, or cannot be reached.
    """
    answers: SimpleQueue[tuple[Any, Any]] = SimpleQueue()
    client.start_stream(callback=lambda result, error: answers.put((result, error)), headers=headers)
    complete = failed = False
    try:
        send()
        while not complete:
            try:
                result, error = answers.get(timeout=timeout)
            except Empty:
                raise TimeoutError(f"no response within {timeout:g} s") from None
            if error is not None:
                failed = True
                raise error
            complete = result.get_response().parameters["triton_final_response"].bool_param
            if result.get_response().outputs or not complete:
                yield result
    finally:
        # A server that is told to cancel what it has just completed may keep the model's processes for ever,
        # unloaded or not. An error nearly always is the last response, which tritonclient does not tell.
        if failed:
            _end_soon(client)
        else:
            client.stop_stream(cancel_requests=not complete)


def _end_soon(client: Any) -> None:
    """Let a stream end by itself, or cancel it if the model goes on answering."""
    leaver = threading.Thread(target=client.stop_stream, name="workbench-stream-end", daemon=True)
    leaver.start()
    leaver.join(_LAST_SECONDS)
    if leaver.is_alive():
        client.stop_stream(cancel_requests=True)
        leaver.join()
