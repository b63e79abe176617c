"""A browser and a JupyterLab server for the tests of this folder; a page and fresh kernels for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support import chromium
from tests.support.lab_page import PATIENCE_S, LabPage
from tests.support.lab_server import LabServer, lab_server
from tests.support.triton_panel import TritonPanel

# Playwright's own patience is five seconds.
expect.set_options(timeout=PATIENCE_S * 1000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(300))


# Both end with a file of tests: Playwright keeps an event loop in the main thread, where tests of other
# folders want their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def lab_of_file(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    with lab_server(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture
def lab(browser: Browser, lab_of_file: LabServer) -> Iterator[LabPage]:
    """JupyterLab in a page of its own. Its kernels end with the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    try:
        yield LabPage(page, lab_of_file)
    finally:
        context.close()
        lab_of_file.stop_kernels()


@pytest.fixture
def panel(lab: LabPage) -> TritonPanel:
    return TritonPanel(lab)


@pytest.fixture
def enough(lab: LabPage) -> Iterator[Path]:
    """A file that a cell of the test waits for; it is there at the latest when the test ends."""
    path = lab.server.notebooks / "enough"
    yield path
    path.touch()
    lab.wait_for_kernel()
    path.unlink()
