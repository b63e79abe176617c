"""A request together with what schedulers need to know of it, which the protocol's request does not tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench import _host

if TYPE_CHECKING:
    from workbench.session.revision import Revision

__all__ = ["SEQUENCE_END", "SEQUENCE_START", "Ticket"]

SEQUENCE_START, SEQUENCE_END = 1, 2  # TRITONSERVER_REQUEST_FLAG_SEQUENCE_…


class Ticket:
    """One request of one revision.

    Attributes:
        request: What the channel executes.
        inputs: Its tensors, those that sequence control adds included.
        correlation_id: As in ``request``; 0 or "" for none.
        flags: SEQUENCE_START and SEQUENCE_END, or 0.
        timeout_us: The request's own timeout for queue policies; 0 for none.
        request_id: As in ``request``.
    """

    __slots__ = ("correlation_id", "flags", "inputs", "request", "request_id", "timeout_us")

    def __init__(
        self,
        revision: Revision,
        inputs: list[_host.TensorTuple],
        outputs: Sequence[str],
        *,
        request_id: str = "",
        correlation_id: int | str = 0,
        flags: int = 0,
        timeout_us: int = 0,
        **more: Any,
    ) -> None:
        """Make the request.

        Args:
            revision: What will execute it.
            inputs: Checked and encoded tensors.
            outputs: Names of the outputs wanted.
            request_id: The request's id.
            correlation_id: The sequence it belongs to.
            flags: Whether it starts or ends that sequence.
            timeout_us: For queue policies, microseconds.
            **more: ``parameters``, ``trace_context`` and ``parent`` of `_host.Request`.

        Raises:
            InputError: the request lacks what the model's scheduler needs of it.
        """
        queue = revision.queue
        if queue is not None:
            correlation_id, flags = queue.identify(correlation_id, flags)
            inputs = [*queue.controls(correlation_id, flags), *inputs]
        self.inputs = inputs
        self.correlation_id = correlation_id
        self.flags = flags
        self.timeout_us = timeout_us
        self.request_id = request_id
        self.request = _host.Request(
            inputs,
            outputs,
            request_id=request_id,
            correlation_id=correlation_id,
            flags=flags,
            timeout_us=timeout_us,
            model_name=revision.config.name,
            model_version=revision.plan.entry.version,
            **more,
        )
