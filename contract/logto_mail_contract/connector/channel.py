"""A receiver at a URL and the blocking connection to it, kept alive as Node's agent keeps it."""

from __future__ import annotations

import base64
import selectors
import socket
import ssl
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from ..wire.outcomes import NoResponse, Outcome, Response
from ..wire.responses import NotAResponse, ResponseReader, decode_content
from ..wire.urls import Url

if TYPE_CHECKING:
    from ..wire.calls import Call


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
        parsed = Url.parse(url)
        self.url = url
        self.plain_url = parsed.plain
        self.scheme = parsed.scheme
        self.host = parsed.host
        self.address = parsed.address
        self.path = parsed.target
        self.authorization: str | None = None
        if parsed.credentials is not None:
            pair = ":".join(parsed.credentials)
            self.authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        self._tls = (tls or ssl.create_default_context()) if parsed.scheme == "https" else None

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
        reader = ResponseReader()
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
        except NotAResponse as error:
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
        if reader.length == len(body) and decode_content(body, encoding) is None:
            faults.append(f"Content-Encoding {encoding}, and a body that is not")
        self._reusable = reader.reusable and not reader.surplus and not unsent
        return Response(reader.status, tuple(reader.headers), body, seconds, tuple(faults))

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


DEFAULT_TIMEOUT = 10.0
"""Seconds that Logto's hosted sign-in page waits: ky's default (``packages/experience/src/apis/api.ts``)."""


_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux alone has it


# Needs no file descriptor of its own, where there is a choice.
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.DefaultSelector)


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


def _so_far(reader: ResponseReader) -> str:
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
