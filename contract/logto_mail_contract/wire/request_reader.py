"""Reads HTTP/1.1 requests from the bytes of a connection: bytes in, events out.

No I/O and no judgement here. The fixture's threads and the protocol of ``serve`` drive the same reader, so
both endpoints read the same bytes alike. The events do not depend on the pieces in which the bytes come.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, NamedTuple, cast

from .requests import HeaderLines, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Possessive: a stranger must not choose how often a pattern backtracks.
_NAME = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_TEXT = rb"[\t\x20-\x7e\x80-\xff]*+"
# No request for a tunnel: no receiver of mails is a proxy.
_REQUEST_LINE = re.compile(rb"(?!CONNECT [^/])(%s) ([!-~\x80-\xff]+) HTTP/1\.([01])\r?" % _NAME)
# All that a request line can begin with, and some more.
_REQUEST_LINE_START = re.compile(rb"%s(?: [!-~\x80-\xff]*(?: [HTP/1.0]*\r?)?)?" % _NAME)
# The blanks around a value are in it: to part them here would take the square of their number.
_HEADER_LINE = re.compile(rb"(%s):(%s)\r?" % (_NAME, _TEXT))
# CRLF alone: where a chunk ends must be beyond doubt (RFC 9112, 7.1).
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;%s)?\r\n" % _TEXT)
_LENGTH = re.compile("[0-9]{1,15}")
_MAX_KEPT_BYTES = 64 * 1024
_SHOWN_BYTES = 30
_MAX_CACHED_HEAD_BYTES = 4096
_MAX_CACHED_LINES = 1024
_KINDS = ("connection", "content-length", "expect", "transfer-encoding")
_BROKEN = "broken"
_EMPTY_LINES = (b"\r\n", b"\n")
_LINE_ENDS = (b"\r", b"")
_TLS_HANDSHAKE = b"\x16\x03"


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Bounds on one request.

    Attributes:
        head_bytes: Most bytes of a request line, header lines and trailers together.
        body_bytes: Most bytes of a body; Logto's own API accepts about 1 MB.
    """

    head_bytes: int = 256 * 1024
    body_bytes: int = 64 * 1024 * 1024


class ContinueExpected(NamedTuple):
    """The client waits for ``100 Continue`` before it sends the body."""


class Received(NamedTuple):
    """A request came whole.

    Attributes:
        request: The request.
        keep_alive: Whether another one can follow on the connection.
    """

    request: Request
    keep_alive: bool


class Refused(NamedTuple):
    """The request cannot be read to its end; nothing behind it is read.

    Attributes:
        problem: What is wrong.
        request: The request as far as it came, with the problem as its ``framing``; None when the first line
            is no request line.
    """

    problem: str
    request: Request | None


class Ended(NamedTuple):
    """The connection ended between two requests."""


Event = ContinueExpected | Received | Refused | Ended
_CONTINUE_EXPECTED = ContinueExpected()


class Phase(IntEnum):
    """The part of a request that the reader expects next."""

    HEAD = auto()
    SIZED_BODY = auto()
    CHUNKS = auto()
    TRAILERS = auto()
    CLOSED = auto()


TRANSITIONS: Mapping[Phase, frozenset[Phase]] = {
    Phase.HEAD: frozenset({Phase.SIZED_BODY, Phase.CHUNKS, Phase.CLOSED}),
    Phase.SIZED_BODY: frozenset({Phase.HEAD, Phase.CLOSED}),
    Phase.CHUNKS: frozenset({Phase.TRAILERS, Phase.CLOSED}),
    Phase.TRAILERS: frozenset({Phase.HEAD, Phase.CLOSED}),
    Phase.CLOSED: frozenset(),
}
"""The phases that may follow each phase."""


