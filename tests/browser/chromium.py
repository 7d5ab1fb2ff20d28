"""Debian's Chromium, driven by Playwright: its path, and the checks while a page is open."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any, Self

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request

NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL = "apt-get install chromium"
# Chromium sends no requests of its own, and runs on a CI machine.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

WATCH = """
window.violations = [];
addEventListener('securitypolicyviolation', (event) => violations.push(event.violatedDirective));
"""


def require_chromium() -> str:
    """Return the path of Chromium. Without it, skip the test, or fail it in CI (``CI=true``)."""
    for name in NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    reason = f"the inbox page is tested in Chromium, which is not installed: {INSTALL}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class Visit:
    """A browser window on the inbox page, alone with its storage; a context manager.

    Leaving it asserts that nothing ran which should not: no dialog, no error in the console, no breach of the
    page's Content-Security-Policy, no request to another origin.

    Args:
        browser: The browser to open it in.
        url: The page.
        script: JavaScript to run before the page's own.
        wide: The width of the window in pixels; the window of a phone has 360.
        options: More for Playwright's ``new_context``.
    """

    def __init__(
        self, browser: Browser, url: str, script: str = "", wide: int = 1280, **options: Any
    ) -> None:
        self.problems: list[str] = []
        self._url = url
        self.context: BrowserContext = browser.new_context(
            viewport={"width": wide, "height": 740}, locale="en-GB", **options
        )
        self.context.set_default_timeout(10_000)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
        self.context.add_init_script(WATCH + script)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("dialog", self._on_dialog)
        self.page.on("request", self._on_request)

    def __enter__(self) -> Self:
        self.page.goto(self._url)
        self.page.wait_for_selector("#connection[data-state=live]")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                problems = [*self.problems, *self.page.evaluate("violations")]
                assert not problems, problems
        finally:
            self.context.close()

    def clipboard(self) -> str:
        """Return the text in the clipboard."""
        text: str = self.page.evaluate("navigator.clipboard.readText()")
        return text

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console: {message.text}")

    def _on_dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith(self._url):
            self.problems.append(f"request: {request.url}")
