"""One connection of a sender, in a thread of its own."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, BinaryIO

from ..wire.replies import ScriptedResponse
from ..wire.requests import MAX_BODY_BYTES, NotARequest, read_request

if TYPE_CHECKING:
    from .server import MailServer

_HANDSHAKE_TIMEOUT = 10.0


_DRAIN_TIMEOUT = 2.0


_NO_LINGER = struct.pack("ii", 1, 0)


class Connection(threading.Thread):
    """One connection of a sender, in a thread of its own."""

    closing: threading.Event

    def __init__(self, server: MailServer, accepted: socket.socket) -> None:
        super().__init__(name="mail endpoint connection", daemon=True)
        self._server = server
        self._socket = accepted
        self._resetting = False
        self.keep_alive = True
        self.head_only = False

    def run(self) -> None:
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            if self._handshake():
                with self._socket.makefile("rb") as source:
                    while self.keep_alive:
                        self._exchange(source)
        except OSError:
            pass  # the client has gone, or stop() has ended the connection
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
            self._socket = self._server.tls.wrap_socket(
                self._socket, server_side=True, do_handshake_on_connect=False
            )
            self._socket.do_handshake()
        except OSError as error:
            self._server.note_unmatched(f"a connection whose TLS handshake failed: {error}")
            return False
        self._socket.settimeout(None)
        return True

    def _exchange(self, source: BinaryIO) -> None:
        try:
            came = read_request(source, lambda: self.send(b"HTTP/1.1 100 Continue\r\n\r\n"))
        except NotARequest as line:
            self.keep_alive = False
            self._server.note_unmatched(f"{line}, which is no HTTP/1.1 request line")
            self.answer(400, b'{"accepted":false,"reason":"This is no HTTP/1.1 request"}')
            self._drain(source)
            return
        if came is None:
            self.keep_alive = False
            return
        request, self.keep_alive = came
        self.head_only = request.method == "HEAD"
        if not self._server.deliver(request, self):
            self.answer(
                404, b'{"accepted":false,"reason":"There is no mail endpoint at this path (any more)"}'
            )
        if request.framing is not None:
            self._drain(source)

    def _drain(self, source: BinaryIO) -> None:
        # Closing with bytes unread resets the connection, and the client might never see its answer.
        if not self._resetting:
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(_DRAIN_TIMEOUT)
            left = MAX_BODY_BYTES
            while left > 0 and (part := source.read(min(left, 65536))):
                left -= len(part)

    def answer(self, status: int, body: bytes) -> None:
        """Answer as the judgement asks."""
        headers = {"Content-Type": "application/json"}
        if status == 405:
            headers["Allow"] = "POST"
        if status == 401:
            headers["WWW-Authenticate"] = "Custom"
        self.send(
            ScriptedResponse(status, body, headers).encode(
                close=not self.keep_alive, head_only=self.head_only
            )
        )

    # The wire of a scripted reply.

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def pause(self, seconds: float) -> bool:
        return not self.closing.wait(min(seconds, threading.TIMEOUT_MAX))

    def reset(self) -> None:
        self.keep_alive = False
        self._resetting = True
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
