"""Reads HTTP/1.1 responses with llhttp, the parser of Node, which decides whether a mail counts as sent.

No I/O: the caller hands in what a connection received. ``tests/logto/test_transport_differential.py`` holds
the reader to the real connector.
"""

from __future__ import annotations

import zlib
from contextlib import suppress

import httptools

MAX_HEAD_BYTES = 16 * 1024
"""Bytes of reason, names and values that Node reads in one head, exclusive (its ``maxHeaderSize``)."""

MAX_STORED_BODY_BYTES = 4 * 1024 * 1024
"""Bytes of a body that a reader stores. It counts and drops the rest, since a body may have no end."""

# Node counts no separators, and a line of one counted byte has four. A line of blanks would have no end.
_MAX_RAW_HEAD_BYTES = 4 * MAX_HEAD_BYTES
_TOO_LONG = f"a head of more than {MAX_HEAD_BYTES} bytes"
_MIN_PIECE_BYTES = 64  # longer than a gzip member without content
_EMPTY_LINE = b"\r\n\r\n"  # after another line: so end a head and a chunked body


class NotAResponse(ValueError):
    """The connection received something that is not an HTTP response, or not one that Node reads."""


class ResponseReader:
    """One response, read piece by piece. Its methods ``on_…`` are the callbacks of the parser.

    Args:
        max_body_bytes: How many bytes of the body to store, at least; the last piece is stored whole.

    Attributes:
        status: The status; 0 until the head of the final response is complete.
        headers: The header lines in order, names in lower case; a character is one byte of the wire.
        body: The stored bytes of the body, without chunked coding.
        decoder: What decoded the stored bytes while they came; None where they have no such encoding.
        length: The length of the body so far, stored or not.
        begun: Whether any byte of a response arrived since the last interim response.
        done: Whether the response is complete.
        reusable: Whether the connection can carry another request.
        surplus: The bytes after the end, which are no part of the response.
    """

    def __init__(self, max_body_bytes: int = MAX_STORED_BODY_BYTES) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self.decoder: ContentDecoder | None = None
        self.length = 0
        self.begun = False
        self.done = False
        self.reusable = False
        self.surplus = b""
        self._max_body_bytes = max_body_bytes
        self._parser = httptools.HttpResponseParser(self)
        self._incoming: list[tuple[str, str]] = []  # the header lines of the head that is being read
        self._head_bytes = 0  # as Node counts them
        self._raw_bytes = 0  # of the head, or since the last bytes of the body
        self._left: int | None = None  # bytes that Content-Length announces and that did not arrive yet
        self._until_close = False
        self._problem = ""
        self._head = b""  # the bytes of the head that is being read
        self._tail = b""  # the last bytes that were parsed

    def feed(self, data: bytes) -> None:
        """Read what a connection received; empty bytes mean that the connection ended.

        Raises:
            NotAResponse: It is not an HTTP response.
            EOFError: The connection ended before the response did.
        """
        if not data:
            self.done = self.done or self._until_close
            if not self.done:
                raise EOFError
            return
        start = 0
        while start < len(data) and not self.done:
            end = self._find_end_of_piece(data, start)
            self._parse(data[start:end])
            start = end
        if self.done:
            self.surplus = data[start:].lstrip(b"\r\n")  # Node ignores empty lines between messages
            # The parser refers to this reader: without a cut, each response waits for the garbage collector.
            del self._parser

    def _find_end_of_piece(self, data: bytes, start: int) -> int:
        """Return the place up to which to parse at once.

        The parser does not report where a response ends. So no piece extends beyond a possible end.
        """
        if self._until_close:
            return len(data)
        if self._left is not None:
            return min(start + self._left, len(data))
        tail = b"" if start else self._tail
        end = (tail + data).find(_EMPTY_LINE, start)
        return len(data) if end < 0 else end + len(_EMPTY_LINE) - len(tail)

    def _parse(self, piece: bytes) -> None:
        self._raw_bytes += len(piece)
        self._tail = (self._tail + piece)[1 - len(_EMPTY_LINE) :]
        if not self.status:
            self._head += piece
        try:
            self._parser.feed_data(piece)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # A callback's problem comes first: an error of the parser may follow from it.
            raise NotAResponse(self._problem or self._locate(str(error))) from None
        if self._raw_bytes > _MAX_RAW_HEAD_BYTES:
            self._problem = _TOO_LONG
        if self._problem:
            raise NotAResponse(self._problem)

    def _locate(self, reason: str) -> str:
        """Return what the parser says, with the line of the head that it says it of."""
        if self.status:
            return f"{reason}, in the chunked body"
        # The parser does not report the place: find it with another one, line by line.
        parser = httptools.HttpResponseParser(object())
        line = b""
        with suppress(httptools.HttpParserError):
            for line in self._head.splitlines(keepends=True):
                parser.feed_data(line)
        return f"{reason}, at {line.decode('latin-1')!a}"

    def on_message_begin(self) -> None:
        self.begun = True

    def on_status(self, reason: bytes) -> None:
        self._count(reason)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(name + value)
        self._incoming.append((name.decode("latin-1").lower(), value.decode("latin-1").rstrip(" \t")))

    def _count(self, text: bytes) -> None:
        self._head_bytes += len(text)
        if self._head_bytes >= MAX_HEAD_BYTES:
            self._problem = _TOO_LONG

    def on_headers_complete(self) -> None:
        self._head_bytes = self._raw_bytes = 0
        self._head = b""
        headers, self._incoming = self._incoming, []
        status = self._parser.get_status_code()
        if status == 0:
            self._problem = "the status 000"
        elif status == 101:
            self._problem = "101 Switching Protocols, which the request did not ask for"
        if self._problem or status < 200:
            return
        self.status, self.headers = status, headers
        self.reusable = self._parser.should_keep_alive()
        encoding = next((value for name, value in headers if name == "content-encoding"), "")
        self.decoder = make_decoder(encoding)
        codings = ",".join(value for name, value in headers if name == "transfer-encoding").lower()
        if codings:
            self._until_close = codings.rpartition(",")[2].strip(" \t") != "chunked"
        else:
            self._left = next((int(value) for name, value in headers if name == "content-length"), None)
            self._until_close = self._left is None

    def on_body(self, data: bytes) -> None:
        self._raw_bytes = 0
        self.length += len(data)
        if self._left is not None:
            self._left -= len(data)
        if len(self.body) < self._max_body_bytes:
            self.body += data
            # Here, and not at the end: the deadline of the exchange holds for decoding too.
            if self.decoder is not None:
                self.decoder.feed(data)

    def on_message_complete(self) -> None:
        # Otherwise an interim response ended, and the final one is still to come.
        self.done = bool(self.status)
        self.begun = self.done


