"""Judges the text of a mail: whether a message's values arrived undamaged, and what a template left over.

What stands in a value of the message is no damage: a name may be ``{{name}}``, ``null`` or ``&amp;``.
"""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from typing import TYPE_CHECKING
from unicodedata import category, normalize
from urllib.parse import quote, unquote

from ..masking import escape_unprintable
from .mail_links import list_hrefs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .mail_reading import ReadMail

MAX_JUDGED_CHARACTERS = 200_000
"""How much of each part of a mail is judged."""
_MAX_VALUE_CHARACTERS = 200
_MAX_SHOWN_CHARACTERS = 80

_URL = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{0,40}://\S+")
_NAME = r"[A-Za-z_][\w.\-]{0,60}"
_PLACEHOLDER = re.compile(
    r"\{\{[^{}\n]{0,80}\}\}|\{%[^{}\n]{0,80}%\}|[$#@]\{[^{}\n]{0,80}\}|<%[^<>\n]{0,80}%>|\[%[^\[\]\n]{0,80}%\]|"
    rf"\{{ ?(?:{_NAME}|[0-9]{{1,2}})? ?\}}|\[\[ ?{_NAME} ?\]\]|%\({_NAME}\)[sd]|\*\|[A-Z_:0-9]{{1,60}}\|\*"
)
# In a URL, these may be a part of it.
_PLACEHOLDER_OUTSIDE_URLS = re.compile(
    r"(?<![\w%])%(?:[A-Za-z_]{3,40}%|(?:[0-9]{1,2}\$)?[sd@](?![\w'\u2019]))|(?<![\w$.,])\$[a-z_][A-Za-z_]{2,40}\b"
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ENCODED_WORD = re.compile(r"=\?[\w-]{1,40}\?[BbQq]\?[^?\s]{0,200}\?=")
# What programs write, and people do not.
_EMPTY = re.compile(
    r"\[object \w{1,40}\]|(?<!\w)(?:undefined|NaN)(?!\w)|<(?:nil|null|no value)>|\(null\)|"
    r"%![a-zA-Z]?\([\w<>.=*{}]{1,60}|Optional(?:\.empty|\[[^\[\]\n]{0,80}\]|\((?:nil|\"[^\"\n]{0,80}\")\))|"
    r"<[\w. ]{1,80} object at 0x[0-9a-f]{1,16}>|#<[A-Z][\w:]{0,60}[ :>]|"
    r"\b(?:Hello|Hi|Hey|Dear|Hallo|Bonjour|Hola|Olá|Ciao),? (?P<word>None|null|NULL|nil)\b"
)
# People write these too: "null und nichtig" in German, "None of" in English.
_AMBIGUOUS = re.compile(r"(?<![\w.-])(?:None(?! of\b)|null|Null|NULL|nil|Array|\[\]|\{\}|\(\))(?![\w-])")
_EMPTY_LINK = re.compile(r"(?:.{0,300}[/:])?(?:None|null|undefined|NaN|nil|\[object Object\])/?")


def find_damaged_text(read: ReadMail, values: Mapping[str, str]) -> list[str]:
    """Return what a wrong charset or escape did to a mail, for example ``shows user.name Zoë as Zo?``.

    A value that the mail does not show is no damage. Links are judged by ``find_link_change``.

    Args:
        read: The mail.
        values: All texts that the message has, by their names.
    """
    own = _Own(values)
    return [
        f"the {place} shows {problem}"
        for place, text in _list_places(read)
        for problem in list(_find_damaged_values(text, values, own)) or _find_wrong_codes(place, text, own)
    ]


def find_leftovers(read: ReadMail, values: Mapping[str, str], control: ReadMail | None = None) -> list[str]:
    """Return what a template left over in a mail, for example ``the subject shows {{name}}``.

    Args:
        read: The mail.
        values: All texts that the message has, by their names.
        control: A mail for a message of the same type and locale that has every value. With it, words such as
            ``None`` and ``null`` are left over where the mail has more of them than the control.
    """
    own = _Own(values)
    found = []
    for place, text in _list_places(read):
        problems = list(_find_placeholders(text, own))
        before = _find_before(control, place)
        problems += _find_more_empty_words(text, before, own) if before is not None else ()
        found += [f"the {place} shows {problem}" for problem in problems]
    return found + [
        f"the HTML links to {_show(href)}" for href in list_hrefs(read) if _is_left_over(href, own)
    ]


class _Own:
    """The texts of a message, by which one recognizes what the message itself brought into the mail.

    Case makes no difference: a receiver may write a subject in upper case.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = {_collapse(value).casefold() for value in values.values()} - {""}
        self._squeezed = _squeeze("\n".join(self.values))
        self._squeezed += "\n" + unquote(self._squeezed)

    def has(self, text: str) -> bool:
        """Return whether a text, or what stands in its brackets, comes from the message."""
        text = text.casefold()
        return _squeeze(text) in self._squeezed or text.strip("{}[]()<>%$#@*|= ") in self.values


def _list_places(read: ReadMail) -> list[tuple[str, str]]:
    places = [("subject", read.mail.subject), *read.parts.items()]
    return [(place, _collapse(text[:MAX_JUDGED_CHARACTERS])) for place, text in places]


def _find_before(control: ReadMail | None, place: str) -> str | None:
    return dict(_list_places(control)).get(place) if control else None


def _collapse(text: str) -> str:
    """Return a text with one space for each run of them, and one form for composed characters."""
    return " ".join(normalize("NFC", text).split())


def _squeeze(text: str) -> str:
    """Return a text without spaces and control characters, which parsers of misread text drop."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f\xad]+", "", text)


