"""Who waits longest is next."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Empty
from unittest import mock

import pytest

from tests.support.waiting import until
from workbench.session import turns as turns_module
from workbench.session.turns import Place, Turns


@pytest.fixture(autouse=True)
def strict() -> Iterator[None]:
    """The order is kept from the first moment."""
    with mock.patch.object(turns_module, "_PATIENCE_S", 0.0):
        yield


class Comer(threading.Thread):
    """Comes for one thing, and gives it back when it is told."""

    def __init__(self, turns: Turns[str], served: list[str], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._turns, self._served = turns, served

    def run(self) -> None:
        thing = self._turns.get(60.0)
        self._served.append(self.name)
        self._turns.put(thing)


def line_of(turns: Turns[str], names: str) -> tuple[list[str], list[Comer]]:
    served: list[str] = []
    comers = []
    for number, name in enumerate(names, 1):
        comers.append(Comer(turns, served, name))
        comers[-1].start()
        until(lambda number=number: len(turns._line) == number)  # type: ignore[misc]
    return served, comers


def test_what_is_there_is_taken_at_once() -> None:
    turns: Turns[str] = Turns()
    turns.put("a")
    turns.put("b")
    assert [turns.get_now(), turns.get(None)] == ["a", "b"]
    with pytest.raises(Empty):
        turns.get_now()
    with pytest.raises(Empty):
        turns.get(0.01)
    with pytest.raises(Empty):
        turns.get_ahead(0.01)


def test_they_are_served_as_they_came() -> None:
    for _ in range(20):
        turns: Turns[str] = Turns()
        served, comers = line_of(turns, "12345678")
        turns.put("the only one")
        for each in comers:
            each.join(60.0)
        assert served == list("12345678")
        assert turns.get_now() == "the only one"


def test_nobody_overtakes_a_line_but_who_may() -> None:
    turns: Turns[str] = Turns()
    place = Place(turns)
    with pytest.raises(Empty):
        place.get(0.0)
    turns.put("a")
    with pytest.raises(Empty):
        turns.get_now()
    with pytest.raises(Empty):
        turns.get(0.01)
    assert turns.get_ahead(1.0) == "a"
    turns.put("b")
    place.leave()
    place.leave()
    assert turns.get_now() == "b"


def test_who_runs_already_may_overtake_who_came_just_now() -> None:
    turns: Turns[str] = Turns()
    place = Place(turns)
    with mock.patch.object(turns_module, "_PATIENCE_S", 3600.0):
        with pytest.raises(Empty):
            place.get(0.0)
        turns.put("a")
        assert turns.get_now() == "a"
    place.leave()


def test_a_place_is_kept_however_often_the_wait_is_looked_at() -> None:
    turns: Turns[str] = Turns()
    first, second = Place(turns), Place(turns)
    for place in (first, second, first, second):
        with pytest.raises(Empty):
            place.get(0.01)
    turns.put("a")
    with pytest.raises(Empty):
        second.get(0.01)
    assert first.get(1.0) == "a"
    first.leave()
    turns.put("b")
    assert second.get(1.0) == "b"
    second.leave()


def test_who_gives_up_is_passed_over() -> None:
    turns: Turns[str] = Turns()
    gone, other = Place(turns), Place(turns)
    for place in (gone, other):
        with pytest.raises(Empty):
            place.get(0.0)
    served: list[str] = []
    comer = Comer(turns, served, "x")
    comer.start()
    until(lambda: len(turns._line) == 3)
    other.leave()  # from the middle
    gone.leave()  # from the front
    turns.put("a")
    comer.join(60.0)
    assert served == ["x"]


def test_ctrl_c_on_the_way_out_gives_the_thing_back() -> None:
    turns: Turns[str] = Turns()
    left = Place.leave
    with mock.patch.object(Place, "leave", side_effect=[KeyboardInterrupt, None]):
        threading.Timer(0.05, turns.put, ["a"]).start()
        with pytest.raises(KeyboardInterrupt):
            turns.get(60.0)
    left(turns._line[0])
    assert turns.get_now() == "a"
