"""A sender on bare sockets with changeable behaviour, for the negative controls of the sender's rules.

With its defaults it passes every rule.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

Message = dict[str, Any]
Encode = Callable[[Message], bytes]
Frame = Callable[[bytes], tuple[list[str], bytes]]

SAME, GET, EMPTY = "the same again", "GET", "the same without body"
"""Actions on a redirect."""

FAILURES = ("refused", "reset", "ended", "garbage", "cut")
"""Ways in which a connection fails."""


class NotSent(Exception):
    """The sender reports that the message was not accepted."""


class ConnectionFailed(Exception):
    """A connection failed; the text is one of FAILURES."""


def select_members(message: Message) -> Message:
    """Return the members that Logto's connector puts into the body."""
    known: Message = {name: message[name] for name in ("to", "type", "payload") if name in message}
    return {**known, "ip": message["ip"]} if message.get("ip") else known


def encode_json(value: Any, errors: str = "backslashreplace", encoding: str = "utf-8") -> bytes:
    """Return JSON with characters as they are; Python's escape of a lone surrogate is JSON's."""
    return json.dumps(value, ensure_ascii=False).encode(encoding, errors)


def frame_with_length(body: bytes) -> tuple[list[str], bytes]:
    """Frame a body with its length."""
    return [f"Content-Length: {len(body)}"], body


@dataclass(frozen=True)
class Response:
    """A response: status, headers, body."""

    status: int
    headers: dict[str, str]
    body: bytes


def is_success(response: Response) -> bool:
    """Return whether Logto treats a response as success."""
    return 200 <= response.status < 300 or (response.status == 304 and "location" not in response.headers)


