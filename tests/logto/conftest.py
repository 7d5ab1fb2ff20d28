"""Fixtures that run the real Logto packages in Node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.logto.node import NodeWorker

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMAS = Path(__file__).parents[2] / "schemas"


@pytest.fixture(scope="session")
def guards() -> Iterator[NodeWorker]:
    """Return the worker that judges JSON texts with the real guards, see ``guards.mjs``."""
    with NodeWorker("guards.mjs") as worker:
        yield worker


@pytest.fixture(scope="session")
def connector() -> Iterator[NodeWorker]:
    """Return the worker that sends with the real connector, see ``connector.mjs``."""
    with NodeWorker("connector.mjs") as worker:
        yield worker


@pytest.fixture(scope="session")
def url_reader() -> Iterator[NodeWorker]:
    """Return the worker that reads URLs with Node's own parser, see ``urls.mjs``."""
    with NodeWorker("urls.mjs") as worker:
        yield worker


@pytest.fixture(scope="session")
def ajv() -> Iterator[NodeWorker]:
    """Return the worker that judges with Ajv by every schema in ``schemas/``, see ``ajv.mjs``."""
    with NodeWorker("ajv.mjs", *sorted(SCHEMAS.rglob("*.schema.json"))) as worker:
        yield worker
