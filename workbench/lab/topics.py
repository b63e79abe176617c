"""What a front end can follow, and how what is new about it is found."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from workbench.errors import WorkbenchError
from workbench.session.model_data import error_data, models_data
from workbench.session.workbench import Workbench

__all__ = ["Message", "ModelsTopic", "Topic"]

#: (kind, body)
Message = tuple[str, dict[str, Any]]


class Topic:
    """One topic as one front end sees it: it remembers what that front end has been told.

    Attributes:
        name: As front ends call it.
        is_sampled: Whether it has to be looked at, since nothing says when it changes.
        shortest_period: Seconds between two looks at least, whatever the front end wants.
    """

    name = ""
    is_sampled = False
    shortest_period = 0.0

    def open(self, changed: Callable[[], None]) -> None:
        """Begin to watch, from nothing told: call `changed`, from any thread, when there may be news."""

    def close(self) -> None:
        """Watch no more."""

    def news(self) -> Iterable[Message]:
        """What is new since the last call; everything, the first time after `open`."""
        raise NotImplementedError


class ModelsTopic(Topic):
    """All models on opening and when one comes or goes; one model when it changed; errors as they happen."""

    name = "models"
    _ERRORS = 20  # told at once; of more the last

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench
        self._told: dict[str, dict[str, Any]] | None = None
        self._errors: deque[tuple[str, WorkbenchError]] = deque(maxlen=self._ERRORS)
        self._end: Callable[[], None] = lambda: None

    def open(self, changed: Callable[[], None]) -> None:
        self._told = None

        def listen(name: str, error: WorkbenchError | None) -> None:
            if error is not None:
                self._errors.append((name, error))
            changed()

        self._end = self._workbench.changes.subscribe(listen)

    def close(self) -> None:
        self._end()

    def news(self) -> Iterable[Message]:
        # Not all at once: one that comes meanwhile would be dropped.
        errors = [self._errors.popleft() for _ in range(len(self._errors))]
        before, now = self._told, {each["name"]: each for each in models_data(self._workbench)}
        self._told = now
        if before is None or before.keys() != now.keys():
            yield "models", {"models": list(now.values())}
        else:
            yield from (("model", {"model": each}) for name, each in now.items() if each != before[name])
        for name, error in errors:
            yield "error", error_data(error, name)