@dataclass
class RawSender:
    """The sender.

    Attributes:
        method: The method.
        target: Makes the request target of the endpoint's path and query.
        content_types: The values of Content-Type.
        authorizations: Makes the values of Authorization of the configured one.
        no_authorizations: The values of Authorization where none is configured.
        hosts: Makes the values of Host of the endpoint's host and port.
        extra_lines: More header lines.
        encode: Makes the body.
        frame: Makes the framing headers of a body, and the bytes that follow the head.
        half_close: Whether it ends its side of the connection after the request.
        succeeds: Returns whether a final response is success.
        tolerated: The connection failures that it treats as success.
        resends: Returns whether to send once more after a response, or the name of a failure.
        on_done: Called at the end with a function that sends the request once more.
        timeout: Seconds to wait for bytes.
        resolve: Makes the URL of a redirect of the URL of the request and Location.
        redirects: The action for a redirect with Location, by status.
        leaks: Whether it sends the authorization to another origin.
        forgets: Whether it drops the authorization on a redirect within the same origin.
        max_redirects: How many redirects it follows.
        explain: Makes the text of a failure from the authorization and the status.
        trusts: Whether it accepts any certificate.
    """

    method: str = "POST"
    target: Callable[[str], str] = lambda target: target
    content_types: tuple[str, ...] = ("application/json",)
    authorizations: Callable[[str], tuple[str, ...]] = lambda value: (value,)
    no_authorizations: tuple[str, ...] = ()
    hosts: Callable[[str], tuple[str, ...]] = lambda host: (host,)
    extra_lines: tuple[str, ...] = ()
    encode: Encode = field(default=lambda message: encode_json(select_members(message)))
    frame: Frame = frame_with_length
    half_close: bool = False
    succeeds: Callable[[Response], bool] = is_success
    tolerated: tuple[str, ...] = ()
    resends: Callable[[Response | str], bool] = lambda result: False  # noqa: ARG005 - the default
    on_done: Callable[[Callable[[], object]], object] = lambda send: None  # noqa: ARG005 - the default
    timeout: float = 30.0
    resolve: Callable[[str, str], str] = urljoin
    redirects: dict[int, str] = field(
        default_factory=lambda: {**dict.fromkeys((300, 301, 302, 307, 308), SAME), 303: GET}
    )
    leaks: bool = False
    forgets: bool = False
    max_redirects: int = 10
    explain: Callable[[tuple[str, ...], int], str] = lambda _, status: f"the endpoint responded with {status}"
    trusts: bool = False

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message; raises NotSent."""
        values = self.no_authorizations if authorization is None else self.authorizations(authorization)
        body = self.encode(message)

        def exchange() -> Response:
            return self._exchange(self.method, endpoint, body, values)

        try:
            response = self._follow(self._exchange_and_resend(exchange), endpoint, body, values)
        except ConnectionFailed as failure:
            if str(failure) in self.tolerated:
                return
            raise NotSent(str(failure)) from None
        self.on_done(exchange)
        if not self.succeeds(response):
            raise NotSent(self.explain(values, response.status))

    def _exchange_and_resend(self, exchange: Callable[[], Response]) -> Response:
        try:
            response = exchange()
        except ConnectionFailed as failure:
            if self.resends(str(failure)):
                return exchange()
            raise
        return exchange() if self.resends(response) else response

    def _follow(self, response: Response, url: str, body: bytes, authorizations: tuple[str, ...]) -> Response:
        method = self.method
        for _ in range(self.max_redirects):
            action, location = self.redirects.get(response.status), response.headers.get("location")
            if action is None or location is None:
                return response
            onward = self.resolve(url, location)
            elsewhere = urlsplit(onward)[:2] != urlsplit(url)[:2]
            if self.forgets or (elsewhere and not self.leaks):
                authorizations = ()
            if action == GET:
                method = "GET"
            body = body if action == SAME else b""
            # The target of a redirect is not the configured one: send it unchanged.
            response = self._exchange(method, onward, body, authorizations, target=lambda target: target)
            url = onward
        raise NotSent("too many redirects")

    def _exchange(
        self,
        method: str,
        url: str,
        body: bytes,
        authorizations: tuple[str, ...],
        target: Callable[[str], str] | None = None,
    ) -> Response:
        parts = urlsplit(url)
        wanted = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        framing, data = ([], b"") if method == "GET" and not body else self.frame(body)
        lines = [
            f"{method} {(target or self.target)(wanted)} HTTP/1.1",
            *(f"Host: {value}" for value in self.hosts(parts.netloc)),
            *(f"Content-Type: {value}" for value in self.content_types),
            *(f"Authorization: {value}" for value in authorizations),
            *self.extra_lines,
            *framing,
            "",
            "",
        ]
        connection = self._connect(parts)
        with connection, connection.makefile("rb") as source:
            try:
                connection.sendall("\r\n".join(lines).encode() + data)
                if self.half_close:
                    connection.shutdown(socket.SHUT_WR)
                return self._read(source)
            except OSError:
                raise ConnectionFailed("reset") from None

    def _connect(self, parts: SplitResult) -> socket.socket:
        if parts.hostname is None:
            raise NotSent(f"{parts.scheme} has no host")
        try:
            connection = socket.create_connection((parts.hostname, parts.port), self.timeout)
            if parts.scheme != "https":
                return connection
            context = ssl.create_default_context()
            if self.trusts:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            return context.wrap_socket(connection, server_hostname=parts.hostname)
        except OSError:
            raise ConnectionFailed("refused") from None

    def _read(self, source: Any) -> Response:
        line = source.readline()
        if not line:
            raise ConnectionFailed("ended")
        found = re.match(rb"HTTP/1\.[01] (\d{3}) ", line)
        if found is None:
            raise ConnectionFailed("garbage")
        headers: dict[str, str] = {}
        while (line := source.readline()) != b"\r\n":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        response = Response(int(found[1]), headers, b"")
        if response.status in (204, 304):
            return response
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(source.readline() or b"0", 16):
                body += self._read_exactly(source, size + 2)[:-2]
            source.readline()
        elif "content-length" in headers:
            body = self._read_exactly(source, int(headers["content-length"]))
        else:
            body = source.read()
        return Response(response.status, headers, body)

    def _read_exactly(self, source: Any, size: int) -> bytes:
        data: bytes = source.read(size)
        if len(data) < size and "cut" not in self.tolerated:
            raise ConnectionFailed("cut")
        return data
