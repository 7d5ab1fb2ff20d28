"""The requests of the real ``@logto/connector-http-email``, and its results for each response."""

from __future__ import annotations

import gzip
import json
import threading
from typing import Any

import pytest
from tests.logto import recorded
from tests.logto.node import NodeWorker
from tests.logto.rule import TYPES
from tests.logto.wire import Reply, Wire, WireRequest, reply

MESSAGE = '{"to":"foo@example.com","type":"SignIn","payload":{"code":"031415"}}'
OK = {"ok": True}


def send(
    connector: NodeWorker, url: object, message: str = MESSAGE, timeout: float = 10, **settings: Any
) -> dict[str, Any]:
    """Send one message, given as JSON text, and return the connector's result."""
    result = connector.ask({"endpoint": url, "json": message, **settings}, timeout=timeout)
    assert isinstance(result, dict)
    return result


def send_and_record(connector: NodeWorker, message: str = MESSAGE, **settings: Any) -> WireRequest:
    """Send one message to a server that accepts it, and return the one request that arrived."""
    with Wire() as wire:
        assert send(connector, f"{wire.origin}/mail", message, **settings) == OK
    (request,) = wire.requests
    return request


# Requests.


def test_the_request_has_these_header_lines(connector: NodeWorker) -> None:
    """The request has these header lines, in this order and case, and no other."""
    with Wire() as wire:
        assert send(connector, f"{wire.origin}/mail", authorization="Bearer s3cret") == OK
        assert send(connector, f"{wire.origin}/mail") == OK
    first, second = wire.requests
    encodings = first.header("accept-encoding")
    assert encodings in (["gzip, deflate, br"], ["gzip, deflate, br, zstd"])  # as this Node can decode
    lines = [
        "user-agent: got (https://github.com/sindresorhus/got)",
        "authorization: Bearer s3cret",
        "content-type: application/json",
        f"content-length: {len(MESSAGE)}",
        f"accept-encoding: {encodings[0]}",
        f"Host: {wire.host}",
        "Connection: keep-alive",
    ]
    assert list(first.headers) == lines
    assert list(second.headers) == [lines[0], *lines[2:]]
    assert first.start == second.start == "POST /mail HTTP/1.1"


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("", "/"),
        ("/", "/"),
        ("?a=1", "/?a=1"),
        ("/mail?a=1&b=%20#part", "/mail?a=1&b=%20"),
        ("/mail#part?a=1", "/mail"),
        ("/a b/ü/😀?q=ü 'x'&y=[1]|{2}", "/a%20b/%C3%BC/%F0%9F%98%80?q=%C3%BC%20%27x%27&y=[1]|{2}"),
        ("/a/../b/./c//d", "/b/c//d"),
        ("/%2e%2E/%zz%", "/%zz%"),
        (r"/a\b", "/a/b"),
        ("/a\tb\n", "/ab"),
    ],
)
def test_the_target_is_path_and_query_of_the_url(written: str, target: str, connector: NodeWorker) -> None:
    """The target is the URL's path and query, written as a URL parser writes them, without the fragment."""
    with Wire() as wire:
        assert send(connector, f"{wire.origin}{written}") == OK
    assert [request.start for request in wire.requests] == [f"POST {target} HTTP/1.1"]


def test_the_recorded_bodies_are_of_every_type() -> None:
    """The bodies that the next test sends are of all nine types."""
    assert set(map(recorded.type_of, recorded.bodies())) == TYPES["1.35"]


@pytest.mark.parametrize("body", recorded.bodies(), ids=recorded.type_of)
def test_a_recorded_body_is_posted_byte_for_byte(body: str, connector: NodeWorker) -> None:
    """The connector posts a recorded message byte for byte as Logto posted it."""
    assert send_and_record(connector, body).body == body.encode()


