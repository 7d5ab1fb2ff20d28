"""The recordings of a real Logto in ``tests/schemas/data/``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_DATA = Path(__file__).parents[1] / "schemas" / "data"


def _lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (_DATA / name).read_text(encoding="utf-8").splitlines()]


def bodies() -> list[str]:
    """Return the request bodies that Logto v1.42.0 posted, of every template type."""
    return [line["body"] for line in _lines("recorded-bodies-v1.42.0.ndjson")]


def bodies_by_flow() -> dict[str, str]:
    """Return the request bodies that Logto v1.42.0 posted, by the flow that made it post."""
    return {line["flow"]: line["body"] for line in _lines("recorded-bodies-v1.42.0.ndjson")}


def type_of(body: str) -> str:
    """Return the template type of a body, to name a test."""
    return str(json.loads(body)["type"])


def guard_verdicts() -> list[dict[str, Any]]:
    """Return JSON texts with the verdict of the guard of each revision: ``label``, ``json``, ``accepts``."""
    return _lines("observed-guard-verdicts.ndjson")
