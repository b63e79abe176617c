"""Calls between models that wait for each other in a circle."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.session.calls import Caller
    from workbench.session.instance import Instance
    from workbench.session.revision import Revision

__all__ = ["find_cycle"]


def find_cycle(caller: Caller, target: Revision) -> list[str]:
    """The names along a circle of waits that `caller`, waiting for `target`, is part of; [] if there is none.

    Every instance knows its pending calls: (revision, None) waits for any instance of that revision,
    (revision, instance) for that instance to answer. An instance is stuck if one of its calls waits only for
    stuck ones. The stuck ones are what is left when, starting from all that have calls pending, those that
    can still move are struck out until nothing changes.
    """
    stuck = _reachable(caller)
    if not all(each in stuck for each in target.instances):
        return []
    changed = True
    while changed:
        movable = [each for each in stuck if not _waits_only_for(each, stuck)]
        stuck.difference_update(movable)
        changed = bool(movable)
    if caller not in stuck or not all(each in stuck for each in target.instances):
        return []
    return _path(caller, target, stuck)


def _calls(instance: Caller) -> list[tuple[Revision, Instance | None]]:
    return list(instance.pending.values())


def _reachable(start: Caller) -> set[Caller]:
    """Instances with pending calls that can be reached along calls."""
    seen: set[Caller] = set()
    todo = [start]
    while todo:
        each = todo.pop()
        calls = _calls(each)
        if each in seen or not calls:
            continue
        seen.add(each)
        for revision, instance in calls:
            todo += [instance] if instance is not None else revision.instances
    return seen


def _waits_only_for(instance: Caller, stuck: set[Caller]) -> bool:
    return any(
        (callee in stuck) if callee is not None else all(each in stuck for each in revision.instances)
        for revision, callee in _calls(instance)
    )


def _path(caller: Caller, target: Revision, stuck: set[Caller]) -> list[str]:
    """Names from a model back to itself."""
    names = [caller.plan.config.name]
    revision, instance = target, None
    seen: set[Caller] = {caller}
    while True:
        names.append(revision.config.name)
        holder = instance or next((each for each in revision.instances if each in stuck), None)
        if holder is None or holder in seen:
            break
        seen.add(holder)
        following = [
            (rev, inst)
            for rev, inst in _calls(holder)
            if (inst in stuck if inst is not None else all(each in stuck for each in rev.instances))
        ]
        if not following:
            break
        revision, instance = following[0]
    # From the first time the last name occurs: what led into the circle is not part of it.
    last = names[-1]
    return names[names.index(last) :] if names.count(last) > 1 else names