@pytest.mark.parametrize(
    ("message", "body"),
    [
        pytest.param(
            '{ "ip" : "::1" , "payload" : { "b" : [ 1 , { } ] , "a" : null } , "type" : "T" , "to" : "x" }',
            '{"to":"x","type":"T","payload":{"b":[1,{}],"a":null},"ip":"::1"}',
            id="compact, in its own order",
        ),
        pytest.param(
            '{"id":1,"to":"x","type":"T","payload":{},"messageId":"y","constructor":"z"}',
            '{"to":"x","type":"T","payload":{}}',
            id="no other members",
        ),
        pytest.param(
            '{"to":"x","type":"T","payload":{"z":0,"2":0,"-1":0,"1":0,"01":0}}',
            '{"to":"x","type":"T","payload":{"1":0,"2":0,"z":0,"-1":0,"01":0}}',
            id="array indices first",
        ),
        pytest.param(
            r'{"to":"\u00fc\u2028","type":"\u2603","payload":{"\ud83d\ude00":"\/\u007f"}}',
            '{"to":"ü\u2028","type":"☃","payload":{"😀":"/\x7f"}}',
            id="no needless escapes",
        ),
        pytest.param(
            r'{"to":"\u0000\b\t\n\f\r\u001b\"\\","type":"T","payload":{}}',
            r'{"to":"\u0000\b\t\n\f\r\u001b\"\\","type":"T","payload":{}}',
            id="escapes that JSON needs",
        ),
        pytest.param(
            r'{"to":"\ud800","type":"\uDFFFx","payload":{"\ud83d":"\ude00\ud83d"}}',
            r'{"to":"\ud800","type":"\udfffx","payload":{"\ud83d":"\ude00\ud83d"}}',
            id="lone surrogates escaped",
        ),
        pytest.param(
            '{"to":"x","type":"T","payload":{"a":1e400,"b":-0,"c":1.0,"d":12345678901234567890,"e":1e21,"f":1E-7}}',
            '{"to":"x","type":"T","payload":{"a":null,"b":0,"c":1,"d":12345678901234567000,"e":1e+21,"f":1e-7}}',
            id="numbers as JavaScript writes them",
        ),
        pytest.param(
            '{"to":"y","to":"x","type":"T","payload":{"code":"1"},"payload":{"link":"1","link":"2"}}',
            '{"to":"x","type":"T","payload":{"link":"2"}}',
            id="the last of equal keys",
        ),
        pytest.param(
            '{"to":"x","type":"T","payload":{"__proto__":{"a":1},"constructor":null,"toString":1,"":2}}',
            '{"to":"x","type":"T","payload":{"__proto__":{"a":1},"constructor":null,"toString":1,"":2}}',
            id="keys of objects' own",
        ),
        pytest.param(
            '{"__proto__":{"to":"y","ip":"z"},"to":"x","type":"T","payload":{}}',
            '{"to":"x","type":"T","payload":{}}',
            id="nothing inherited",
        ),
        pytest.param(
            '{"to":null,"type":null,"payload":0}', '{"to":null,"type":null,"payload":0}', id="nulls"
        ),
        pytest.param('{"type":"T"}', '{"type":"T"}', id="absent members"),
        pytest.param("{}", "{}", id="nothing"),
        pytest.param('{"to":1,"type":[2],"payload":"3"}', '{"to":1,"type":[2],"payload":"3"}', id="no guard"),
    ],
)
def test_the_body_is_compact_json_of_four_members(message: str, body: str, connector: NodeWorker) -> None:
    """The body is the result of JSON.stringify for to, type, payload and ip, in UTF-8."""
    request = send_and_record(connector, message)
    assert request.body == body.encode()
    assert request.header("content-length") == [str(len(body.encode()))]


