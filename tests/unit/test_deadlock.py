"""Circles of waits between instances."""

from __future__ import annotations

from typing import Any

from workbench.session.deadlock import find_cycle


class Config:
    def __init__(self, name: str) -> None:
        self.name = name


class Plan:
    def __init__(self, name: str) -> None:
        self.config = Config(name)


class Node:
    """An instance, as far as the search sees it."""

    def __init__(self, name: str) -> None:
        self.plan = Plan(name)
        self.pending: dict[Any, Any] = {}


class Group:
    """A revision with some instances."""

    def __init__(self, name: str, count: int = 1) -> None:
        self.config = Config(name)
        self.instances = [Node(name) for _ in range(count)]


def waits(node: Node, group: Group, on: Node | None = None) -> None:
    node.pending[object()] = (group, on)


def cycle(node: Node, group: Group) -> list[str]:
    return find_cycle(node, group)  # type: ignore[arg-type]


def test_a_model_that_calls_itself() -> None:
    a = Group("a")
    waits(a.instances[0], a)
    assert cycle(a.instances[0], a) == ["a", "a"]


def test_a_second_instance_breaks_the_circle() -> None:
    a = Group("a", count=2)
    waits(a.instances[0], a)
    assert cycle(a.instances[0], a) == []


def test_a_circle_over_a_third() -> None:
    a, b = Group("pipeline"), Group("rank")
    waits(a.instances[0], b, b.instances[0])
    waits(b.instances[0], a)
    assert cycle(b.instances[0], a) == ["rank", "pipeline", "rank"]


def test_two_requests_that_block_each_other() -> None:
    a, b = Group("a"), Group("b")
    waits(a.instances[0], b)
    waits(b.instances[0], a)
    assert cycle(a.instances[0], b) == ["a", "b", "a"]


def test_waiting_for_a_busy_model_is_no_circle() -> None:
    a, b = Group("a"), Group("b")
    waits(a.instances[0], b)
    assert cycle(a.instances[0], b) == []


def test_one_of_many_instances_still_moving_is_enough() -> None:
    a, b = Group("a", count=2), Group("b")
    waits(a.instances[0], b, b.instances[0])
    waits(b.instances[0], a)
    assert cycle(b.instances[0], a) == []
    waits(a.instances[1], b)
    assert cycle(b.instances[0], a) == ["b", "a", "b"]
