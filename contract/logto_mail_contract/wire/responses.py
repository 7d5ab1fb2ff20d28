"""Reads HTTP/1.1 answers as strictly as Node does, whose parser decides whether a mail counts as sent.

No I/O: what came is handed in. ``tests/logto/test_transport_differential.py`` holds it to the real connector.
"""

from __future__ import annotations

import re
import zlib

MAX_HEAD_BYTES = 16 * 1024
"""Bytes of a head that Node reads (its ``maxHeaderSize``)."""

MAX_STORED_BODY_BYTES = 4 * 1024 * 1024
"""Bytes of a body that are kept; the rest is counted and let go of, since a body may have no end."""

_STATUS_LINE = re.compile(rb"HTTP/(0\.9|1\.[01]|2\.0) ([0-9]{3})(?: [^\r\n]*)?")
_HEADER_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")
_LENGTH = re.compile("[0-9]{1,15}")


class NotAResponse(ValueError):
    """What came is not an HTTP answer, or not one that Node reads."""


class ResponseReader:
    """One answer, read as it comes.

    Attributes:
        status: The status; 0 until the head of the final answer is there.
        headers: The header lines in order, names in lower case; a character is one byte of the wire.
        body: The body, freed of chunked coding, as much of it as is kept.
        length: How long the body is so far.
        done: Whether the answer is there to its end.
        reusable: Whether the connection can take another request.
        surplus: What came after the end.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self.length = 0
        self.done = False
        self.reusable = False
        self.surplus = b""
        self._buffer = b""
        self._left: int | None = 0  # bytes of the body or chunk that are still to come; None: to the end
        self._chunked = False
        self._after_chunk = False
        self._in_trailer = False

    @property
    def begun(self) -> bool:
        """Whether anything has come at all."""
        return bool(self.status or self._buffer)

    def feed(self, data: bytes) -> None:
        """Take what came; empty bytes are the end of the connection.

        Raises:
            NotAnAnswer: It is not an HTTP answer.
            EOFError: The connection ended before the answer did.
        """
        if not data:
            if self.status and self._left is None:
                self.done = True
            if not self.done:
                raise EOFError
            return
        self._buffer = self._buffer + data if self._buffer else data
        while not self.status:
            if not self._read_head():
                return
        if self._chunked:
            self._read_chunks()
        elif self._left is None:
            self._keep(self._buffer)
            self._buffer = b""
        else:
            part = self._buffer[: self._left]
            self._buffer = self._buffer[self._left :]
            self._keep(part)
            self._left -= len(part)
            self.done = not self._left
        if self.done:
            self.surplus = self._buffer.lstrip(b"\r\n")  # empty lines between messages are tolerated
            self._buffer = b""

    def _keep(self, data: bytes) -> None:
        self.length += len(data)
        if len(self.body) < MAX_STORED_BODY_BYTES:
            self.body += data

    def _line(self, room: int) -> bytes | None:
        end = self._buffer.find(b"\n", 0, room)
        if end < 0:
            if len(self._buffer) >= room:
                raise NotAResponse(
                    "a chunk that is not as long as its size says"
                    if self._after_chunk
                    else "a line without end"
                )
            return None
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        if not line.endswith(b"\r"):
            raise NotAResponse("a line that ends in LF without CR")
        return line[:-1]

    def _read_head(self) -> bool:
        """Read one head; return whether it was there to its end."""
        self._buffer = self._buffer.lstrip(b"\r\n")
        start = self._buffer[:9]
        if not b"HTTP/".startswith(start[:5]):
            raise NotAResponse(f"it begins with {self._buffer[:30].decode('latin-1')!a}")
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or end > MAX_HEAD_BYTES:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise NotAResponse(f"a head of more than {MAX_HEAD_BYTES} bytes")
            if b"\n\n" in self._buffer:
                raise NotAResponse("a line that ends in LF without CR")
            return False
        first, *lines = self._buffer[:end].split(b"\r\n")
        self._buffer = self._buffer[end + 4 :]
        found = _STATUS_LINE.fullmatch(first)
        if found is None:
            raise NotAResponse(f"the status line {_shown(first)}")
        headers = []
        for line in lines:
            header = _HEADER_LINE.fullmatch(line)
            if header is None:
                raise NotAResponse(f"the header line {_shown(line)}")
            headers.append((header[1].decode("latin-1").lower(), header[2].decode("latin-1").rstrip(" \t")))
        status = int(found[2])
        if not status:
            raise NotAResponse(f"the status line {_shown(first)}")
        if status == 101:
            raise NotAResponse("101 Switching Protocols, for which nobody asked")
        lengths = [value for name, value in headers if name == "content-length"]
        codings = ",".join(value for name, value in headers if name == "transfer-encoding").lower()
        if len(lengths) > 1:
            raise NotAResponse("more than one Content-Length")
        if lengths and codings:
            raise NotAResponse("both Content-Length and Transfer-Encoding")
        if lengths and not _LENGTH.fullmatch(lengths[0]):
            raise NotAResponse(f"Content-Length {_shown(lengths[0].encode('latin-1'))}")
        if 100 <= status < 200:
            return True
        self.status, self.headers = status, headers
        options = ",".join(value for name, value in headers if name == "connection").lower().split(",")
        options = [option.strip() for option in options]
        kept = "keep-alive" in options if found[1] == b"1.0" else "close" not in options
        if status in (204, 304):
            self._left = 0
        elif codings:
            self._chunked = codings.rpartition(",")[2].strip() == "chunked"
            self._left = 0 if self._chunked else None
        else:
            self._left = int(lengths[0]) if lengths else None
        self.reusable = kept and self._left is not None
        return True

    def _read_chunks(self) -> None:
        while not self.done:
            if self._left:
                part = self._buffer[: self._left]
                if not part:
                    return
                self._buffer = self._buffer[len(part) :]
                self._left -= len(part)
                self._keep(part)
                self._after_chunk = not self._left
                continue
            line = self._line(2 if self._after_chunk else MAX_HEAD_BYTES)
            if line is None:
                return
            if self._after_chunk:
                self._after_chunk = False
            elif self._in_trailer:
                self.done = not line
            else:
                found = _CHUNK_LINE.fullmatch(line)
                if found is None:
                    raise NotAResponse(f"the size of a chunk, {_shown(line)}")
                self._left = int(found[1], 16)
                self._in_trailer = not self._left


def _shown(line: bytes) -> str:
    return ascii(line[:60].decode("latin-1")) + ("…" if len(line) > 60 else "")


def decode_content(body: bytes, encoding: str) -> bytes | None:
    """Return a body freed of its content encoding, as the connector's client does it; None when that fails.

    Args:
        body: The body.
        encoding: The value of ``Content-Encoding``; what is not gzip or deflate is left as it is.
    """
    encoding = encoding.lower()
    if encoding not in ("gzip", "deflate") or not body:
        return body
    out = bytearray()
    try:
        while body:
            member = zlib.decompressobj(31 if encoding == "gzip" else 15)
            out += member.decompress(body, MAX_STORED_BODY_BYTES)
            if member.unconsumed_tail or len(out) >= MAX_STORED_BODY_BYTES:
                break
            if not member.eof:
                return None
            body = member.unused_data if encoding == "gzip" else b""
    except zlib.error:
        return None
    return bytes(out)
