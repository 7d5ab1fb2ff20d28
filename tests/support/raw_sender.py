"""A sender on bare sockets whose every habit can be spoiled, for the negative controls of the sender's rules.

With no habit changed it keeps the contract.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

Message = dict[str, Any]
Encode = Callable[[Message], bytes]
Frame = Callable[[bytes], tuple[list[str], bytes]]

SAME, GET, EMPTY = "the same again", "GET", "the same without body"
"""What to do on a redirect."""

FAILURES = ("refused", "reset", "ended", "garbage", "cut")
"""How a connection fails."""


class NotSent(Exception):
    """The sender says that the message was not taken."""


class Broken(Exception):
    """A connection failed; the text is one of FAILURES."""


def members(message: Message) -> Message:
    """Return what Logto's connector puts into the body."""
    known: Message = {name: message[name] for name in ("to", "type", "payload") if name in message}
    return {**known, "ip": message["ip"]} if message.get("ip") else known


def written(value: Any, errors: str = "backslashreplace", encoding: str = "utf-8") -> bytes:
    """Return JSON with characters as they are; Python's escape of a lone surrogate is JSON's."""
    return json.dumps(value, ensure_ascii=False).encode(encoding, errors)


def counted(body: bytes) -> tuple[list[str], bytes]:
    """Frame a body with its length."""
    return [f"Content-Length: {len(body)}"], body


@dataclass(frozen=True)
class Answer:
    """The head of an answer and its body."""

    status: int
    headers: dict[str, str]
    body: bytes


def is_success(answer: Answer) -> bool:
    """Tell whether an answer is success for Logto."""
    return 200 <= answer.status < 300 or (answer.status == 304 and "location" not in answer.headers)


@dataclass
class RawSender:
    """The sender.

    Attributes:
        method: The method.
        target: Makes the request target of the endpoint's path and query.
        content_types: The values of Content-Type.
        authorizations: Makes the values of Authorization of the configured one.
        no_authorizations: The values of Authorization where none is configured.
        encode: Makes the body.
        frame: Makes the framing headers of a body, and the bytes that follow the head.
        half_close: Whether it ends its side of the connection after the request.
        succeeds: Judges an answer that is no redirect to follow.
        tolerated: The failures of a connection that it takes for success.
        again: Tells whether to send once more after an answer, or the name of a failure.
        behind: Called with a function that sends the request once more, after all is done.
        timeout: Seconds to wait for bytes.
        redirects: What it does on a redirect with Location.
        leaks: Whether another origin is given the authorization.
        forgets: Whether the same origin is not given the authorization after a redirect.
        most_redirects: How many redirects it follows.
    """

    method: str = "POST"
    target: Callable[[str], str] = lambda target: target
    content_types: tuple[str, ...] = ("application/json",)
    authorizations: Callable[[str], tuple[str, ...]] = lambda value: (value,)
    no_authorizations: tuple[str, ...] = ()
    encode: Encode = field(default=lambda message: written(members(message)))
    frame: Frame = counted
    half_close: bool = False
    succeeds: Callable[[Answer], bool] = is_success
    tolerated: tuple[str, ...] = ()
    again: Callable[[Answer | str], bool] = lambda came: False  # noqa: ARG005 - a habit
    behind: Callable[[Callable[[], object]], object] = lambda send: None  # noqa: ARG005 - a habit
    timeout: float = 30.0
    redirects: dict[int, str] = field(
        default_factory=lambda: {**dict.fromkeys((300, 301, 302, 307, 308), SAME), 303: GET}
    )
    leaks: bool = False
    forgets: bool = False
    most_redirects: int = 10

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message; raises NotSent."""
        values = self.no_authorizations if authorization is None else self.authorizations(authorization)
        body = self.encode(message)

        def exchange() -> Answer:
            return self._exchange(self.method, endpoint, body, values)

        try:
            answer = self._follow(self._once_or_twice(exchange), endpoint, body, values)
        except Broken as failure:
            if str(failure) in self.tolerated:
                return
            raise NotSent(str(failure)) from None
        self.behind(exchange)
        if not self.succeeds(answer):
            raise NotSent(f"the endpoint answered {answer.status}")

    def _once_or_twice(self, exchange: Callable[[], Answer]) -> Answer:
        try:
            answer = exchange()
        except Broken as failure:
            if self.again(str(failure)):
                return exchange()
            raise
        return exchange() if self.again(answer) else answer

    def _follow(self, answer: Answer, url: str, body: bytes, authorizations: tuple[str, ...]) -> Answer:
        method = self.method
        for _ in range(self.most_redirects):
            habit, location = self.redirects.get(answer.status), answer.headers.get("location")
            if habit is None or location is None:
                return answer
            onward = urljoin(url, location)
            elsewhere = urlsplit(onward)[:2] != urlsplit(url)[:2]
            if self.forgets or (elsewhere and not self.leaks):
                authorizations = ()
            if habit == GET:
                method = "GET"
            body = body if habit == SAME else b""
            # The target of a redirect is no longer the configured one, so no habit spoils it.
            answer = self._exchange(method, onward, body, authorizations, target=lambda target: target)
            url = onward
        raise NotSent("too many redirects")

    def _exchange(
        self,
        method: str,
        url: str,
        body: bytes,
        authorizations: tuple[str, ...],
        target: Callable[[str], str] | None = None,
    ) -> Answer:
        parts = urlsplit(url)
        wanted = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        framing, data = ([], b"") if method == "GET" and not body else self.frame(body)
        lines = [
            f"{method} {(target or self.target)(wanted)} HTTP/1.1",
            f"Host: {parts.netloc}",
            *(f"Content-Type: {value}" for value in self.content_types),
            *(f"Authorization: {value}" for value in authorizations),
            *framing,
            "",
            "",
        ]
        try:
            connection = socket.create_connection((parts.hostname, parts.port), self.timeout)
        except OSError:
            raise Broken("refused") from None
        with connection, connection.makefile("rb") as source:
            try:
                connection.sendall("\r\n".join(lines).encode() + data)
                if self.half_close:
                    connection.shutdown(socket.SHUT_WR)
                return self._read(source)
            except OSError:
                raise Broken("reset") from None

    def _read(self, source: Any) -> Answer:
        line = source.readline()
        if not line:
            raise Broken("ended")
        found = re.match(rb"HTTP/1\.1 (\d{3}) ", line)
        if found is None:
            raise Broken("garbage")
        headers: dict[str, str] = {}
        while (line := source.readline()) != b"\r\n":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        answer = Answer(int(found[1]), headers, b"")
        if answer.status in (204, 304):
            return answer
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(source.readline() or b"0", 16):
                body += self._whole(source, size + 2)[:-2]
            source.readline()
        else:
            body = self._whole(source, int(headers.get("content-length", "0")))
        return Answer(answer.status, headers, body)

    def _whole(self, source: Any, size: int) -> bytes:
        data: bytes = source.read(size)
        if len(data) < size and "cut" not in self.tolerated:
            raise Broken("cut")
        return data
