"""The browser of the browser tests: the machine's own Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support import leaks

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# No sandbox: tests run as root in containers. The rest keeps the browser off the network and out of our way.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
)


def find() -> str:
    """The executable. Without one the test is skipped; in CI it fails."""
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    reason = "no Chromium on this machine (`make browser` installs it, or says how)"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless browser for several tests. Its processes come and go as pages do, and are no leak."""
    executable = find()
    me = psutil.Process()
    before = set(me.children())
    with sync_playwright() as driver, leaks.long_lived_processes(set(me.children()) - before):
        chromium = driver.chromium.launch(executable_path=executable, args=list(_ARGUMENTS))
        try:
            yield chromium
        finally:
            chromium.close()
