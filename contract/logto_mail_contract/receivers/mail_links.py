"""Judges the links in a mail: whether a message's link arrived unchanged, and which links run a script."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from functools import partial
from itertools import chain, combinations, islice
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, unquote_plus

import ada_url

from ..masking import escape_unprintable
from .mail_reading import LINK_ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .mail_reading import ReadMail

_SCRIPT_SCHEMES = ("javascript:", "vbscript:", "data:")
_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_MAX_PLACES = 20
"""How often the mark of a link is looked at in one text."""
_MAX_SHOWN_CHARACTERS = 400


@dataclass(frozen=True)
class LinkChange:
    """A link that did not arrive as it was sent.

    Attributes:
        place: Where it stands: ``href``, ``HTML part``, ``plain text part``, or ``mail`` when it is missing.
        expected: The link that was sent.
        actual: What stands in its place; empty when the mail does not have it.
        change: What happened to it, for example ``its plus signs became spaces``.
    """

    place: str
    expected: str
    actual: str
    change: str

    def __str__(self) -> str:
        expected = escape_unprintable(self.expected[:_MAX_SHOWN_CHARACTERS])
        if not self.actual:
            return f"a mail without the link {expected}"
        actual = escape_unprintable(self.actual[:_MAX_SHOWN_CHARACTERS])
        change = f"a mail whose {self.place} has the link changed: {self.change}"
        return f"{change}; expected {expected} and got {actual}"


def find_link_change(read: ReadMail, link: str, mark: str) -> LinkChange | None:
    """Return what is wrong with a link in a mail; None when it is intact.

    A part without the link is fine where another part has it. These are no changes: another spelling of the
    same URL (case of the host, Punycode, default port), parameters that were added, and a redirect of the
    receiver's own that carries the link.

    Args:
        read: The mail.
        link: The link that was sent.
        mark: Letters and digits of the link that stand in no other text of the mail.
    """
    hrefs = [href for href in list_hrefs(read) if _find_marks(href, mark)]
    whole = False
    for href in hrefs:
        if not _is_same(href, link):
            return LinkChange("href", link, href, _explain(link, href, is_text=False))
        whole = True
    for kind, text in read.parts.items():
        # The label of a link may be a shortened form of it.
        shown = _collapse(read.html.text_outside_links if kind == "HTML" and hrefs and read.html else text)
        places = [_cut_token(shown, at) for at in islice(_find_marks(shown, mark), _MAX_PLACES)]
        if not places:
            continue
        if not (_stands_in(_collapse(link), shown) or any(_is_same(token, link) for token, _ in places)):
            token, window = places[0]
            if hrefs and window.partition(token)[2].startswith(("…", "...")):
                continue  # a shortened form for people, beside the link itself
            return LinkChange(f"{kind} part", link, *_find_change(link, token, window))
        whole = True
    return None if whole else LinkChange("mail", link, "", "it is missing")


def find_script_links(read: ReadMail) -> list[str]:
    """Return the links of a mail's HTML with the schemes ``javascript:``, ``vbscript:`` and ``data:``.

    Images are no links: mail clients run nothing that is in their addresses.
    """
    # URL parsers overlook control characters and spaces before a URL.
    before = "".join(map(chr, range(33)))
    return [href for href in list_hrefs(read) if href.lstrip(before).lower().startswith(_SCRIPT_SCHEMES)]


def list_hrefs(read: ReadMail) -> list[str]:
    """Return the links of the HTML of a mail, as URL parsers read them."""
    attributes = read.html.attributes if read.html else ()
    # URL parsers overlook line breaks and tabs inside a URL.
    return [re.sub(r"[\t\r\n]", "", value) for name, value in attributes if name in LINK_ATTRIBUTES]


def _find_marks(text: str, mark: str) -> list[int]:
    return [found.start() for found in re.finditer(re.escape(mark), text, re.IGNORECASE)]


def _collapse(text: str) -> str:
    return " ".join(text.split())


def _cut_token(text: str, at: int) -> tuple[str, str]:
    """Return the text without spaces around a position, and a larger piece around it."""
    window = text[max(0, at - 2000) : at + 4000]
    at = min(at, 2000)
    start = max(window.rfind(mark, 0, at) for mark in ' <>"') + 1
    end = min((found for mark in ' <>"' if (found := window.find(mark, at)) >= 0), default=len(window))
    token = window[start:end].lstrip("([{'*").rstrip(".,;:!?)]}'*…")
    return token, window


def _stands_in(link: str, text: str) -> bool:
    """Return whether a text shows a link, and a mail client sees where it begins and ends."""
    at = text.find(link) if link else -1
    while at >= 0:
        before, after = text[max(0, at - 1) : at], text[at + len(link) : at + len(link) + 4]
        glued = re.match(r"[.,;:!?]*[A-Za-z0-9/&=%#+@$~_-]", after)
        if not glued and not re.fullmatch("[A-Za-z0-9]", before):
            return True
        at = text.find(link, at + 1)
    return False


def _is_same(actual: str, link: str) -> bool:
    if _collapse(actual) == _collapse(link):
        return True
    return (
        _normalize(actual) == _normalize(link)
        or _has_more_parameters(actual, link)
        or _is_carried(actual, link)
    )


def _normalize(link: str) -> str:
    """Return the one spelling of a URL among those that mean the same to every server."""
    try:
        link = ada_url.URL(link).href
    except ValueError:
        return link
    return re.sub("%[0-9A-Fa-f]{2}", _normalize_escape, link)


def _normalize_escape(escape: re.Match[str]) -> str:
    character = chr(int(escape[0][1:], 16))
    return character if character in _UNRESERVED else escape[0].upper()


def _has_more_parameters(actual: str, link: str) -> bool:
    actual, _, actual_fragment = actual.partition("#")
    link, _, fragment = link.partition("#")
    longer = actual.startswith(link + ("&" if "?" in link else "?"))
    return longer and "://" in link and fragment == actual_fragment


def _is_carried(actual: str, link: str) -> bool:
    """Return whether a URL carries the link inside: as it is at its end, or percent-encoded, maybe twice."""
    if link in actual:
        return re.search(r"://[^/?#]+[/?#].*[=?]\Z", actual[: actual.index(link)], re.DOTALL) is not None
    for _ in range(2):
        actual = unquote(actual)
        before, found, _ = actual.partition(link)
        if found:
            return re.search("://[^/?#]+[/?#]", before) is not None
    return False


def _find_change(link: str, token: str, window: str) -> tuple[str, str]:
    """Return what stands in the place of a link in a text, and what happened to the link."""
    link = _collapse(link)
    inked = [at for at, mark in enumerate(window) if mark != " "]
    at = "".join(window[at] for at in inked).find(link)
    if at >= 0 and " " in window[inked[at] : inked[at + len(link) - 1]]:
        return window[inked[at] : inked[at + len(link) - 1] + 1], "a line break or space splits it"
    at = window.find(link)
    if at >= 0:
        start = max(window.rfind(" ", 0, at) + 1, at - 40)
        end = at + len(link)
        return f"{window[start:end]}{window[end : end + 40].partition(' ')[0]}", "other text is glued to it"
    for changed, change in _list_changes(link):
        if _stands_in(changed, window):
            return changed, change
    return token, _explain(link, token, is_text=True)


def _explain(link: str, actual: str, *, is_text: bool) -> str:
    """Return in words what made a link into another text."""
    for spell in (str, _normalize):
        spelled = spell(actual)
        change = next((change for changed, change in _list_changes(link) if spell(changed) == spelled), "")
        if change:
            return "it is escaped twice as HTML" if change == _ESCAPED and not is_text else change
    if actual.startswith(link):
        return f"{escape_unprintable(actual[len(link) :][:40])} is glued to its end"
    if actual.endswith(link):
        return f"{escape_unprintable(actual[: -len(link)][-40:])} is glued to its start"
    if link.startswith(actual):
        return f"it is cut off after {len(actual)} of {len(link)} characters"
    return _explain_query(link, actual) or _explain_difference(link, actual)


def _explain_query(link: str, actual: str) -> str:
    before, _, query = link.partition("#")[0].partition("?")
    actual_before, _, actual_query = actual.partition("#")[0].partition("?")
    if _normalize(before) != _normalize(actual_before):
        return ""
    parts, actual_parts = query.split("&"), actual_query.split("&")
    if sorted(parts) == sorted(actual_parts):
        return "the order of its parameters changed"
    lost = [part for part in parts if part not in actual_parts]
    if lost and set(actual_parts) <= set(parts):
        return f"parameters are missing: {', '.join(part.partition('=')[0] for part in lost)}"
    return ""


def _explain_difference(link: str, actual: str) -> str:
    same = next((at for at, pair in enumerate(zip(link, actual, strict=False)) if pair[0] != pair[1]), 0)
    if not same:
        return "it became another text"
    return f"from character {same + 1} on it differs"


_ESCAPED = "it is escaped as HTML"
_URI_CHARACTERS = ":/?#[]@!$&'()*+,;=~%"


def _map_path(change: Callable[[str], str], link: str) -> str:
    """Return a link with all after its scheme and host changed."""
    parts = re.fullmatch(r"([^/?#]*(?://[^/?#]*)?)(.*)", link, re.DOTALL)
    return parts[1] + change(parts[2]) if parts else link


def _encode_again(link: str) -> str:
    return quote(unquote(link), safe=_URI_CHARACTERS) if "%" in link else link


_CHANGES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("its port is missing", lambda link: re.sub(r"(://[^/?#:]*):[0-9]+", r"\1", link, count=1)),
    ("http became https", lambda link: re.sub("^http:", "https:", link, flags=re.IGNORECASE)),
    ("https became http", lambda link: re.sub("^https:", "http:", link, flags=re.IGNORECASE)),
    ("its scheme is missing", lambda link: re.sub("^[A-Za-z][A-Za-z0-9+.-]*:(//)?", "", link)),
    ("its scheme and host are missing", lambda link: re.sub("^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", "", link)),
    ("another scheme stands before its own", lambda link: f"https://{link}"),
    ("another scheme stands before its own", lambda link: f"http://{link}"),
    ("another scheme replaced its own", lambda link: re.sub("^[A-Za-z][A-Za-z0-9+.-]*:", "https:", link)),
    ("its upper case became lower case", str.lower),
    ("its upper case became lower case", partial(_map_path, str.lower)),
    ("its lower case became upper case", str.upper),
    ("its plus signs became %20", lambda link: link.replace("+", "%20")),
    ("its plus signs became spaces", lambda link: link.replace("+", " ")),
    ("its plus signs became %2B", lambda link: link.replace("+", "%2B")),
    ("its %2B became plus signs", lambda link: re.sub("%2[Bb]", "+", link)),
    ("its %20 became plus signs", lambda link: link.replace("%20", "+")),
    ("its %20 became spaces", lambda link: link.replace("%20", " ")),
    ("its %26 became &", lambda link: link.replace("%26", "&")),
    ("its %3D became =", lambda link: re.sub("%3[Dd]", "=", link)),
    ("its %2F became /", lambda link: re.sub("%2[Ff]", "/", link)),
    ("it is percent-encoded twice", lambda link: link.replace("%", "%25")),
    ("its percent-encoding is decoded", unquote),
    ("its percent-encoding is decoded, and its plus signs became spaces", unquote_plus),
    (
        "its percent-encoding is decoded and made again",
        _encode_again,
    ),
    (
        "its percent-encoding is decoded and made again, with plus signs for spaces",
        lambda link: _encode_again(link).replace("%20", "+"),
    ),
    ("it is percent-encoded as a whole", lambda link: quote(link, safe="")),
    ("it is percent-encoded as a whole", lambda link: quote(link, safe="/")),
    ("it is percent-encoded as a whole", lambda link: quote(link, safe="!'()*~")),
    ("its fragment is missing", lambda link: link.partition("#")[0]),
    ("its fragment is percent-encoded", lambda link: link.replace("#", "%23")),
    ("its query is missing", lambda link: re.sub(r"\?[^#]*", "", link, count=1)),
    ("its query and fragment are missing", lambda link: re.split("[?#]", link, maxsplit=1)[0]),
    ("it is cut off at its first &", lambda link: link.partition("&")[0]),
    ("a slash at its end is missing", lambda link: link.removesuffix("/")),
    ("a slash was added to its end", lambda link: f"{link}/"),
    (_ESCAPED, lambda link: link.replace("&", "&amp;")),
    (_ESCAPED, lambda link: link.replace("&", "&#38;")),
    (_ESCAPED, html.escape),
    (_ESCAPED, lambda link: html.escape(link).replace("&#x27;", "&#39;")),
    (_ESCAPED, lambda link: html.escape(link).replace("&#x27;", "&#039;")),
    ("it is escaped as HTML, twice", lambda link: link.replace("&", "&amp;amp;")),
    ("it is escaped as JSON", lambda link: json.dumps(link)[1:-1]),
    ("it is escaped as JSON", lambda link: link.replace("/", "\\/")),
    ("it is escaped as JSON", lambda link: link.replace("&", "\\u0026")),
    ("its &amp; is read as HTML", lambda link: link.replace("&amp;", "&")),
    ("its & is read as HTML", html.unescape),
    ("it is encoded as quoted-printable", lambda link: link.replace("=", "=3D")),
)


def _list_changes(link: str) -> Iterator[tuple[str, str]]:
    """Yield what a link becomes by each common mistake and by each two of them, and the mistake in words."""
    once = [
        (changed, change, mistake)
        for change, mistake in _CHANGES
        if (changed := mistake(link)) != link and changed
    ]
    yield from ((changed, change) for changed, change, _ in once)
    for (first, change, _), (second, further, mistake) in chain(
        combinations(once, 2), combinations(reversed(once), 2)
    ):
        changed = mistake(first)
        if changed not in (first, second, link):
            yield changed, f"{change}, and {further}"
