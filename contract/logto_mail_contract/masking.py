"""Prepares values of unknown origin for print: short, in one line, without secrets."""

from __future__ import annotations

import base64
import json
import re
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    _Places = list[tuple[int, int]]


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

    A secret is found in any letter case, in base64, base32 or hex, as a list of the numbers of its bytes, and
    in any mix of the escapes of URLs, mail, JSON, HTML and programs. Mask a text before you cut it: fewer
    than MIN_PART_BYTES of a secret are masked only where a line ends with them.

    Args:
        text: The text.
        secrets: What must not be printed.
    """
    secrets = frozenset(secrets)
    parts = _list_parts(secrets)
    if not parts:
        return text
    hidden: list[list[int]] = []
    for plain, places in _list_readings(text):
        for start in range(len(plain)):
            for size, known in parts.items():
                if plain[start : start + size] in known:
                    first, last = places[start][0], places[start + size - 1][1]
                    if hidden and hidden[-1][0] <= first <= hidden[-1][1]:
                        hidden[-1][1] = max(last, hidden[-1][1])
                    else:
                        hidden.append([first, last])
    shown: list[str] = []
    end = -1
    for first, last in sorted(hidden):
        if first > end:
            shown.append(text[max(end, 0) : first])
        end = max(end, last)
    text = "(masked)".join([*shown, text[max(end, 0) :]])
    return _compile_beginnings(secrets).sub("(masked)", text)


MIN_PART_BYTES = 8
"""So many bytes of a secret are masked wherever they stand; fewer may be an ordinary word."""

_MIN_LONG_BYTES = 12
"""A shorter secret is masked as a whole only."""

_MAX_ESCAPES = 3
"""How many escapes one inside the other are decoded, for example JSON in a JSON string in HTML."""

_ESCAPES = (
    rb"%[0-9A-Fa-f]{2}|(?:\\u[0-9A-Fa-f]{4})+|\\x[0-9A-Fa-f]{2}|\\.|"
    rb"&(?:\#[0-9]{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});"
)
_ESCAPE = re.compile(_ESCAPES, re.DOTALL)
# These stand in ordinary text too, for example in `key=abc`: a text is read with them and without.
_RARE_ESCAPE = re.compile(
    rb"=[0-9A-Fa-f]{2}|(?P<octal>\\[0-3][0-7]{2})|"
    rb"(?P<code>\\u\{[0-9A-Fa-f]{1,6}\}|%u[0-9A-Fa-f]{4})|&\#(?:[0-9]{1,7}+|[xX][0-9A-Fa-f]{1,6}+)(?!;)|"
    # Soft line breaks of mail, colors of a terminal, tags, zero bytes, and characters without a width.
    rb"(?P<nothing>=\r?\n|\x1b\[[0-9;]*+[A-Za-z]|<[^<>]{0,99}>|\x00|\xc2\xad|\xe2\x80[\x8b-\x8d]|\xef\xbb\xbf)|"
    rb"(?P<wide>\xef(?:\xbc[\x81-\xbf]|\xbd[\x80-\x9e]))|" + _ESCAPES,
    re.DOTALL,
)
_WIDE_OFFSET = 0xFEE0
# The bytes of a text as programs print them, for example `<Buffer 73 33>`, `0x73,0x33` or `{"0":115,"1":51}`.
_NUMBERS = (
    (re.compile(rb"[0-9a-f]{2}(?:[ :,]*+(?:0x)?[0-9a-f]{2}){3,}"), re.compile(rb"(?:0x)?([0-9a-f]{2})"), 16),
    (
        re.compile(rb'(?<![0-9])[0-9]{1,3}(?:[ ,;]++(?:"[0-9]++" ?: ?)?[0-9]{1,3}(?![0-9])){3,}'),
        re.compile(rb'(?:"[0-9]+" ?: ?)?([0-9]+)'),
        10,
    ),
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
    yield _decode_escapes(*_locate_bytes(secret.decode("utf-8", "surrogatepass")), _ESCAPE)[0]
    encoded = [secret.hex().encode(), *_list_parts_in_base(secret, 32)]
    encoded.append(_decode_escapes(*_locate_bytes(secret.decode("utf-8", "surrogatepass")), _RARE_ESCAPE)[0])
    for once in _list_parts_in_base(secret, 64):
        encoded += (once, *_list_parts_in_base(once, 64))
    # A shorter one may stand in a text by chance.
    yield from (text for text in encoded if len(text) >= MIN_PART_BYTES)


def _list_parts_in_base(data: bytes, base: int) -> Iterator[bytes]:
    """Yield what stands for some bytes in a longer text in base64 or base32, for each way that they fall."""
    encode, bits, group = (base64.b64encode, 6, 3) if base == 64 else (base64.b32encode, 5, 5)
    for before in range(group):
        # Characters at both ends that the neighbours change are left out.
        text = encode(bytes(before) + data).rstrip(b"=")
        yield text[-(-before * 8 // bits) : (before + len(data)) * 8 // bits]


def _level(data: bytes) -> bytes:
    return data.lower().translate(_SAME, _IGNORED)


def _locate_bytes(text: str) -> tuple[bytes, _Places]:
    """Return a text in UTF-8, and for each byte its place in the text."""
    data = text.encode("utf-8", "surrogatepass")
    if text.isascii():
        return data, [(start, start + 1) for start in range(len(text))]
    widths = (len(mark.encode("utf-8", "surrogatepass")) for mark in text)
    return data, [(start, start + 1) for start, width in enumerate(widths) for _ in range(width)]


def _list_readings(text: str) -> Iterator[tuple[bytes, _Places]]:
    """Yield what a text may stand for, leveled as secrets are, and for each byte its place in the text."""
    located = _locate_bytes(text)
    plain, places = _decode_escapes(*located, _ESCAPE)
    yield plain, places
    rare = _decode_escapes(*located, _RARE_ESCAPE)
    if rare[0] != plain:
        yield rare
    for run, number, base in _NUMBERS:
        for numbers in run.finditer(plain):
            found = [
                (value, (places[each.start(1)][0], places[each.end(1) - 1][1]))
                for each in number.finditer(plain, *numbers.span())
                if (value := int(each[1], base)) < 256
            ]
            yield _level_located(bytes(value for value, _ in found), [place for _, place in found])


def _decode_escapes(data: bytes, places: _Places, pattern: re.Pattern[bytes]) -> tuple[bytes, _Places]:
    for _ in range(_MAX_ESCAPES):
        decoded = bytearray()
        moved: _Places = []
        end = 0
        for found in pattern.finditer(data):
            value = _decode_escape(found)
            decoded += data[end : found.start()] + value
            moved += places[end : found.start()]
            moved += [(places[found.start()][0], places[found.end() - 1][1])] * len(value)
            end = found.end()
        if not end:
            break
        data, places = bytes(decoded + data[end:]), moved + places[end:]
    return _level_located(data, places)


def _level_located(data: bytes, places: _Places) -> tuple[bytes, _Places]:
    return _level(data), [place for byte, place in zip(data, places, strict=True) if byte not in _IGNORED]


def _decode_escape(found: re.Match[bytes]) -> bytes:
    escape = found[0]
    match found.lastgroup:
        case "nothing":
            return b""
        case "octal":
            return bytes([int(escape[1:], 8)])
        case "code":
            return _encode_code(int(escape[2:].strip(b"{}"), 16))
        case "wide":
            return _encode_code(ord(escape.decode()) - _WIDE_OFFSET)
    if escape.startswith(b"&"):
        # Here: what every pytest run loads imports little.
        from html import unescape

        return unescape(escape.decode()).encode("utf-8", "surrogatepass")
    if escape.startswith(b"\\u") and len(escape) > 2:
        text: str = json.loads(f'"{escape.decode()}"')
        return text.encode("utf-8", "surrogatepass")
    if escape.startswith((b"%", b"=", b"\\x")) and len(escape) > 2:
        return bytes.fromhex(escape[-2:].decode())
    mark = escape[1:]
    return b"" if mark in _CONTROL_LETTERS else mark


def _encode_code(code: int) -> bytes:
    return chr(code).encode("utf-8", "surrogatepass") if code <= sys.maxunicode else b""


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
