"""Our own client beside the real connector: the same bytes out, and the same verdict on what comes back."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from tests.logto import recorded
from tests.logto.wire import Reply, Wire, reply

from logto_mail_contract.connector.encoding import encode_body, encode_request
from logto_mail_contract.connector.posting import post
from logto_mail_contract.judging.responses import is_accepted
from logto_mail_contract.wire.outcomes import Response

if TYPE_CHECKING:
    from tests.logto.node import NodeWorker

MESSAGE = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "031415"}}


def caught(connector: NodeWorker, url: str, message: Any = MESSAGE, **settings: Any) -> tuple[bytes, str]:
    """Let the connector send one message, and return the bytes that came and the URL that it sent to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = url.format(host=f"127.0.0.1:{server.getsockname()[1]}")
        came = bytearray()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while b"\r\n\r\n" not in came:
                    came.extend(connection.recv(65536))
                head, _, body = bytes(came).partition(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.startswith(b"content-length")
                )
                while len(body) < length:
                    part = connection.recv(65536)
                    came.extend(part)
                    body += part
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        connector.ask({"endpoint": there, "message": message, **settings})
        thread.join()
    # Which encodings it takes depends on the Node that runs it, not on the connector.
    return bytes(came).replace(b", br, zstd\r\n", b", br\r\n"), there


@pytest.mark.parametrize(
    "url",
    [
        "http://{host}",
        "http://{host}?a=1",
        "HTTP://{host}/mail?a=1&b=%20#part",
        "http://{host}/mail#part?a=1",
        "http://{host}/a b/ü/😀?q=ü 'x'&y=[1]|{{2}}",
        'http://{host}/a"<>`{{}}|\\b?"<>`{{}}|\\b',
        "http://{host}/a/../b/./c//d",
        "http://{host}/a/b/..",
        "http://{host}/a/b/.",
        "http://{host}/../..",
        "http://{host}//evil.example/x",
        "http://{host}/%2e%2E/%zz%",
        "http://{host}/a/%2E%2e/b/%2e",
        "http://{host}/a\\b",
        "http://{host}/a\tb\n",
        "  http://{host}/a  ",
        "http://{host}/~!$&'()*+,;=:@-._/?~!$&()*+,;=:@-._/?",
        "http://{host}/mail?",
        "http://foo:b%20r@{host}/mail",
        "http://foo@{host}/mail",
        "http://fo%3Ao:b%40@{host}/mail",
    ],
)
def test_request_is_the_same_to_the_byte(url: str, connector: NodeWorker) -> None:
    came, there = caught(connector, url, authorization="Bearer s3cret")
    assert encode_request(there, encode_body(MESSAGE), "Bearer s3cret") == came


@pytest.mark.parametrize("authorization", [None, "", "Bearer s3cret", "Token über", "a\tb", " x "])
def test_authorization_is_the_same_to_the_byte(authorization: str | None, connector: NodeWorker) -> None:
    settings = {} if authorization is None else {"authorization": authorization}
    came, there = caught(connector, "http://{host}/mail", **settings)
    assert encode_request(there, encode_body(MESSAGE), authorization) == came


@pytest.mark.parametrize("ip", ["::1", "", None])
def test_ip_is_the_same_to_the_byte(ip: str | None, connector: NodeWorker) -> None:
    message = {"x": 1, "ip": ip, **MESSAGE}
    came, there = caught(connector, "http://{host}/mail", message)
    assert encode_request(there, encode_body(message)) == came


@pytest.mark.parametrize("body", recorded.bodies(), ids=recorded.type_of)
def test_recorded_message_is_the_same_to_the_byte(body: str, connector: NodeWorker) -> None:
    import json

    message = json.loads(body)
    came, there = caught(connector, "http://{host}/mail", message)
    assert encode_request(there, encode_body(message)) == came


def _ok(*lines: str, body: bytes = b"ok", start: str = "HTTP/1.1 200 OK", then: Any = "keep") -> Reply:
    return Reply("\r\n".join([start, *lines, "", ""]).encode() + body, then)


