"""New methods for a living model: its processes, and what ``initialize`` made in them, stay.

See docs/design/iterate.md.
"""

from __future__ import annotations

from contextvars import copy_context
from dataclasses import replace

from workbench import _host
from workbench.errors import ModelLoadError, WorkbenchError
from workbench.model_source import ModelEntry
from workbench.session import failures
from workbench.session.ensemble import EnsembleRevision
from workbench.session.instance import Instance
from workbench.session.revision import Revision

__all__ = ["check_patchable", "patch"]


def check_patchable(revision: Revision | EnsembleRevision) -> Revision:
    """Refuse a revision whose processes cannot be patched. Raises WorkbenchError."""
    name = revision.config.name
    again = "load it anew: leave --patch out"
    if isinstance(revision, EnsembleRevision):
        raise WorkbenchError(f"{name} is an ensemble: it has no methods to patch", hint=again)
    if revision.plan.launcher.stub != "own":
        raise WorkbenchError(
            f"{name} runs in NVIDIA's stub, which cannot be patched", hint=f"{again}, or --stub nvidia"
        )
    if revision.plan.entry.backend_dir is not None:
        raise WorkbenchError(
            f"{name} is served by a Python-based backend, which cannot be patched", hint=again
        )
    if revision.config.sequence_batching is not None:
        raise WorkbenchError(
            f"{name} handles sequences, which hold its instances, so it cannot be patched", hint=again
        )
    return revision


def patch(revision: Revision, entry: ModelEntry, timeout: float) -> None:
    """Swap the methods in every instance; requests wait meanwhile, and none is lost.

    Args:
        revision: What serves. Afterwards it is a revision of `entry`.
        entry: A folder with the new source; its configuration is the revision's.
        timeout: Seconds to wait for instances that are busy, and for the new source to be executed.

    Raises:
        ModelLoadError: the new source failed, or did not get through; every instance is as before.
        InferTimeout: the instances stayed busy.
        StubCrashedError: a process was found dead, or died; it is restarted with the source it had.
    """
    serving = revision.src
    context = copy_context()
    with revision.all_held(timeout) as instances:
        done: list[Instance] = []
        try:
            for each in instances:
                each.route.context = context
                _patch_one(revision, each, entry, timeout, serving)
                done.append(each)
        except BaseException:
            for each in done:
                _undo(revision, each, timeout)
            raise
        revision.become(replace(entry, patched=True))


def _patch_one(
    revision: Revision, instance: Instance, entry: ModelEntry, timeout: float, serving: str
) -> None:
    try:
        instance.patch(entry, timeout, serving=serving)
    except _host.StubNotHealthy:
        if not instance.channel.alive:
            raise revision.lose(instance, "while being patched") from None
        stack = instance.stack()
        revision.lose(instance, "while being patched", patience=0, reason="SIGKILL")
        raise ModelLoadError(
            f"{entry.name} did not get through its patch within {timeout:g} s{failures.keeps(serving)}",
            frames=failures.parse_stack(stack, entry),
            serving=serving,
            hint="load it anew: leave --patch out",
        ) from None
    except KeyboardInterrupt:
        revision.lose(instance, "while being patched", patience=0, reason="SIGKILL")
        raise
    finally:
        if not instance.lost:
            instance.catch_up()


def _undo(revision: Revision, instance: Instance, timeout: float) -> None:
    try:
        instance.undo_patch(timeout)
    except _host.StubNotHealthy:
        # It comes up again with the source it had.
        revision.lose(instance, "while being patched", patience=0, reason="SIGKILL")
