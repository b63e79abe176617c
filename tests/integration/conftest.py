"""A session of its own for each test, in Python or in a notebook's shell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.notebook import Notebook, loaded, make_shell
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


@pytest.fixture(scope="module")
def shell() -> Any:
    return make_shell()


@pytest.fixture
def notebook(shell: Any) -> Iterator[Notebook]:
    """A notebook with the extension loaded."""
    with loaded(shell) as notebook:
        yield notebook
    shell.reset(new_session=False)
