"""Vectors of the member ``ip`` in the emitted layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .values import CURRENT

if TYPE_CHECKING:
    from ..files import Json
    from .suite import Suite

VALUES: dict[str, tuple[Any, str | None]] = {
    "v4": ("203.0.113.7", None),
    "mapped": ("::ffff:203.0.113.7", None),
    "v6": ("2001:db8::1", None),
    "free-text": ("<script>, unknown", None),
    "one-character": ("x", None),
    "empty": ("", "minLength"),
    "number": (1, "type"),
    "null": (None, "type"),
}


def add_ips(suite: Suite, message: Json, prefix: str, *, allowed: bool) -> None:
    """Add the member ``ip``, where it may come and where it never does."""
    place = suite.at(message, "ip")
    if allowed:
        place.add_each_wrong(f"{prefix}-ip", "ip is a string that is not empty.", VALUES)
        return
    # Before the current revision the schema knows no such member; in it, the member is ruled out by type.
    keyword = "not" if suite.revision == CURRENT else "additionalProperties"
    description = "ip never comes with this type in this revision."
    values = {name: value for name, (value, _) in VALUES.items()}
    place.add_each(f"{prefix}-ip", description, values, keyword)
