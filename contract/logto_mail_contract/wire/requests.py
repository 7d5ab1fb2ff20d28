"""Reads HTTP/1.1 requests below WSGI, which hides what a contract speaks of.

The order and case of header lines, duplicates among them and broken framing are kept. No judgement here, and
no I/O but reading from what is handed in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_HEAD_BYTES = 256 * 1024
"""Bytes of a request line and header lines that are read."""

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Bytes of a body that are read; Logto's own API takes about 1 MB."""

_NAME = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(%s) ([!-~\x80-\xff]+) HTTP/1\.([01])\r?\n" % _NAME)
_HEADER_LINE = re.compile(rb"(%s):[ \t]*([^\0\r\n]*?)[ \t]*\r?\n" % _NAME)
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_LENGTH = re.compile("[0-9]{1,15}")
_EMPTY_LINES = (b"\r\n", b"\n")


class NotARequest(ValueError):
    """What came on a connection does not begin with an HTTP/1.0 or HTTP/1.1 request line."""


def read_request(source: BinaryIO, go_on: Callable[[], None]) -> tuple[Request, bool] | None:
    """Return the next request and whether another one can follow; None when the connection has ended.

    A request with broken framing is returned as far as it came, with ``framing`` telling what is wrong.

    Args:
        source: What the client sends.
        go_on: Called where the client waits for ``100 Continue``.

    Raises:
        NotARequest: The first line is no request line.
        OSError: The connection broke before the first line had come.
    """
    line = source.readline(MAX_HEAD_BYTES)
    if line in _EMPTY_LINES:  # RFC 9112, 2.2: old clients end a body with one that no length counts
        line = source.readline(MAX_HEAD_BYTES)
    if not line:
        return None
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        raise NotARequest(ascii(line[:30].decode("latin-1").rstrip("\r\n")))
    headers: list[tuple[str, str]] = []
    body = b""
    try:
        framing = _read_headers(source, headers, MAX_HEAD_BYTES - len(line))
        fields: dict[str, list[str]] = {}
        for name, value in headers:
            fields.setdefault(name.lower(), []).append(value)
        if framing is None:
            if found[3] == b"1" and [value.lower() for value in fields.get("expect", ())] == ["100-continue"]:
                go_on()
            body, framing = _read_body(source, fields)
    except OSError as error:
        framing = f"a connection that broke inside the request: {error}"
    options = ",".join(fields.get("connection", ())).lower() if framing is None else "close"
    request = Request(found[1].decode("latin-1"), found[2].decode("latin-1"), tuple(headers), body, framing)
    return request, found[3] == b"1" and "close" not in options.replace(" ", "").split(",")


def _read_headers(source: BinaryIO, headers: list[tuple[str, str]], room: int) -> str | None:
    """Add the header lines, a broken one as a name without value; return what is wrong with them."""
    problem = None
    while (line := source.readline(room)) not in _EMPTY_LINES:
        room -= len(line)
        if not room:
            return f"a head of more than {MAX_HEAD_BYTES} bytes"
        if not line.endswith(b"\n"):
            return "a head that ends without an empty line"
        found = _HEADER_LINE.fullmatch(line)
        if found is None:
            # Not the line itself: it may be an Authorization with a space before its colon.
            problem = problem or f"header line {len(headers) + 1} is no 'Name: value'"
            headers.append((line.decode("latin-1").rstrip("\r\n"), ""))
        else:
            headers.append((found[1].decode("latin-1"), found[2].decode("latin-1")))
    return problem


def _read_body(source: BinaryIO, fields: dict[str, list[str]]) -> tuple[bytes, str | None]:
    """Return the body as far as it came, and what is wrong with it."""
    codings, lengths = fields.get("transfer-encoding"), fields.get("content-length")
    if codings and lengths:
        return b"", "both Content-Length and Transfer-Encoding"
    if codings:
        if [coding.lower() for coding in codings] != ["chunked"]:
            return b"", f"Transfer-Encoding: {', '.join(codings)[:80]}"
        return _read_chunks(source)
    if not lengths:
        return b"", None
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        return b"", f"Content-Length {' and '.join(lengths)[:80]}"
    length = int(lengths[0])
    if length > MAX_BODY_BYTES:
        return b"", f"a body of {length} bytes, of which at most {MAX_BODY_BYTES} are read"
    body = source.read(length)
    return body, None if len(body) == length else f"Content-Length {length}, but {len(body)} bytes came"


def _read_chunks(source: BinaryIO) -> tuple[bytes, str | None]:
    body = bytearray()
    while True:
        found = _CHUNK_LINE.fullmatch(source.readline(MAX_HEAD_BYTES))
        if found is None:
            return bytes(body), "a chunk without a valid size"
        size = int(found[1], 16)
        if size == 0:
            break
        if len(body) + size > MAX_BODY_BYTES:
            return bytes(body), f"chunks of more than {MAX_BODY_BYTES} bytes"
        part = source.read(size + 2)
        body += part[:size]
        if part[size:] != b"\r\n":
            return bytes(body), f"a chunk of size {size} that is not as long"
    while (line := source.readline(MAX_HEAD_BYTES)) not in _EMPTY_LINES:
        if not line.endswith(b"\n"):
            return bytes(body), "chunks without an empty line at their end"
    return bytes(body), None


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as it came.

    Attributes:
        method: The method, case kept.
        target: The request target as it stood in the request line.
        headers: The header lines in order, names with their case, duplicates kept; a character is one byte
            of the wire (ISO 8859-1).
        body: The body's bytes, freed of chunked coding; as much as came.
        framing: What was wrong with the framing, None where nothing was.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    framing: str | None = None

    def values(self, name: str) -> list[str]:
        """Return the values of every header line with that name, whatever its case."""
        wanted = name.lower()
        return [value for header, value in self.headers if header.lower() == wanted]