class RequestReader:
    """Reads the requests of one connection. Long because its phases share a buffer and where they are in it.

    ``feed`` adds bytes, ``end`` ends the connection. After either, call ``next_event`` until it
    returns None. Each call reads up to one event, so that a caller can leave a request unread.

    Args:
        limits: Bounds on one request.

    Attributes:
        phase: What is read next.
    """

    def __init__(self, limits: ReadLimits | None = None) -> None:
        self.phase = Phase.HEAD
        self._limits = limits or ReadLimits()
        self._buffer = bytearray()
        self._at = 0  # where in the buffer the unread bytes begin
        self._searched = 0  # up to where it was searched for the end of a head
        self._room = 0  # bytes that trailers may still have
        self._body = bytearray()
        # Why no more bytes come: empty when the client ended properly, None while more may come.
        self._end: str | None = None
        self._event: Event | None = None
        self._head: _Head

    @property
    def buffered(self) -> int:
        """How many bytes have come and are not read yet."""
        return len(self._buffer) - self._at

    @property
    def held(self) -> int:
        """How many bytes it keeps, with those of a body that came in chunks."""
        return len(self._buffer) + len(self._body)

    @property
    def has_begun(self) -> bool:
        """Whether a part of a request has come that is not whole yet."""
        if self.phase is Phase.HEAD:
            at = self._at
            return at < len(self._buffer) and bool(self._buffer[at : at + 3].strip(b"\r\n"))
        return self.phase is not Phase.CLOSED

    @property
    def is_idle(self) -> bool:
        """Whether there is neither an event nor a byte of one."""
        return self._at == len(self._buffer) and self._end is None and self.phase is Phase.HEAD

    @property
    def lacking(self) -> int:
        """How many bytes are still to come of a body whose length is known; 0 where none is."""
        return self._head.framing.length - self.buffered if self.phase is Phase.SIZED_BODY else 0

    def feed(self, data: bytes) -> None:
        """Add bytes that came; they are ignored once the reader has refused a request or ended."""
        if self.phase is Phase.CLOSED:
            return
        self._drop_read()
        self._buffer += data

    def end(self, problem: str = "") -> None:
        """Note the end of the connection, or of the patience with it.

        Args:
            problem: Why the request that has begun is given up; when empty, it says what the request lacks.
        """
        if self._end is None:
            self._end = problem

    def next_event(self) -> Event | None:
        """Return the next event; None when there is none before more bytes have come."""
        while self._event is None and self._READ[self.phase](self):
            pass
        if self._at > _MAX_KEPT_BYTES:  # the connection may stay idle from here on
            self._drop_read()
        event, self._event = self._event, None
        return event

    # A method for each phase; each returns whether it made progress.

    def _read_head(self) -> bool:
        buffer, start, most = self._buffer, self._at, self._limits.head_bytes
        if start == len(buffer) and self._end is None:
            return False
        # RFC 9112, 2.2: old clients end a body with an empty line that no length counts.
        if buffer.startswith(_EMPTY_LINES, start):
            start += 1 if buffer.startswith(b"\n", start) else 2
        end = self._find_empty_line(start, start + most)
        if end < 0:
            return self._await_head(start)
        head = bytes(buffer[start:end])
        self._at = end
        parsed = _parse_head_once(head) if len(head) < _MAX_CACHED_HEAD_BYTES else _parse_head(head)
        if parsed is None:
            self._close(Refused(_line_problem(head), None))
            return True
        self._head = parsed
        framing = parsed.framing
        length = framing.length
        if framing.problem:
            self._refuse(framing.problem)
        elif length > self._limits.body_bytes:
            self._refuse(f"a body of {length} bytes, of which at most {self._limits.body_bytes} are read")
        elif framing.is_plain and len(buffer) >= end + length:
            # Nearly always: the request is here already, and no other phase is needed.
            self._at = end + length
            self._event = Received(
                Request(parsed.method, parsed.target, parsed.headers, bytes(buffer[end : self._at])), True
            )
        else:
            self._room = most - (end - start)
            self._enter(Phase.CHUNKS if framing.is_chunked else Phase.SIZED_BODY)
            if framing.expects_continue:
                self._event = _CONTINUE_EXPECTED
        return True

    def _await_head(self, start: int) -> bool:
        buffer, most = self._buffer, self._limits.head_bytes
        size = len(buffer) - start
        line_end = buffer.find(b"\n", start, start + most)
        has_line = line_end >= 0 and _REQUEST_LINE.fullmatch(buffer, start, line_end) is not None
        if self._end is None and size < most:
            # Refuse early: a client that speaks TLS or SMTP waits for a response, and sends no empty line.
            may_come = size < _SHOWN_BYTES or _REQUEST_LINE_START.fullmatch(buffer, start) is not None
            if has_line or (line_end < 0 and may_come):
                return False
        came = bytes(buffer[start : start + most])
        if has_line:
            self._head = cast("_Head", _parse_head(came[: came.rindex(b"\n")]))
            lacking = "a head that ends without an empty line"
            self._refuse(f"a head of more than {most} bytes" if size >= most else self._end or lacking)
        elif self._end is not None and not self.has_begun:
            self._close(Ended())
        elif line_end < 0 and self._end:
            self._close(Refused(self._end, None))
        else:
            self._close(Refused(_line_problem(came), None))
        return True

    def _read_sized_body(self) -> bool:
        length = self._head.framing.length
        end = self._at + length
        if len(self._buffer) < end:
            return self._await(f"Content-Length {length}, but {self.buffered} bytes came")
        body = bytes(self._buffer[self._at : end])
        self._at = end
        self._complete(body)
        return True

    def _read_chunks(self) -> bool:
        buffer, body, most = self._buffer, self._body, self._limits.body_bytes
        while found := _CHUNK_LINE.match(buffer, self._at):
            size, start = int(found[1], 16), found.end()
            if not size:
                # At its line feed, as if it were the last line of a head: an empty line may follow at once.
                self._at = start - 1
                self._enter(Phase.TRAILERS)
                return True
            if len(body) + size > most:
                self._refuse(f"chunks of more than {most} bytes")
                return True
            end = start + size
            if buffer[end : end + 2] != b"\r\n":
                problem = f"a chunk of size {size} that is not as long"
                is_here = len(buffer) >= end + 2
                if self._end is None and not is_here:
                    return False
                body += buffer[start:end]
                self._refuse(problem if is_here else self._end or problem)
                return True
            body += buffer[start:end]
            self._at = end + 2
        most = self._limits.head_bytes
        problem = "a chunk without a valid size"
        if self.buffered < most and buffer.find(b"\n", self._at) < 0:
            return self._await(problem)
        self._refuse(problem)
        return True

    def _read_trailers(self) -> bool:
        start, limit = self._at, self._at + self._room
        end = self._find_empty_line(start, limit)
        if end < 0:
            if len(self._buffer) < limit:
                return self._await("chunks without an empty line at their end")
            self._refuse(f"a head of more than {self._limits.head_bytes} bytes, with its trailers")
            return True
        for number, line in enumerate(bytes(self._buffer[start + 1 : end]).split(b"\n"), 1):
            if line not in _LINE_ENDS and _HEADER_LINE.fullmatch(line) is None:
                self._refuse(f"trailer line {number} is no 'Name: value'")
                return True
        self._at = end
        self._complete(bytes(self._body))
        return True

    # Shared by the phases.

    def _drop_read(self) -> None:
        del self._buffer[: self._at]
        self._searched = max(0, self._searched - self._at)
        self._at = 0

    def _find_empty_line(self, start: int, limit: int) -> int:
        """Return where the first empty line behind a line ends, before a limit; -1 when it has not come."""
        buffer = self._buffer
        # Not all over again for each piece that comes.
        search = max(start, self._searched - 2)
        end = buffer.find(b"\n\r\n", search, limit)
        alone = buffer.find(b"\n\n", search, limit if end < 0 else end)
        self._searched = len(buffer)
        if alone >= 0:
            self._searched = alone
            return alone + 2
        if end >= 0:
            self._searched = end
            return end + 3
        return -1

    def _await(self, problem: str) -> bool:
        """Wait for more bytes; refuse the request when none will come."""
        if self._end is None:
            return False
        self._refuse(self._end or problem)
        return True

    def _complete(self, body: bytes) -> None:
        head = self._head
        request = Request(head.method, head.target, head.headers, body)
        if self._body:
            self._body = bytearray()
        if head.framing.keep_alive:
            self._event = Received(request, keep_alive=True)
            self._enter(Phase.HEAD)
        else:
            self._close(Received(request, keep_alive=False))

    def _refuse(self, problem: str) -> None:
        head = self._head
        body = bytes(self._buffer[self._at :] if self.phase is Phase.SIZED_BODY else self._body)
        self._close(Refused(problem, Request(head.method, head.target, head.headers, body, problem)))

    def _close(self, event: Event) -> None:
        self._event = event
        self._enter(Phase.CLOSED)
        self._buffer, self._body = bytearray(), bytearray()
        self._at = 0

    def _enter(self, phase: Phase) -> None:
        if phase not in TRANSITIONS[self.phase]:
            raise RuntimeError(f"the reader cannot go from {self.phase.name} to {phase.name}")
        self.phase = phase

    _READ: ClassVar[Mapping[Phase, Callable[[RequestReader], bool]]] = {
        Phase.HEAD: _read_head,
        Phase.SIZED_BODY: _read_sized_body,
        Phase.CHUNKS: _read_chunks,
        Phase.TRAILERS: _read_trailers,
        Phase.CLOSED: lambda _: False,
    }