class ContentDecoder:
    """Decodes the content encoding of a body piece by piece, as got decodes it.

    The cost is linear in the body: a body of megabytes may have a hundred thousand gzip members.

    Args:
        encoding: ``gzip`` or ``deflate``.
        max_bytes: Where decoding stops, so that a small body cannot fill the memory.

    Attributes:
        content: What was decoded so far.
    """

    def __init__(self, encoding: str, max_bytes: int = MAX_STORED_BODY_BYTES) -> None:
        self.content = bytearray()
        self._window_bits = 31 if encoding == "gzip" else 15
        self._max_bytes = max_bytes
        self._member: zlib._Decompress | None = zlib.decompressobj(self._window_bits)
        self._has_failed = False
        self._is_over = False

    @property
    def is_whole(self) -> bool:
        """Whether the body so far is complete, or was decoded up to ``max_bytes``."""
        return self._is_over or (self._member is None and not self._has_failed)

    def feed(self, data: bytes) -> None:
        """Decode the next bytes of the body."""
        place, size = 0, _MIN_PIECE_BYTES
        while place < len(data) and not (self._is_over or self._has_failed):
            # Node ignores what follows a body of deflate, and zeros after a gzip member.
            if self._member is None and (self._window_bits == 15 or data[place] == 0):
                self._is_over = True
                return
            # A piece that doubles: zlib copies all of it that is after the end of the member.
            piece = memoryview(data)[place : place + size]
            place += len(piece) - self._decode(piece)
            size = _MIN_PIECE_BYTES if self._member is None else 2 * size

    def _decode(self, piece: memoryview) -> int:
        """Decode a piece, and return how many bytes of it are after the end of the member."""
        member = self._member or zlib.decompressobj(self._window_bits)
        self._member = member
        try:
            self.content += member.decompress(piece, self._max_bytes - len(self.content))
        except zlib.error:
            self._has_failed = True
        if len(self.content) >= self._max_bytes:
            self._is_over = True
        if not member.eof:
            return 0
        self._member = None
        return len(member.unused_data)


def make_decoder(encoding: str, max_bytes: int = MAX_STORED_BODY_BYTES) -> ContentDecoder | None:
    """Return a decoder for a value of ``Content-Encoding``; None where the body stays as it is."""
    encoding = encoding.lower()
    return ContentDecoder(encoding, max_bytes) if encoding in ("gzip", "deflate") else None


def decode_content(body: bytes, encoding: str, max_bytes: int = MAX_STORED_BODY_BYTES) -> bytes | None:
    """Return a body without its content encoding, decoded as got decodes it; None when that fails.

    Args:
        body: The body.
        encoding: The value of ``Content-Encoding``; a body that is neither gzip nor deflate stays as it is.
        max_bytes: Where decoding stops.
    """
    decoder = make_decoder(encoding, max_bytes)
    if decoder is None or not body:
        return body
    decoder.feed(body)
    return bytes(decoder.content) if decoder.is_whole else None