@pytest.mark.parametrize(
    ("ip", "written"),
    [
        ('"::ffff:203.0.113.7"', ',"ip":"::ffff:203.0.113.7"'),
        ('" "', ',"ip":" "'),
        ('"0"', ',"ip":"0"'),
        ("[]", ',"ip":[]'),
        ('""', ""),
        ("null", ""),
        ("0", ""),
        ("false", ""),
        (None, ""),
    ],
)
def test_an_empty_ip_is_left_out(ip: str | None, written: str, connector: NodeWorker) -> None:
    """``ip`` stands last, and is absent where it is empty."""
    message = "{" + (f'"ip":{ip},' if ip else "") + MESSAGE[1:]
    assert send_and_record(connector, message).body.decode() == f"{MESSAGE[:-1]}{written}}}"


def test_a_long_message_is_sent_with_its_length(connector: NodeWorker) -> None:
    """A large message is sent with its length and not in chunks."""
    message = f'{{"to":"x","type":"T","payload":{{"text":"{"x" * 2_000_000}"}}}}'
    request = send_and_record(connector, message)
    assert request.body.decode() == message
    assert request.header("content-length") == [str(len(message))]


@pytest.mark.parametrize(
    ("authorization", "line"),
    [
        ("Bearer s3cret", "authorization: Bearer s3cret"),
        ("anything at all: {1}", "authorization: anything at all: {1}"),
        ("", "authorization: "),
        (" spaced ", "authorization:  spaced "),
        ("Schlüssel\xff", "authorization: Schlüssel\xff"),
    ],
)
def test_the_authorization_is_sent_unchanged(authorization: str, line: str, connector: NodeWorker) -> None:
    """The setting is sent as it is, in UTF-8, also when it is empty."""
    headers = send_and_record(connector, authorization=authorization).headers
    assert headers[1].encode("latin-1").decode() == line
    assert len(headers) == 7


def test_a_user_in_the_url_replaces_the_authorization(connector: NodeWorker) -> None:
    """A user and password in the endpoint's URL become the authorization and replace the setting."""
    with Wire() as wire:
        assert send(connector, f"http://foo:b%20r@{wire.host}/mail", authorization="Bearer s3cret") == OK
    assert [request.header("authorization") for request in wire.requests] == [["Basic Zm9vOmIgcg=="]]


def test_a_connection_is_reused(connector: NodeWorker) -> None:
    """Messages one after another use one connection, simultaneous messages one each."""
    together = threading.Barrier(10, timeout=5)
    with Wire(Reply(), Reply(), Reply(), Reply(before=together.wait)) as wire:
        for _ in range(3):
            assert send(connector, f"{wire.origin}/mail") == OK
        for number in range(10):
            connector.send({"id": number, "endpoint": f"{wire.origin}/mail", "json": MESSAGE})
        results = [connector.receive() for _ in range(10)]
    assert {request.connection for request in wire.requests[:3]} == {0}
    assert {request.connection for request in wire.requests[3:]} == set(range(10))
    assert sorted(result.pop("id") for result in results) == list(range(10))
    assert results == [OK] * 10


def test_proxy_variables_are_ignored() -> None:
    """The usual environment variables send nothing through a proxy."""
    with Wire() as proxy, Wire() as wire:
        names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
        with NodeWorker("connector.mjs", environment=dict.fromkeys(names, proxy.origin)) as connector:
            assert send(connector, f"{wire.origin}/mail") == OK
    assert len(wire.requests) == 1
    assert proxy.requests == []


# Settings that it refuses.


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        pytest.param({"url": None}, "invalid_config", id="no endpoint"),
        pytest.param({"url": 1}, "invalid_config", id="endpoint no string"),
        pytest.param({"authorization": None}, "invalid_config", id="authorization null"),
        pytest.param({"authorization": "a\r\nb: c"}, "general", id="authorization with a line break"),
        pytest.param({"authorization": "☃"}, "general", id="authorization beyond Latin-1"),
        pytest.param({"url": ""}, "general", id="empty endpoint"),
        pytest.param({"url": "/mail"}, "general", id="relative endpoint"),
        pytest.param({"url": "foo.example.com/mail"}, "general", id="endpoint without a scheme"),
        pytest.param({"url": "ftp://127.0.0.1/mail"}, "general", id="no http"),
        pytest.param({"url": "http://[/mail"}, "general", id="no URL"),
    ],
)
def test_an_invalid_setting_fails_the_send(
    settings: dict[str, Any], code: str, connector: NodeWorker
) -> None:
    """A setting that the connector cannot use fails the send, and no request is sent."""
    with Wire() as wire:
        result = send(connector, **{"url": f"{wire.origin}/mail", **settings})
    assert (result["ok"], result["code"]) == (False, code)
    assert wire.requests == []