def _find_damaged_values(text: str, values: Mapping[str, str], own: _Own) -> Iterator[str]:
    # In a URL a value may be percent-encoded.
    squeezed = _squeeze(_URL.sub(" ", text))
    for name, whole in values.items():
        value = _collapse(whole[:_MAX_VALUE_CHARACTERS])
        if _URL.match(value):
            continue
        # A receiver may leave out what controls the direction of text.
        bare = "".join(character for character in value if category(character) != "Cf")
        damaged = (form for form in _list_damaged_forms(value) if form != bare)
        shown = next((form for form in damaged if _squeeze(form) in squeezed), "")
        if not (shown and not own.has(shown)):
            shown = "" if value in text else _find_lost_characters(text, bare)
        if shown and not own.has(shown):
            yield f"{name} {_show(value)} as {_show(shown)}"


def _list_damaged_forms(value: str) -> Iterator[str]:
    """Yield what a text becomes by wrong escapes and wrong charsets."""
    forms = [html.escape(value), re.sub(r"([\"'])", r"\\\1", value), json.dumps(value)[1:-1]]
    forms.append(quote(value, errors="replace"))
    if not value.isascii():
        data = value.encode("utf-8", "replace")
        forms += [value.encode("unicode_escape").decode(), repr(data)[2:-1]]
        forms.append("".join(chr(byte) if byte < 128 and byte != 61 else f"={byte:02X}" for byte in data))
        for charset in ("latin-1", "cp1252", "cp1251", "mac_roman", "cp437", "cp850", "koi8_r"):
            once = _misread(value, charset)
            forms += [once, _misread(once, charset)]
        forms += [data.decode(charset, "ignore") for charset in ("gbk", "shift_jis", "euc_kr")]
    # A few characters may stand in any text.
    return (form for form in forms if form != value and len(_squeeze(form)) > 1)


def _misread(value: str, charset: str) -> str:
    """Return the UTF-8 of a text read as a charset of single bytes."""
    data = value.encode("utf-8", "replace")
    # Mail clients read a byte that the charset does not have as the control character of its number.
    return "".join(bytes((byte,)).decode(charset, "ignore") or chr(byte) for byte in data)


def _find_lost_characters(text: str, value: str) -> str:
    """Return where a text shows a value with question marks for characters beyond ASCII, or without those."""
    runs = re.split(r"([^\x00-\x7f]+)", value)
    if len(runs) == 1 or len(value) < 2:
        return ""
    # One question mark for each character, UTF-16 unit or byte.
    pattern = "".join(
        rf"\?{{{len(run)},{4 * len(run)}}}" if not run.isascii() else re.escape(run) for run in runs
    )
    patterns = [rf"(?<![\w?]){pattern}(?![\w?])"]
    if re.search(r"[A-Za-z][^\x00-\x7f]+[A-Za-z]", value):
        patterns.append(rf"(?<!\w){re.escape(''.join(runs[::2]))}(?!\w)")
    found = next((found for pattern in patterns if (found := re.search(pattern, text))), None)
    return found[0] if found else ""


def _find_wrong_codes(place: str, text: str, own: _Own) -> Iterator[str]:
    """Yield characters that stand for others: replacement characters, HTML entities, encoded words."""
    at = text.find("\ufffd")
    # UTF-8 has no surrogates: a receiver may write this character for one.
    if at >= 0 and not any(re.search("[\ud800-\udfff\ufffd]", value) for value in own.values):
        yield f"a replacement character: {_show(text[max(0, at - 20) : at + 20])}"
    for match in _ENTITY.finditer(_URL.sub(" ", text)):
        if html.unescape(match[0]) != match[0] and not own.has(match[0]):
            yield _show(match[0])
            break
    for match in _ENCODED_WORD.finditer(text) if place == "subject" else ():
        if not own.has(match[0]):
            yield _show(match[0])
            break


def _find_placeholders(text: str, own: _Own) -> Iterator[str]:
    searches = (
        (_PLACEHOLDER, text),
        (_PLACEHOLDER_OUTSIDE_URLS, _URL.sub(" ", text)),
        (_EMPTY, text),
    )
    for pattern, searched in searches:
        for match in pattern.finditer(searched):
            if not own.has(match[match.lastgroup or 0]):
                yield _show(match[0])
                break


def _find_more_empty_words(text: str, before: str, own: _Own) -> Iterator[str]:
    more = Counter(_AMBIGUOUS.findall(text)) - Counter(_AMBIGUOUS.findall(before))
    yield from (_show(word) for word in more if not own.has(word))


def _is_left_over(href: str, own: _Own) -> bool:
    href = href[:MAX_JUDGED_CHARACTERS].strip()
    leftover = _PLACEHOLDER.search(unquote(href))
    found = leftover[0] if leftover else href if _EMPTY_LINK.fullmatch(href) else ""
    return bool(found) and not own.has(found)


def _show(text: str) -> str:
    more = "…" if len(text) > _MAX_SHOWN_CHARACTERS else ""
    return escape_unprintable(text[:_MAX_SHOWN_CHARACTERS]) + more
