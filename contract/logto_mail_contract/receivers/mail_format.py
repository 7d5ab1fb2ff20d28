"""Judges the form of a mail: what a mail server would refuse or rewrite, and whom it reaches.

Each function reads the mail once; none raises for a malformed mail.
"""

from __future__ import annotations

import codecs
import re
from email.errors import MessageError
from email.header import decode_header, make_header
from typing import TYPE_CHECKING

from ..masking import escape_unprintable
from .attempts import normalize_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

    from .outbox import Mail

MAX_LINE_BYTES = 998
"""The longest line without its end that a mail server must take: RFC 5321, section 4.5.3.1.6."""

_MAX_SHOWN_CHARACTERS = 80
_SINGLE_HEADERS = ("From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID")
_TRANSFER_ENCODINGS = ("", "7bit", "8bit", "binary", "quoted-printable", "base64")
# Mail clients read the names at the left as the larger charsets at the right, as the Encoding Standard says.
_LARGER_CHARSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
}
# Names that mail clients know, and Python does not.
_CLIENT_CHARSETS = {
    "iso-8859-8-i": "iso-8859-8",
    "windows-874": "cp874",
    "x-sjis": "cp932",
    "x-gbk": "gb18030",
}


def find_mail_faults(mail: Mail, *, smtp_utf8: bool | None = None) -> list[str]:
    """Return what is wrong with the form of a mail; a missing Date or Message-ID is no fault.

    Args:
        mail: The mail.
        smtp_utf8: Whether the envelope said SMTPUTF8. None for a mail that did not come over SMTP: line ends
            and 8-bit headers are not judged then, since the mailer would still change them.
    """
    return [
        *_find_header_faults(mail),
        *_find_line_faults(mail.content, over_smtp=smtp_utf8 is not None),
        *(_find_eight_bit_headers(mail) if smtp_utf8 is False else ()),
        *(fault for part in mail.parts for fault in _find_charset_faults(part)),
    ]


def _find_header_faults(mail: Mail) -> Iterator[str]:
    if not mail.subject.strip():
        yield "it has no subject"
    if not any(_list_addresses(mail, "from")):
        yield "no From names an address as its sender"
    names = [name.lower() for name, _ in mail.parts[0].raw_items()]
    for name in _SINGLE_HEADERS:
        if (count := names.count(name.lower())) > 1:
            yield f"it has {count} headers {name}"
    for name, value in mail.parts[0].raw_items():
        if (problem := _find_word_fault(str(value))) is not None:
            yield f"the header {escape_unprintable(name)} {problem}"


def _find_word_fault(value: str) -> str | None:
    """Return what is wrong with the encoded words of a header."""
    if "=?" not in value:
        return None
    try:
        for data, charset in decode_header(value):
            if isinstance(data, bytes) and charset and (problem := _find_decoding_fault(data, charset)):
                return problem
    except (MessageError, ValueError):
        return "has encoded words that cannot be decoded"
    return None


def _find_line_faults(content: bytes, *, over_smtp: bool) -> Iterator[str]:
    head_end = re.search(rb"\r?\n\r?\n", content)
    head_bytes = head_end.start() if head_end else len(content)

    def locate(at: int) -> str:
        return "in a header" if at < head_bytes else "in the body"

    if over_smtp:
        for name, pattern in (("line feed", rb"(?<!\r)\n"), ("carriage return", rb"\r(?!\n)")):
            if found := re.search(pattern, content):
                yield f"it has a bare {name} {locate(found.start())}"
    at = longest = place = 0
    for line in content.split(b"\n"):
        if (length := len(line.removesuffix(b"\r"))) > longest:
            longest, place = length, at
        at += len(line) + 1
    if longest > MAX_LINE_BYTES:
        yield f"it has a line of {longest} bytes {locate(place)}, more than {MAX_LINE_BYTES}"


def _find_eight_bit_headers(mail: Mail) -> Iterator[str]:
    for part in mail.parts:
        for name, value in part.raw_items():
            if not (name.isascii() and str(value).isascii()):
                yield f"the header {escape_unprintable(name)} has bytes beyond ASCII, without SMTPUTF8"


def _find_charset_faults(part: Message) -> Iterator[str]:
    if part.get_content_maintype() != "text" or part.get_content_disposition() == "attachment":
        return
    kind = part.get_content_type()
    encoding = str(part.get("content-transfer-encoding", "")).strip().lower()
    if encoding not in _TRANSFER_ENCODINGS:
        yield f"its {kind} part has an unknown Content-Transfer-Encoding: {escape_unprintable(encoding[:80])}"
        return
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return
    charset = part.get_content_charset()
    if charset is None:
        # RFC 2045, section 5.2: without a charset it is ASCII. Mail clients read that of an HTML head.
        if not data.isascii() and not (kind == "text/html" and b"charset" in data[:2048].lower()):
            yield f"its {kind} part has bytes beyond ASCII and no charset"
    elif problem := _find_decoding_fault(data, charset):
        yield f"its {kind} part {problem}"


def _find_decoding_fault(data: bytes, charset: str) -> str:
    shown = escape_unprintable(charset[:_MAX_SHOWN_CHARACTERS])
    name = _CLIENT_CHARSETS.get(charset.lower(), charset)
    try:
        name = codecs.lookup(name).name
        data.decode(_LARGER_CHARSETS.get(name, name))
    except (LookupError, TypeError):
        return f"has an unknown charset: {shown}"
    except ValueError:
        return f"is not in its charset {shown}"
    return ""


def find_strangers(mail: Mail, wanted: str) -> list[str]:
    """Return who gets or is named in a mail beside the one wanted, for example ``To names eve@example.com``.

    Two spellings of an address are the same: case, Punycode, and quotes around the local part do not count.

    Args:
        mail: The mail.
        wanted: The address in the message; a list of addresses in it counts as one, odd address.
    """
    own = normalize_address(wanted)
    named = [("the envelope", recipient) for recipient in mail.recipients]
    named += [
        (name, address) for name in ("To", "Cc", "Bcc") for address in _list_addresses(mail, name.lower())
    ]
    return [
        f"{place} names {escape_unprintable(address[:_MAX_SHOWN_CHARACTERS])}"
        for place, address in named
        if own not in (normalize_address(address), normalize_address(_decode_words(address).replace(" ", "")))
    ]


def _list_addresses(mail: Mail, header: str) -> Iterator[str]:
    for name, value in mail.parts[0].raw_items():
        if name.lower() == header:
            # Bytes beyond ASCII in a header can only be UTF-8.
            text = str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            # Encoded words are decoded later: they may hold commas, which separate nothing.
            yield from (item for item in _split_addresses(text) if "@" in _decode_words(item))


def _decode_words(text: str) -> str:
    if "=?" not in text:
        return text
    try:
        return str(make_header(decode_header(text)))
    except (LookupError, ValueError, MessageError):
        return text


# A quoted text, a comment without further ones inside, an address in angle brackets, or one character.
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|\([^()]*\)|<[^<>]*>|.', re.DOTALL)


def _split_addresses(value: str) -> Iterator[str]:
    """Yield the addresses in a header, as mail servers read them: each comma outside quotes separates two."""
    item = ""
    inside = ""  # what stands in angle brackets
    for piece in (*_PIECE.findall(value), ","):
        if piece in (",", ";"):
            yield (inside or item).strip()
            item = inside = ""
        elif piece == ":":
            item = ""  # the name of a group
        elif len(piece) > 1 and piece[0] == "<":
            inside = piece[1:-1]
        elif not (len(piece) > 1 and piece[0] == "("):
            item += piece
