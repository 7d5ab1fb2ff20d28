"""Hypothesis strategies: messages of the contract, messages with one mistake, and broken requests.

A property test of a receiver draws what Logto may send, and needs no more than one line::

    from hypothesis import given
    from logto_mail_contract.strategies import messages

    @given(messages(layer="emitted"))
    def test_renders_every_mail(message):
        render(message["type"], message["payload"])

What breaks real receivers is drawn often: context that is missing, users whose fields are null, names with
markup, line breaks and bidirectional controls, codes with leading zeros, invitations without a link. Every
recipient is in a domain that is reserved for tests, where the text has a domain at all.

``messages`` draws what is valid, ``mutations`` and ``http_requests`` what is broken in one named way. Draws
are no coverage: ``mutation_names`` with ``mutate``, and ``request_names`` with ``break_request``, go through
every named way once.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from hypothesis import strategies as st

from . import catalogue
from .exchange import Request
from .javascript_json import stringify

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

__all__ = [
    "BrokenRequest",
    "Mutation",
    "break_request",
    "http_requests",
    "messages",
    "mutate",
    "mutation_names",
    "mutations",
    "request_names",
]

# A choice costs more than what is made of it, so one choice of bytes says at once which features a message
# has, and one of text which pieces a value has. Hypothesis shrinks both to the fewest and simplest units,
# which is the shortest message. "0" is the simplest letter there is.
_FIRST_LETTER = ord("0")

# Pieces of a text that a database stores, the simple ones first.
_PIECES = (
    "Foo",
    "<b>",
    '"',
    "'",
    "&",
    "<",
    ">",
    " ",
    "\r\n",
    "\n",
    "\r",
    "\t",
    "\\",
    "/",
    "%",
    "0",
    "é",
    "e\u0301",
    "ß",
    "İ",
    "中文",
    "日本",
    "שלום",
    "مرحبا",
    "\u202e",
    "\u2066",
    "\u200f",
    "\u200b",
    "\u2028",
    "\u00a0",
    "\ufeff",
    "\u0085",
    "\x7f",
    "\x1b[31m",
    "😀",
    "👩\u200d👧",
    "\U0001d4b3",
    "\uffff",
    "</p>",
    "</script>",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\r\nBcc: bar@example.org",
    "=?utf-8?q?=0D=0A?=",
    "{{code}}",
    "${7*7}",
    "{% raw %}",
    "%s",
    "{0}",
    "null",
)
# What no database column holds and only the caller of an API can hand in.
_WILD_PIECES = (*_PIECES, "\0", "\ud800", "\udfff", "\udc00\ud800")

_DOMAINS = (
    "example.com",
    "example.org",
    "example.net",
    "foo.test",
    "EXAMPLE.COM",
    "bar.example",
    "foo.invalid",
)
_WIDE_DOMAINS = ("xn--bcher-kva.example", "bücher.example", "a.b.c.test")
_PLAIN_LOCAL_PIECES = ("foo", "bar", "FOO", "+tag", "foo+tag", "_x", "-y", ".z", "'o", "0")
# Where Logto only looks for "text @ text . text": the first is what its own tests of the form let through.
_ODD_LOCAL_PIECES = (
    *_PLAIN_LOCAL_PIECES,
    '"><svg/onload=1>',
    '"',
    "'",
    ",",
    ";",
    ":",
    "<",
    ">",
    "&",
    "(foo)",
    "\\",
    "..",
    "%0d%0aBcc:bar",
    "?subject=foo",
    "é",
    "e\u0301",
    "用户",
    "😀",
    "\u202e",
    "\u200b",
    '"@"',
    "=?utf-8?q?foo?=",
)
_ANY_RECIPIENTS = (
    "",
    "foo",
    " ",
    "@",
    "@example.com",
    "foo@",
    "foo@localhost",
    "15550001",
    " foo@example.com ",
    "Foo <foo@example.com>",
    "foo@example.com, bar@example.org",
    "foo@example.com\nBcc: bar@example.org",
    "foo@example.com\r\nBcc: bar@example.org",
    "foo@example.com\r\n.\r\n",
    "foo\0@example.com",
    "\ud800@example.com",
    "foo bar@example.com",
    "foo@example.com\u2028",
    "__proto__",
    f"{'x' * 1000}@example.com",
)

# Logto's built-in languages and some that a tenant may add.
_LOCALES = (
    *("en", "de", "pt-BR", "ar", "cs", "es", "fa-IR", "fr", "it", "ja", "ko", "pl-PL", "pt-PT", "ru", "th"),
    *("tr-TR", "uk-UA", "zh-CN", "zh-HK", "zh-TW", "af-ZA", "en-GB", "nl-NL", "sv-SE", "vi-VN"),
)
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
_LINKS = (
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
_URLS = (
    "http://a.test",
    "https://example.com/a.png",
    "javascript:alert(1)",
    'https://example.com/"><img src=x>',
    "data:image/svg+xml,<svg onload=alert(1)>",
    "https://example.com/?a=1&b='",
    "foo:bar",
    "https://bücher.example/ä.png",
)
_PHONES = ("15550001", "0", "4915550001", "00155500001", "1" * 128)
_USERNAMES = ("foo", "_", "Foo_1", "__proto__", "constructor", "null", "x" * 128)
_EMAILS = (
    "foo@example.com",
    "FOO+tag@example.org",
    "'foo'@example.net",
    '"><svg/onload=1>@foo.test',
    f"{'x' * 116}@example.com",
)
_APPLICATION_IDS = ("foo", "demo-app", "account-center", "a1z9g7jcl36qklitq4a3d")
_ORGANIZATION_IDS = ("foo", "uavz4qsvncw7", "__proto__")
_USER_IDS = ("foo", "w13v2u89sxbs")

_BRANDING_KEYS = ("logoUrl", "favicon", "darkLogoUrl", "darkFavicon")
_PROFILE_KEYS = (
    *("nickname", "website", "familyName", "givenName", "middleName", "preferredUsername", "profile"),
    *("gender", "birthdate", "zoneinfo", "locale"),
    *("formatted", "country", "streetAddress", "locality", "region", "postalCode"),
)
_ADDRESS_KEYS = frozenset(_PROFILE_KEYS[-6:])

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
    "[" * 100 + "]" * 100,
    '"' + "x" * 5000 + '"',
)
# An integer beyond JavaScript's doubles reaches a receiver only from a sender that is not Logto.
_GUARD_JSON_TEXTS = (
    *_JSON_TEXTS,
    "9007199254740993",
    "1" * 400,
    '{"__proto__":{"code":1}}',
    '{"constructor":{}}',
)

_CODES = 1_000_000
# Hypothesis prefers small numbers, and a code is to begin with any digit: multiplied by what shares no factor
# with a million, they are spread over all codes, and 0 stays 000000.
_SPREAD = 617_283


def _letters(count: int) -> str:
    return "".join(chr(_FIRST_LETTER + number) for number in range(count))


class _Text:
    """Texts: one piece, a text as long as may be, or several pieces and arbitrary text put together.

    Args:
        pieces: What a text is made of, the simple ones first.
        arbitrary: Texts of the characters that may stand in it.
        empty: Whether it may be empty.
        limit: The most UTF-16 units.
    """

    def __init__(
        self, pieces: tuple[str, ...], arbitrary: SearchStrategy[str], limit: int, *, empty: bool = True
    ) -> None:
        self._pieces = pieces
        self._arbitrary = arbitrary
        self._limit = limit
        longest = ("x" * limit, "é" * limit, "😀" * (limit // 2))
        # What breaks most receivers stands there more than once.
        ready = (*pieces, *longest, *longest, *(("",) * 6 if empty else ()))
        # None stands for a text that is put together; a ready one costs a single choice.
        self._ready = st.sampled_from((*ready, *(None,) * (len(ready) // 2)))
        # The last letter stands for arbitrary text.
        self._choice = st.text(_letters(len(pieces) + 1), min_size=1, max_size=6)

    def draw(self, draw: DrawFn) -> str:
        """Return a text."""
        text: str | None = draw(self._ready)
        if text is not None:
            return text
        pieces = self._pieces
        parts = [
            pieces[number] if number < len(pieces) else draw(self._arbitrary)
            for number in (ord(letter) - _FIRST_LETTER for letter in draw(self._choice))
        ]
        text = _as_parsed("".join(parts))
        return text if _units(text) <= self._limit else text[: self._limit // 2]


def _as_parsed(text: str) -> str:
    """Return a text as a JSON parser would: a high surrogate and a low one behind it are one character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _units(text: str) -> int:
    """Return the length as JavaScript counts it, which is never less than what a database counts."""
    return len(text) + sum(character > "\uffff" for character in text)


_STORED_CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
_ARBITRARY_STORED = st.text(_STORED_CHARACTERS, min_size=1, max_size=30)
_ARBITRARY_WILD = st.text(min_size=1, max_size=30)


def _stored(limit: int, *, empty: bool = True) -> _Text:
    return _Text(_PIECES, _ARBITRARY_STORED, limit, empty=empty)


@dataclass(frozen=True, slots=True)
class _Texts:
    """The texts of context variables: what a layer lets stand in them."""

    application_name: _Text
    display_name: _Text
    organization_name: _Text
    user_name: _Text
    avatar: _Text
    free: _Text


