"""Compares our client with the real connector: the bytes of requests and the verdicts on responses."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st
from tests.logto import recorded
from tests.logto.wire import Reply, Wire, reply

from logto_mail_contract.connector.encoding import encode_body, encode_request
from logto_mail_contract.connector.posting import post
from logto_mail_contract.judging.responses import is_accepted
from logto_mail_contract.wire.outcomes import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.logto.node import NodeWorker

MESSAGE = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "031415"}}


def capture_request(
    connector: NodeWorker, url: str, message: Any = MESSAGE, **settings: Any
) -> tuple[bytes, str]:
    """Let the connector send one message; return the bytes received and the URL that it used."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = url.format(host=f"127.0.0.1:{server.getsockname()[1]}")
        received = bytearray()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while b"\r\n\r\n" not in received:
                    received.extend(connection.recv(65536))
                head, _, body = bytes(received).partition(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.startswith(b"content-length")
                )
                while len(body) < length:
                    part = connection.recv(65536)
                    received.extend(part)
                    body += part
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        connector.ask({"endpoint": there, "message": message, **settings})
        thread.join()
    # The encodings that it accepts depend on Node, not on the connector.
    return bytes(received).replace(b", br, zstd\r\n", b", br\r\n"), there


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
def test_our_request_equals_that_of_the_connector(url: str, connector: NodeWorker) -> None:
    received, there = capture_request(connector, url, authorization="Bearer s3cret")
    assert encode_request(there, encode_body(MESSAGE), "Bearer s3cret") == received


@pytest.mark.parametrize("authorization", [None, "", "Bearer s3cret", "Token über", "a\tb", " x "])
def test_our_authorization_equals_that_of_the_connector(
    authorization: str | None, connector: NodeWorker
) -> None:
    settings = {} if authorization is None else {"authorization": authorization}
    received, there = capture_request(connector, "http://{host}/mail", **settings)
    assert encode_request(there, encode_body(MESSAGE), authorization) == received


@pytest.mark.parametrize("ip", ["::1", "", None])
def test_our_ip_equals_that_of_the_connector(ip: str | None, connector: NodeWorker) -> None:
    message = {"x": 1, "ip": ip, **MESSAGE}
    received, there = capture_request(connector, "http://{host}/mail", message)
    assert encode_request(there, encode_body(message)) == received


@pytest.mark.parametrize("body", recorded.bodies(), ids=recorded.type_of)
def test_our_recorded_messages_equal_those_of_the_connector(body: str, connector: NodeWorker) -> None:
    import json

    message = json.loads(body)
    received, there = capture_request(connector, "http://{host}/mail", message)
    assert encode_request(there, encode_body(message)) == received


def _ok(*lines: str, body: bytes = b"ok", start: str = "HTTP/1.1 200 OK", then: Any = "keep") -> Reply:
    return Reply("\r\n".join([start, *lines, "", ""]).encode() + body, then)


