"""Recipients: addresses in reserved domains, and texts that are no address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from ._texts import FIRST_LETTER, WILD, count_units, make_letters

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn


_DOMAINS = (
    "example.com",
    "example.org",
    "example.net",
    "foo.test",
    "EXAMPLE.COM",
    "EXAMPLE.ORG",
    "bar.example",
    "foo.invalid",
)
_WIDE_DOMAINS = ("xn--bcher-kva.example", "bücher.example", "a.b.c.test")
_PLAIN_LOCAL_PIECES = ("foo", "bar", "FOO", "+tag", "foo+tag", "_x", "-y", ".z", "'o", "0")
# Logto only checks for "text @ text . text". Its own tests of that check accept the first of these.
_ODD_LOCAL_PIECES = (
    *_PLAIN_LOCAL_PIECES,
    '"',
    "'",
    ",",
    ";",
    ":",
    "<",
    '"><svg/onload=1>',
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
# Several of them at once, so that each is drawn often.
_PLAIN_COMPOSED = ("FOO+TAG@EXAMPLE.COM",)
_ODD_COMPOSED = (
    *_PLAIN_COMPOSED,
    'foo+tag,"><svg/onload=1>@example.com',
    '"foo,bar"@EXAMPLE.ORG',
    "é,'+tag\"><svg/onload=1>@bücher.example",
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
    *("foo\0\ud800@example.com\r\nBcc: bar@example.org",) * 3,
    "",
)


class _Recipients:
    """Addresses in reserved domains, without white space.

    Args:
        pieces: Pieces of the part before the at sign.
        domains: The domains.
        composed: Addresses that are drawn whole, and more often.
        limit: The greatest length, in UTF-16 units.
        strict: Whether zod's ``email()`` must accept the address. It refuses a dot at either end of the part
            before the at sign.
    """

    def __init__(
        self,
        pieces: tuple[str, ...],
        domains: tuple[str, ...],
        composed: tuple[str, ...],
        limit: int,
        *,
        strict: bool = False,
    ) -> None:
        self._limit = limit
        self._strict = strict
        self._pieces = pieces
        self._domains = domains
        self._choice = st.text(make_letters(len(domains) + len(pieces)), max_size=4)
        ready = [self._address(piece, domains[0]) for piece in pieces]
        ready += [self._address("foo", domain) for domain in domains[1:]]
        ready += [self._address("x" * limit, domains[0]), self._address("fo" * limit, domains[-1])] * 3
        ready += composed * 5
        # None means an address of several pieces.
        self._ready = st.sampled_from((*ready, *(None,) * (len(ready) // 5)))

    def draw(self, draw: DrawFn) -> str:
        address: str | None = draw(self._ready)
        if address is not None:
            return address
        pieces, domains = self._pieces, self._domains
        numbers = [ord(letter) - FIRST_LETTER for letter in draw(self._choice)]
        local = "".join([pieces[number] for number in numbers if number < len(pieces)])
        domain = next((number - len(pieces) for number in numbers if number >= len(pieces)), 0)
        return self._address(local or "foo", domains[domain])

    def _address(self, local: str, domain: str) -> str:
        if self._strict and (local[0] == "." or local[-1] in ".'" or ".." in local):
            local = f"x{local}x".replace("..", ".")
        room = self._limit - len(domain) - 1
        return f"{local if count_units(local) <= room else local[:room]}@{domain}"


CODE_RECIPIENTS = _Recipients(_ODD_LOCAL_PIECES, (*_DOMAINS, *_WIDE_DOMAINS), _ODD_COMPOSED, 128)
TEST_RECIPIENTS = _Recipients(_ODD_LOCAL_PIECES, (*_DOMAINS, *_WIDE_DOMAINS), _ODD_COMPOSED, 1000)
INVITATION_RECIPIENTS = _Recipients(
    _PLAIN_LOCAL_PIECES, (*_DOMAINS, _WIDE_DOMAINS[0]), _PLAIN_COMPOSED, 256, strict=True
)
_ANY_RECIPIENT = st.sampled_from(_ANY_RECIPIENTS)


def draw_recipient(draw: DrawFn, on: set[str], recipients: _Recipients) -> str:
    return recipients.draw(draw) if "to" in on else "foo@example.com"


def draw_any_recipient(draw: DrawFn, on: set[str]) -> str:
    if "to.any" in on:
        return draw(_ANY_RECIPIENT)
    if "to.text" in on:
        return WILD.draw(draw)
    return draw_recipient(draw, on, TEST_RECIPIENTS)
