"""Whether a model is ready, and why not: its processes live, and its own ``is_ready`` agrees.

Rules and texts: pb_utils contract §1.7. Inference does not depend on any of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench import _host
from workbench.session.ensemble import EnsembleRevision

if TYPE_CHECKING:
    from workbench.session.bls import BlsRouter
    from workbench.session.revision import Revision

__all__ = ["why_not_ready"]

_SECONDS = 5.0  # a server's limit for is_ready()


def why_not_ready(models: BlsRouter, name: str, version: int = -1) -> str:
    """The reason in a server's words, or "" if the model is ready.

    Args:
        models: Where to look the model up.
        name: Its name.
        version: A version, -1 for any.
    """
    target = models.serving(name)
    if target is None and name in models.mocks:
        return ""
    if target is None or version not in (-1, target.plan.entry.version):
        return f"Model '{name}' is not ready."
    if target.failure is not None:
        return str(target.failure)
    if isinstance(target, EnsembleRevision):
        return _steps(models, target)
    return next((reason for reason in map(_instance, _instances(target)) if reason), "")


def _steps(models: BlsRouter, ensemble: EnsembleRevision) -> str:
    for step in ensemble.graph.steps:
        reason = why_not_ready(models, step.model, step.version)
        if reason:
            return f"in ensemble '{ensemble.config.name}', {reason}"
    return ""


def _instances(revision: Revision) -> list[tuple[str, _host.Channel]]:
    return [(each.spec.name, each.channel) for each in revision.instances]


def _instance(given: tuple[str, _host.Channel]) -> str:
    name, channel = given
    if not channel.alive:
        return f"Stub process '{name}' is not healthy."
    try:
        answer = channel.is_ready(_SECONDS)
    except _host.ModelError as error:
        return str(error)
    except _host.StubTimeout:
        return "Timed out waiting for user-defined is_ready() response"
    except _host.StubError:
        return f"Stub process '{name}' is not healthy."
    return f"Model '{name}' is not ready (user-defined check failed)." if answer is False else ""
