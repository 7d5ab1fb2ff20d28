"""Messages that are valid in a layer, and what is needed to draw them.

Of each template type there is a plan: the features that its messages may have, and what makes a message of
those that were drawn.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from hypothesis import strategies as st

from .. import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from hypothesis.strategies import DrawFn, SearchStrategy

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

BRANDING_KEYS = ("logoUrl", "favicon", "darkLogoUrl", "darkFavicon")
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
    [keys for size in range(5) for keys in itertools.combinations(BRANDING_KEYS, size)]
)
# None stands for any URL under any key.
_BRANDING: SearchStrategy[dict[str, Any] | None] = st.sampled_from(
    (
        {},
        *({"logoUrl": url} for url in _URLS),
        *({key: _URLS[0]} for key in BRANDING_KEYS[1:]),
        *(dict.fromkeys(BRANDING_KEYS, url) for url in _URLS[:4]),
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


def _code_flow(kind: str, contexts: tuple[tuple[str, ...], ...], *, ui_locales: bool, ip: bool) -> _Plan:
    """Plan the messages of a flow in which a visitor or a user asks for a code."""
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
    typed = typed_variables(revision)
    ip = knows_ip(revision)
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


def typed_variables(revision: str) -> tuple[str, ...]:
    """Return the payload's variables that the type of a contract revision speaks of."""
    schema = catalogue.schema(revision, "guard")
    return tuple(schema["properties"]["payload"]["properties"])


def knows_ip(revision: str) -> bool:
    """Tell whether a contract revision has the member ``ip``."""
    return "ip" in catalogue.schema(revision, "guard")["properties"]


def kinds_of(revision: str, layer: str) -> tuple[str, ...]:
    """Return the template types of a layer, in the schema's order."""
    return tuple(catalogue.schema(revision, layer)["properties"]["type"]["enum"])


def resolve(
    revision: str | None, layer: str, types: Iterable[str] | None = None
) -> tuple[str, tuple[str, ...]]:
    """Return the contract revision and the template types that are meant, in the schema's order."""
    resolved = catalogue.current_revision() if revision is None else catalogue.resolve_revision(revision)
    kinds = kinds_of(resolved, layer)
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

    Those of the current revision shrink to ``{"to": "foo@example.com", "type": "SignIn", "payload": {}}`` in
    the guard layer and to ``{"code": "000000", "locale": "en"}`` as payload in the emitted one.

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
    resolved, kinds = resolve(revision, layer, types)
    return messages_of(resolved, layer, kinds)


@cache
def messages_of(revision: str, layer: str, kinds: tuple[str, ...]) -> SearchStrategy[dict[str, Any]]:
    """Draw messages of what ``resolve`` returned, or of some of its template types."""
    # Has Hypothesis make its table of characters now. In a new checkout that takes a second, and within a
    # draw it would fail the user's test as too slow.
    _ARBITRARY_WILD.validate()
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


def shortest(revision: str, layer: str, kind: str) -> dict[str, Any]:
    """Return what the messages of a template type shrink to."""

    def simplest(strategy: SearchStrategy[Any], label: object = None) -> Any:  # noqa: ARG001
        if strategy in (_CODE, _CODE_OR_NONE):
            return 0
        raise AssertionError("a message without features draws nothing but a code")

    return _plan(revision, layer, kind).build(cast("DrawFn", simplest), set())


def choose_names(names: Iterable[str] | None, known: tuple[str, ...], word: str) -> tuple[str, ...]:
    """Return the names that are meant, in the order of those that there are; ``word`` is what they name."""
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
