"""Reads a mail as its recipient sees it: text, links, codes.

Lexbor reads the HTML: it builds the tree that browsers build. The package needs it, not the extra ``smtp``,
since an outbox may be any function, without an SMTP sink.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

    from .outbox import Mail

# A mail client separates these from the text before and after them.
_BLOCKS = re.compile(
    "address|article|aside|blockquote|br|center|d[dlt]|div|fieldset|figcaption|figure|footer|form|h[1-6r]|header|"
    "img|li|main|nav|[ou]l|p|pre|section|table|tbody|td|tfoot|th|thead|tr"
)
# Lexbor keeps the content of a template outside the tree.
_UNSEEN = frozenset(("iframe", "noembed", "noframes", "script", "style", "title"))

LINK_ATTRIBUTES = frozenset(("action", "formaction", "href", "xlink:href"))

# Separators that a mail may put between the digits of a code; some are invisible.
BETWEEN_DIGITS = "[\\s\u00ad\u00b7\u200b-\u200f\u2010-\u2014\u2060\ufeff.-]{0,3}"

_SIX_DIGITS = re.compile(rf"(?<![0-9])(?=([0-9](?:{BETWEEN_DIGITS}[0-9]){{5}})(?![0-9]))")
_MAX_SHOWN = 160  # characters


class HtmlPart:
    """The HTML of a mail. Lexbor's cost is quadratic in depth: 20,000 levels cost 0.4 s.

    Attributes:
        elements: The names of the elements in document order, with those that a parser adds (``html``).
        attributes: Names and decoded values of all attributes in document order.
        text: The text that a mail client shows; each run of spaces is one space.
        text_outside_links: The same without the text of links.
    """

    def __init__(self, source: str) -> None:
        from selectolax.lexbor import LexborHTMLParser

        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self._shown: list[str] = []
        self._shown_outside_links: list[str] = []
        # A charset such as unicode_escape makes surrogates, which UTF-8 has not.
        root = LexborHTMLParser(source.encode("utf-8", "replace")).root
        if root is not None:
            self._read(root)
        self.text = " ".join("".join(self._shown).split())
        self.text_outside_links = " ".join("".join(self._shown_outside_links).split())

    def _read(self, root: LexborNode) -> None:
        hidden = links = 0  # how many of the open elements hide their text, or are links
        waiting = [(root, 1)]  # 1: the element opens; -1: it closes
        while waiting:
            node, step = waiting.pop()
            tag = node.tag or ""
            if node.is_element_node:
                hidden += step * (tag in _UNSEEN)
                links += step * (tag == "a")
            shown = " " if _BLOCKS.fullmatch(tag) else node.text_content or ""
            if shown and not hidden:
                self._shown.append(shown)
                if not links:
                    self._shown_outside_links.append(shown)
            if step == 1 and node.is_element_node:
                self.elements.append(tag)
                self.attributes += [(name, value or "") for name, value in node.attributes.items()]
                waiting.append((node, -1))
                waiting += [(child, 1) for child in reversed(list(node.iter(include_text=True)))]


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
        """Every text in it that may be a code."""
        return {re.sub("[^0-9]", "", found) for found in _SIX_DIGITS.findall(self.everything)}

    def __str__(self) -> str:
        kind, text = next(iter(self.parts.items()))
        text = " ".join(text.split())
        more = "…" if len(text) > _MAX_SHOWN else ""
        return f"subject {self.mail.subject[:_MAX_SHOWN]!r}, {kind} {text[:_MAX_SHOWN]!r}{more}"


def shows_code(text: str, code: str, between: str = BETWEEN_DIGITS) -> bool:
    """Return whether a text shows a code, whose digits may stand apart by what ``between`` matches."""
    return re.search(rf"(?<![0-9]){between.join(code)}(?![0-9])", text) is not None
