"""Misuses the receiver that a page has started: its port is the argument, its log is ``receiver.log``."""

from __future__ import annotations

import http.client
import json
import socket
import sys
from pathlib import Path

from logto_mail_contract.receivers.outbox import wait_until

STALLED = b"POST /logto-mail HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{"
LOG = Path("receiver.log")


def post(port: int, kind: str, organization: str) -> None:
    """Post a message, which must become a mail."""
    payload = {"code": "042137", "organization": {"id": "foo", "name": organization}}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(
        "POST",
        "/logto-mail",
        json.dumps({"to": "foo@example.com", "type": kind, "payload": payload}),
        {"Authorization": "Bearer s3cret", "Content-Type": "application/json"},
    )
    response = connection.getresponse()
    assert 200 <= response.status < 300, response.status
    assert response.headers["X-Powered-By"] is None, "the version of the language is told"
    connection.close()


def main(port: int) -> None:
    """Try each misuse."""
    stalled = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for connection in stalled:
        connection.sendall(STALLED)
    post(port, "SignIn", "Foo")
    for connection in stalled:
        connection.close()
    post(port, "SignIn", "\\" * 400_000 + "\ud83d")
    post(port, "Frobnicate\r\nforged", "Foo")
    wait_until(lambda: "forged" in LOG.read_text(encoding="utf-8"), 10)
    (line,) = (line for line in LOG.read_text(encoding="utf-8").splitlines() if "forged" in line)
    assert "Frobnicate" in line, f"the log has a forged line: {line}"


if __name__ == "__main__":
    main(int(sys.argv[1]))