CHUNKED = "Transfer-Encoding: chunked"
ANSWERS = {
    "204": _ok(start="HTTP/1.1 204 No", body=b""),
    "204 with a body": _ok(start="HTTP/1.1 204 No"),
    "204 with a body, then the end": _ok("Connection: close", start="HTTP/1.1 204 No", then="close"),
    "204 with a body in HTTP/1.0": _ok("Content-Length: 2", start="HTTP/1.0 204 No", then="close"),
    "204 with a length": _ok("Content-Length: 5", start="HTTP/1.1 204 No", body=b""),
    "204 with chunks": _ok(CHUNKED, start="HTTP/1.1 204 No", body=b"0\r\n\r\n"),
    "304": _ok(start="HTTP/1.1 304 No", body=b""),
    "line break after 204": _ok(start="HTTP/1.1 204 No", body=b"\r\n"),
    "line break after the body": _ok("Content-Length: 2", body=b"ok\r\n"),
    "line break before": Reply(b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    "bytes after the body": _ok("Content-Length: 1"),
    "bytes after the body, then the end": _ok("Connection: close", "Content-Length: 1", then="close"),
    "length twice": _ok("Content-Length: 2", "Content-Length: 2"),
    "length with comma": _ok("Content-Length: 2, 2"),
    "length with sign": _ok("Content-Length: +2"),
    "length empty": _ok("Content-Length: ", then="close"),
    "length and chunks": _ok("Content-Length: 12", CHUNKED, body=b"2\r\nok\r\n0\r\n\r\n"),
    "bare line feeds": Reply(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
    "bare line feed in the head": Reply(b"HTTP/1.1 200 OK\r\nX: y\nContent-Length: 2\r\n\r\nok"),
    "no reason": _ok("Content-Length: 2", start="HTTP/1.1 200"),
    "no reason but a space": _ok("Content-Length: 2", start="HTTP/1.1 200 "),
    "space before the colon": _ok("X : y", "Content-Length: 2"),
    "space in a name": _ok("X Y: z", "Content-Length: 2"),
    "folded line": _ok("X: y", " z", "Content-Length: 2"),
    "UTF-8 in a header": _ok("X: ü", "Content-Length: 2"),
    "control character in a header": _ok("X: a\x01b", "Content-Length: 2"),
    "NUL in a header": _ok("X: a\0b", "Content-Length: 2"),
    "line without colon": _ok("X", "Content-Length: 2"),
    "empty value": _ok("X:", "Content-Length: 2"),
    "HTTP/2.0": _ok("Content-Length: 2", start="HTTP/2.0 200 OK"),
    "HTTP/1.2": _ok("Content-Length: 2", start="HTTP/1.2 200 OK"),
    "HTTP/1.0": _ok("Content-Length: 2", start="HTTP/1.0 200 OK", then="close"),
    "HTTP/1.0 kept": _ok("Connection: keep-alive", "Content-Length: 2", start="HTTP/1.0 200 OK"),
    "HTTP/1.0 with chunks": _ok(CHUNKED, start="HTTP/1.0 200 OK", body=b"2\r\nok\r\n0\r\n\r\n", then="close"),
    "status of two digits": _ok("Content-Length: 2", start="HTTP/1.1 20 OK"),
    "status 101": _ok(start="HTTP/1.1 101 Switching", body=b""),
    "status 103 first": Reply(
        b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    ),
    "coding gzip, chunked": _ok("Transfer-Encoding: gzip, chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
    "coding Chunked": _ok("Transfer-Encoding: Chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
    "coding identity": _ok("Transfer-Encoding: identity", then="close"),
    "extension and trailer": _ok(CHUNKED, body=b"2;a=b\r\nok\r\n0\r\nX: y\r\n\r\n"),
    "chunk too short": _ok(CHUNKED, body=b"3\r\nok\r\n0\r\n\r\n"),
    "chunk too long": _ok(CHUNKED, body=b"1\r\nok\r\n0\r\n\r\n"),
    "size no number": _ok(CHUNKED, body=b"zz\r\nok\r\n0\r\n\r\n"),
    "chunks without end": _ok(CHUNKED, body=b"2\r\nok\r\n", then="close"),
    "bytes after the chunks": _ok(CHUNKED, body=b"2\r\nok\r\n0\r\n\r\nmore"),
    "short body": _ok("Content-Length: 5", then="close"),
    "until the end": _ok(then="close"),
    "reset in the body": _ok("Content-Length: 5", then="reset"),
    "nothing": Reply(b"", "close"),
    "reset": Reply(b"", "reset"),
    "half a head": Reply(b"HTTP/1.1 200 OK\r\nX: y\r\n", "close"),
    "no HTTP": Reply(b"220 mail.example.com ESMTP\r\n"),
    "12 kB of headers": _ok(f"X: {'y' * 12_000}", "Content-Length: 2"),
    "17 kB of headers": _ok(f"X: {'y' * 17_000}", "Content-Length: 2"),
    "gzip": reply("200 OK", "Content-Encoding: gzip", body=gzip.compress(b"ok")),
    "two of gzip": reply("200 OK", "Content-Encoding: gzip", body=gzip.compress(b"ok") * 2),
    "no gzip": reply("200 OK", "Content-Encoding: gzip", body=b"ok"),
    "no GZIP": reply("200 OK", "Content-Encoding: GZIP", body=b"ok"),
    "no x-gzip": reply("200 OK", "Content-Encoding: x-gzip", body=b"ok"),
    "short gzip": reply("200 OK", "Content-Encoding: gzip", body=gzip.compress(b"x" * 99)[:-9]),
    "long gzip": reply("200 OK", "Content-Encoding: gzip", body=gzip.compress(b"x") + b"more"),
    "empty gzip": reply("200 OK", "Content-Encoding: gzip"),
    "deflate": reply("200 OK", "Content-Encoding: deflate", body=zlib.compress(b"ok")),
    "raw deflate": reply("200 OK", "Content-Encoding: deflate", body=zlib.compress(b"ok")[2:-4]),
    "300": _ok("Content-Length: 2", start="HTTP/1.1 300 Many"),
    "302 without location": _ok("Content-Length: 2", start="HTTP/1.1 302 Found"),
    "302 to nowhere": _ok("Location: http://[", "Content-Length: 2", start="HTTP/1.1 302 Found"),
    "500": _ok("Content-Length: 2", start="HTTP/1.1 500 No"),
    "999": _ok("Content-Length: 2", start="HTTP/1.1 999 Odd"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_counts_for_both_or_for_none(name: str, connector: NodeWorker) -> None:
    """Success is what Logto takes for success: an accepted answer whose framing has no fault."""
    with Wire(ANSWERS[name]) as wire:
        theirs = connector.ask({"endpoint": f"{wire.origin}/mail", "message": MESSAGE})
    with Wire(ANSWERS[name]) as wire:
        ours = post(f"{wire.origin}/mail", MESSAGE, timeout=5)
    assert (is_accepted(ours) and not (isinstance(ours, Response) and ours.faults)) is theirs["ok"], (
        ours,
        theirs,
    )


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
@pytest.mark.parametrize("location", ["/there?a=1#b", "../x y/%2e/ü", "//{host}/z", "http://{host}", "?q"])
def test_redirect_leads_both_to_the_same(status: int, location: str, connector: NodeWorker) -> None:
    def requests(send: Any) -> list[tuple[str, bytes, list[str]]]:
        with Wire() as wire:
            moved = _ok(
                f"Location: {location.format(host=wire.host)}",
                "Content-Length: 0",
                start=f"HTTP/1.1 {status} Moved",
                body=b"",
            )
            wire._replies = (moved, Reply())
            send(f"{wire.origin}/a/mail")
        return [
            (request.start, request.body, sorted(line.partition(":")[0] for line in request.headers))
            for request in wire.requests
        ]

    ours = requests(lambda url: post(url, MESSAGE, timeout=5))
    assert ours == requests(lambda url: connector.ask({"endpoint": url, "message": MESSAGE}))


@pytest.mark.parametrize("count", [10, 11])
def test_ten_redirects_are_followed(count: int, connector: NodeWorker) -> None:
    moved = reply("307 Moved", "location: /mail")
    with Wire(*[moved] * count, Reply()) as wire:
        theirs = connector.ask({"endpoint": f"{wire.origin}/mail", "message": MESSAGE})
    with Wire(*[moved] * count, Reply()) as wire:
        ours = post(f"{wire.origin}/mail", MESSAGE)
    assert is_accepted(ours) is theirs["ok"] is (count == 10)
    assert ours.redirects == (307,) * 10
