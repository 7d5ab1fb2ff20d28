"""Prepares values of unknown origin for print: short, in one line, without secrets."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def escape_unprintable(text: str) -> str:
    """Return text of unknown origin in one line; what a terminal would not show is escaped as in JSON."""
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() else json.dumps(mark)[1:-1] for mark in text)


MAX_SHOWN_CHARACTERS = 120


def format_value(value: Any, *, mask: bool = False, whole: bool = False) -> str:
    """Return a value for a person to read: one line, at most 120 characters, safe for any terminal.

    Args:
        value: A value as ``javascript_json.parse`` returns it.
        mask: Show its form only: a letter as ``x``, a digit as ``#``.
        whole: Show what is in an object or array too.
    """
    if whole and isinstance(value, (dict, list)):
        text = json.dumps(value)
        return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"
    if isinstance(value, dict):
        return f"an object with the members {format_names(value)}" if value else "an empty object"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, str):
        # Cut before the text is made, for a value may hold megabytes.
        text = json.dumps(value[: MAX_SHOWN_CHARACTERS + 1])
        if mask:
            text = re.sub("[A-Za-z]", "x", re.sub("[0-9]", "#", text)) + " (masked)"
        return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"
    if mask and isinstance(value, (int, float)) and not isinstance(value, bool):
        return "a number (masked)"
    return json.dumps(value)[:MAX_SHOWN_CHARACTERS]


SECRET_VARIABLES = ("code", "link")
"""The variables of a payload with which any reader can sign in."""


def format_variable(name: str, value: Any, *, whole: bool = False) -> str:
    """Return a variable of a payload for a person to read, masked where it is a code or link.

    Args:
        name: Its name in the payload.
        value: Its value.
        whole: Show what is in an object or array too.
    """
    mask = name in SECRET_VARIABLES
    return format_value(value, mask=mask, whole=whole and not mask)


def format_names(members: Iterable[str]) -> str:
    """Return up to twelve names, each cut to MAX_SHOWN_CHARACTERS, and how many more there are."""
    names = list(members)
    text = ", ".join(json.dumps(name[:MAX_SHOWN_CHARACTERS]) for name in names[:12])
    return (text + (f" and {len(names) - 12} more" if len(names) > 12 else "")) or "none"


def mask_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return a text with ``(masked)`` in the place of each secret.

    Args:
        text: The text.
        secrets: What must not be printed; a longer one is masked before a shorter one inside it.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "(masked)")
    return text


def credential_forms(authorization: str) -> set[str]:
    """Return a value of ``Authorization``, and each part of it that is secret by itself."""
    pair = basic_credential(authorization) or ""
    return {authorization, authorization.partition(" ")[2], pair, pair.partition(":")[2]}


def basic_credential(authorization: str) -> str | None:
    """Return user and password of a value for Basic authorization; None for any other."""
    scheme, _, credential = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(credential, validate=True).decode()
    except ValueError:
        return None
    return pair if ":" in pair else None


def count_noun(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it is due."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