CHUNKED = "Transfer-Encoding: chunked"
RESPONSES = {
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
    "16383 bytes of reason, names and values": _ok(
        f"X: {'y' * (16383 - len('OKXContent-Length2'))}", "Content-Length: 2"
    ),
    "16384 bytes of reason, names and values": _ok(
        f"X: {'y' * (16384 - len('OKXContent-Length2'))}", "Content-Length: 2"
    ),
    "16384 bytes in the last line": _ok(
        "Content-Length: 2", f"X: {'y' * (16384 - len('OKXContent-Length2'))}"
    ),
    "20 kB in many lines": _ok(*["X: y"] * 3000, "Content-Length: 2"),
    "17 kB of trailers": _ok(CHUNKED, body=b"2\r\nok\r\n0\r\nX: " + b"y" * 17_000 + b"\r\n\r\n"),
    "empty line inside a chunk": _ok(CHUNKED, body=b"6\r\no\r\n\r\nk\r\n0\r\n\r\n"),
    "bare line feed after a chunk": _ok(CHUNKED, body=b"2\r\nok\n0\r\n\r\n"),
    "size with blanks": _ok(CHUNKED, body=b"2 \r\nok\r\n0\r\n\r\n"),
    "size with a quoted extension": _ok(CHUNKED, body=b'2;a="\\"b"\r\nok\r\n0\r\n\r\n'),
    "size of 17 digits": _ok(CHUNKED, body=b"00000000000000002\r\nok\r\n0\r\n\r\n"),
    "size beyond 64 bits": _ok(CHUNKED, body=b"fffffffffffffffff\r\nok"),
    "length beyond 64 bits": _ok("Content-Length: 99999999999999999999"),
    "length with leading zeros": _ok("Content-Length: 002"),
    # Versions of llhttp differ in a tab after it: that of Node 20 refuses it, that of httptools 0.9 does not.
    "length with blanks around": _ok("Content-Length: \t 2  "),
    "codings in two lines": _ok(
        "Transfer-Encoding: gzip", "Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"
    ),
    "chunked, then another coding": _ok("Transfer-Encoding: chunked, gzip", then="close"),
    "chunked twice": _ok("Transfer-Encoding: chunked, chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
    "103 with a length first": Reply(
        b"HTTP/1.1 103 Hints\r\nContent-Length: 2\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    ),
    "200 with an upgrade": _ok("Upgrade: x", "Connection: upgrade", "Content-Length: 2"),
    "RTSP": _ok("Content-Length: 2", start="RTSP/1.0 200 OK"),
    "HTTP/0.9": _ok("Content-Length: 2", start="HTTP/0.9 200 OK"),
    "status of four digits": _ok("Content-Length: 2", start="HTTP/1.1 2000 OK"),
    "no name": _ok(": y", "Content-Length: 2"),
    "delete in a header": _ok("X: a\x7fb", "Content-Length: 2"),
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


def verdicts(connector: NodeWorker, response: Reply) -> tuple[bool, bool, object]:
    """Return whether the connector and our client see a success, and the result of each for messages.

    Logto sees a success in an accepted response whose framing has no fault.
    """
    with Wire(response) as wire:
        theirs = connector.ask({"endpoint": f"{wire.origin}/mail", "message": MESSAGE})
    with Wire(response) as wire:
        ours = post(f"{wire.origin}/mail", MESSAGE, timeout=5)
    return theirs["ok"], is_accepted(ours) and isinstance(ours, Response) and not ours.faults, (theirs, ours)


@pytest.mark.parametrize("name", RESPONSES)
def test_both_clients_judge_a_response_the_same(name: str, connector: NodeWorker) -> None:
    theirs, ours, what = verdicts(connector, RESPONSES[name])
    assert ours is theirs, what


_LENGTH_OF_OK = "Content-Length: 2"
_FRAMINGS = (
    ((_LENGTH_OF_OK,), b"ok"),
    ((_LENGTH_OF_OK, "Connection: close"), b"ok"),
    ((CHUNKED,), b"2\r\nok\r\n0\r\n\r\n"),
    ((CHUNKED,), b"1;a=b\r\no\r\n1\r\nk\r\n0\r\nX: y\r\n\r\n"),
    ((), b"ok"),
    ((), b""),
)


@st.composite
def damaged_responses(draw: st.DrawFn) -> bytes:
    """Draw responses; most have one byte too many or too few at one place."""
    status = draw(
        st.sampled_from(("200 OK", "200 OK", "200", "204 No Content", "304 Not Modified", "500 No"))
    )
    lines, body = draw(st.sampled_from(_FRAMINGS))
    others = draw(
        st.lists(st.sampled_from(("X: y", "X:", "Keep-Alive: timeout=5", "Server: a b")), max_size=2)
    )
    start = draw(st.sampled_from(("HTTP/1.1", "HTTP/1.1", "HTTP/1.0")))
    data = "\r\n".join([f"{start} {status}", *others, *lines, "", ""]).encode() + body
    if draw(st.integers(0, 5)):
        place = draw(st.integers(0, len(data) - 1))
        # No tab: versions of llhttp differ in the tab after a length.
        inserted = draw(
            st.sampled_from((b"", b"\r", b"\n", b"\r\n", b" ", b":", b";", b",", b"\0", b"x", b"\xfc"))
        )
        data = data[:place] + inserted + data[place + draw(st.integers(0, 1)) :]
    return data


def test_both_clients_judge_generated_responses_the_same(connector: NodeWorker) -> None:
    counted = {True: 0, False: 0}

    @seed(1035)
    @settings(max_examples=250, database=None, deadline=None, phases=[Phase.generate])
    @given(damaged_responses())
    def compare(data: bytes) -> None:
        theirs, ours, what = verdicts(connector, Reply(data, "close"))
        assert ours is theirs, (data, what)
        counted[theirs] += 1

    compare()
    # Both verdicts occur often enough for a meaningful comparison.
    assert min(counted.values()) > 40, counted


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
@pytest.mark.parametrize(
    "location",
    [
        "/there?a=1#b",
        "../x y/%2e/ü",
        "//{host}/z",
        "http://{host}",
        "?q",
        "\\x",
        "http:x",
        "/%zz",
        "http://a:b@{host}",
    ],
)
def test_both_clients_follow_a_redirect_to_the_same_url(
    status: int, location: str, connector: NodeWorker
) -> None:
    assert_same_requests(status, location.encode(), connector)


def test_both_clients_follow_a_redirect_that_is_not_utf_8_to_the_same_url(connector: NodeWorker) -> None:
    assert_same_requests(307, b"/a\xffb\xc3", connector)


def assert_same_requests(status: int, location: bytes, connector: NodeWorker) -> None:
    def requests(send: Callable[[str], object]) -> list[tuple[str, bytes, list[str]]]:
        with Wire() as wire:
            line = b"Location: " + location.replace(b"{host}", wire.host.encode())
            head = f"HTTP/1.1 {status} Moved\r\nContent-Length: 0\r\n".encode()
            wire.reply_with(Reply(head + line + b"\r\n\r\n"), Reply())
            send(f"{wire.origin}/a/mail")
        return [
            (request.start, request.body, sorted(line.partition(":")[0] for line in request.headers))
            for request in wire.requests
        ]

    ours = requests(lambda url: post(url, MESSAGE, timeout=5))
    theirs = requests(lambda url: connector.ask({"endpoint": url, "message": MESSAGE}))
    assert ours == theirs
    assert len(ours) == (1 if status == 305 else 2)


@pytest.mark.parametrize("user", ["f%zz:b", "f%ff:b", "f:%"])
def test_both_clients_refuse_a_user_that_they_cannot_decode(user: str, connector: NodeWorker) -> None:
    with Wire() as wire:
        url = f"http://{user}@{wire.host}/"
        assert connector.ask({"endpoint": url, "message": MESSAGE})["ok"] is False
        with pytest.raises(ValueError, match="Logto could not send these"):
            post(url, MESSAGE)
    assert wire.requests == []


@pytest.mark.parametrize("user", ["", ":", ":b", "f:"])
def test_our_request_with_an_empty_user_equals_that_of_the_connector(
    user: str, connector: NodeWorker
) -> None:
    received, there = capture_request(
        connector, f"http://{user}@{{host}}/mail", authorization="Bearer s3cret"
    )
    assert encode_request(there, encode_body(MESSAGE), "Bearer s3cret") == received


@pytest.mark.parametrize("count", [10, 11])
def test_both_clients_follow_at_most_ten_redirects(count: int, connector: NodeWorker) -> None:
    moved = reply("307 Moved", "location: /mail")
    with Wire(*[moved] * count, Reply()) as wire:
        theirs = connector.ask({"endpoint": f"{wire.origin}/mail", "message": MESSAGE})
    with Wire(*[moved] * count, Reply()) as wire:
        ours = post(f"{wire.origin}/mail", MESSAGE)
    assert is_accepted(ours) is theirs["ok"] is (count == 10)
    assert ours.redirects == (307,) * 10
