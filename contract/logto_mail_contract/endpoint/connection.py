"""One connection of a sender, in a thread of its own."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING

from ..judging.requests import NO_REQUEST, response_headers
from ..wire.replies import ScriptedResponse
from ..wire.request_reader import ContinueExpected, Ended, ReadLimits, Received, RequestReader

if TYPE_CHECKING:
    from ..wire.request_reader import Event
    from .server import MailServer

_LIMITS = ReadLimits()
_HANDSHAKE_TIMEOUT = 10.0
_DRAIN_TIMEOUT = 2.0
_READ_BYTES = 65536
_NO_LINGER = struct.pack("ii", 1, 0)


class Connection(threading.Thread):
    """One connection of a sender, in a thread of its own.

    Args:
        server: Judges, records and responds to the requests.
        accepted: The connection's socket.

    Attributes:
        keep_alive: Whether another request can follow.
        head_only: Whether the response has no body.
        closing: Set when a scripted reply is to be given up.
    """

    closing: threading.Event

    def __init__(self, server: MailServer, accepted: socket.socket) -> None:
        super().__init__(name="mail endpoint connection", daemon=True)
        self._server = server
        self._socket = accepted
        self._reader = RequestReader(_LIMITS)
        self._resetting = False
        self.keep_alive = True
        self.head_only = False

    def run(self) -> None:
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            if self._handshake():
                while self.keep_alive:
                    self._exchange(self._next_event())
        except OSError:
            pass  # the client has left, or stop() has ended the connection
        finally:
            self._socket.close()
            self._server.connections.discard(self)

    def close(self) -> None:
        """Close the connection from another thread."""
        with contextlib.suppress(OSError):
            # Not SSLSocket.shutdown, which pulls the TLS session from under a thread that reads.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _handshake(self) -> bool:
        if self._server.tls is None:
            return True
        # Here rather than on the listening socket: a client that is silent must not hold up the others.
        self._socket.settimeout(_HANDSHAKE_TIMEOUT)
        try:
            # TLS begins with a control character, and HTTP with a letter.
            if self._socket.recv(1, socket.MSG_PEEK).isalpha():
                self._server.note_unmatched("plain http: the URL says http, this is https")
                return False
            self._socket = self._server.tls.wrap_socket(
                self._socket, server_side=True, do_handshake_on_connect=False
            )
            self._socket.do_handshake()
        except OSError as error:
            self._server.note_unmatched(f"a connection whose TLS handshake failed: {error}")
            return False
        self._socket.settimeout(None)
        return True

    def _next_event(self) -> Event:
        while (event := self._reader.next_event()) is None:
            try:
                data = self._socket.recv(_READ_BYTES)
            except OSError as error:
                self._reader.end(f"a connection that broke inside the request: {error}")
            else:
                if data:
                    self._reader.feed(data)
                else:
                    self._reader.end()
        return event

    def _exchange(self, event: Event) -> None:
        if isinstance(event, ContinueExpected):
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        self.keep_alive = isinstance(event, Received) and event.keep_alive
        if isinstance(event, Ended):
            return
        if event.request is None:
            self._server.note_unmatched(event.problem)
            self.respond(400, NO_REQUEST)
        else:
            self.head_only = event.request.method == "HEAD"
            if not self._server.deliver(event.request, self):
                self.respond(
                    404,
                    b'{"accepted":false,"reason":"There is no mail endpoint at this path now"}',
                )
        if not isinstance(event, Received):
            self._drain()

    def _drain(self) -> None:
        # Closing with bytes unread resets the connection, and the client might never see its response.
        if not self._resetting:
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(_DRAIN_TIMEOUT)
            left = _LIMITS.body_bytes
            while left > 0 and (part := self._socket.recv(_READ_BYTES)):
                left -= len(part)

    def respond(self, status: int, body: bytes) -> None:
        """Send the response that the judgement asks for."""
        response = ScriptedResponse(status, body, response_headers(status))
        self.send(response.encode(close=not self.keep_alive, head_only=self.head_only))

    # The wire of a scripted reply.

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def pause(self, seconds: float) -> bool:
        return not self.closing.wait(min(seconds, threading.TIMEOUT_MAX))

    def reset(self) -> None:
        self.keep_alive = False
        self._resetting = True
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
