"""A receiver at a URL, and the blocking connection to it, kept alive as Node's agent keeps it."""

from __future__ import annotations

import base64
import contextlib
import selectors
import socket
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from ..clock import read_monotonic
from ..wire.outcomes import NoResponse, Outcome, Response, format_surplus
from ..wire.responses import NotAResponse, ResponseReader
from ..wire.urls import Url

if TYPE_CHECKING:
    from ..wire.calls import Call

DEFAULT_TIMEOUT = 10.0
"""Seconds that Logto's hosted sign-in page waits: ky's default (``packages/experience/src/apis/api.ts``)."""

_RECEIVED_BYTES = 65536

_PAUSES_SECONDS = 0.05
"""The pauses of a request that is sent in pieces, all together."""

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # only Linux has it
# PollSelector needs no file descriptor of its own; Windows does not have it.
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.DefaultSelector)


class Channel(Protocol):
    """A way to one receiver; for a URL, one connection at a time that is kept alive. Not for two threads."""

    def exchange(self, call: Call, timeout: float) -> Outcome:
        """Send a request and return its outcome, within ``timeout`` seconds; redirects are not followed."""

    def late_bytes(self, seconds: float) -> tuple[str, ...]:
        """Return the faults of what arrives after the last response, within ``seconds`` seconds."""

    def exchange_again(self, call: Call, timeout: float) -> Outcome | None:
        """Send a request on the connection of the last response; None when that announced its end."""

    def abort(self) -> None:
        """End an exchange that is under way, where that can be; may be called from any thread."""

    def close(self) -> None:
        """Close the connection."""


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
        """Release what the target itself holds."""


class UrlTarget:
    """A receiver at a URL.

    Args:
        url: The endpoint, http or https.
        tls: What to trust for https; the system's authorities when None.

    Attributes:
        address: Host name or IP address, and port.
        authorization: The ``Authorization`` that user and password in the URL stand for; None without them.
        plain_url: The URL without user and password.

    Raises:
        ValueError: It is no http or https URL with a host, or Node cannot decode user and password.
    """

    on_wire = True

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        parsed = Url.parse(url)
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
        """Return a new connection.

        Args:
            timeout: Seconds for connecting and the TLS handshake.

        Raises:
            OSError: There is none.
        """
        deadline = read_monotonic() + timeout
        connection = socket.create_connection(self.address, timeout)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                return connection
            connection.settimeout(_seconds_left(deadline))
            return self._tls.wrap_socket(connection, server_hostname=self.address[0])
        except BaseException:
            connection.close()
            raise

    def open(self) -> Channel:
        """Return a channel that keeps its connection alive."""
        return _Connection(self)

    def close(self) -> None:
        """Do nothing: each channel has its own connection."""


