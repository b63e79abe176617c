"""One batch on one instance, and what is done about an instance that does not come through it."""

from __future__ import annotations

from workbench import _host
from workbench.errors import WorkbenchError
from workbench.session import failures
from workbench.session.instance import Instance
from workbench.session.revision import Revision
from workbench.session.shm import exhausted

__all__ = ["run_batch"]


def run_batch(
    revision: Revision, instance: Instance, requests: list[_host.Request], timeout: float | None
) -> None:
    """Execute a batch on an instance this thread holds; an instance that does not come through it is
    replaced. What the model asks back is left to the caller.

    Raises:
        InferTimeout, StubCrashedError, ShmExhausted, KeyboardInterrupt: see `ModelHost.infer`.
    """
    channel, name = instance.channel, revision.config.name
    try:
        channel.execute(requests, timeout)
    except _host.StubNotHealthy:
        raise revision.lose(instance, "in execute") from None
    except _host.StubTimeout:
        stack = instance.stack()
        revision.lose(instance, "in execute", patience=0, reason="SIGKILL")
        raise failures.timed_out(
            revision.plan.entry,
            f"{name} did not answer within {timeout:g} s; its process is restarted with {revision.src}",
            stack,
            "allow more with --timeout 120",
        ) from None
    except _host.PoolExhausted as error:
        raise exhausted(name, str(error), channel.capacity) from None
    except _host.ProtocolError as error:
        revision.lose(instance, "in execute", patience=0, reason="protocol error")
        raise WorkbenchError(f"{name} broke the protocol: {error}") from None
    except KeyboardInterrupt:
        # The batch cannot be taken back from the process; the process can be taken from the batch.
        for each in requests:
            each.cancel()
        revision.lose(instance, "in execute", patience=0, reason="SIGKILL")
        raise
