"""Reads a mail as a person would who opens it: text, links, codes."""

from __future__ import annotations

import html
import re
from functools import cached_property
from html.entities import html5
from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .outbox import Mail

# Where an HTML mail runs text, and where it begins a new piece.
_BLOCKS = re.compile(
    "address|article|aside|blockquote|br|center|d[dlt]|div|fieldset|fig(caption|ure)|footer|form|h[1-6r]|header|"
    "img|li|main|nav|[ou]l|p|pre|section|t(able|body|d|foot|h|head|r)"
)


_UNSEEN = frozenset(("script", "style", "template", "title"))


LINK_ATTRIBUTES = frozenset(("action", "formaction", "href", "xlink:href"))


_COMMENT = re.compile(r"<!--.*?-->|<!\[[^>]*>", re.DOTALL)


_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+)))?""")


_REFERENCE = re.compile(r"&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[A-Za-z][A-Za-z0-9]*;?)(?=(.?))", re.DOTALL)


# What a mail may set between the digits of a code so that it reads well, and none of it is seen as a digit.
BETWEEN_DIGITS = "[\\s\u00ad\u00b7\u200b-\u200f\u2010-\u2014\u2060\ufeff.-]{0,3}"


_SIX_DIGITS = re.compile(rf"(?<![0-9])(?=([0-9](?:{BETWEEN_DIGITS}[0-9]){{5}})(?![0-9]))")


_MOST_SHOWN = 160


class HtmlPart(HTMLParser):
    """What a mail client makes of HTML: the text that is seen, and the markup."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self._hidden = ""
        self._in_link = False
        self._seen: list[str] = []
        self._outside_links: list[str] = []
        # Comments and Outlook's conditional sections hold nothing that is seen; html.parser fails on some.
        self.feed(_COMMENT.sub("", source))
        self.close()
        self.text = re.sub(r"\s+", " ", "".join(self._seen))
        self.text_outside_links = re.sub(r"\s+", " ", "".join(self._outside_links))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - HTMLParser calls it so
        self.elements.append(tag)
        # From the source: html.parser reads character references in values otherwise than mail clients do.
        source = (self.get_starttag_text() or "")[1 + len(tag) :]
        for name, *values in _ATTRIBUTE.findall(source):
            self.attributes.append((name.lower(), _attribute_value("".join(values))))
        if tag in _UNSEEN and not self._hidden:
            self._hidden = tag
        self._in_link = self._in_link or tag == "a"
        if _BLOCKS.fullmatch(tag):
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""
        self._in_link = self._in_link and tag != "a"
        if _BLOCKS.fullmatch(tag):
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._seen.append(data)
            if not self._in_link:
                self._outside_links.append(data)


def _attribute_value(source: str) -> str:
    """Return what a mail client reads in an attribute: there, ``&copy=1`` keeps its ``&copy``."""

    def read(reference: re.Match[str]) -> str:
        name, following = reference[1], reference[2]
        if name.startswith("#"):
            return html.unescape(reference[0])
        known = name in html5 and (name.endswith(";") or following != "=")
        return html5[name] if known else reference[0]

    return _REFERENCE.sub(read, source)


class ReadMail:
    """A mail with what was read out of it."""

    def __init__(self, mail: Mail) -> None:
        self.mail = mail

    @cached_property
    def html(self) -> HtmlPart | None:
        return HtmlPart(self.mail.html) if self.mail.html else None

    @cached_property
    def parts(self) -> dict[str, str]:
        """The texts by where they stand, the one that most people see first."""
        found = {"HTML": self.html.text} if self.html else {}
        if self.mail.text:
            found["plain text"] = self.mail.text
        return found or {"body": ""}

    @property
    def seen(self) -> str:
        """Subject and body as most people see them: mail clients show the HTML part where there is one."""
        return f"{self.mail.subject}\n{next(iter(self.parts.values()))}"

    @cached_property
    def everything(self) -> str:
        links = [value for _, value in self.html.attributes] if self.html else ()
        return "\n".join((self.mail.subject, *self.parts.values(), *links))

    @cached_property
    def codes(self) -> set[str]:
        """Whatever stands anywhere in it and may be a code."""
        return {re.sub("[^0-9]", "", found) for found in _SIX_DIGITS.findall(self.everything)}

    def __str__(self) -> str:
        kind, text = next(iter(self.parts.items()))
        text = " ".join(text.split())
        more = "…" if len(text) > _MOST_SHOWN else ""
        return f"subject {self.mail.subject[:_MOST_SHOWN]!r}, {kind} {text[:_MOST_SHOWN]!r}{more}"


def shows_code(text: str, code: str, between: str = BETWEEN_DIGITS) -> bool:
    """Return whether a text shows a code, whose digits may stand apart by what ``between`` matches."""
    return re.search(rf"(?<![0-9]){between.join(code)}(?![0-9])", text) is not None
