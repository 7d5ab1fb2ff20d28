"""Texts for names, locales and other strings. Texts that crash receivers are drawn often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy


# A choice of Hypothesis costs more than the code around it. One choice of bytes therefore selects all
# features of a message, and one choice of text all pieces of a value. Both shrink to the fewest and simplest
# units, which give the shortest message. "0" is the letter that Hypothesis finds simplest.
FIRST_LETTER = ord("0")
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
# Several of them at once, so that each is drawn often: as a header, an attribute or a script holds them.
_COMPOSED = (
    "\"Foo & 'Bar'\"",
    "\"Foo\", 'Bar' <bar@example.org>",
    "'\"><script>alert(1)</script>",
    "<a href=\"javascript:alert(1)\" title='&'>",
    '"\u202eFoo"\r\nBcc: bar@example.org',
    "'Foo' & \"\u202e😀\"",
)
# Pieces that no database column holds: only the caller of an API can send them.
_WILD_PIECES = (*_PIECES, "\0", "\ud800", "\udfff", "\udc00\ud800")
_WILD_COMPOSED = (*_COMPOSED, "\0\"\ud800'", "\ud800\0<script>")


def make_letters(count: int) -> str:
    return "".join(chr(FIRST_LETTER + number) for number in range(count))


class _Text:
    """Texts: one piece, a text of the greatest length, or a mix of pieces and arbitrary text.

    Args:
        pieces: What a text is made of, the simple ones first.
        composed: Texts that are drawn whole, and more often.
        arbitrary: Draws text of the permitted characters.
        limit: The greatest length, in UTF-16 units.
        empty: Whether a text may be empty.
    """

    def __init__(
        self,
        pieces: tuple[str, ...],
        composed: tuple[str, ...],
        arbitrary: SearchStrategy[str],
        limit: int,
        *,
        empty: bool = True,
    ) -> None:
        self._pieces = pieces
        self._arbitrary = arbitrary
        self._limit = limit
        longest = ("x" * limit, "é" * limit, "😀" * (limit // 2))
        # The texts that crash most receivers are listed more than once.
        ready = (*pieces, *(composed * 5), *(longest * 9), *(("",) * 13 if empty else ()))
        # None means a mixed text. A ready text costs a single choice.
        self._ready = st.sampled_from((*ready, *(None,) * (len(ready) // 5)))
        # The last letter means arbitrary text.
        self._choice = st.text(make_letters(len(pieces) + 1), min_size=1, max_size=6)

    def draw(self, draw: DrawFn) -> str:
        text: str | None = draw(self._ready)
        if text is not None:
            return text
        pieces = self._pieces
        parts = [
            pieces[number] if number < len(pieces) else draw(self._arbitrary)
            for number in (ord(letter) - FIRST_LETTER for letter in draw(self._choice))
        ]
        text = join_surrogates("".join(parts))
        return text if count_units(text) <= self._limit else text[: self._limit // 2]


def join_surrogates(text: str) -> str:
    """Return a text as a JSON parser reads it: a high and a low surrogate in a row become one character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def count_units(text: str) -> int:
    """Return the length as JavaScript counts it. A database never counts more."""
    return len(text) + sum(character > "\uffff" for character in text)


_STORED_CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
_ARBITRARY_STORED = st.text(_STORED_CHARACTERS, min_size=1, max_size=30)
ARBITRARY_WILD = st.text(min_size=1, max_size=30)


def _make_stored(limit: int, *, empty: bool = False) -> _Text:
    return _Text(_PIECES, _COMPOSED, _ARBITRARY_STORED, limit, empty=empty)


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts that a layer permits in the members of context variables."""

    application_name: _Text
    display_name: _Text
    organization_name: _Text
    user_name: _Text
    avatar: _Text
    free: _Text


# Logto stores an empty text as null, except within a profile.
STORED = Texts(
    application_name=_make_stored(256),
    display_name=_make_stored(256),
    organization_name=_make_stored(128),
    user_name=_make_stored(128),
    avatar=_make_stored(2048),
    free=_make_stored(1000, empty=True),
)
WILD = _Text(_WILD_PIECES, _WILD_COMPOSED, ARBITRARY_WILD, 3000)
FREE = Texts(
    application_name=_Text(_WILD_PIECES, _WILD_COMPOSED, ARBITRARY_WILD, 256),
    display_name=_Text(_WILD_PIECES, _WILD_COMPOSED, ARBITRARY_WILD, 258),
    organization_name=_Text(_WILD_PIECES, _WILD_COMPOSED, ARBITRARY_WILD, 128),
    user_name=_Text(_WILD_PIECES, _WILD_COMPOSED, ARBITRARY_WILD, 130),
    avatar=WILD,
    free=WILD,
)
# Logto's built-in languages and some that a tenant may add.
_LOCALES = (
    *("en", "de", "pt-BR", "ar", "cs", "es", "fa-IR", "fr", "it", "ja", "ko", "pl-PL", "pt-PT", "ru", "th"),
    *("tr-TR", "uk-UA", "zh-CN", "zh-HK", "zh-TW", "es-MX", "af-ZA", "en-GB", "es-419", "sv-SE", "vi-VN"),
)
UI_LOCALES = _Text(("pt-BR", "pt-BR de", *_PIECES), _COMPOSED, _ARBITRARY_STORED, 300, empty=False)
WILD_LOCALE = _Text((*_LOCALES[:3], *_WILD_PIECES), _WILD_COMPOSED, ARBITRARY_WILD, 500)
# The connector test leaves an empty one out.
TEST_LOCALE = _Text((*_LOCALES[:3], *_WILD_PIECES), _WILD_COMPOSED, ARBITRARY_WILD, 500, empty=False)
LOCALE = st.sampled_from(_LOCALES)
