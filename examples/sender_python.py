"""A sender in plain Python that does what Logto's HTTP email connector does. Copy it, or run it.

``send`` returns when the endpoint accepted the message and raises when it did not. As a program it reads jobs
from standard input and writes a line for each, in the form that ``mail-contract verify-sender`` expects::

    mail-contract verify-sender -- python examples/sender_python.py
"""

from __future__ import annotations

import http.client
import json
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_REDIRECTS = 10
TIMEOUT_SECONDS = 30.0
"""How long the endpoint may be silent. Logto has no limit; its sign-in page gives up after 10 seconds."""


class NotSent(Exception):
    """The endpoint did not accept the message."""


def send(message: Mapping[str, Any], endpoint: str, authorization: str | None = None) -> None:
    """Post one message, once.

    Args:
        message: The message: to, type, payload, and maybe ip.
        endpoint: The URL of the receiver.
        authorization: The value of ``Authorization``; the header is left out when None.

    Raises:
        NotSent: The endpoint was not reached, or its response was no success.
    """
    members = {name: message[name] for name in ("to", "type", "payload", "ip") if name in message}
    if not members.get("ip"):
        members.pop("ip", None)
    # JSON's escapes carry every character, lone surrogates too. JSON has no NaN and no infinity.
    body: bytes | None = json.dumps(members, allow_nan=False).encode("ascii")
    headers = {"Content-Type": "application/json"}
    if authorization is not None:
        headers["Authorization"] = authorization
    method = "POST"
    for _ in range(MAX_REDIRECTS + 1):
        status, location = exchange(method, endpoint, body, headers)
        if 200 <= status < 300 or (status == 304 and location is None):
            return
        if status not in (300, 301, 302, 303, 304, 307, 308) or location is None:
            raise NotSent(f"the endpoint responded with {status}")
        try:
            onward = urljoin(endpoint, location)
        except ValueError as problem:
            raise NotSent(f"the redirect leads nowhere: {problem}") from problem
        if urlsplit(onward)[:2] != urlsplit(endpoint)[:2]:
            # Another host or port must not learn the credential.
            headers.pop("Authorization", None)
        if status == 303:
            method, body = "GET", None
        endpoint = onward
    raise NotSent(f"more than {MAX_REDIRECTS} redirects")


def exchange(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, str | None]:
    """Send one request and return the status and ``Location`` of the whole response."""
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as problem:
        raise NotSent(f"not a URL: {problem}") from problem
    if parts.scheme not in kinds or host is None:
        raise NotSent(f"{parts.scheme or 'nothing'} is not a scheme that can be sent to")
    connection = kinds[parts.scheme](host, port, timeout=TIMEOUT_SECONDS)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        response.read()
        return response.status, response.headers["Location"]
    except (OSError, http.client.HTTPException) as problem:
        raise NotSent(f"{type(problem).__name__}: {problem}") from problem
    finally:
        connection.close()


def main() -> None:
    """Run the jobs of standard input, one line of JSON each."""
    for line in sys.stdin:
        job = json.loads(line)
        try:
            send(job["message"], job["endpoint"], job.get("authorization"))
        except NotSent as problem:
            result = {"ok": False, "error": str(problem)}
        else:
            result = {"ok": True}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
