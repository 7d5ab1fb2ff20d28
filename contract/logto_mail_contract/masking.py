"""Prepares values of unknown origin for print: short, in one line, without secrets."""

from __future__ import annotations

import base64
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


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
    """Return a text with ``(masked)`` in the place of each secret, and of each part of a long one.

    A secret is found in any letter case, in base64 or hex, and in any mix of the escapes of URLs, JSON, HTML
    and Python. Mask a text before you cut it: fewer than MIN_PART_BYTES of a secret are masked only where a
    line ends with them.

    Args:
        text: The text.
        secrets: What must not be printed.
    """
    secrets = frozenset(secrets)
    parts = _list_parts(secrets)
    if not parts:
        return text
    plain, places = _decode_escapes(text)
    hidden: list[list[int]] = []
    for start in range(len(plain)):
        for size, known in parts.items():
            if plain[start : start + size] in known:
                first, last = places[start][0], places[start + size - 1][1]
                if hidden and first <= hidden[-1][1]:
                    hidden[-1][1] = max(last, hidden[-1][1])
                else:
                    hidden.append([first, last])
    for first, last in reversed(hidden):
        text = f"{text[:first]}(masked){text[last:]}"
    return _compile_beginnings(secrets).sub("(masked)", text)


MIN_PART_BYTES = 8
"""So many bytes of a secret are masked wherever they stand; fewer may be an ordinary word."""

_MIN_LONG_BYTES = 12
"""A shorter secret is masked as a whole only."""

_MAX_ESCAPES = 3
"""How many escapes one inside the other are decoded, for example JSON in a JSON string in HTML."""

_ESCAPE = re.compile(
    rb"%[0-9A-Fa-f]{2}|(?:\\u[0-9A-Fa-f]{4})+|\\x[0-9A-Fa-f]{2}|\\.|"
    rb"&(?:\#[0-9]{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});",
    re.DOTALL,
)
_CONTROL_LETTERS = b"nrtbf"
# Forms write a blank as a plus; base64 for URLs has two other characters. Lines may be wrapped.
_SAME = bytes.maketrans(b"+-_", b"  /")
_IGNORED = b"\r\n\t\b\f"


_MIN_BEGINNING_CHARACTERS = 4


@lru_cache(maxsize=64)
def _compile_beginnings(secrets: frozenset[str]) -> re.Pattern[str]:
    """Return a pattern for the beginning of a secret where somebody cut a text: at the end of a line."""
    beginnings = {
        re.escape(secret[:size])
        for secret in secrets
        for size in range(_MIN_BEGINNING_CHARACTERS, min(len(secret), _MIN_LONG_BYTES))
    }
    longest_first = "|".join(sorted(beginnings, key=len, reverse=True)) or "(?!)"
    return re.compile(rf"(?:{longest_first})(?=[\"')\]]*(?:…|\.\.\.|[\r\n]|\Z))", re.IGNORECASE)


@lru_cache(maxsize=64)
def _list_parts(secrets: frozenset[str]) -> dict[int, set[bytes]]:
    """Return the bytes to look for, by their number."""
    parts: dict[int, set[bytes]] = {}
    for secret in secrets:
        for form in _list_encodings(secret.encode("utf-8", "surrogatepass")):
            whole = _level(form)
            size = MIN_PART_BYTES if len(whole) >= _MIN_LONG_BYTES else len(whole)
            known = parts.setdefault(size, set())
            known.update(whole[start : start + size] for start in range(len(whole) - size + 1))
    parts.pop(0, None)
    return parts


def _list_encodings(secret: bytes) -> Iterator[bytes]:
    yield secret
    # What looks like an escape in it is decoded in the text.
    yield _decode_escapes(secret.decode("utf-8", "surrogatepass"))[0]
    encoded = [secret.hex().encode()]
    for before in range(3):
        # Inside other text that is encoded too, three different texts stand for it. Those characters at
        # both ends that its neighbours change are left out.
        text = base64.b64encode(bytes(before) + secret).rstrip(b"=")
        rest = (before + len(secret)) % 3
        encoded.append(text[(0, 2, 3)[before] : len(text) - (1 if rest else 0)])
    # A shorter one may stand in a text by chance.
    yield from (text for text in encoded if len(text) >= MIN_PART_BYTES)


def _level(data: bytes) -> bytes:
    return data.lower().translate(_SAME, _IGNORED)


def _decode_escapes(text: str) -> tuple[bytes, list[tuple[int, int]]]:
    """Return a text without escapes, leveled as secrets are, and for each byte its place in the text."""
    data = text.encode("utf-8", "surrogatepass")
    if text.isascii():
        places = [(start, start + 1) for start in range(len(text))]
    else:
        widths = (len(mark.encode("utf-8", "surrogatepass")) for mark in text)
        places = [(start, start + 1) for start, width in enumerate(widths) for _ in range(width)]
    for _ in range(_MAX_ESCAPES):
        decoded = bytearray()
        moved: list[tuple[int, int]] = []
        end = 0
        for found in _ESCAPE.finditer(data):
            value = _decode_escape(found[0])
            decoded += data[end : found.start()] + value
            moved += places[end : found.start()]
            moved += [(places[found.start()][0], places[found.end() - 1][1])] * len(value)
            end = found.end()
        if not end:
            break
        data, places = bytes(decoded + data[end:]), moved + places[end:]
    kept = [place for byte, place in zip(data, places, strict=True) if byte not in _IGNORED]
    return _level(data), kept


def _decode_escape(escape: bytes) -> bytes:
    if escape.startswith(b"&"):
        # Here: what every pytest run loads imports little.
        from html import unescape

        return unescape(escape.decode()).encode("utf-8", "surrogatepass")
    if escape.startswith(b"\\u") and len(escape) > 2:
        text: str = json.loads(f'"{escape.decode()}"')
        return text.encode("utf-8", "surrogatepass")
    if escape.startswith((b"%", b"\\x")) and len(escape) > 2:
        return bytes.fromhex(escape[-2:].decode())
    mark = escape[1:]
    return b"" if mark in _CONTROL_LETTERS else mark


def credential_forms(authorization: str) -> set[str]:
    """Return each part of a value of ``Authorization`` that is secret by itself.

    It is the value without its scheme; of the scheme Basic also user and password, and the password. A user
    that looks like a key is one. With so short a credential that any text has it, it is the whole value.
    """
    credential = authorization.partition(" ")[2]
    user, colon, password = (basic_credential(authorization) or "").partition(":")
    forms = {credential if len(credential) > 3 else authorization, user + colon + password, password}
    if colon and (not password or is_distinctive(user)):
        forms.add(user)
    return forms


def is_distinctive(secret: str) -> bool:
    """Return whether a text is surely no ordinary word: it has more than 15 characters, or 6 and a digit."""
    return len(secret) > 5 and (len(secret) > 15 or re.search("[0-9]", secret) is not None)


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
