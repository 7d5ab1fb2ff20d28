"""Starts the mail endpoint and the app once for all tests, or once per worker of pytest-xdist."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def serving(*command: str, **environment: str) -> Iterator[str]:
    """Run a program that prints the URL it serves at, and give that URL."""
    with subprocess.Popen(  # noqa: S603 - the two programs named below
        command,
        cwd=Path(__file__).parent,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if url := re.search(r"http://127\.0\.0\.1:\d+", line):
                    break
            else:
                pytest.fail(f"{' '.join(command)} ended, with {process.wait()}")
            # Keep reading: a full pipe would block the program.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield url[0]
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def mail_url() -> Iterator[str]:
    """Return the URL of the mail endpoint and of its API."""
    with serving("mail-contract", "serve", "--port", "0") as url:
        yield url


@pytest.fixture(scope="session")
def app_url(mail_url: str) -> Iterator[str]:
    """Return the URL of the app, whose mail goes to the mail endpoint."""
    with serving("node", "app.mjs", MAIL_ENDPOINT=mail_url) as url:
        yield url


@pytest.fixture
def mail(mail_url: str) -> Iterator[httpx.Client]:
    """Return a client of the inbox. Its time-out is longer than any `wait` of the tests."""
    with httpx.Client(base_url=mail_url, timeout=30) as client:
        yield client


@pytest.fixture
def app(app_url: str) -> Iterator[httpx.Client]:
    """Return a client of the app, in the place of a browser."""
    with httpx.Client(base_url=app_url, timeout=30) as client:
        yield client


@pytest.fixture
def email() -> str:
    """Return a recipient for this test alone: other tests may run at the same time."""
    return f"{uuid.uuid4()}@example.com"
