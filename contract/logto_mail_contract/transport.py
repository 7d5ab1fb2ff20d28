"""Posts messages as Logto's HTTP email connector does, byte for byte.

Source of the bytes: ``packages/connectors/connector-http-email/src/index.ts`` (v1.35.0) and got 14 on Node,
observed with ``@logto/connector-http-email`` 0.4.3; ``tests/logto`` compares the two on the wire.
"""

from __future__ import annotations

import base64
import re
import selectors
import socket
import ssl
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from .http1_answer import AnswerReader, NotAnAnswer, decoded
from .javascript_json import stringify

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_TIMEOUT = 10.0
"""Seconds that Logto's hosted sign-in page waits: ky's default (``packages/experience/src/apis/api.ts``)."""

MOST_REDIRECTS = 10
"""How many redirects got follows."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
# What the URL standard leaves as it is in a path and in a query, beside letters and digits.
_PATH_SAFE = "/%:@!$&'()*+,;=~|[]^-._"
_QUERY_SAFE = "/?%:@!$&()*+,;=~|[]\\^`{}-._"
_AROUND = "".join(map(chr, range(33)))
_DOT = re.compile(r"\.|%2e", re.IGNORECASE)
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux alone has it
# Needs no file descriptor of its own, where there is a choice.
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.DefaultSelector)
_REDIRECTS = (300, 301, 302, 303, 304, 307, 308)


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request to write.

    Attributes:
        target: The request target: path, and query if any.
        headers: The header lines in order; a value is written as UTF-8, as Node writes it.
        body: The body.
        method: The method.
        scheme: ``http`` or ``https``, which no request tells and a redirect may change.
    """

    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    method: str = "POST"
    scheme: str = "http"

    def encode(self) -> bytes:
        """Return the bytes of the request."""
        lines = [
            f"{self.method} {self.target} HTTP/1.1",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(frozen=True, slots=True)
class Response:
    """What an endpoint answered.

    Attributes:
        status: The HTTP status.
        headers: The header lines in order, names in lower case.
        body: The body.
        seconds: From the first byte sent to the last byte received.
        faults: What is wrong with the framing of an answer that can be read nevertheless.
        redirects: The statuses of the redirects that were followed to it.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    seconds: float
    faults: tuple[str, ...] = ()
    redirects: tuple[int, ...] = ()

    def values(self, name: str) -> list[str]:
        """Return the values of every header line with that name, given in lower case."""
        return [value for header, value in self.headers if header == name]

    @property
    def content(self) -> bytes:
        """The body, freed of its content encoding where that is possible."""
        content = decoded(self.body, next(iter(self.values("content-encoding")), ""))
        return self.body if content is None else content

    def redirect(self) -> str | None:
        """Return the location that the connector would go on to; None when it would not."""
        if self.status not in _REDIRECTS:
            return None
        return next(iter(self.values("location")), None)


@dataclass(frozen=True, slots=True)
class NoResponse:
    """Why there is no answer.

    Attributes:
        kind: ``unreachable`` (no connection), ``timeout`` (no end of the answer in time), ``cut`` (the
            connection ended before the answer did), ``garbled`` (what came is not HTTP) or ``raised`` (an
            application in this process raised an exception, which a server would answer with 500).
        problem: What happened, for a person to read.
        seconds: From the first byte sent until it was given up.
        redirects: The statuses of the redirects that were followed before.
    """

    kind: str
    problem: str
    seconds: float
    redirects: tuple[int, ...] = ()


Outcome = Response | NoResponse


class Channel(Protocol):
    """A way to one receiver; for a URL, one connection at a time that is kept alive. Not for two threads."""

    def exchange(self, call: Call, timeout: float) -> Outcome:
        """Send a request and return what comes, within ``timeout`` seconds; redirects are not followed."""

    def late_bytes(self, seconds: float) -> tuple[str, ...]:
        """Return what is wrong with what comes after the last answer, watching for some seconds."""

    def exchange_again(self, call: Call, timeout: float) -> Outcome | None:
        """Send a request on the very connection of the last answer; None when that was announced to end."""

    def close(self) -> None:
        """Let go of what is open."""


class Target(Protocol):
    """A receiver that can be called.

    Attributes:
        on_wire: Whether requests go over a socket, so that framing and connections can be judged.
        scheme: ``http`` or ``https``.
        host: The value of ``Host``.
        path: The request target that messages are posted to.
    """

    on_wire: bool
    scheme: str
    host: str
    path: str

    def open(self) -> Channel:
        """Return a new channel."""

    def close(self) -> None:
        """Let go of what the target itself holds."""


def encode_body(message: Mapping[str, Any]) -> bytes:
    """Return the body that the connector writes for a message.

    The four known members in the connector's order, ``ip`` only when it is truthy; members without a value
    are left out.

    Args:
        message: A message as ``json.loads`` returns it; further top-level members are dropped.
    """
    body = {name: message[name] for name in ("to", "type", "payload") if name in message}
    if message.get("ip"):
        body["ip"] = message["ip"]
    return stringify(body)


def connector_call(target: Target, body: bytes, authorization: str | None = None) -> Call:
    """Return the request that the connector writes: headers in its order and case.

    Args:
        target: The receiver.
        body: The body.
        authorization: The value of ``Authorization``; the header is left out when None.
    """
    lines = [("user-agent", "got (https://github.com/sindresorhus/got)")]
    if authorization is not None:
        lines.append(("authorization", authorization))
    lines += [
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
        ("accept-encoding", "gzip, deflate, br"),
        ("Host", target.host),
        ("Connection", "keep-alive"),
    ]
    return Call(target.path, tuple(lines), body, scheme=target.scheme)


def encode_request(url: str, body: bytes, authorization: str | None = None) -> bytes:
    """Return the bytes of the request that the connector writes for a URL.

    Args:
        url: The endpoint, http or https; user and password in it become Basic authorization, which then
            takes the place of ``authorization``, as it does in got.
        body: The body.
        authorization: The value of ``Authorization``; the header is left out when None.

    Raises:
        ValueError: The URL is not one of http or https, or ``authorization`` is what no header can carry.
    """
    target = UrlTarget(url)
    return connector_call(target, body, target.authorization or check_authorization(authorization)).encode()


def post(
    url: str,
    message: Mapping[str, Any] | bytes,
    authorization: str | None = None,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    tls: ssl.SSLContext | None = None,
) -> Outcome:
    """Post one message on a connection of its own, follow redirects as the connector does, return what comes.

    Args:
        url: The endpoint, as for ``encode_request``.
        message: A message, or the bytes of a body.
        authorization: The value of ``Authorization``; the header is left out when None.
        timeout: Seconds for the whole exchange.
        tls: What to trust for https; the system's authorities when None.

    Raises:
        ValueError: The URL or ``authorization`` cannot be sent.
    """
    target = UrlTarget(url, tls)
    body = message if isinstance(message, bytes) else encode_body(message)
    call = connector_call(target, body, target.authorization or check_authorization(authorization))
    channel = target.open()
    try:
        return deliver(channel, call, timeout)
    finally:
        channel.close()


def deliver(channel: Channel, call: Call, timeout: float) -> Outcome:
    """Send a request and follow redirects as the connector does: got with ``methodRewriting: false``.

    300, 301, 302, 304, 307 and 308 with a ``Location`` are posted again, 303 is got without a body. Only a
    redirect to the same origin is followed: nothing is ever sent to a host that nobody named.

    Args:
        channel: The way to the receiver.
        call: The request.
        timeout: Seconds for the whole.
    """
    start = time.monotonic()
    statuses: tuple[int, ...] = ()
    while True:
        outcome = channel.exchange(call, max(0.0, start + timeout - time.monotonic()))
        location = outcome.redirect() if isinstance(outcome, Response) else None
        onward = None if location is None else same_origin(call, location)
        if onward is None or len(statuses) == MOST_REDIRECTS:
            if not statuses:
                return outcome
            return replace(outcome, redirects=statuses, seconds=time.monotonic() - start)
        assert isinstance(outcome, Response)
        statuses = (*statuses, outcome.status)
        if outcome.status == 303:
            kept = tuple(line for line in call.headers if line[0].lower() != "content-length")
            call = replace(call, method="GET", headers=kept, body=b"")
        call = replace(call, target=onward)


def same_origin(call: Call, location: str) -> str | None:
    """Return the request target that a ``Location`` means; None when it leads to another origin.

    Args:
        call: The request that was answered with it.
        location: The value, a character for each byte of the wire.
    """
    host = next(value for name, value in call.headers if name.lower() == "host")
    try:
        location = location.encode("latin-1").decode()
    except UnicodeError:
        return None
    try:
        there = urlsplit(urljoin(f"{call.scheme}://{host}{call.target}", location))
        if there.scheme != call.scheme or host_header(there.scheme, there.hostname or "", there.port) != host:
            return None
    except ValueError:
        return None
    return _request_target(there.path, there.query)


def host_header(scheme: str, name: str, port: int | None) -> str:
    """Return the value of ``Host`` for an origin: without a port that is the scheme's own."""
    bracketed = f"[{name}]" if ":" in name else name
    return bracketed if port in (None, _DEFAULT_PORTS.get(scheme)) else f"{bracketed}:{port}"


def _request_target(path: str, query: str) -> str:
    """Return path and query as the URL standard writes them."""
    segments: list[str] = []
    *parents, last = path.replace("\\", "/").removeprefix("/").split("/")
    for segment in parents:
        dots = _DOT.sub(".", segment)
        if dots == "..":
            del segments[-1:]
        elif dots != ".":
            segments.append(segment)
    dots = _DOT.sub(".", last)
    if dots == "..":
        del segments[-1:]
    segments.append("" if dots in (".", "..") else last)
    target = quote("/" + "/".join(segments), safe=_PATH_SAFE)
    return f"{target}?{quote(query, safe=_QUERY_SAFE)}" if query else target


def check_authorization(authorization: str | None) -> str | None:
    """Return a value of ``Authorization``, after a check that the connector could send it.

    Args:
        authorization: The value, or None.

    Raises:
        ValueError: Node refuses it: a control character, or one beyond ISO 8859-1.
    """
    if authorization is not None and not re.fullmatch("[\\t\x20-\x7e\x80-\xff]*", authorization):
        raise ValueError(
            "The value of Authorization has a line break, another control character or one beyond U+00FF; "
            "Logto could not send it"
        )
    return authorization


def _split(url: str) -> SplitResult:
    """Split a URL as URL parsers do: without what surrounds it, and with both kinds of slash."""
    before, mark, after = url.strip(_AROUND).partition("?")
    return urlsplit(before.replace("\\", "/") + mark + after)


def shown_url(url: str) -> str:
    """Return a URL as it may be printed: user, password and the values in its query are masked."""
    parts = _split(url)
    _, at, host = parts.netloc.rpartition("@")
    query = []
    for part in parts.query.split("&"):
        name, equals, value = part.partition("=")
        query.append(f"{name}{equals}(masked)" if value else "(masked)" if part and not equals else part)
    return parts._replace(netloc=f"{at and '(masked)@'}{host}", query="&".join(query)).geturl()


class UrlTarget:
    """A receiver at a URL.

    Args:
        url: The endpoint, http or https.
        tls: What to trust for https; the system's authorities when None.

    Attributes:
        authorization: What user and password in the URL make of ``Authorization``; None without them.

    Raises:
        ValueError: The URL is not one of http or https.
    """

    on_wire = True

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        parts = _split(url)
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ValueError("An endpoint is an http or https URL with a host")
        name = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
        self.url = url
        self.scheme = parts.scheme
        self.address = (name, parts.port or _DEFAULT_PORTS[parts.scheme])
        self.host = host_header(parts.scheme, name, parts.port)
        self.path = _request_target(parts.path, parts.query)
        self.authorization: str | None = None
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self.authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None

    @property
    def plain_url(self) -> str:
        """The URL without user and password."""
        parts = _split(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    @property
    def has_query(self) -> bool:
        """Whether the URL has a query, whose values may be secrets."""
        return "?" in self.path

    def connect(self, timeout: float) -> socket.socket:
        """Return a new connection; raises OSError where there is none."""
        deadline = time.monotonic() + timeout
        connection = socket.create_connection(self.address, timeout)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                return connection
            connection.settimeout(_left(deadline))
            return self._tls.wrap_socket(connection, server_hostname=self.address[0])
        except BaseException:
            connection.close()
            raise

    def open(self) -> Channel:
        """Return a channel that keeps its connection alive."""
        return _Connection(self)

    def close(self) -> None:
        """Nothing to let go of: each channel has its own connection."""


class _Connection:
    def __init__(self, target: UrlTarget) -> None:
        self._target = target
        self._socket: socket.socket | None = None
        self._reusable = False

    def exchange(self, call: Call, timeout: float) -> Outcome:
        start = time.monotonic()
        deadline = start + timeout
        if self._socket is not None and (not self._reusable or _ready(self._socket, selectors.EVENT_READ, 0)):
            # Ended by the receiver, or bytes that nobody asked for: Node takes another connection then too.
            self.close()
        reused = self._socket is not None
        if self._socket is None:
            try:
                self._socket = self._target.connect(timeout)
            except OSError as problem:
                return NoResponse("unreachable", _said(problem), time.monotonic() - start)
        outcome = self._exchange(self._socket, call, start, deadline)
        if reused and isinstance(outcome, NoResponse) and outcome.kind in ("ended", "garbled"):
            # The receiver closed an idle connection just when it was used, or what it sent belongs to the
            # answer before: not the fault of this request, and rules of their own look at that.
            again = self.exchange(call, max(0.0, deadline - time.monotonic()))
            # Unless nobody is there any more: then this request may be what ended the receiver.
            if not (isinstance(again, NoResponse) and again.kind == "unreachable"):
                return again
        if isinstance(outcome, NoResponse) and outcome.kind == "ended":
            return replace(outcome, kind="cut")
        return outcome

    def late_bytes(self, seconds: float) -> tuple[str, ...]:
        if self._socket is None:
            return ()
        deadline = time.monotonic() + seconds
        try:
            # More than once: what comes over TLS may be no bytes of the answer.
            while _ready(self._socket, selectors.EVENT_READ, max(0.0, deadline - time.monotonic())):
                self._socket.settimeout(0)
                late = self._socket.recv(65536)
                self._reusable = False
                # Node overlooks line breaks between messages.
                if not late or late.strip(b"\r\n"):
                    return (_surplus(late),) if late else ()
        except (ssl.SSLWantReadError, BlockingIOError):
            return ()
        except OSError:
            self._reusable = False
        return ()

    def exchange_again(self, call: Call, timeout: float) -> Outcome | None:
        if self._socket is None or not self._reusable:
            return None
        start = time.monotonic()
        outcome = self._exchange(self._socket, call, start, start + timeout)
        if isinstance(outcome, NoResponse) and outcome.kind == "ended":
            return replace(outcome, kind="cut")
        return outcome

    def _exchange(self, connection: socket.socket, call: Call, start: float, deadline: float) -> Outcome:
        reader = AnswerReader()
        unsent = memoryview(call.encode())
        kind = problem = ""
        self._reusable = False
        try:
            connection.settimeout(_left(deadline))
            unsent = unsent[_sent(connection, unsent) :]
            while not reader.done:
                if unsent:
                    # As Node does: an answer may come, and count, before the request was read to its end.
                    events = _ready(connection, selectors.EVENT_READ | selectors.EVENT_WRITE, _left(deadline))
                    if events & selectors.EVENT_WRITE:
                        unsent = unsent[_sent(connection, unsent) :]
                    if not events & selectors.EVENT_READ:
                        continue
                connection.settimeout(_left(deadline))
                if _QUICKACK is not None:
                    # A server that writes head and body apart waits 40 ms for a late acknowledgement.
                    connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
                reader.feed(connection.recv(65536))
        except TimeoutError:
            kind, problem = "timeout", _so_far(reader) or "no answer"
        except EOFError:
            kind = "cut" if reader.begun else "ended"
            problem = _so_far(reader) or "the connection ended without an answer"
        except NotAnAnswer as error:
            kind, problem = "garbled", str(error)
        except OSError as error:
            kind, problem = "cut" if reader.begun else "ended", _said(error)
        seconds = time.monotonic() - start
        if kind:
            self.close()
            return NoResponse(kind, problem, seconds)
        faults = [_surplus(reader.surplus)] if reader.surplus else []
        body = bytes(reader.body)
        encoding = next((value for name, value in reader.headers if name == "content-encoding"), "")
        if reader.length == len(body) and decoded(body, encoding) is None:
            faults.append(f"Content-Encoding {encoding}, and a body that is not")
        self._reusable = reader.reusable and not reader.surplus and not unsent
        return Response(reader.status, tuple(reader.headers), body, seconds, tuple(faults))

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _sent(connection: socket.socket, data: memoryview) -> int:
    """Send what can be sent now, and return how much of it is done with."""
    try:
        return connection.send(data)
    except (BrokenPipeError, ConnectionResetError):
        # A receiver may refuse a large request before it has read it: its answer counts, if there is one.
        return len(data)


def _ready(connection: socket.socket, events: int, seconds: float) -> int:
    """Wait for one of some events, and return those that came."""
    if events & selectors.EVENT_READ and isinstance(connection, ssl.SSLSocket) and connection.pending():
        return selectors.EVENT_READ
    with _Selector() as selector:
        selector.register(connection, events)
        return sum(came for _, came in selector.select(seconds))


def _so_far(reader: AnswerReader) -> str:
    if reader.status:
        return f"status {reader.status} and {reader.length} bytes of body, and no end"
    return "part of a head, and no end" if reader.begun else ""


def _surplus(data: bytes) -> str:
    return f"{len(data)} bytes after the end of the answer"


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _said(problem: OSError) -> str:
    return problem.strerror or str(problem) or type(problem).__name__