class _Framing(NamedTuple):
    """How the bytes behind a head are framed."""

    length: int
    is_chunked: bool
    expects_continue: bool
    keep_alive: bool
    problem: str | None
    is_plain: bool
    """Whether nothing but a body of a known length belongs to it, and the connection stays open."""


class _Head(NamedTuple):
    """A request line with its header lines."""

    method: str
    target: str
    headers: HeaderLines
    framing: _Framing


def _parse_head(head: bytes) -> _Head | None:
    """Parse a head; None when its first line is no request line."""
    first, *lines = head.split(b"\n")
    while lines and lines[-1] in _LINE_ENDS:
        lines.pop()
    is_short = len(head) < _MAX_CACHED_HEAD_BYTES
    request_line = (_parse_request_line_once if is_short else _parse_request_line)(first)
    if request_line is None:
        return None
    method, target, may_persist = request_line
    parsed = [_LINES[line] for line in lines] if is_short else [_parse_line(line) for line in lines]
    headers = HeaderLines([header for header, _ in parsed])
    special = tuple([(kind, header[1]) for header, kind in parsed if kind is not None])
    framing = (_parse_framing_once if is_short else _parse_framing)(special, may_persist)
    if framing.problem == _BROKEN:
        number = 1 + [kind for _, kind in parsed].index(_BROKEN)
        # Not the line itself: it may be an Authorization with a space before its colon.
        framing = framing._replace(problem=f"header line {number} is no 'Name: value'")
    return _Head(method, target, headers, framing)


