"""Fixtures of the tests in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.browser.chromium import ARGUMENTS, require_chromium
from tests.browser.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser


# Of a module, not of the session: as long as Playwright runs, its event loop is the running one of this
# thread, and tests elsewhere that run a loop of their own would fail.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return Chromium, without a window."""
    path = require_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    """Return a server of its own, with an empty inbox."""
    with Serving(tmp_path) as running:
        yield running