class _Connection:
    """The channel to a URL."""

    def __init__(self, target: UrlTarget) -> None:
        self._target = target
        self._socket: socket.socket | None = None
        self._reusable = False
        self._is_aborted = False

    def exchange(self, call: Call, timeout: float) -> Outcome:
        start = read_monotonic()
        deadline = start + timeout
        if self._socket is not None and (not self._reusable or _wait(self._socket, selectors.EVENT_READ, 0)):
            # The receiver closed it, or sent bytes that belong to no request: Node opens another one too.
            self.close()
        is_reused = self._socket is not None
        if self._socket is None:
            try:
                self._socket = self._target.connect(timeout)
            except OSError as error:
                return NoResponse("unreachable", _format_error(error), read_monotonic() - start)
        outcome = self._exchange(self._socket, call, start, deadline)
        is_lost = isinstance(outcome, NoResponse) and outcome.kind in ("ended", "garbled")
        if is_reused and is_lost and not self._is_aborted:
            # The receiver closed an idle connection just when it was used, or the last response was too long.
            # Other rules judge that: it is no fault of this request.
            second = self.exchange(call, max(0.0, deadline - read_monotonic()))
            # If nothing listens now, this request may have ended the receiver.
            if not (isinstance(second, NoResponse) and second.kind == "unreachable"):
                return second
        return _as_cut(outcome)

    def late_bytes(self, seconds: float) -> tuple[str, ...]:
        if self._socket is None:
            return ()
        deadline = read_monotonic() + seconds
        try:
            # In a loop: TLS has records of its own, which hold no bytes of a response.
            while _wait(self._socket, selectors.EVENT_READ, max(0.0, deadline - read_monotonic())):
                self._socket.settimeout(0)
                late = self._socket.recv(_RECEIVED_BYTES)
                # An end that nothing announced is seen by the next request on the connection.
                self._reusable = self._reusable and not late
                # Node ignores empty lines between messages.
                if not late or late.strip(b"\r\n"):
                    return (format_surplus(late),) if late else ()
        except (ssl.SSLWantReadError, BlockingIOError):
            return ()
        except OSError:
            self._reusable = False
        return ()

    def exchange_again(self, call: Call, timeout: float) -> Outcome | None:
        if self._socket is None or not self._reusable:
            return None
        start = read_monotonic()
        return _as_cut(self._exchange(self._socket, call, start, start + timeout))

    def _exchange(self, connection: socket.socket, call: Call, start: float, deadline: float) -> Outcome:
        """Exchange on one connection; the kind is ``ended`` where that ended before any byte arrived."""
        reader = ResponseReader()
        pieces = _cut(memoryview(call.encode()), call.cuts)
        pause = _PAUSES_SECONDS / max(1, len(call.cuts))
        unsent = pieces.pop(0)
        kind = problem = ""
        self._reusable = False
        try:
            connection.settimeout(_seconds_left(deadline))
            unsent = unsent[_send(connection, unsent) :]
            while not reader.done:
                if pieces and not unsent:
                    unsent = pieces.pop(0)
                    if not _wait(connection, selectors.EVENT_READ, min(pause, _seconds_left(deadline))):
                        unsent = unsent[_send(connection, unsent) :]
                        continue
                if unsent:
                    # As Node does: a response may arrive, and counts, before the request was read to its end.
                    both = selectors.EVENT_READ | selectors.EVENT_WRITE
                    events = _wait(connection, both, _seconds_left(deadline))
                    if events & selectors.EVENT_WRITE:
                        unsent = unsent[_send(connection, unsent) :]
                    if not events & selectors.EVENT_READ:
                        continue
                connection.settimeout(_seconds_left(deadline))
                if _QUICKACK is not None:
                    # A server that writes head and body apart waits 40 ms for a delayed acknowledgement.
                    connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
                reader.feed(connection.recv(_RECEIVED_BYTES))
        except TimeoutError:
            kind, problem = "timeout", _format_progress(reader) or "no response"
        except EOFError:
            kind = "cut" if reader.begun else "ended"
            problem = _format_progress(reader) or "the connection ended without a response"
        except NotAResponse as error:
            kind, problem = "garbled", str(error)
        except OSError as error:
            kind, problem = "cut" if reader.begun else "ended", _format_error(error)
        seconds = read_monotonic() - start
        if kind:
            self.close()
            return NoResponse(kind, problem, seconds, begun=reader.begun)
        self._reusable = reader.reusable and not (reader.surplus or unsent or pieces)
        return Response.from_reader(reader, seconds)

    def abort(self) -> None:
        self._is_aborted = True
        # Not closed: another thread may be about to use it.
        connection = self._socket
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _cut(data: memoryview, cuts: tuple[int, ...]) -> list[memoryview]:
    """Return the pieces of a request; each but the last is sent before a pause."""
    return [data[start:end] for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True)]


def _send(connection: socket.socket, data: memoryview) -> int:
    """Send what the socket accepts now, and return how many bytes need no further send."""
    try:
        return connection.send(data)
    except (BrokenPipeError, ConnectionResetError):
        # A receiver may refuse a large request before it has read it: its response counts, if there is one.
        return len(data)


def _wait(connection: socket.socket, events: int, seconds: float) -> int:
    """Wait for one of some events, and return those that happened."""
    if events & selectors.EVENT_READ and isinstance(connection, ssl.SSLSocket) and connection.pending():
        return selectors.EVENT_READ
    with _Selector() as selector:
        selector.register(connection, events)
        return sum(happened for _, happened in selector.select(seconds))


def _as_cut(outcome: Outcome) -> Outcome:
    """Return an outcome of ``_exchange`` as callers know it."""
    if isinstance(outcome, NoResponse) and outcome.kind == "ended":
        return replace(outcome, kind="cut")
    return outcome


def _format_progress(reader: ResponseReader) -> str:
    if reader.status:
        return f"status {reader.status} and {reader.length} bytes of body, and no end"
    return "part of a head, and no end" if reader.begun else ""


def _seconds_left(deadline: float) -> float:
    seconds = deadline - read_monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _format_error(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
