"""Posts messages as Logto's HTTP email connector does, byte for byte.

Source of the bytes: ``packages/connectors/connector-http-email/src/index.ts`` (v1.35.0) and got 14 on Node,
observed with ``@logto/connector-http-email`` 0.4.3; ``tests/logto`` compares the two on the wire.
"""

from __future__ import annotations

import base64
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from .javascript_json import stringify

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_TIMEOUT = 10.0
"""Seconds that Logto's hosted sign-in page waits: ky's default (``packages/experience/src/apis/api.ts``)."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
# What the URL standard leaves as it is in a path and in a query, beside letters and digits.
_PATH_SAFE = "/%:@!$&'()*+,;=~|[]\\-._"
_QUERY_SAFE = "/?%:@!$&()*+,;=~|[]\\^`{}-._"


class Unreachable(OSError):
    """No connection to the endpoint could be made, or it ended without an answer."""


@dataclass(frozen=True, slots=True)
class Response:
    """What an endpoint answered.

    Attributes:
        status: The HTTP status.
        headers: The header lines in order, names in lower case.
        body: The body.
        seconds: From the first byte sent to the last byte received.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    seconds: float


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


def encode_request(url: str, body: bytes, authorization: str | None = None) -> bytes:
    """Return the request that the connector writes: headers in its order and case.

    Args:
        url: The endpoint, http or https; user and password in it become Basic authorization, which then
            takes the place of ``authorization``, as it does in got.
        body: The body.
        authorization: The value of ``Authorization``; the header is left out when None.

    Raises:
        ValueError: The URL is not one of http or https, or ``authorization`` has a line break.
    """
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"An endpoint is an http or https URL with a host; it was {url!r}")
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
    if authorization is not None and ("\r" in authorization or "\n" in authorization):
        raise ValueError("The value of Authorization has a line break")
    path = urlsplit(urljoin("http://host/", parts.path or "/")).path
    target = quote(path, safe=_PATH_SAFE)
    if parts.query:
        target += f"?{quote(parts.query, safe=_QUERY_SAFE)}"
    lines = [f"POST {target} HTTP/1.1", "user-agent: got (https://github.com/sindresorhus/got)"]
    if authorization is not None:
        lines.append(f"authorization: {authorization}")
    lines += [
        "content-type: application/json",
        f"content-length: {len(body)}",
        "accept-encoding: gzip, deflate, br",
        f"Host: {_host(url)}",
        "Connection: keep-alive",
    ]
    # UTF-8, not ISO 8859-1: Node writes the head and a text body as one string.
    return "\r\n".join([*lines, "", ""]).encode() + body


def post(
    url: str,
    message: Mapping[str, Any] | bytes,
    authorization: str | None = None,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    tls: ssl.SSLContext | None = None,
) -> Response:
    """Post one message on a connection of its own and return the answer.

    Redirects are not followed, and an answer's content coding is left as it is.

    Args:
        url: The endpoint, as for ``encode_request``.
        message: A message, or the bytes of a body.
        authorization: The value of ``Authorization``; the header is left out when None.
        timeout: Seconds for the whole exchange.
        tls: What to trust for https; the system's authorities when None.

    Raises:
        Unreachable: No connection, or it ended without a whole answer.
        TimeoutError: The answer did not end in time.
        ValueError: The URL or ``authorization`` cannot be sent.
    """
    body = message if isinstance(message, bytes) else encode_body(message)
    data = encode_request(url, body, authorization)
    parts = urlsplit(url)
    deadline = time.monotonic() + timeout
    try:
        connection = socket.create_connection(
            (parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]), timeout
        )
        with connection:
            if parts.scheme == "https":
                context = tls or ssl.create_default_context()
                with context.wrap_socket(connection, server_hostname=parts.hostname) as secured:
                    return _exchange(secured, data, deadline)
            return _exchange(connection, data, deadline)
    except TimeoutError:
        raise TimeoutError(f"{url} did not end its answer within {timeout:g} s") from None
    except OSError as problem:
        raise Unreachable(f"{url} gave no answer: {problem.strerror or problem}") from problem


def _exchange(connection: socket.socket, data: bytes, deadline: float) -> Response:
    import h11

    client = h11.Connection(h11.CLIENT)
    # h11 reads the answer; the request is written by us, since its bytes are what is tested.
    client.send(h11.Request(method="POST", target="/", headers=[("host", "-")]))
    client.send(h11.EndOfMessage())
    start = time.monotonic()
    connection.sendall(data)
    answer: h11.Response | None = None
    body = bytearray()
    try:
        while True:
            event = client.next_event()
            if event is h11.NEED_DATA:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                client.receive_data(connection.recv(65536))
            elif isinstance(event, h11.Response):
                answer = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and answer is not None:
                headers = tuple(
                    (name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers
                )
                return Response(answer.status_code, headers, bytes(body), time.monotonic() - start)
            elif isinstance(event, h11.ConnectionClosed):
                raise Unreachable("the connection ended without an answer")
            if time.monotonic() > deadline:
                raise TimeoutError
    except h11.RemoteProtocolError as problem:
        raise Unreachable(f"the answer is no HTTP: {problem}") from problem


def _host(url: str) -> str:
    parts = urlsplit(url)
    host = (
        (parts.hostname or "").encode("idna").decode()
        if parts.hostname and not parts.hostname.isascii()
        else (parts.hostname or "")
    )
    if ":" in host:
        host = f"[{host}]"
    default = parts.port in (None, _DEFAULT_PORTS[parts.scheme])
    return host if default else f"{host}:{parts.port}"
