"""A server that shows each request as received and responds with any bytes.

The fake mail endpoint of this project shows only what a receiver may rely on. This server hides nothing and
knows nothing of mail, so tests use it for both the real connector and our client.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self, cast

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Reply:
    """The response to one request.

    Attributes:
        data: The bytes to send, of whatever kind.
        then: Whether the connection then stays open for the next request, is closed, or is reset.
        before: Called before the bytes are sent; it may wait.
    """

    data: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    then: Literal["keep", "close", "reset"] = "keep"
    before: Callable[[], object] = field(default=lambda: None)


def reply(status: str, *headers: str, body: bytes = b"") -> Reply:
    """Return a well-formed reply.

    Args:
        status: Code and reason.
        headers: Header lines beside ``content-length``.
        body: The body.
    """
    lines = [f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}", "", ""]
    return Reply("\r\n".join(lines).encode() + body)


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One request.

    Attributes:
        start: The request line.
        headers: The header lines as received; each byte is one character.
        body: The body.
        connection: The number of the connection that it was received on, from 0.
    """

    start: str
    headers: tuple[str, ...]
    body: bytes
    connection: int

    def header(self, name: str) -> list[str]:
        """Return what follows the colon and space in each header line of that exact name."""
        return [line.removeprefix(f"{name}: ") for line in self.headers if line.startswith(f"{name}: ")]


class Wire:
    """The server, a context manager.

    Args:
        replies: The responses to the first, second, … request; the last is for all later ones too.

    Attributes:
        requests: The requests in order of arrival, recorded before the response is sent.
    """

    def __init__(self, *replies: Reply) -> None:
        self.requests: list[WireRequest] = []
        self._replies = replies or (Reply(),)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._connections = 0
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.wire = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def origin(self) -> str:
        """The scheme, host and port of its URLs."""
        return f"http://{self.host}"

    @property
    def host(self) -> str:
        """Its host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):  # the client was first
                    connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()

    def reply_with(self, *replies: Reply) -> None:
        """Replace the replies, with some that name ``host``, for example."""
        self._replies = replies

    def add_connection(self, connection: socket.socket) -> int:
        """Note a new connection and return its number."""
        with self._lock:
            self._open.add(connection)
            self._connections += 1
            return self._connections - 1

    def remove_connection(self, connection: socket.socket) -> None:
        """Note the end of a connection."""
        with self._lock:
            self._open.discard(connection)

    def record_request(self, request: WireRequest) -> Reply:
        """Record a request and return its reply."""
        with self._lock:
            self.requests.append(request)
            return self._replies[min(len(self.requests), len(self._replies)) - 1]


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 64
    wire: Wire


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        wire = cast("_Server", self.server).wire
        number = wire.add_connection(self.connection)
        try:
            with contextlib.suppress(ConnectionError):  # the client may go at any time
                while self._serve_one(wire, number):
                    pass
        finally:
            wire.remove_connection(self.connection)

    def _serve_one(self, wire: Wire, number: int) -> bool:
        lines = []
        while (line := self.rfile.readline()) != b"\r\n":
            if not line.endswith(b"\r\n"):
                return False
            lines.append(line.decode("latin-1").removesuffix("\r\n"))
        lengths = [int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")]
        body = self.rfile.read(sum(lengths))
        response = wire.record_request(WireRequest(lines[0], tuple(lines[1:]), body, number))
        response.before()
        self.wfile.write(response.data)
        if response.then == "reset":
            # With nothing left to linger for, closing sends a reset instead of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            socket.close(self.connection.detach())
        return response.then == "keep"