# The names of applications and organizations are never empty; those of users may be.
_STORED = _Texts(
    application_name=_stored(256, empty=False),
    display_name=_stored(256, empty=False),
    organization_name=_stored(128, empty=False),
    user_name=_stored(128),
    avatar=_stored(2048),
    free=_stored(1000),
)
_WILD = _Text(_WILD_PIECES, _ARBITRARY_WILD, 3000)
_FREE = _Texts(
    application_name=_Text(_WILD_PIECES, _ARBITRARY_WILD, 256),
    display_name=_Text(_WILD_PIECES, _ARBITRARY_WILD, 258),
    organization_name=_Text(_WILD_PIECES, _ARBITRARY_WILD, 128),
    user_name=_Text(_WILD_PIECES, _ARBITRARY_WILD, 130),
    avatar=_WILD,
    free=_WILD,
)
_UI_LOCALES = _Text(("pt-BR", "pt-BR de", *_PIECES), _ARBITRARY_STORED, 300, empty=False)
_WILD_LOCALE = _Text((*_LOCALES[:3], *_WILD_PIECES), _ARBITRARY_WILD, 500)
# What Node lets through in a header, read as ISO 8859-1; a comma ends the first item of X-Forwarded-For.
_FREE_IP = st.text(
    "".join(chr(code) for code in (*range(0x21, 0x7F), *range(0xA1, 0x100)) if chr(code) != ","),
    min_size=1,
    max_size=60,
)


