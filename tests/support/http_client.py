"""A raw HTTP client: sends exactly the bytes of a test and reads exactly the bytes that it receives."""

from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

TIMEOUT = 30.0
MESSAGE = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "042137", "locale": "en"}}
INVALID = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": 42137}}


class Response(NamedTuple):
    """One HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's JSON value."""
        return json.loads(self.body)


class Client:
    """One connection to an endpoint."""

    def __init__(self, url: str, *, context: ssl.SSLContext | None = None) -> None:
        self.parts = urlsplit(url)
        assert self.parts.hostname is not None
        self.socket = socket.create_connection((self.parts.hostname, self.parts.port or 0), timeout=TIMEOUT)
        if context is not None:
            try:
                self.socket = context.wrap_socket(self.socket, server_hostname=self.parts.hostname)
            except BaseException:
                self.socket.close()
                raise
        self._source = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._source.close()
        self.socket.close()

    def reset(self) -> None:
        """End the connection with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def end(self) -> None:
        """Shut down the sending side: the server reads the end of the stream."""
        self.socket.shutdown(socket.SHUT_WR)

    def request(self, body: object = MESSAGE, *lines: str, method: str = "POST", target: str = "") -> bytes:
        """Return a request; a body that is not bytes is written as JSON, lines are extra header lines."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = [line.partition(":")[0].lower() for line in lines]
        standard = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        head = [
            f"{method} {target or self.parts.path} HTTP/1.1",
            "Host: mail.test",
            *lines,
            *(f"{name}: {value}" for name, value in standard.items() if name.lower() not in named),
        ]
        return "\r\n".join([*head, "", ""]).encode("latin-1") + data

    def post(self, body: object = MESSAGE, *lines: str, method: str = "POST", target: str = "") -> Response:
        """Send a request and return its response."""
        self.send(self.request(body, *lines, method=method, target=target))
        return self.read_response(head_only=method == "HEAD")

    def head(self) -> tuple[int, dict[str, str]]:
        """Return the status and the headers of the response, names in lower case."""
        line = self._source.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        headers = {}
        while (header := self._source.readline().decode("latin-1").rstrip("\r\n")) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        return int(line.split()[1]), headers

    def read_response(self, *, head_only: bool = False) -> Response:
        """Read the next response, which has a Content-Length."""
        status, headers = self.head()
        return Response(status, headers, b"" if head_only else self.read(int(headers["content-length"])))

    def read_line(self) -> bytes:
        """Return the next line with its end."""
        return self._source.readline()

    def read(self, count: int = -1) -> bytes:
        """Return that many bytes, or all to the end."""
        return self._source.read(count)


def post(url: str, body: object = MESSAGE, *lines: str, method: str = "POST") -> Response:
    """Send one request on a connection of its own and return its response."""
    with Client(url) as client:
        return client.post(body, *lines, method=method)


def exchange(url: str, data: bytes) -> bytes:
    """Send bytes, shut down the sending side, and return everything received."""
    with Client(url) as client:
        client.send(data)
        client.end()
        return client.read()