# Responses.


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(reply("200 OK"), id="200"),
        pytest.param(reply("200 OK", "content-type: text/html", body=b"<p>not JSON"), id="200 with HTML"),
        pytest.param(reply("200 OK", "content-type: application/json", body=b"{"), id="200 with broken JSON"),
        pytest.param(reply("200 OK", body=b"\xff\xfe\x00"), id="200 with no text"),
        pytest.param(reply("201 Created", "location: /elsewhere"), id="201"),
        pytest.param(reply("202 Accepted"), id="202"),
        pytest.param(Reply(b"HTTP/1.1 204 No Content\r\n\r\n"), id="204"),
        pytest.param(reply("206 Partial Content", body=b"x"), id="206"),
        pytest.param(reply("299 Odd"), id="299"),
        pytest.param(Reply(b"HTTP/1.1 304 Not Modified\r\n\r\n"), id="304"),
        pytest.param(Reply(b"HTTP/1.1 100 Continue\r\n\r\n" + reply("200 OK").data), id="100, 200"),
        pytest.param(
            Reply(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + reply("200 OK").data), id="103, 200"
        ),
        pytest.param(Reply(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", "close"), id="200 that ends by closing"),
        pytest.param(Reply(b"HTTP/1.0 200 OK\r\n\r\n", "close"), id="HTTP/1.0"),
        pytest.param(
            Reply(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"), id="chunks"
        ),
        pytest.param(reply("200 OK", "content-encoding: gzip", body=gzip.compress(b"x" * 10**7)), id="gzip"),
        pytest.param(reply("200 OK", "content-encoding: unheard-of", body=b"x"), id="unknown encoding"),
        pytest.param(reply("200 OK", f"x: {'y' * 12_000}"), id="12 kB of headers"),
    ],
)
def test_a_successful_response_is_accepted(response: Reply, connector: NodeWorker) -> None:
    """The send succeeds, and the rest of the response does not matter."""
    with Wire(response) as wire:
        assert send(connector, f"{wire.origin}/mail") == OK
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    "status",
    [
        *("300", "301", "302", "303", "305", "306", "307", "308", "400", "401", "403", "404", "405", "408"),
        *("413", "415", "422", "429", "500", "501", "502", "503", "504", "521", "522", "524", "600", "999"),
    ],
)
def test_another_status_fails_the_send(status: str, connector: NodeWorker) -> None:
    """Any other status fails the send after one request; the error has the text of the body."""
    body = f'{{"reason": "ü {status}"}}'
    with Wire(reply(f"{status} Odd", "retry-after: 0", body=body.encode())) as wire:
        result = send(connector, f"{wire.origin}/mail")
    assert result == {"ok": False, "code": "general", "error": body}
    assert len(wire.requests) == 1


