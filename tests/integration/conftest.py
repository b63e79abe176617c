"""A session of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from workbench.session.workbench import Workbench
from workbench.targets.live import LiveTarget


@pytest.fixture
def printed() -> list[str]:
    """What models printed for requests, as ``model: line``."""
    return []


@pytest.fixture
def live(printed: list[str]) -> Iterator[LiveTarget]:
    """The live target of a new session, closed after the test."""
    with Workbench() as workbench:
        workbench.on_output = lambda model, line: printed.append(f"{model}: {line}")
        yield LiveTarget(workbench)
