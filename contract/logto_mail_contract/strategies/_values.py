"""Single values: codes, links, IP addresses, the names of variables and JSON of any kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from ._texts import WILD

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy


_IPS = (
    "::1",
    "::ffff:203.0.113.7",
    "203.0.113.7",
    "2001:db8::1",
    "unknown",
    "203.0.113.7:5678",
    "[2001:db8::1]:5678",
    "fe80::1%eth0",
    "_hidden",
    "<script>alert(1)</script>",
    '"><img src=x>',
    "'; --",
    "0",
    "null",
    "\u00c3\u00a9",
    "x" * 5000,
)
LINKS = (
    "https://example.com",
    "",
    "/",
    "https://example.com/?a=1&b=2",
    "https://example.com/join?token=abc",
    "https://example.com/#/join?code=000000",
    "https://example.com/%0d%0a",
    "http://localhost:3000/join",
    "//example.com",
    "foo://join/abc",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    'https://example.com/"><img src=x>',
    "https://example.com/\r\nBcc: bar@example.org",
    "https://example.com/ a",
    "https://example.com/a\0b",
    "https://example.com/\ud800",
    "https://bücher.example/ä?ö=ü",
    "not a link",
    f"https://example.com/?token={'x' * 3000}",
)
_KEYS = (
    *("foo", "to", "type", "ip", "payload", "application", "organization", "user", "inviter"),
    *("constructor", "prototype", "toString", "then", "toJSON", "", "0", "1", "length", "__proto", "proto"),
    *("<b>", "a.b", "a/b~c", "a b", "$ref", "_id", "é", "😀", "\u202e", "\0", "\ud800", "\r\n", "expiresAt"),
)
_JSON_TEXTS = (
    *("null", '"mine"', "0", "true", "false", "{}", "[]", '""', "1.5", "-1", "[null]", '{"a":null}'),
    *('{"name":"boss"}', '{"a":[1,null,true]}', '{"id":0,"name":null}', '[{"id":"foo"}]', '"000000"'),
    *('"<script>alert(1)</script>"', '"\\u0000"', '"\\ud800"', '"\\r\\n"', '"2026-01-01T00:00:00.000Z"'),
    *("9007199254740993000", "1e+300", "5e-324", '{"":{"":{}}}', '{"to":"bar@example.org"}', '{"toJSON":0}'),
    *('{"a":{"b":[{"c":[]}]}}',) * 2,
    *("[" * 100 + "]" * 100,) * 2,
    '"' + "x" * 5000 + '"',
)
# Only a sender other than Logto sends an integer that no JavaScript double holds.
_GUARD_JSON_TEXTS = (
    *_JSON_TEXTS,
    "9007199254740993",
    *("1" * 400,) * 5,
    '{"__proto__":{"code":1}}',
    '{"constructor":{}}',
    *("null",) * 5,
)
_CODES = 1_000_000
# Hypothesis prefers small numbers, but codes must begin with any digit. This factor has no divisor in common
# with a million, so the products cover all codes, and 0 stays 000000.
_SPREAD = 617_283
# The characters that Node accepts in a header, in ISO 8859-1. A comma would end the entry of X-Forwarded-For.
_FREE_IP = st.text(
    "".join(chr(code) for code in (*range(0x21, 0x7F), *range(0xA1, 0x100)) if chr(code) != ","),
    min_size=1,
    max_size=60,
)
# The mapped form is the most frequent in reality. None means any text.
_WEIGHTED_IPS = (*_IPS, *(_IPS[1],) * 6, *("<script>alert(1)</script>",) * 4, None, None, None)
_IP = st.sampled_from(_WEIGHTED_IPS)
_GUARD_IP = st.sampled_from((*_WEIGHTED_IPS, *("",) * 4))
_LINK = st.sampled_from((*LINKS, *("",) * 4, *("javascript:alert(1)", "foo://join/abc") * 2))
_WEIGHTED_KEYS = (*_KEYS, *("to", "type", "ip", "constructor", "") * 4)
KEY = st.sampled_from(_WEIGHTED_KEYS)
# `__proto__` is special in JavaScript: weight it most.
GUARD_KEY = st.sampled_from((*_WEIGHTED_KEYS, *("__proto__", "foo") * 15))
_CODE_TEXT = st.sampled_from(
    (*("", "0", "42137", "0421370", " 042137", "O42137", "٠٤٢١٣٧"), *("",) * 3, None)
)
# One number in five gives a code with a leading zero. In CODE_OR_NONE one number in four gives no code.
CODE = st.integers(0, _CODES * 5 // 4 - 1)
CODE_OR_NONE = st.integers(0, _CODES * 5 // 3)
_JSON_LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)


def _make_nested(inner: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return inner | st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3)


_JSON_TREE = _make_nested(_make_nested(_JSON_LEAF))
# None, the last one, means a tree. Every other value costs one choice.
JSON = st.sampled_from((*_JSON_TEXTS, None))
GUARD_JSON = st.sampled_from((*_GUARD_JSON_TEXTS, None))


def draw_json(draw: DrawFn, choice: SearchStrategy[str | None]) -> Any:
    text = draw(choice)
    return draw(_JSON_TREE) if text is None else json.loads(text)


def draw_code(draw: DrawFn) -> str:
    return format_code(draw(CODE))


def draw_code_or_none(draw: DrawFn) -> str | None:
    quarter, rest = divmod(draw(CODE_OR_NONE), 4)
    return None if rest == 0 else format_code(quarter * 3 + rest - 1)


def format_code(number: int) -> str:
    group, rest = divmod(number, 5)
    # Receivers that read codes as numbers lose leading zeros, and zero is false: weight such codes.
    if rest == 4:
        code = 0 if group % 3 == 0 else group * _SPREAD % (_CODES // 10)
    else:
        code = (group * 4 + rest) * _SPREAD % _CODES
    return f"{code:06d}"


def draw_ip(draw: DrawFn) -> str:
    ip = draw(_IP)
    return draw(_FREE_IP) if ip is None else ip


def draw_guard_ip(draw: DrawFn) -> str:
    ip = draw(_GUARD_IP)
    return draw(_FREE_IP) if ip is None else ip


def draw_code_text(draw: DrawFn) -> str:
    code = draw(_CODE_TEXT)
    return WILD.draw(draw) if code is None else code


def draw_free_code(draw: DrawFn) -> str:
    code = draw_code_or_none(draw)
    return draw_code_text(draw) if code is None else code


def draw_link(draw: DrawFn) -> str:
    link = draw(_LINK)
    return link if link != LINKS[-2] else WILD.draw(draw)
