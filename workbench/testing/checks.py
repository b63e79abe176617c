"""The part of ``workbench test`` that runs inside pytest, beside nbval: requirements, and what is left."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from workbench.requirements import missing, requirements_of

__all__ = ["MISSING"]

#: Exit status of a run whose only failures are requirements that this machine does not meet.
MISSING = 3


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--skip-missing", action="store_true", help="skip cells whose %%triton require is not met"
    )


class Requirements:
    """Cells from an unmet ``%triton require`` on are not run: skipped, or the first of them failed."""

    def __init__(self, skip: bool) -> None:
        self._skip = skip
        self._unmet: dict[Any, str] = {}
        self.other_failures = 0
        self.unmet_failures = 0

    def look(self, items: list[pytest.Item]) -> None:
        """Mark the cells that cannot run here."""
        for item in items:
            cell = getattr(item, "cell", None)
            if cell is None:
                continue
            notebook = item.parent
            words = requirements_of(cell.source)
            reasons = missing(words) if words and notebook not in self._unmet else []
            if reasons:
                self._unmet[notebook] = f"needs {', '.join(words)}: {'; '.join(reasons)}"
            if notebook in self._unmet:
                reason = self._unmet[notebook]
                if reasons and not self._skip:
                    item.add_marker(pytest.mark.unmet(reason))
                else:
                    item.add_marker(pytest.mark.skip(reason=reason))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "unmet(reason): a requirement that this machine does not meet")
    config.pluginmanager.register(Requirements(config.getoption("--skip-missing")), "workbench-requirements")


def _requirements(config: pytest.Config) -> Requirements:
    found = config.pluginmanager.get_plugin("workbench-requirements")
    assert isinstance(found, Requirements)
    return found


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _requirements(config).look(items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("unmet")
    if marker is not None:
        pytest.fail(f"{marker.args[0]} (--skip-missing skips it)", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if report.failed:
        count = _requirements(item.config)
        if item.get_closest_marker("unmet") is not None:
            count.unmet_failures += 1
        else:
            count.other_failures += 1
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    count = _requirements(session.config)
    if count.unmet_failures and not count.other_failures:
        session.exitstatus = MISSING
