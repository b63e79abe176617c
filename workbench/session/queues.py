"""What stands between requests and instances where the configuration asks for more than "who is free"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from workbench import _host
    from workbench.model_config import ModelConfig
    from workbench.session.calls import PendingCall
    from workbench.session.revision import Revision
    from workbench.session.ticket import Ticket

__all__ = ["RequestQueue", "check_queue", "make_queue"]


class RequestQueue(Protocol):
    """Decides when, where and with whom a request is executed."""

    def identify(self, correlation_id: int | str, flags: int) -> tuple[int | str, int]:
        """The sequence a request belongs to, where the scheduler is the one to say. Raises InputError."""

    def controls(self, correlation_id: int | str, flags: int) -> list[_host.TensorTuple]:
        """Tensors the model sees besides those that were sent."""

    def run(self, ticket: Ticket, timeout: float | None, call: PendingCall | None = None) -> None:
        """Wait until the request has been executed. Raises what the execution raised.

        Args:
            ticket: The request.
            timeout: Seconds until the wait is given up, None for never.
            call: On whose behalf, if a model waits for it: then a wait that nothing can end is an error.
        """

    def close(self) -> None:
        """Take no more requests. Those waiting get `Retired`; a batch under way is finished."""


def check_queue(config: ModelConfig) -> None:
    """Find what `make_queue` would refuse, before anything is started. Raises ModelConfigError."""
    from workbench.session.sequence_controls import SequenceControls

    if config.sequence_batching is not None:
        SequenceControls(config)


def make_queue(revision: Revision) -> RequestQueue | None:
    """The scheduler a revision's configuration asks for; None: whichever instance is free takes a request."""
    from workbench.session.scheduler import BatchScheduler
    from workbench.session.sequences import SequenceScheduler

    config: ModelConfig = revision.config
    if config.sequence_batching is not None:
        return SequenceScheduler(revision)
    return BatchScheduler(revision) if BatchScheduler.wanted(config) else None
