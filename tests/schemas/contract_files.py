"""Reads the contract in ``schemas/`` and judges with both engines, for the tests beside it."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

    import jsonschema_rs
    from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "schemas"
DATA = Path(__file__).with_name("data")

Schema = dict[str, Any]
Error = tuple[str, str]
"""A keyword and the JSON Pointer to what it refuses."""


def load(name: str) -> Any:
    """Return a parsed file below ``schemas/``."""
    return json.loads((SCHEMAS / name).read_text(encoding="utf-8"))


@cache
def index() -> dict[str, Any]:
    """Return the catalogue."""
    catalogue: dict[str, Any] = load("index.json")
    return catalogue


def layers() -> list[tuple[str, str]]:
    """Return every revision with each of its layers."""
    return [(revision["id"], layer) for revision in index()["revisions"] for layer in revision["files"]]


@cache
def schema(revision: str, layer: str) -> Schema:
    """Return a message schema; do not change it."""
    [entry] = [entry for entry in index()["revisions"] if entry["id"] == revision]
    found: Schema = load(entry["files"][layer])
    return found


def read_json(text: str) -> Any:
    """Read JSON as strictly as ``JSON.parse``, as deep as the tests need.

    Raises:
        ValueError: The text is not JSON.
    """

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    with deep_recursion():
        return json.loads(text, parse_constant=refuse)


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Allow reading and judging values a thousand levels deep."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@dataclass(frozen=True)
class Vector:
    """One labelled message.

    Attributes:
        difficulty: What parsers read differently in it; None where only the schema decides.
    """

    id: str
    value: Any
    readable: bool
    error: Error | None
    difficulty: str | None

    @property
    def errors(self) -> list[Error]:
        """Return the errors that an engine must report."""
        return [] if self.error is None else [self.error]


@cache
def vectors(revision: str, layer: str) -> tuple[Vector, ...]:
    """Return the vectors of a schema."""
    [entry] = [entry for entry in index()["revisions"] if entry["id"] == revision]
    found = []
    for group in load(entry["vectors"][layer]):
        for test in group["tests"]:
            error = None if test["valid"] else (test["keyword"], test["pointer"])
            value, readable = test.get("data"), True
            if "text" in test:
                try:
                    value = read_json(test["text"])
                except ValueError:
                    readable = False
            found.append(Vector(test["id"], value, readable, error, test.get("difficulty")))
    return tuple(found)


def pointer(steps: Any) -> str:
    """Return the JSON Pointer of an engine's path."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def python_errors(validator: Draft202012Validator, value: Any) -> list[Error]:
    """Return the errors that jsonschema reports."""
    with deep_recursion():
        return [
            (
                "propertyNames" if "propertyNames" in error.absolute_schema_path else str(error.validator),
                pointer(error.absolute_path),
            )
            for error in validator.iter_errors(value)
        ]


def rust_errors(validator: jsonschema_rs.Draft202012Validator, value: Any) -> list[Error] | None:
    """Return the errors that jsonschema-rs reports, None where it cannot read the value."""
    try:
        return [
            (
                "propertyNames" if "propertyNames" in error.schema_path else str(error.schema_path[-1]),
                pointer(error.instance_path),
            )
            for error in validator.iter_errors(value)
        ]
    except (UnicodeEncodeError, ValueError):
        return None


def subschemas(document: Schema, location: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """Yield every subschema of a schema with its location; boolean schemas are left out."""
    yield location, document
    for keyword in ("$defs", "properties"):
        for name, inner in document.get(keyword, {}).items():
            yield from subschemas(inner, (*location, keyword, name))
    for keyword in ("additionalProperties", "if", "then", "not", "propertyNames", "items"):
        if isinstance(document.get(keyword), dict):
            yield from subschemas(document[keyword], (*location, keyword))
    for number, inner in enumerate(document.get("allOf", [])):
        yield from subschemas(inner, (*location, "allOf", str(number)))


def at(document: Any, location: tuple[str, ...]) -> Any:
    """Return the part of a document at ``location``."""
    for step in location:
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document