class _Recipients:
    """Addresses in reserved domains; none of their pieces has white space in it.

    Args:
        pieces: What may stand before the at sign.
        domains: What may stand behind it.
        limit: The most UTF-16 units.
        strict: Keep to zod's ``email()``, which refuses dots at the ends of the part before the at sign.
    """

    def __init__(
        self, pieces: tuple[str, ...], domains: tuple[str, ...], limit: int, *, strict: bool = False
    ) -> None:
        self._limit = limit
        self._strict = strict
        self._pieces = pieces
        self._domains = domains
        self._choice = st.text(_letters(len(domains) + len(pieces)), max_size=4)
        ready = [self._address(piece, domains[0]) for piece in pieces]
        ready += [self._address("foo", domain) for domain in domains[1:]]
        ready += [self._address("x" * limit, domains[0]), self._address("fo" * limit, domains[-1])]
        ready += [self._address(piece, domains[0]) for piece in pieces if "<svg" in piece] * 3
        # None stands for an address that is put together of several pieces.
        self._ready = st.sampled_from((*ready, *(None,) * (len(ready) // 2)))

    def draw(self, draw: DrawFn) -> str:
        """Return an address."""
        address: str | None = draw(self._ready)
        if address is not None:
            return address
        pieces, domains = self._pieces, self._domains
        numbers = [ord(letter) - _FIRST_LETTER for letter in draw(self._choice)]
        local = "".join([pieces[number] for number in numbers if number < len(pieces)])
        domain = next((number - len(pieces) for number in numbers if number >= len(pieces)), 0)
        return self._address(local or "foo", domains[domain])

    def _address(self, local: str, domain: str) -> str:
        if self._strict and (local[0] == "." or local[-1] in ".'" or ".." in local):
            local = f"x{local}x".replace("..", ".")
        room = self._limit - len(domain) - 1
        return f"{local if _units(local) <= room else local[:room]}@{domain}"


_CODE_RECIPIENTS = _Recipients(_ODD_LOCAL_PIECES, (*_DOMAINS, *_WIDE_DOMAINS), 128)
_TEST_RECIPIENTS = _Recipients(_ODD_LOCAL_PIECES, (*_DOMAINS, *_WIDE_DOMAINS), 1000)
_INVITATION_RECIPIENTS = _Recipients(_PLAIN_LOCAL_PIECES, (*_DOMAINS, _WIDE_DOMAINS[0]), 256, strict=True)

_ANY_RECIPIENT = st.sampled_from(_ANY_RECIPIENTS)
_LOCALE = st.sampled_from(_LOCALES)
# Most addresses that arrive are in the mapped form.
_IP = st.sampled_from((*_IPS, *(_IPS[1],) * 5, None, None))
_LINK = st.sampled_from(_LINKS)
_URL = st.sampled_from(_URLS)
_PHONE = st.sampled_from(_PHONES)
_USERNAME = st.sampled_from(_USERNAMES)
_EMAIL = st.sampled_from(_EMAILS)
_APPLICATION_ID = st.sampled_from(_APPLICATION_IDS)
_ORGANIZATION_ID = st.sampled_from(_ORGANIZATION_IDS)
_USER_ID = st.sampled_from(_USER_IDS)
_KEY = st.sampled_from(_KEYS)
# The one key that JavaScript makes something of its own of, as often as five others.
_GUARD_KEY = st.sampled_from((*_KEYS, *("__proto__",) * 5))
_CONTEXT_KEY = st.sampled_from(("organization", "inviter", "application", "user"))
# One number in five stands for a code with a leading zero; where a code may be missing, one in four for none.
_CODE = st.integers(0, _CODES * 5 // 4 - 1)
_CODE_OR_NONE = st.integers(0, _CODES * 5 // 3)
_BRANDING_KEY_SETS = st.sampled_from(
    [keys for size in range(5) for keys in itertools.combinations(_BRANDING_KEYS, size)]
)
# None stands for any URL under any key.
_BRANDING: SearchStrategy[dict[str, Any] | None] = st.sampled_from(
    (
        {},
        *({"logoUrl": url} for url in _URLS),
        *({key: _URLS[0]} for key in _BRANDING_KEYS[1:]),
        *(dict.fromkeys(_BRANDING_KEYS, url) for url in _URLS[:4]),
        {},
        *(None,) * 5,
    )
)
_PROFILE_KEY_SETS = st.sampled_from(
    ((), *((key,) for key in _PROFILE_KEYS), ("nickname", "country"), _PROFILE_KEYS, None, None)
)
_FEATURES = st.binary(max_size=8)
_FEATURES_AND_KIND = st.binary(min_size=1, max_size=8)

_JSON_LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)


def _nested(inner: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return inner | st.lists(inner, max_size=3) | st.dictionaries(_KEY, inner, max_size=3)


_JSON_TREE = _nested(_nested(_JSON_LEAF))
# The last one, None, stands for a tree, so that the usual value costs one choice.
_JSON = st.sampled_from((*_JSON_TEXTS, None))
_GUARD_JSON = st.sampled_from((*_GUARD_JSON_TEXTS, None))


def _json(draw: DrawFn, choice: SearchStrategy[str | None]) -> Any:
    text = draw(choice)
    return draw(_JSON_TREE) if text is None else json.loads(text)


def _code(draw: DrawFn) -> str:
    return _code_of(draw(_CODE))


def _code_or_none(draw: DrawFn) -> str | None:
    quarter, rest = divmod(draw(_CODE_OR_NONE), 4)
    return None if rest == 0 else _code_of(quarter * 3 + rest - 1)


def _code_of(number: int) -> str:
    group, rest = divmod(number, 5)
    # Codes with leading zeros break receivers that take them for numbers: let there be more of them.
    code = group * _SPREAD % (_CODES // 10) if rest == 4 else (group * 4 + rest) * _SPREAD % _CODES
    return f"{code:06d}"


# Every context variable has one feature that makes it appear with plain values, and more features that make
# it appear with one value of interest. The plain one stands again behind the name, so that shrinking from the
# later ones, which goes downwards, comes to it also where a name is not what a test fails for.
_APPLICATION = (
    *("application", "application.name", "application", "application.branding"),
    *("application.displayName", "application.id"),
)
_ORGANIZATION = (
    "organization",
    "organization.name",
    "organization",
    "organization.branding",
    "organization.id",
)
_USER = (
    *("user", "user.name", "user", "user.username", "user.primaryEmail", "user.primaryPhone", "user.avatar"),
    *("user.profile", "user.id"),
)
_INVITER = tuple(feature.replace("user", "inviter", 1) for feature in _USER)


def _branding(draw: DrawFn) -> dict[str, Any]:
    branding = draw(_BRANDING)
    if branding is None:
        return {key: draw(_URL) for key in draw(_BRANDING_KEY_SETS)}
    return dict(branding)


def _application(draw: DrawFn, on: set[str], texts: _Texts) -> dict[str, Any]:
    application: dict[str, Any] = {
        "id": draw(_APPLICATION_ID) if "application.id" in on else "foo",
        "name": texts.application_name.draw(draw) if "application.name" in on else "Foo",
    }
    if "application.branding" in on:
        application["branding"] = _branding(draw)
    if "application.displayName" in on:
        application["displayName"] = texts.display_name.draw(draw)
    return application


def _organization(draw: DrawFn, on: set[str], texts: _Texts) -> dict[str, Any]:
    return {
        "id": draw(_ORGANIZATION_ID) if "organization.id" in on else "foo",
        "name": texts.organization_name.draw(draw) if "organization.name" in on else "Foo",
        "branding": _branding(draw) if "organization.branding" in on else {},
    }


def _profile(draw: DrawFn, texts: _Texts) -> dict[str, Any]:
    profile: dict[str, Any] = {}
    chosen: Collection[str] | None = draw(_PROFILE_KEY_SETS)
    if chosen is None:
        chosen = {_PROFILE_KEYS[number * len(_PROFILE_KEYS) >> 8] for number in draw(_FEATURES)}
    for key in _PROFILE_KEYS:
        if key in chosen:
            place = profile.setdefault("address", {}) if key in _ADDRESS_KEYS else profile
            place[key] = texts.free.draw(draw)
    return profile


def _person(draw: DrawFn, on: set[str], name: str, texts: _Texts) -> dict[str, Any]:
    return {
        "id": draw(_USER_ID) if f"{name}.id" in on else "foo",
        "avatar": _avatar(draw, texts) if f"{name}.avatar" in on else None,
        "name": texts.user_name.draw(draw) if f"{name}.name" in on else None,
        "primaryEmail": draw(_EMAIL) if f"{name}.primaryEmail" in on else None,
        "primaryPhone": draw(_PHONE) if f"{name}.primaryPhone" in on else None,
        "username": draw(_USERNAME) if f"{name}.username" in on else None,
        "profile": _profile(draw, texts) if f"{name}.profile" in on else {},
    }


def _avatar(draw: DrawFn, texts: _Texts) -> str:
    url = draw(_URL)
    return url if url != _URLS[-1] else texts.avatar.draw(draw)


# What does nothing, for types with so few features that most of their messages would have them all.
_PLAIN = ("plain",) * 7


def _has(on: set[str], features: tuple[str, ...]) -> bool:
    return not on.isdisjoint(features)


def _ip(draw: DrawFn) -> str:
    ip = draw(_IP)
    return draw(_FREE_IP) if ip is None else ip


class _Plan:
    """What messages of one template type may have beside what they always have.

    Args:
        features: The names of what may come or not, the simple ones first. One that stands twice is drawn
            more often.
        build: Makes the message of the features that were drawn.
    """

    def __init__(self, features: Iterable[str], build: Callable[[DrawFn, set[str]], dict[str, Any]]) -> None:
        self.features = tuple(features)
        self.build = build


def _recipient(draw: DrawFn, on: set[str], recipients: _Recipients) -> str:
    return recipients.draw(draw) if "to" in on else "foo@example.com"


def _code_flow(kind: str, contexts: Iterable[tuple[str, ...]], *, ui_locales: bool, ip: bool) -> _Plan:
    """Plan the messages of a flow in which a visitor or a user asks for a code."""
    contexts = tuple(contexts)
    # The same order for every type, so that a message can shrink to one of a simpler type.
    features = ["to", "to", "locale", "uiLocales" if ui_locales else "locale", *(["ip", "ip"] if ip else ())]
    features += [feature for context in contexts for feature in context]
    both = _USER in contexts and _ORGANIZATION in contexts

    def build(draw: DrawFn, on: set[str]) -> dict[str, Any]:
        to = _recipient(draw, on, _CODE_RECIPIENTS)
        payload: dict[str, Any] = {"code": _code(draw), "locale": draw(_LOCALE) if "locale" in on else "en"}
        if "uiLocales" in on:
            payload["uiLocales"] = _UI_LOCALES.draw(draw)
        # Of the two flows that send such a type, the account's has a user, and no organization nor ip.
        account = both and _has(on, _USER)
        if _has(on, _APPLICATION):
            payload["application"] = _application(draw, on, _STORED)
        if not account and _has(on, _ORGANIZATION):
            payload["organization"] = _organization(draw, on, _STORED)
        if _has(on, _USER):
            payload["user"] = _person(draw, on, "user", _STORED)
        message: dict[str, Any] = {"to": to, "type": kind, "payload": payload}
        if not account and "ip" in on:
            message["ip"] = _ip(draw)
        return message

    return _Plan(features, build)


def _bare_code(kind: str) -> _Plan:
    """Plan the code messages of the first revision, whose payload is the code and nothing else."""

    def build(draw: DrawFn, on: set[str]) -> dict[str, Any]:
        test = kind == "Generic" and "test" in on
        to = _recipient(draw, on, _TEST_RECIPIENTS if test else _CODE_RECIPIENTS)
        return {"to": to, "type": kind, "payload": {"code": "000000" if test else _code(draw)}}

    return _Plan(("to", "plain", *_PLAIN, "test"), build)


def _generic(*, ui_locales: bool, ip: bool) -> _Plan:
    """Plan the three flows of Generic: the Management API, the Console's profile page, the connector test."""
    features = ["to", "profile page", "locale", *(["uiLocales"] if ui_locales else ()), "test", "test.locale"]
    features += [*(["ip", "ip"] if ip else ()), *_PLAIN]

    def build(draw: DrawFn, on: set[str]) -> dict[str, Any]:
        test = "test" in on or "test.locale" in on
        to = _recipient(draw, on, _TEST_RECIPIENTS if test else _CODE_RECIPIENTS)
        payload: dict[str, Any] = {"code": "000000" if test else _code(draw)}
        if test:
            if "test.locale" in on:
                payload["locale"] = _WILD_LOCALE.draw(draw)
        elif _has(on, ("profile page", "locale", "uiLocales")):
            payload["locale"] = draw(_LOCALE) if "locale" in on else "en"
            if "uiLocales" in on:
                payload["uiLocales"] = _UI_LOCALES.draw(draw)
        message: dict[str, Any] = {"to": to, "type": "Generic", "payload": payload}
        if "ip" in on:
            message["ip"] = _ip(draw)
        return message

    return _Plan(features, build)


def _invitation(typed: tuple[str, ...], *, context: bool, ip: bool) -> _Plan:
    """Plan invitations: Logto's context below, and what the caller wrote over it."""
    features = [
        "link",
        "to",
        "code",
        "locale",
        *(["uiLocales"] if "uiLocales" in typed else ()),
        "own",
        "own.more",
    ]
    features += [*_ORGANIZATION, *_INVITER, "override"] if context else ()
    features += ["ip", "ip"] if ip else ()

    def build(draw: DrawFn, on: set[str]) -> dict[str, Any]:
        to = _recipient(draw, on, _INVITATION_RECIPIENTS)
        payload: dict[str, Any] = {}
        if _has(on, _ORGANIZATION):
            payload["organization"] = _organization(draw, on, _STORED)
        if _has(on, _INVITER):
            payload["inviter"] = _person(draw, on, "inviter", _STORED)
        if "override" in on:
            payload[draw(_CONTEXT_KEY)] = _json(draw, _JSON)
        if "code" in on:
            payload["code"] = _free_code(draw)
        if "link" in on:
            payload["link"] = _any_link(draw)
        if "locale" in on:
            payload["locale"] = _WILD_LOCALE.draw(draw)
        if "uiLocales" in on:
            payload["uiLocales"] = _WILD_LOCALE.draw(draw)
        if "own" in on or "own.more" in on:
            payload[draw(_KEY)] = _json(draw, _JSON) if context else _WILD.draw(draw)
        if "own.more" in on:
            key = _WILD.draw(draw)
            if key != "__proto__" and key not in typed:
                payload[key] = _json(draw, _JSON) if context else _WILD.draw(draw)
        message: dict[str, Any] = {"to": to, "type": "OrganizationInvitation", "payload": payload}
        if "ip" in on:
            message["ip"] = _ip(draw)
        return message

    return _Plan(features, build)


def _free_code(draw: DrawFn) -> str:
    code = _code_or_none(draw)
    return _WILD.draw(draw) if code is None else code


def _any_link(draw: DrawFn) -> str:
    link = draw(_LINK)
    return link if link != _LINKS[-2] else _WILD.draw(draw)


def _any_recipient(draw: DrawFn, on: set[str]) -> str:
    if "to.any" in on:
        return draw(_ANY_RECIPIENT)
    if "to.text" in on:
        return _WILD.draw(draw)
    return _recipient(draw, on, _TEST_RECIPIENTS)


def _tops(draw: DrawFn, on: set[str], message: dict[str, Any], known: frozenset[str]) -> None:
    """Add top-level members that the layer does not know, which every layer but the emitted one tolerates."""
    for feature in ("top", "top.more"):
        if feature in on:
            key = draw(_GUARD_KEY) if feature == "top" else _WILD.draw(draw)
            if key not in known:
                message[key] = _json(draw, _GUARD_JSON)


def _guard(kind: str, typed: tuple[str, ...], *, strings_only: bool, ip: bool) -> _Plan:
    """Plan what the guard accepts: everything but the typed variables is free."""
    features = ["to", "to", "to.any", "to.text", "code.text", "link", "link", "locale", "uiLocales"]
    features += ["extra", "extra.more"]
    features += ["top", "top.more", "ip", "ip", "ip.any"]
    if not strings_only:
        features += [*_APPLICATION, *_ORGANIZATION, *_USER, "inviter", "override", "override.user"]
    known = frozenset(("to", "type", "payload", "ip"))

    def any_value(draw: DrawFn) -> Any:
        return _WILD.draw(draw) if strings_only else _json(draw, _GUARD_JSON)

    def build(draw: DrawFn, on: set[str]) -> dict[str, Any]:
        to = _any_recipient(draw, on)
        payload: dict[str, Any] = {}
        code = _code_or_none(draw)
        if "code.text" in on:
            payload["code"] = _WILD.draw(draw)
        elif code is not None:
            payload["code"] = code
        if "link" in on:
            payload["link"] = _any_link(draw)
        if "locale" in on:
            payload["locale"] = _WILD_LOCALE.draw(draw)
        if "uiLocales" in on:
            payload["uiLocales"] = _WILD_LOCALE.draw(draw) if "uiLocales" in typed else any_value(draw)
        if _has(on, _APPLICATION):
            payload["application"] = _application(draw, on, _FREE)
        if _has(on, _ORGANIZATION):
            payload["organization"] = _organization(draw, on, _FREE)
        if _has(on, _USER):
            payload["user"] = _person(draw, on, "user", _FREE)
        if "inviter" in on:
            # One like the user, who then stands beside: features of its own would leave less room for others.
            payload["inviter"] = _person(draw, on, "user", _FREE)
        if "override" in on:
            payload[draw(_CONTEXT_KEY)] = any_value(draw)
        if "override.user" in on:
            payload["user"] = any_value(draw)
        if "extra" in on:
            payload[draw(_GUARD_KEY)] = any_value(draw)
        if "extra.more" in on:
            key = _WILD.draw(draw)
            if key not in typed:
                payload[key] = any_value(draw)
        message: dict[str, Any] = {"to": to, "type": kind, "payload": payload}
        if ip:
            if "ip.any" in on:
                message["ip"] = _WILD.draw(draw)
            elif "ip" in on:
                message["ip"] = _ip(draw)
        elif "ip" in on:
            message["ip"] = _json(draw, _GUARD_JSON)
        _tops(draw, on, message, known)
        return message

    return _Plan(features, build)


def _documented(kind: str) -> _Plan:
    """Plan what the docs promise: variables that never are null, and further ones that are tolerated."""
    invitation = kind == "OrganizationInvitation"
    account = kind in ("UserPermissionValidation", "BindNewIdentifier", "BindMfa")
    generic = kind == "Generic"
    features = ["to", "to.any", "to.text", "code.text", "link", "locale", "uiLocales", "extra", "extra.more"]
    features += ["top", "top.more", "ip", "ip.any"]
    if not generic:
        features += [*_ORGANIZATION]
        features += [*_INVITER, "inviter.profile.any"] if invitation else _APPLICATION
        features += [*_USER, "user.profile.any"] if account else ()
    # What the schema of the type speaks of; the same names elsewhere are further variables.
    held = {"code", "link", "locale", "uiLocales"}
    if invitation:
        held |= {"organization", "inviter"}
    elif not generic:
        held |= {"application", "user" if account else "organization"}
    known = frozenset(("to", "type", "payload", "ip"))

    def person(draw: DrawFn, on: set[str], name: str) -> dict[str, Any]:
        person = {
            key: value for key, value in _person(draw, on, name, _FREE).items() if value not in (None, {})
        }
        if f"{name}.profile.any" in on:
            person["profile"] = {draw(_GUARD_KEY): _json(draw, _GUARD_JSON)}
        elif f"{name}.profile" in on:
            person.setdefault("profile", {})
        return person

    def build(draw: DrawFn, on: set[str]) -> dict[str, Any]:
        to = _any_recipient(draw, on)
        payload: dict[str, Any] = {}
        if "code.text" in on:
            payload["code"] = _WILD.draw(draw)
        elif not invitation:
            payload["code"] = _code(draw)
        if "locale" in on:
            payload["locale"] = _WILD_LOCALE.draw(draw)
        if "uiLocales" in on:
            payload["uiLocales"] = _WILD_LOCALE.draw(draw)
        if ("application" in held and not account) or _has(on, _APPLICATION):
            payload["application"] = _application(draw, on, _FREE)
        if invitation or _has(on, _ORGANIZATION):
            payload["organization"] = _organization(draw, on, _FREE)
            if "organization.branding" not in on:
                del payload["organization"]["branding"]
        if account:
            payload["user"] = person(draw, on, "user")
        if _has(on, (*_INVITER, "inviter.profile.any")):
            payload["inviter"] = person(draw, on, "inviter")
        if "link" in on:
            payload["link"] = _any_link(draw)
        elif invitation:
            payload["link"] = _LINKS[0]
        for feature in ("extra", "extra.more"):
            if feature in on:
                key = draw(_GUARD_KEY) if feature == "extra" else _WILD.draw(draw)
                if key not in held:
                    payload[key] = _json(draw, _GUARD_JSON)
        message: dict[str, Any] = {"to": to, "type": kind, "payload": payload}
        if "ip.any" in on:
            message["ip"] = _WILD.draw(draw)
        elif "ip" in on:
            message["ip"] = _ip(draw)
        _tops(draw, on, message, known)
        return message

    return _Plan(features, build)


@cache
def _plan(revision: str, layer: str, kind: str) -> _Plan:
    typed = _typed_variables(revision)
    ip = _knows_ip(revision)
    first = revision == catalogue.revisions()[0]
    if layer == "documented":
        return _documented(kind)
    if layer == "guard":
        return _guard(kind, typed, strings_only=first, ip=ip)
    if kind == "OrganizationInvitation":
        return _invitation(typed, context=not first, ip=ip)
    if first:
        return _bare_code(kind)
    ui_locales = "uiLocales" in typed
    if kind == "Generic":
        return _generic(ui_locales=ui_locales, ip=ip)
    # In this one release the sign-in experience used the type for a user who is already identified.
    if kind == "BindMfa" or (kind == "BindNewIdentifier" and revision == "1.31"):
        return _code_flow(kind, (_APPLICATION, _ORGANIZATION, _USER), ui_locales=ui_locales, ip=ip)
    if kind in ("UserPermissionValidation", "BindNewIdentifier"):
        return _code_flow(kind, (_APPLICATION, _USER), ui_locales=ui_locales, ip=False)
    return _code_flow(kind, (_APPLICATION, _ORGANIZATION), ui_locales=ui_locales, ip=ip)


def _typed_variables(revision: str) -> tuple[str, ...]:
    schema = catalogue.schema(revision, "guard")
    return tuple(schema["properties"]["payload"]["properties"])


def _knows_ip(revision: str) -> bool:
    return "ip" in catalogue.schema(revision, "guard")["properties"]


def _kinds(revision: str, layer: str) -> tuple[str, ...]:
    return tuple(catalogue.schema(revision, layer)["properties"]["type"]["enum"])


def _resolve(
    revision: str | None, layer: str, types: Iterable[str] | None = None
) -> tuple[str, tuple[str, ...]]:
    """Return the contract revision and the template types that are meant, in the schema's order."""
    resolved = catalogue.current_revision() if revision is None else catalogue.resolve_revision(revision)
    kinds = _kinds(resolved, layer)
    if types is None:
        return resolved, kinds
    if isinstance(types, str):
        raise TypeError(f"types is an iterable of template types: for one of them, [{str(types)!r}]")
    wanted = [str(kind) for kind in types]
    for kind in wanted:
        if kind not in kinds:
            raise ValueError(
                f"Revision {resolved}, layer {layer}, has no template type {kind!r}. "
                f"Its types: {', '.join(kinds)}."
            )
    if not wanted:
        raise ValueError("types is empty, so that there is nothing to draw from; None means every type")
    return resolved, tuple(kind for kind in kinds if kind in wanted)


def messages(
    revision: str | None = None, layer: str = "guard", types: Iterable[str] | None = None
) -> SearchStrategy[dict[str, Any]]:
    """Draw messages that are valid in a layer, as ``json.loads`` returns them.

    ``guard`` draws whatever the type allows, far beyond what Logto does. ``emitted`` draws what Logto core
    sends, flow by flow: the layer for a receiver that shall lose no mail. ``documented`` draws what the docs
    promise. Every message is a new object, which a test may change.

    They shrink to ``{"to": "foo@example.com", "type": "SignIn", "payload": {}}`` in the guard layer and to
    ``{"code": "000000", "locale": "en"}`` as payload in the emitted one.

    Args:
        revision: A contract revision (``"1.35"``) or a Logto release (``"v1.42.0"``); the current revision
            when None.
        layer: ``guard``, ``emitted`` or ``documented`` (current revision only).
        types: Template types to draw from: names, or members of ``TemplateType``; all of the layer when None.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
        ValueError: A template type that the revision has not in that layer, or no type at all.
        TypeError: One text in place of several.
    """
    resolved, kinds = _resolve(revision, layer, types)
    return _messages(resolved, layer, kinds)


@cache
def _messages(revision: str, layer: str, kinds: tuple[str, ...]) -> SearchStrategy[dict[str, Any]]:
    return _drawn(_Plans(revision, layer, kinds))


class _Plans:
    """The plans to choose from, each with its features as often as the largest plan has some.

    A byte then stands for the same feature whatever the type, and a message can shrink to a simpler type.
    """

    def __init__(self, revision: str, layer: str, kinds: tuple[str, ...]) -> None:
        self._text = f"{revision}, {layer}, {', '.join(kinds)}"
        plans = [_plan(revision, layer, kind) for kind in kinds]
        self.width = max(len(plan.features) for plan in plans)
        self.choices = [
            ([plan.features[number % len(plan.features)] for number in range(self.width)], plan.build)
            for plan in plans
        ]

    def __repr__(self) -> str:
        # Hypothesis shows it in its error messages.
        return self._text


@st.composite
def _drawn(draw: DrawFn, plans: _Plans) -> dict[str, Any]:
    *numbers, kind = draw(_FEATURES_AND_KIND)
    width = plans.width
    features, build = plans.choices[kind * len(plans.choices) >> 8]
    return build(draw, {features[number * width >> 8] for number in numbers})


# Messages with one mistake


@dataclass(frozen=True, slots=True)
class Mutation:
    """A message that was valid, and the one change that made it invalid.

    Attributes:
        name: The change, a stable slug such as ``code-number``.
        text: The JSON text, or what was one: what to post as the body.
        message: The value of the text; None where the text is not JSON, is no object, or has duplicate keys.
        rule: The id of the one rule that ``validate`` says is broken.
        pointer: The JSON pointer of the place, ``""`` for the message as a whole.
    """

    name: str
    text: str
    message: dict[str, Any] | None
    rule: str
    pointer: str


@dataclass(frozen=True, slots=True)
class _Change:
    """How to make one mistake.

    Attributes:
        rule: The last part of the rule's id; with ``text/`` before it, a rule of texts.
        pointer: Where the finding stands.
        edit: Changes a message in place.
        write: Makes the text in place of ``edit``, of the text of a message without its last brace.
        kinds: The template types that it can be made with.
    """

    rule: str
    pointer: str
    kinds: tuple[str, ...]
    edit: Callable[[dict[str, Any]], None] | None = None
    write: Callable[[str], str] | None = None


_WRONG: Mapping[str, Any] = {
    "null": None,
    "boolean": True,
    "number": 0,
    "string": "foo",
    "array": [],
    "object": {},
}
_TYPES_BUT: Mapping[str, tuple[str, ...]] = {
    kind: tuple(name for name in _WRONG if name not in kind.split("-or-"))
    for kind in ("string", "string-or-null", "object")
}

# What a context variable is like before it is broken.
_SAMPLES: Mapping[str, dict[str, Any]] = {
    "application": {"id": "foo", "name": "Foo", "branding": {}, "displayName": "Foo"},
    "organization": {"id": "foo", "name": "Foo", "branding": {}},
    "user": {
        "id": "foo",
        "avatar": None,
        "name": None,
        "primaryEmail": None,
        "primaryPhone": None,
        "username": None,
        "profile": {},
    },
}


def _sample(variable: str, layer: str) -> dict[str, Any]:
    sample = _SAMPLES["user" if variable == "inviter" else variable]
    if layer == "documented":
        sample = {key: value for key, value in sample.items() if value is not None}
    # Brought along as text, for what is inside must be the message's own.
    return cast("dict[str, Any]", json.loads(json.dumps(sample)))


def _at(path: tuple[str, ...], value: Any, layer: str) -> Callable[[dict[str, Any]], None]:
    def edit(message: dict[str, Any]) -> None:
        _place(message, path, layer)[path[-1]] = json.loads(json.dumps(value))

    return edit


def _without(path: tuple[str, ...], layer: str) -> Callable[[dict[str, Any]], None]:
    def edit(message: dict[str, Any]) -> None:
        _place(message, path, layer).pop(path[-1], None)

    return edit


def _place(message: dict[str, Any], path: tuple[str, ...], layer: str) -> dict[str, Any]:
    """Return the object that holds the end of a path, with valid objects where the message has none."""
    place = message
    for depth, key in enumerate(path[:-1]):
        if depth == 1:
            # A variable of the message may be odd in a way that the change would not cure: begin anew.
            place[key] = _sample(key, layer)
        place = place.setdefault(key, {})
    return place


def _slug(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)


class _Changes:
    """Collects the changes of one revision and layer by their names."""

    def __init__(self, revision: str, layer: str) -> None:
        self.revision = revision
        self.layer = layer
        self.kinds = _kinds(revision, layer)
        self.all: dict[str, _Change] = {}

    def add(
        self,
        name: str,
        rule: str,
        pointer: str,
        *,
        kinds: Iterable[str] | None = None,
        edit: Callable[[dict[str, Any]], None] | None = None,
        write: Callable[[str], str] | None = None,
    ) -> None:
        chosen = self.kinds if kinds is None else tuple(kind for kind in self.kinds if kind in set(kinds))
        if chosen:
            self.all[name] = _Change(rule, pointer, chosen, edit, write)

    def member(
        self,
        path: tuple[str, ...],
        rule: str,
        types: str,
        *,
        required: bool = False,
        kinds: Iterable[str] | None = None,
    ) -> None:
        """Add what breaks a member by its absence or its JSON type."""
        words = path[1:] if len(path) > 1 else path
        name = "-".join(_slug(word) for word in words)
        if required:
            parent = "".join(f"/{key}" for key in path[:-1])
            self.add(f"{name}-missing", rule, parent, kinds=kinds, edit=_without(path, self.layer))
        for wrong in _TYPES_BUT[types]:
            self.value(path, f"{name}-{wrong}", rule, _WRONG[wrong], kinds=kinds)

    def value(
        self,
        path: tuple[str, ...],
        name: str,
        rule: str,
        value: Any,
        *,
        at: str | None = None,
        kinds: Iterable[str] | None = None,
    ) -> None:
        """Add what breaks a member by its value; ``at`` where the finding stands elsewhere."""
        pointer = "".join(f"/{key}" for key in path) if at is None else at
        self.add(name, rule, pointer, kinds=kinds, edit=_at(path, value, self.layer))


def _always(text: str) -> Callable[[str], str]:
    return lambda _: text


def _with_end(end: str) -> Callable[[str], str]:
    return lambda text: text + end


_BROKEN_TEXTS: Mapping[str, tuple[str, Callable[[str], str]]] = {
    # The text that comes in lacks its last brace.
    "text-empty": ("text/json", _always("")),
    "text-form": ("text/json", _always("to=foo%40example.com&type=SignIn")),
    "text-cut-off": ("text/json", _with_end("")),
    "text-twice": ("text/json", lambda text: f"{text}}}{text}}}"),
    "text-byte-order-mark": ("text/json", lambda text: f"\ufeff{text}}}"),
    "text-trailing-comma": ("text/json", _with_end(",}")),
    "text-comment": ("text/json", _with_end("/**/}")),
    "text-single-quotes": ("text/json", _with_end(",'foo':0}")),
    "text-bare-key": ("text/json", _with_end(",foo:0}")),
    "text-not-a-number": ("text/json", _with_end(',"foo":NaN}')),
    "text-infinity": ("text/json", _with_end(',"foo":-Infinity}')),
    "text-leading-zero": ("text/json", _with_end(',"foo":01}')),
    "text-raw-line-break": ("text/json", _with_end(',"foo":"\n"}')),
    "text-bad-escape": ("text/json", _with_end(',"foo":"\\x41"}')),
    "text-deep": ("text/depth", _with_end(f',"foo":{"[" * 600}{"]" * 600}}}')),
}


@cache
def _changes(revision: str, layer: str) -> Mapping[str, _Change]:
    changes = _Changes(revision, layer)
    for name, (rule, write) in _BROKEN_TEXTS.items():
        changes.add(name, rule, "", write=write)
    for wrong in _TYPES_BUT["object"]:
        changes.add(f"message-{wrong}", "object", "", write=_always(json.dumps(_WRONG[wrong])))
    changes.add("message-in-array", "object", "", write=lambda text: f"[{text}}}]")
    for member in ("to", "type", "payload"):
        write = _with_end(f',"{member}":null}}')
        changes.add(f"{member}-twice-last-null", member, f"/{member}", write=write)
    changes.add("to-twice-escaped", "to", "/to", write=_with_end(',"\\u0074o":0}'))
    changes.member(("to",), "to", "string", required=True)
    changes.member(("payload",), "payload", "object", required=True)
    _add_types(changes)
    if layer == "guard":
        _add_guard(changes)
    elif layer == "emitted":
        _add_emitted(changes)
    else:
        _add_documented(changes)
    return changes.all


def _add_types(changes: _Changes) -> None:
    changes.add("type-missing", "type", "", edit=_without(("type",), changes.layer))
    values = {wrong: _WRONG[wrong] for wrong in _TYPES_BUT["string"]}
    values |= {"unknown": "NewTemplate", "empty": "", "wrong-case": "signIn", "space": "SignIn "}
    known = {kind for revision in catalogue.revisions() for kind in _kinds(revision, "guard")}
    # The names of other revisions are the mistakes that are most likely made.
    values |= {f"of-another-revision-{_slug(kind).strip('-')}": kind for kind in known - set(changes.kinds)}
    for name, value in sorted(values.items()):
        changes.value(("type",), f"type-{name}", "type", value)


def _add_guard(changes: _Changes) -> None:
    for variable in _typed_variables(changes.revision):
        changes.member(("payload", variable), _slug(variable), "string")
    if changes.revision == catalogue.revisions()[0]:
        for variable in ("foo", "application", "user", "constructor"):
            changes.member(("payload", variable), "values", "string")
        # A variable that a later revision gives a rule of its own.
        changes.member(("payload", "locale"), "locale", "string")
        changes.member(("payload", "uiLocales"), "ui-locales", "string")
    if _knows_ip(changes.revision):
        changes.member(("ip",), "ip", "string")


_INVITATION = "OrganizationInvitation"


def _add_emitted(changes: _Changes) -> None:
    revision = changes.revision
    first = revision == catalogue.revisions()[0]
    typed = _typed_variables(revision)
    code_flows = tuple(kind for kind in changes.kinds if kind != _INVITATION)
    addresses = {
        "empty": "",
        "without-at": "example.com",
        "without-dot": "foo@example",
        "without-name": "@a.test",
    }
    addresses |= {"without-host": "foo@.com", "ending-in-dot": "foo@example.", "phone-number": "15550001"}
    addresses |= {
        "space": "foo @example.com",
        "line-break": "foo@example.com\n",
        "no-break-space": "f\u00a0o@a.test",
    }
    addresses |= {
        "header": "foo@example.com\r\nBcc: bar@example.org",
        "line-separator": "foo@example.com\u2028",
    }
    for name, value in addresses.items():
        changes.value(("to",), f"to-{name}", "to", value)
    capped = [kind for kind in code_flows if kind != "Generic"]
    changes.value(("to",), "to-too-long", "to", f"{'x' * 117}@example.com", kinds=capped)
    changes.value(("to",), "to-too-long-invitation", "to", f"{'x' * 245}@example.com", kinds=(_INVITATION,))
    changes.value(("foo",), "unknown-member", "object", None, at="")

    code = ("payload", "code")
    changes.member(code, "code", "string", required=True, kinds=code_flows)
    codes = {"short": "12345", "long": "1234567", "empty": "", "letters": "12345a", "space": " 12345"}
    codes |= {
        "line-break": "123456\n",
        "sign": "-12345",
        "hyphen": "123-456",
        "other-digits": "\uff11\uff12\uff13\uff14\uff15\uff16",
    }
    for name, value in codes.items():
        changes.value(code, f"code-{name}", "code", value, kinds=code_flows)
    unknown = {"unknown-variable": "foo", "link-in-code-flow": "link", "inviter-in-code-flow": "inviter"}
    for name, variable in unknown.items():
        changes.value(("payload", variable), name, "values", "foo", at="/payload", kinds=code_flows)
    changes.value(
        ("payload", "__proto__"), "variable-proto", "values", "foo", at="/payload", kinds=(_INVITATION,)
    )
    for variable in typed:
        if variable != "code":
            changes_of = (_INVITATION,) if variable == "link" or first else None
            changes.member(("payload", variable), _slug(variable), "string", kinds=changes_of)
    for wrong in _TYPES_BUT["string"]:
        name = f"invitation-code-{wrong}"
        changes.value(code, name, "code", _WRONG[wrong], kinds=(_INVITATION,))
    if first:
        changes.member(("payload", "foo"), "values", "string", kinds=(_INVITATION,))
        changes.value(
            ("payload", "locale"), "locale-too-early", "values", "en", at="/payload", kinds=code_flows
        )
    else:
        _add_emitted_context(changes)
    if "uiLocales" not in typed:
        changes.value(
            ("payload", "uiLocales"), "ui-locales-too-early", "values", "en", at="/payload", kinds=code_flows
        )
    if not _knows_ip(revision):
        changes.value(("ip",), "ip-too-early", "object", "::1", at="")
        return
    account = ("UserPermissionValidation", "BindNewIdentifier")
    elsewhere = tuple(kind for kind in changes.kinds if kind not in account)
    changes.member(("ip",), "ip", "string", kinds=elsewhere)
    changes.value(("ip",), "ip-empty", "ip", "", kinds=elsewhere)
    changes.value(("ip",), "ip-in-account-flow", "ip", "::1", kinds=account)


def _add_emitted_context(changes: _Changes) -> None:
    visitor = ("SignIn", "Register", "ForgotPassword", "MfaVerification")
    account = ["UserPermissionValidation", "BindNewIdentifier", "BindMfa"]
    both = ["BindMfa"] if "BindMfa" in changes.kinds else []
    both += ["BindNewIdentifier"] if changes.revision == "1.31" else []
    flows = (*visitor, *account)
    locale = ("payload", "locale")
    parent = "/payload"
    changes.add("locale-missing", "locale", parent, kinds=flows, edit=_without(locale, changes.layer))
    changes.value(locale, "locale-empty", "locale", "", kinds=flows)
    long = {"id": 22, "name": 257, "displayName": 257}
    _add_object(changes, "application", flows, ("id", "name"), ("displayName",), long)
    changes.value(
        ("payload", "application", "displayName"),
        "application-display-name-empty",
        "application",
        "",
        kinds=flows,
    )
    long = {"id": 22, "name": 129}
    _add_object(changes, "organization", (*visitor, *both), ("id", "name", "branding"), (), long)
    for variable, kinds in (("application", flows), ("organization", (*visitor, *both))):
        _add_branding(changes, variable, kinds)
        changes.value(
            ("payload", variable, "branding", "foo"),
            f"{variable}-branding-unknown-member",
            variable,
            "foo",
            at=f"/payload/{variable}/branding",
            kinds=kinds,
        )
    limits = {"id": 13, "avatar": 2049, "name": 129, "primaryEmail": 129}
    required = ("id", "avatar", "name", "primaryEmail", "primaryPhone", "username", "profile")
    _add_object(changes, "user", account, required, (), limits)
    odd = {
        "primaryPhone": {"plus": "+15550001", "empty": "", "too-long": "1" * 129},
        "username": {"digit-first": "1foo", "hyphen": "foo-bar", "empty": "", "too-long": "x" * 129},
    }
    for key, values in odd.items():
        for name, value in values.items():
            changes.value(
                ("payload", "user", key), f"user{_slug(f'-{key}')}-{name}", "user", value, kinds=account
            )
    for key in ("nickname", "website"):
        changes.member(("payload", "user", "profile", key), "user", "string", kinds=account)
    changes.member(("payload", "user", "profile", "address"), "user", "object", kinds=account)
    changes.member(("payload", "user", "profile", "address", "country"), "user", "string", kinds=account)
    for kinds, variable in ((visitor, "user"), (("Generic",), "application"), (("Generic",), "user")):
        changes.value(
            ("payload", variable),
            f"{variable}-in-{'generic' if kinds == ('Generic',) else 'visitor-flow'}",
            "values",
            {},
            at=parent,
            kinds=kinds,
        )
    alone = [kind for kind in account if kind not in both]
    changes.value(
        ("payload", "organization"), "organization-in-account-flow", "values", {}, at=parent, kinds=alone
    )


def _add_object(
    changes: _Changes,
    variable: str,
    kinds: Iterable[str],
    required: tuple[str, ...],
    optional: tuple[str, ...],
    too_long: Mapping[str, int],
) -> None:
    """Add what breaks a context variable that is closed: its members, their limits, and one more member."""
    kinds = tuple(kinds)
    changes.member(("payload", variable), variable, "object", kinds=kinds)
    nullable = (
        "avatar",
        "primaryEmail",
        "primaryPhone",
        "username",
        *(["name"] if variable == "user" else ()),
    )
    for key in (*required, *optional):
        types = (
            "object" if key in ("branding", "profile") else "string-or-null" if key in nullable else "string"
        )
        changes.member(("payload", variable, key), variable, types, required=key in required, kinds=kinds)
    for key, length in too_long.items():
        name = f"{variable}-{_slug(key)}-too-long"
        changes.value(("payload", variable, key), name, variable, "x" * length, kinds=kinds)
    changes.value(
        ("payload", variable, "foo"),
        f"{variable}-unknown-member",
        variable,
        "foo",
        at=f"/payload/{variable}",
        kinds=kinds,
    )


def _add_branding(changes: _Changes, variable: str, kinds: Iterable[str]) -> None:
    kinds = tuple(kinds)
    if variable == "application":
        changes.member(("payload", variable, "branding"), variable, "object", kinds=kinds)
    for key in _BRANDING_KEYS:
        changes.member(("payload", variable, "branding", key), variable, "string", kinds=kinds)


def _add_documented(changes: _Changes) -> None:
    visitor = ("SignIn", "Register", "ForgotPassword", "MfaVerification")
    account = ("UserPermissionValidation", "BindNewIdentifier", "BindMfa")
    invited = (_INVITATION,)
    code_flows = tuple(kind for kind in changes.kinds if kind != _INVITATION)
    changes.member(("ip",), "ip", "string")
    changes.member(("payload", "code"), "code", "string", required=True, kinds=code_flows)
    changes.member(("payload", "link"), "link", "string", required=True, kinds=invited)
    for variable in ("locale", "uiLocales"):
        changes.member(("payload", variable), _slug(variable), "string")
    holders = {
        "application": (*visitor, *account),
        "organization": (*visitor, _INVITATION),
        "user": account,
        "inviter": invited,
    }
    promised = {"application": visitor, "organization": invited, "user": account}
    for variable, kinds in holders.items():
        changes.member(("payload", variable), variable, "object", kinds=kinds)
        if variable in promised:
            edit = _without(("payload", variable), changes.layer)
            changes.add(f"{variable}-missing", variable, "/payload", kinds=promised[variable], edit=edit)
        person = variable in ("user", "inviter")
        changes.member(("payload", variable, "id"), variable, "string", required=True, kinds=kinds)
        changes.member(("payload", variable, "name"), variable, "string", required=not person, kinds=kinds)
        if person:
            for key in ("username", "primaryEmail", "primaryPhone", "avatar"):
                changes.member(("payload", variable, key), variable, "string", kinds=kinds)
            changes.member(("payload", variable, "profile"), variable, "object", kinds=kinds)
        else:
            changes.member(("payload", variable, "branding"), variable, "object", kinds=kinds)
            _add_branding(changes, variable, kinds)
        if variable == "application":
            changes.member(("payload", variable, "displayName"), variable, "string", kinds=kinds)


def mutation_names(
    revision: str | None = None, layer: str = "guard", types: Iterable[str] | None = None
) -> tuple[str, ...]:
    """Return the name of every mutation that a revision and layer have, in a stable order.

    Args:
        revision: A contract revision or a Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``.
        types: Only those that can be made with one of these template types.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
        ValueError: As for ``messages``.
    """
    resolved, kinds = _resolve(revision, layer, types)
    changes = _changes(resolved, layer)
    return tuple(name for name, change in changes.items() if not set(kinds).isdisjoint(change.kinds))


def mutate(
    name: str,
    message: Mapping[str, Any] | None = None,
    revision: str | None = None,
    layer: str = "guard",
) -> Mutation:
    """Make one named mistake in a message.

    Args:
        name: One of ``mutation_names``.
        message: A message that is valid in the layer, which stays as it is; when None, the shortest one that
            the mistake can be made in.
        revision: A contract revision or a Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
        ValueError: There is no mutation of that name, or it cannot be made with the message's template type.
    """
    resolved, _ = _resolve(revision, layer)
    change = _changes(resolved, layer).get(name)
    if change is None:
        raise ValueError(
            f"Revision {resolved}, layer {layer}, has no mutation {name!r}; mutation_names tells them all"
        )
    if message is None:
        message = _shortest(resolved, layer, change.kinds[0])
    elif message.get("type") not in change.kinds:
        raise ValueError(f"The mutation {name!r} is made with the template types {', '.join(change.kinds)}")
    return _mutated(name, change, message, layer)


def _mutated(name: str, change: _Change, message: Mapping[str, Any], layer: str) -> Mutation:
    rule = f"message/{change.rule if '/' in change.rule else f'{layer}/{change.rule}'}"
    text = stringify(dict(message)).decode()
    if change.write is not None:
        return Mutation(name, change.write(text[:-1]), None, rule, change.pointer)
    copy = json.loads(text)
    if change.edit is not None:
        change.edit(copy)
    return Mutation(name, stringify(copy).decode(), copy, rule, change.pointer)


def _shortest(revision: str, layer: str, kind: str) -> dict[str, Any]:
    """Return what ``messages`` shrinks to."""

    def simplest(strategy: SearchStrategy[Any], label: object = None) -> Any:  # noqa: ARG001
        if strategy in (_CODE, _CODE_OR_NONE):
            return 0
        raise AssertionError("a message without features draws nothing but a code")

    return _plan(revision, layer, kind).build(cast("DrawFn", simplest), set())


def mutations(
    revision: str | None = None,
    layer: str = "guard",
    types: Iterable[str] | None = None,
    names: Iterable[str] | None = None,
) -> SearchStrategy[Mutation]:
    """Draw messages with one mistake: what a receiver should refuse, and ``validate`` tells in one finding.

    Args:
        revision: A contract revision or a Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``.
        types: Template types to draw from; all of the layer when None.
        names: Mutations to draw from, some of ``mutation_names``; all of them when None.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
        ValueError: A template type or a mutation that there is not, a mutation that none of the types has, or
            nothing left to draw from.
    """
    resolved, kinds = _resolve(revision, layer, types)
    chosen = _chosen(names, mutation_names(resolved, layer, kinds), "mutation")
    changes = _changes(resolved, layer)
    sources = {
        name: _messages(resolved, layer, tuple(kind for kind in kinds if kind in changes[name].kinds))
        for name in chosen
    }
    return _drawn_mutation(_Sources(resolved, layer, st.sampled_from(chosen), sources))


@dataclass(frozen=True, slots=True)
class _Sources:
    """The mutations to choose from, and the messages that each of them is made with."""

    revision: str
    layer: str
    names: SearchStrategy[str] = field(repr=False)
    messages: Mapping[str, SearchStrategy[dict[str, Any]]] = field(repr=False)


@st.composite
def _drawn_mutation(draw: DrawFn, sources: _Sources) -> Mutation:
    name = draw(sources.names)
    change = _changes(sources.revision, sources.layer)[name]
    return _mutated(name, change, draw(sources.messages[name]), sources.layer)


def _chosen(names: Iterable[str] | None, known: tuple[str, ...], word: str) -> tuple[str, ...]:
    if names is None:
        return known
    if isinstance(names, str):
        raise TypeError(f"names is an iterable of names: for one of them, [{names!r}]")
    wanted = tuple(names)
    for name in wanted:
        if name not in known:
            raise ValueError(f"There is no {word} {name!r} here. There are: {', '.join(known)}.")
    if not wanted:
        raise ValueError(f"names is empty, so that there is nothing to draw from; None means every {word}")
    return tuple(name for name in known if name in wanted)


# Broken requests


@dataclass(frozen=True, slots=True)
class BrokenRequest:
    """A request that no sender may make, with what a receiver that keeps the contract answers.

    Attributes:
        name: What is wrong, a stable slug such as ``content-type-missing``.
        request: The request as a server sees it.
        raw: The bytes to write on a connection. Where ``ends`` is true, the sender has to close its side
            after them: the receiver waits for more.
        status: The status that ``exchange.judge_request`` answers it with: 200 where it only tells the
            finding.
        rule: The id of the broken rule.
        ends: Whether the body ends before its Content-Length says.
    """

    name: str
    request: Request
    raw: bytes
    status: int
    rule: str
    ends: bool = False


@dataclass(slots=True)
class _Draft:
    """A valid request to spoil.

    Attributes:
        method: The method.
        headers: The header lines, without Content-Length.
        body: The body that is written.
        length: The value of Content-Length where it is not the body's; an empty one leaves the header out.
        arrives: The body that a server reads where it is not the one written.
        framing: What a server finds wrong with the framing.
        ends: Whether the body ends too early.
    """

    method: str
    headers: list[tuple[str, str]]
    body: bytes
    length: str | None = None
    arrives: bytes | None = None
    framing: str | None = None
    ends: bool = False

    def set(self, name: str, *values: str) -> None:
        """Replace a header line by as many as there are values."""
        place = next(number for number, (header, _) in enumerate(self.headers) if header == name)
        self.headers[place : place + 1] = [(name, value) for value in values]


def _method(name: str) -> Callable[[_Draft], None]:
    def spoil(draft: _Draft) -> None:
        draft.method = name

    return spoil


def _header(name: str, *values: str) -> Callable[[_Draft], None]:
    return lambda draft: draft.set(name, *values)


def _body(change: Callable[[bytes], bytes]) -> Callable[[_Draft], None]:
    def spoil(draft: _Draft) -> None:
        draft.body = change(draft.body)

    return spoil


def _short_length(draft: _Draft) -> None:
    draft.length = str(len(draft.body) - 1)
    draft.arrives = draft.body[:-1]


def _long_length(draft: _Draft) -> None:
    draft.length = str(len(draft.body) + 1)
    draft.framing = f"Content-Length {len(draft.body) + 1}, but {len(draft.body)} bytes came"
    draft.ends = True


def _no_length(draft: _Draft) -> None:
    draft.length = ""
    draft.arrives = b""


def _two_lengths(draft: _Draft) -> None:
    length = len(draft.body)
    draft.headers.insert(2, ("content-length", str(length + 1)))
    draft.arrives = b""
    draft.framing = f"Content-Length {length + 1} and {length}"


def _word_as_length(draft: _Draft) -> None:
    draft.length = "many"
    draft.arrives = b""
    draft.framing = "Content-Length many"


def _length_and_chunks(draft: _Draft) -> None:
    draft.headers.append(("Transfer-Encoding", "chunked"))
    draft.arrives = b""
    draft.framing = "both Content-Length and Transfer-Encoding"


def _broken_chunk(draft: _Draft) -> None:
    draft.length = ""
    draft.headers.append(("Transfer-Encoding", "chunked"))
    draft.body = b"foo\r\n" + draft.body
    draft.arrives = b""
    draft.framing = "a chunk without a valid size"


_MIB = 1024 * 1024
_Spoilt = tuple[int, str, Callable[[_Draft], None]]
_JSON_RULE, _UTF8_RULE, _DEPTH_RULE = "message/text/json", "message/text/utf-8", "message/text/depth"
_FRAMING_RULE, _TYPE_RULE = "sender/request/framing", "sender/request/content-type"
_OBJECT_RULE = "message/{layer}/object"

_SPOILT: Mapping[str, _Spoilt] = {
    **{
        f"method-{name.lower()}": (405, "sender/request/method", _method(name))
        for name in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS")
    },
    "method-lower-case": (405, "sender/request/method", _method("post")),
    "content-type-missing": (415, _TYPE_RULE, _header("content-type")),
    "content-type-empty": (415, _TYPE_RULE, _header("content-type", "")),
    "content-type-text": (415, _TYPE_RULE, _header("content-type", "text/plain")),
    "content-type-form": (415, _TYPE_RULE, _header("content-type", "application/x-www-form-urlencoded")),
    "content-type-multipart": (415, _TYPE_RULE, _header("content-type", "multipart/form-data; boundary=x")),
    "content-type-xml": (415, _TYPE_RULE, _header("content-type", "application/xml")),
    "content-type-twice": (415, _TYPE_RULE, _header("content-type", "application/json", "application/json")),
    "body-empty": (400, _JSON_RULE, _body(lambda _: b"")),
    "body-white-space": (400, _JSON_RULE, _body(lambda _: b" \r\n")),
    "body-cut-off": (400, _JSON_RULE, _body(lambda body: body[: len(body) // 2])),
    "body-without-last-byte": (400, _JSON_RULE, _body(lambda body: body[:-1])),
    "body-twice": (400, _JSON_RULE, _body(lambda body: body + body)),
    "body-form": (400, _JSON_RULE, _body(lambda _: b"to=foo%40example.com&type=SignIn")),
    "body-markup": (400, _JSON_RULE, _body(lambda _: b"<html></html>")),
    "body-nul": (400, _JSON_RULE, _body(lambda body: body + b"\0")),
    "body-byte-order-mark": (400, _UTF8_RULE, _body(lambda body: b"\xef\xbb\xbf" + body)),
    "body-utf-16": (400, _UTF8_RULE, _body(lambda body: body.decode().encode("utf-16"))),
    "body-utf-16-unmarked": (400, _UTF8_RULE, _body(lambda body: body.decode().encode("utf-16-le"))),
    "body-utf-32": (400, _UTF8_RULE, _body(lambda body: body.decode().encode("utf-32"))),
    "body-latin-1": (400, _UTF8_RULE, _body(lambda body: body[:-1] + b',"foo":"\xe9"}')),
    "body-overlong": (400, _UTF8_RULE, _body(lambda body: body[:-1] + b',"foo":"\xc0\xbc"}')),
    "body-raw-surrogate": (400, _UTF8_RULE, _body(lambda body: body[:-1] + b',"foo":"\xed\xa0\x80"}')),
    "body-null": (400, _OBJECT_RULE, _body(lambda _: b"null")),
    "body-array": (400, _OBJECT_RULE, _body(lambda body: b"[" + body + b"]")),
    "body-string": (400, _OBJECT_RULE, _body(lambda _: b'"SignIn"')),
    "body-huge-array": (400, _OBJECT_RULE, _body(lambda _: b"[" + b"0," * (_MIB // 2) + b"0]")),
    "body-huge-string": (400, _JSON_RULE, _body(lambda body: body[:-1] + b',"foo":"' + b"x" * _MIB)),
    "body-deep": (200, _DEPTH_RULE, _body(lambda _: b"[" * 100_000 + b"]" * 100_000)),
    "body-deep-open": (200, _DEPTH_RULE, _body(lambda _: b'{"a":' * 100_000)),
    "body-deep-member": (
        200,
        _DEPTH_RULE,
        _body(lambda body: body[:-1] + b',"foo":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ),
    "body-key-twice": (
        200,
        "sender/body/unique-keys",
        _body(lambda body: b'{"to":"bar@example.org",' + body[1:]),
    ),
    "length-short": (400, _JSON_RULE, _short_length),
    "length-long": (400, _FRAMING_RULE, _long_length),
    "length-missing": (400, _JSON_RULE, _no_length),
    "length-twice": (400, _FRAMING_RULE, _two_lengths),
    "length-word": (400, _FRAMING_RULE, _word_as_length),
    "length-and-chunks": (400, _FRAMING_RULE, _length_and_chunks),
    "chunk-broken": (400, _FRAMING_RULE, _broken_chunk),
}


def _spoilt(authorization: str | None) -> Mapping[str, _Spoilt]:
    """Return the ways in which a request can be broken where that authorization is asked for, or none."""
    if authorization is None:
        return _SPOILT
    right = _as_read(authorization)
    scheme, space, credential = right.partition(" ")
    ways: dict[str, tuple[str, ...]] = {
        "missing": (),
        "empty": ("",),
        "other": (f"{scheme} foo" if space else "foo",),
        "cut": (right[:-1],),
        "extended": (f"{right}x",),
        # As bytes, for a letter outside ASCII has no other case of the same length.
        "other-case": (f"{scheme}{space}{_swapped(credential)}" if space else _swapped(right),),
        "scheme-only": (scheme,),
        "twice": (right, right),
        "wrong-first": ("foo", right),
        "wrong-last": (right, "foo"),
    }
    spoilt = dict(_SPOILT)
    for name, values in ways.items():
        if [value.strip(" \t") for value in values] != [right.strip(" \t")]:
            way = _header("authorization", *values)
            spoilt[f"authorization-{name}"] = (401, "sender/request/authorization", way)
    return spoilt


def _as_read(authorization: str) -> str:
    # The wire has UTF-8, and a header is read as ISO 8859-1.
    return authorization.encode().decode("latin-1")


def _swapped(text: str) -> str:
    return text.encode("latin-1").swapcase().decode("latin-1")


def request_names(authorization: str | None = None) -> tuple[str, ...]:
    """Return the name of every way in which a request can be broken, in a stable order.

    Args:
        authorization: The value that the receiver asks for; those about Authorization are among them only
            where there is one.
    """
    return tuple(_spoilt(authorization))


def break_request(
    name: str,
    message: Mapping[str, Any] | None = None,
    *,
    url: str = "http://localhost/",
    authorization: str | None = None,
    layer: str = "guard",
) -> BrokenRequest:
    """Break the request that would deliver a message, in one named way.

    Args:
        name: One of ``request_names``.
        message: A valid message; when None, the shortest one.
        url: The endpoint, an http or https URL: for the request line and the Host header.
        authorization: The value that the receiver asks for; no Authorization is sent when None.
        layer: The layer that the receiver's messages are held to: it is named in the rule of a body that is
            no object.

    Raises:
        ValueError: There is no such way, the URL has no host, or ``authorization`` has a line break.
    """
    spoilt = _spoilt(_one_line(authorization))
    if name not in spoilt:
        raise ValueError(f"There is no broken request {name!r} here. There are: {', '.join(spoilt)}.")
    if message is None:
        message = _shortest(
            catalogue.current_revision(), layer, _kinds(catalogue.current_revision(), layer)[0]
        )
    return _broken(name, spoilt[name], stringify(dict(message)), url, authorization, layer)


def http_requests(
    revision: str | None = None,
    layer: str = "guard",
    types: Iterable[str] | None = None,
    *,
    url: str = "http://localhost/",
    authorization: str | None = None,
    names: Iterable[str] | None = None,
) -> SearchStrategy[BrokenRequest]:
    """Draw requests that are broken in one way, each around a valid message.

    Args:
        revision: A contract revision or a Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``: what the messages are valid in.
        types: Template types to draw from; all of the layer when None.
        url: The endpoint, an http or https URL: for the request line and the Host header.
        authorization: The value that the receiver asks for; when None, no Authorization is sent and no
            request is broken in that.
        names: Ways to draw from, some of ``request_names``; all of them when None.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
        ValueError: A template type or a way that there is not, nothing to draw from, a URL without a host, or
            a line break in ``authorization``.
    """
    resolved, kinds = _resolve(revision, layer, types)
    spoilt = _spoilt(_one_line(authorization))
    chosen = _chosen(names, tuple(spoilt), "broken request")
    _endpoint(url)
    return st.tuples(st.sampled_from(chosen), _messages(resolved, layer, kinds)).map(
        lambda pair: _broken(pair[0], spoilt[pair[0]], stringify(pair[1]), url, authorization, layer)
    )


def _one_line(authorization: str | None) -> str | None:
    if authorization is not None and ("\r" in authorization or "\n" in authorization):
        raise ValueError("The value of Authorization has a line break")
    return authorization


def _endpoint(url: str) -> tuple[str, str]:
    """Return the Host header and the request target of a URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"An endpoint is an http or https URL with a host; it was {url!r}")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not (target.isascii() and target.isprintable() and " " not in target):
        raise ValueError(f"The path of {url!r} has to be percent-encoded")
    return parts.netloc.rpartition("@")[2], target


def _broken(
    name: str, spoilt: _Spoilt, body: bytes, url: str, authorization: str | None, layer: str
) -> BrokenRequest:
    status, rule, spoil = spoilt
    host, target = _endpoint(url)
    headers = [("user-agent", "got (https://github.com/sindresorhus/got)")]
    if authorization is not None:
        headers.append(("authorization", _as_read(authorization)))
    headers += [
        ("content-type", "application/json"),
        ("accept-encoding", "gzip, deflate, br"),
        ("Host", host),
        ("Connection", "keep-alive"),
    ]
    draft = _Draft("POST", headers, body)
    spoil(draft)
    length = str(len(draft.body)) if draft.length is None else draft.length
    if length:
        place = next(
            number for number, (header, _) in enumerate(draft.headers) if header == "accept-encoding"
        )
        draft.headers.insert(place, ("content-length", length))
    head = [f"{draft.method} {target} HTTP/1.1", *(f"{header}: {value}" for header, value in draft.headers)]
    raw = "\r\n".join([*head, "", ""]).encode("latin-1") + draft.body
    arrived = draft.body if draft.arrives is None else draft.arrives
    # White space around a value is no part of it.
    read = tuple((header, value.strip(" \t")) for header, value in draft.headers)
    request = Request(draft.method, target, read, arrived, draft.framing)
    return BrokenRequest(name, request, raw, status, rule.format(layer=layer), draft.ends)