def _parse_request_line(line: bytes) -> tuple[str, str, bool] | None:
    """Return method, target and whether the connection may stay open; None when it is no request line."""
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        return None
    return found[1].decode("latin-1"), found[2].decode("latin-1"), found[3] == b"1"


def _parse_line(line: bytes) -> tuple[tuple[str, str], str | None]:
    """Return name and value, a broken line as a name alone, and the kind when it bears on the framing."""
    found = _HEADER_LINE.fullmatch(line)
    if found is None:
        return (line.decode("latin-1").rstrip("\r"), ""), _BROKEN
    name, value = found[1].decode("latin-1"), found[2].strip(b" \t").decode("latin-1")
    kind = name.lower()
    return (name, value), kind if kind in _KINDS else None


class _Lines(dict[bytes, tuple[tuple[str, str], str | None]]):
    """The header lines that were parsed lately; a plain dict looks them up in half the time of lru_cache."""

    def __missing__(self, line: bytes) -> tuple[tuple[str, str], str | None]:
        if len(self) >= _MAX_CACHED_LINES:
            self.clear()
        parsed = self[line] = _parse_line(line)
        return parsed


def _parse_framing(special: tuple[tuple[str, str], ...], may_persist: bool) -> _Framing:
    values: dict[str, list[str]] = {}
    for kind, value in special:
        values.setdefault(kind, []).append(value)
    lengths = values.get("content-length")
    problem = _framing_problem(values)
    is_chunked = "transfer-encoding" in values
    expects_continue = may_persist and _expects_continue(values.get("expect", []))
    keep_alive = may_persist and not _asks_to_close(values.get("connection", []))
    return _Framing(
        int(lengths[0]) if lengths and problem is None else 0,
        is_chunked,
        expects_continue,
        keep_alive,
        problem,
        keep_alive and not is_chunked and not expects_continue,
    )


def _expects_continue(values: list[str]) -> bool:
    return [value.lower() for value in values] == ["100-continue"]


def _asks_to_close(values: list[str]) -> bool:
    return "close" in ",".join(values).lower().replace(" ", "").split(",")


def _framing_problem(special: Mapping[str, list[str]]) -> str | None:
    if _BROKEN in special:
        return _BROKEN
    codings, lengths = special.get("transfer-encoding"), special.get("content-length")
    if codings and lengths:
        return "both Content-Length and Transfer-Encoding"
    if codings and [coding.lower() for coding in codings] != ["chunked"]:
        return f"Transfer-Encoding: {', '.join(codings)[:80]}"
    if lengths and (len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0])):
        return f"Content-Length {' and '.join(lengths)[:80]}"
    return None


# Senders repeat their heads, or most of their lines: each is parsed once.
_parse_head_once = lru_cache(maxsize=512)(_parse_head)
_parse_request_line_once = lru_cache(maxsize=512)(_parse_request_line)
_parse_framing_once = lru_cache(maxsize=512)(_parse_framing)
_LINES = _Lines()


def _line_problem(data: bytes) -> str:
    if data.startswith(_TLS_HANDSHAKE):
        return "a TLS handshake: the URL says https, this is http"
    if data.startswith(b"PRI * HTTP/2"):
        return "the preface of HTTP/2: this is HTTP/1.1, so let the client begin with that"
    line = data.partition(b"\n")[0][:_SHOWN_BYTES].decode("latin-1").rstrip("\r")
    if line.startswith("CONNECT "):
        return f"{line!a}, which asks for a tunnel"
    return f"{line!a}, which is no HTTP/1.1 request line"