@pytest.mark.parametrize("status", ["305", "306"])
def test_305_and_306_are_no_redirects(status: str, connector: NodeWorker) -> None:
    """These two fail the send also when they name a location."""
    with Wire(reply(f"{status} Odd", "location: /elsewhere", body=b"no"), reply("200 OK")) as wire:
        result = send(connector, f"{wire.origin}/mail")
    assert result == {"ok": False, "code": "general", "error": "no"}
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("response", "error"),
    [
        pytest.param(reply("500 No", body=b"\xffx"), "\ufffdx", id="no UTF-8"),
        pytest.param(
            reply("500 No", "content-type: text/plain; charset=latin-1", body=b"\xfc"), "\ufffd", id="Latin-1"
        ),
        pytest.param(reply("500 No", "content-encoding: gzip", body=gzip.compress(b"no")), "no", id="gzip"),
        pytest.param(reply("500 No", "content-encoding: odd", body=b"no"), "no", id="unknown encoding"),
        pytest.param(reply("500 No"), "", id="empty"),
    ],
)
def test_the_body_of_an_error_is_reported(response: Reply, error: str, connector: NodeWorker) -> None:
    """The body of an error is always decompressed and read as UTF-8."""
    with Wire(response) as wire:
        result = send(connector, f"{wire.origin}/mail")
    # An empty body leaves the error without any text of the endpoint.
    assert result == {"ok": False, "code": "general", "error": error}


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(Reply(b"", "reset"), id="reset before the headers"),
        pytest.param(
            Reply(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\na", "reset"), id="reset in the body"
        ),
        pytest.param(Reply(b"", "close"), id="no answer"),
        pytest.param(Reply(b"HTTP/1.1 200 OK\r\n", "close"), id="half an answer"),
        pytest.param(Reply(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", "close"), id="short body"),
        pytest.param(
            Reply(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", "close"), id="short chunk"
        ),
        pytest.param(Reply(b"220 mail.example.com ESMTP\r\n"), id="garbage"),
        pytest.param(Reply(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"), id="length no number"),
        pytest.param(Reply(b"HTTP/1.1 204 No Content\r\n\r\nsurplus"), id="204 with a body"),
        pytest.param(Reply(b"HTTP/1.1 304 Not Modified\r\n\r\nsurplus"), id="304 with a body"),
        pytest.param(Reply(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nsurplus"), id="long body"),
        pytest.param(reply("200 OK", f"x: {'y' * 17_000}"), id="17 kB of headers"),
        pytest.param(reply("200 OK", "content-encoding: gzip", body=b"no gzip"), id="corrupt gzip"),
        pytest.param(reply("500 No", "content-encoding: gzip", body=b"no gzip"), id="corrupt error"),
        pytest.param(
            reply("200 OK", "content-encoding: gzip", body=gzip.compress(b"x" * 99)[:-9]), id="short gzip"
        ),
        pytest.param(reply("302 Found", "location: http://["), id="location no URL"),
        pytest.param(reply("302 Found", "location: ftp://127.0.0.1/"), id="location no http"),
        pytest.param(reply("302 Found", "location: http://unix:/x.sock:/mail"), id="location a Unix socket"),
    ],
)
def test_an_invalid_response_fails_the_send(response: Reply, connector: NodeWorker) -> None:
    """An invalid response fails the send after one request."""
    with Wire(response) as wire:
        result = send(connector, f"{wire.origin}/mail")
    assert (result["ok"], result["code"]) == (False, "general")
    assert len(wire.requests) == 1


def test_a_refused_connection_fails_the_send(connector: NodeWorker) -> None:
    """The send fails where no server listens."""
    with Wire() as wire:
        closed = wire.origin
    result = send(connector, f"{closed}/mail")
    assert (result["ok"], result["code"]) == (False, "general")
    assert "ECONNREFUSED" in result["error"]


def test_the_send_waits_for_a_late_response(connector: NodeWorker) -> None:
    """The send does not end before the response is received."""
    may_respond = threading.Event()
    with Wire(Reply(before=lambda: may_respond.wait(10))) as wire:
        connector.send({"endpoint": f"{wire.origin}/mail", "json": MESSAGE})
        with pytest.raises(AssertionError, match="no answer within"):
            connector.receive(timeout=0.3)
        may_respond.set()
        assert connector.receive() == OK
    assert len(wire.requests) == 1


# Redirects.


@pytest.mark.parametrize("status", ["300", "301", "302", "304", "307", "308"])
def test_a_redirect_is_followed_with_the_same_request(status: str, connector: NodeWorker) -> None:
    """A redirect is followed with the same method, headers and body."""
    with Wire(reply(f"{status} Moved", "location: /there?a=1#b"), reply("200 OK")) as wire:
        assert send(connector, f"{wire.origin}/mail", authorization="Bearer s3cret") == OK
    first, second = wire.requests
    assert second.start == "POST /there?a=1 HTTP/1.1"
    assert sorted(second.headers) == sorted(first.headers)
    assert second.body == first.body


def test_a_303_is_followed_without_the_message(connector: NodeWorker) -> None:
    """A 303 is followed with GET and without the message; its response decides the success."""
    with Wire(reply("303 See Other", "location: /there"), reply("200 OK")) as wire:
        assert send(connector, f"{wire.origin}/mail", authorization="Bearer s3cret") == OK
    _, second = wire.requests
    assert second.start == "GET /there HTTP/1.1"
    assert second.body == b""
    assert second.header("content-type") == ["application/json"]
    assert second.header("content-length") == []
    assert second.header("authorization") == ["Bearer s3cret"]


@pytest.mark.parametrize("status", ["301", "307"])
def test_a_redirect_to_another_origin_drops_the_authorization(status: str, connector: NodeWorker) -> None:
    """Another port is another origin: it gets the message, code and all, but not the authorization."""
    with Wire() as there, Wire(reply(f"{status} Moved", f"location: {there.origin}/there")) as here:
        assert send(connector, f"{here.origin}/mail", authorization="Bearer s3cret") == OK
    (first,), (second,) = here.requests, there.requests
    assert first.header("authorization") == ["Bearer s3cret"]
    assert second.start == "POST /there HTTP/1.1"
    assert second.header("authorization") == []
    assert second.header("Host") == [there.host]
    assert second.body == first.body == MESSAGE.encode()


def test_the_response_after_a_redirect_decides(connector: NodeWorker) -> None:
    """After a redirect the last response decides."""
    with Wire(reply("307 Moved", "location: /there", body=b"first"), reply("403 No", body=b"last")) as wire:
        result = send(connector, f"{wire.origin}/mail")
    assert result == {"ok": False, "code": "general", "error": "last"}
    assert len(wire.requests) == 2


def test_at_most_ten_redirects_are_followed(connector: NodeWorker) -> None:
    """Ten redirects are followed and not one more."""
    moved = reply("307 Moved", "location: /mail")
    with Wire(*[moved] * 10, reply("200 OK")) as wire:
        assert send(connector, f"{wire.origin}/mail") == OK
    assert len(wire.requests) == 11
    with Wire(moved) as wire:
        result = send(connector, f"{wire.origin}/mail")
    assert (result["ok"], result["code"]) == (False, "general")
    assert len(wire.requests) == 11


# The worker itself.


@pytest.mark.parametrize("job", [{"json": "{"}, {}, {"message": None}])
def test_the_worker_reports_an_invalid_job_without_a_code(job: dict[str, Any], connector: NodeWorker) -> None:
    """A failure outside the connector has no code, so that no test mistakes it for one of the connector."""
    result = connector.ask({"endpoint": "http://127.0.0.1:1/", **job})
    assert (result["ok"], result["code"]) == (False, None)


def test_the_worker_accepts_a_message_as_a_value(connector: NodeWorker) -> None:
    """A job may hold the message itself."""
    with Wire() as wire:
        assert connector.ask({"endpoint": wire.origin, "message": json.loads(MESSAGE), "id": "a"}) == {
            "id": "a",
            **OK,
        }
    assert [request.body.decode() for request in wire.requests] == [MESSAGE]


def test_the_worker_ends_at_a_line_that_is_no_json() -> None:
    """The failure shows what the worker wrote to standard error."""
    with NodeWorker("connector.mjs") as worker:
        worker.write_line(b"no JSON")
        with pytest.raises(AssertionError, match=r"(?s)status 2.*expected one line of JSON"):
            worker.receive()
