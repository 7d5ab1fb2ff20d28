"""Moves the references of a schema to where another document has its definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

DEFINITIONS = "#/$defs/"


def move_refs(schema: Any, move: Callable[[str], str]) -> Any:
    """Return ``schema`` with each reference to a definition replaced by what ``move`` makes of its name."""
    if isinstance(schema, list):
        return [move_refs(part, move) for part in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {}
    for key, value in schema.items():
        if key == "$ref":
            moved[key] = move(value.removeprefix(DEFINITIONS))
        else:
            # Examples are messages: a member named $ref in one would be data.
            moved[key] = value if key == "examples" else move_refs(value, move)
    return moved
