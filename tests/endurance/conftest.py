"""The session that the long runs on the live host use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import workbench as wb


@pytest.fixture
def session() -> Iterator[wb.Workbench]:
    """The kernel's session, closed afterwards."""
    yield wb.current()
    wb.current().close()
