"""The server of the standing endpoint against senders that are faulty, hostile or slow."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import resource
import socket
import threading
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.http_client import MESSAGE, TIMEOUT, Client, exchange, post
from tests.support.serving import Serving, serving

from logto_mail_contract import MailServer
from logto_mail_contract.inbox.store import MemoryStore
from logto_mail_contract.judging.requests import judge_request
from logto_mail_contract.serve.connection import TRANSITIONS, State
from logto_mail_contract.serve.limits import Limits
from logto_mail_contract.serve.reply_wire import StandingWire
from logto_mail_contract.wire.replies import ScriptedResponse
from logto_mail_contract.wire.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logto_mail_contract import MailEndpoint
    from logto_mail_contract.inbox.recorded import Recorded
    from logto_mail_contract.inbox.store import OnStored

MAX_HEAD_BYTES, MAX_BODY_BYTES = Limits().read.head_bytes, Limits().read.body_bytes
BODY = json.dumps(MESSAGE).encode()
HEAD = b"POST /mail HTTP/1.1\r\nHost: mail.test\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
GOOD = HEAD + LENGTH + b"\r\n" + BODY
EMPTY_CHUNK = b"0\r\n\r\n"


@pytest.fixture
def server() -> Iterator[Serving]:
    """A server with an empty inbox."""
    with serving() as running:
        yield running


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def wait_until_read(server: Serving) -> None:
    """Wait until the server has read all earlier bytes: its loop runs this call after that."""
    server.call(lambda: None)


def statuses(server: Serving, data: bytes) -> list[int]:
    """Send bytes, shut down the sending side, and return the statuses of all responses."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", exchange(server.url, data))]


def is_usable(client: Client) -> bool:
    """Send a request, and return whether it gets a response on the same connection."""
    client.send(b"GET /api/none HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return client.read_response().status == 404


def list_deliveries(server: Serving) -> list[tuple[int, str]]:
    """Return the status of each delivery, and the actual value of its first finding."""
    found = server.api.get("/api/messages")["messages"]
    return [(one["status"], one["findings"][0]["actual"] if one["findings"] else "") for one in found]


def check_well(server: Serving) -> None:
    """Check that the server still accepts a message and reported no error of its own."""
    assert post(server.url + "/mail").status == 200
    assert [line for line in server.log.problems if line.startswith("a fault of mail-contract")] == []


# Two parsers may read these requests differently. They are refused and recorded, and the connection ends.

SMUGGLING = {
    "both lengths": HEAD + b"Content-Length: 3\r\n" + CHUNKED + b"\r\n" + EMPTY_CHUNK,
    "both lengths, chunked first": HEAD + CHUNKED + b"Content-Length: 3\r\n\r\n" + EMPTY_CHUNK,
    "two lengths": HEAD + LENGTH + b"Content-Length: 1\r\n\r\n" + BODY,
    "two equal lengths": HEAD + LENGTH + LENGTH + b"\r\n" + BODY,
    "a list of lengths": HEAD + b"Content-Length: 5, 5\r\n\r\nabcde",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "a signed length": HEAD + b"Content-Length: +5\r\n\r\nabcde",
    "a hexadecimal length": HEAD + b"Content-Length: 0x5\r\n\r\nabcde",
    "a length beyond 64 bits": HEAD + b"Content-Length: 99999999999999999999\r\n\r\n",
    "an unknown coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n" + EMPTY_CHUNK,
    "chunked twice": HEAD + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + EMPTY_CHUNK,
    "chunked before another": HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + EMPTY_CHUNK,
    "a tab in the coding": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + EMPTY_CHUNK,
    "a chunk size that is none": HEAD + CHUNKED + b"\r\nzz\r\n",
    "a chunk size beyond 64 bits": HEAD + CHUNKED + b"\r\nfffffffffffffffff\r\n",
    "a chunk line without CR": HEAD + CHUNKED + b"\r\n5\nabcde\r\n" + EMPTY_CHUNK,
    "a chunk that is longer": HEAD + CHUNKED + b"\r\n3\r\nabcde\r\n" + EMPTY_CHUNK,
    "a space before the colon": HEAD + b"Content-Length : 3\r\n\r\nabc",
    "a folded header": HEAD + b"X-Folded: a\r\n b\r\n" + LENGTH + b"\r\n" + BODY,
    "NUL in a header": HEAD + b"X-Nul: a\0b\r\n\r\n",
    "a header without a name": HEAD + b": a\r\n\r\n",
    "CR alone in a header": HEAD + b"X-Cr: a\rContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("shape", SMUGGLING)
def test_ambiguous_requests_are_refused(server: Serving, shape: str) -> None:
    assert statuses(server, SMUGGLING[shape]) == [400]
    ((status, actual),) = list_deliveries(server)
    assert status == 400
    (recorded,) = server.api.get("/api/messages")["messages"]
    assert recorded["findings"][0]["rule"] == "sender/request/framing", actual
    check_well(server)


NO_REQUESTS = {
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
    "bytes": b"\0\1garbage\xff\r\n\r\n",
    "another protocol": b"POST /mail SIP/2.0\r\n\r\n",
    "a tunnel": b"CONNECT mail.test:25 HTTP/1.1\r\nHost: mail.test\r\n\r\n",
    "SMTP": b"EHLO mail.test\r\n",
    "a target with a space": b"POST /ma il HTTP/1.1\r\nHost: mail.test\r\n\r\n",
}


@pytest.mark.parametrize("shape", NO_REQUESTS)
def test_bytes_that_are_no_request_are_reported_and_not_recorded(server: Serving, shape: str) -> None:
    assert statuses(server, NO_REQUESTS[shape]) == [400]
    assert list_deliveries(server) == []
    (line,) = server.log.problems
    assert line.startswith("a connection was ended: ")
    check_well(server)


@pytest.mark.parametrize(
    ("shape", "name"),
    [("TLS", "a TLS handshake: the URL says https, this is http"), ("HTTP/2", "the preface of HTTP/2: ")],
)
def test_another_protocol_is_named(server: Serving, shape: str, name: str) -> None:
    assert statuses(server, NO_REQUESTS[shape]) == [400]
    (line,) = server.log.problems
    assert line.startswith(f"a connection was ended: {name}")
    assert server.api.get("/api/messages")["total"] == server.endpoint.violations == 0


@pytest.mark.parametrize("shape", ["TLS", "HTTP/2", "SMTP"])
def test_a_client_of_another_protocol_gets_a_response_at_once(server: Serving, shape: str) -> None:
    with Client(server.url) as client:
        client.send(NO_REQUESTS[shape])
        assert client.read_response().status == 400
        assert client.read() == b""


@pytest.mark.parametrize("method", ["BREW", "post", "CONNECT"])
def test_an_unknown_method_is_405_and_recorded(server: Serving, method: str) -> None:
    with Client(server.url + "/mail") as client:
        assert client.post(method=method).status == 405
        assert is_usable(client)
    assert list_deliveries(server) == [(405, f'"{method}"')]
    check_well(server)


@pytest.mark.parametrize(
    "data",
    [
        GOOD,
        HEAD + CHUNKED + b"\r\n%x;a=b\r\n%s\r\n" % (len(BODY), BODY) + EMPTY_CHUNK,
        HEAD + CHUNKED + b"\r\n" + b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + EMPTY_CHUNK,
        GOOD.replace(b"/mail", b"http://mail.test/mail"),
        GOOD.replace(b"/mail", b"/%zz%ff/../..//?a=b#c"),
        HEAD + b"Expect: something\r\n" + LENGTH + b"\r\n" + BODY,
        HEAD + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n"
        + LENGTH + b"\r\n" + BODY,
        b"\r\n" + GOOD,
    ],
    ids=["plain", "chunked", "byte by byte", "absolute", "odd path", "expect", "upgrade", "empty line"],
)  # fmt: skip
def test_unusual_but_valid_requests_are_accepted(server: Serving, data: bytes) -> None:
    with Client(server.url) as client:
        client.send(data)
        assert client.read_response().status == 200
        assert is_usable(client)
    assert list_deliveries(server) == [(200, "")]


def test_an_upgrade_request_is_ignored_in_any_pieces(server: Serving) -> None:
    lines = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    data = HEAD + lines + LENGTH + b"\r\n" + BODY
    for cut in range(1, len(data), 7):
        with Client(server.url + "/mail") as client:
            client.send(data[:cut])
            wait_until_read(server)
            client.send(data[cut:])
            assert client.read_response().status == 200, cut
            assert client.post().status == 200
    with Client(server.url + "/mail") as client:
        client.send(b"GET /api/messages?limit=1 HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n")
        assert client.read_response().status == 200
        assert client.post().status == 200
    first = server.api.get("/api/messages/1")
    assert ["Upgrade", "h2c"] in first["headers"]


@pytest.mark.parametrize("store", ["memory", "file"])
def test_an_upgrade_request_is_ignored_anywhere_among_requests(tmp_path: Path, store: str) -> None:
    """In one piece and in several: each request is read once, with its own body."""
    wishing = HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + LENGTH + b"\r\n" + BODY
    health = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    data = GOOD + wishing + wishing + health + wishing + GOOD
    where = "memory" if store == "memory" else str(tmp_path / "inbox.sqlite")
    with serving(where) as server:
        for cut in (len(data), len(GOOD) + 9, len(GOOD) + len(HEAD) + 50, len(data) - 9):
            with Client(server.url) as client:
                client.send(data[:cut])
                wait_until_read(server)
                client.send(data[cut:])
                assert [client.read_response().status for _ in range(6)] == [200] * 6
        assert list_deliveries(server) == [(200, "")] * 20
        check_well(server)


def test_a_client_that_expects_100_continue_gets_it(server: Serving) -> None:
    with Client(server.url) as client:
        client.send(HEAD + b"Expect: 100-Continue\r\n" + LENGTH + b"\r\n")
        assert client.read(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(BODY)
        assert client.read_response().status == 200


def test_100_continue_is_not_sent_inside_another_response(server: Serving) -> None:
    with server.api.events() as stream:
        assert stream.read_event()[0] == "hello"
        stream.client.send(HEAD + b"Expect: 100-continue\r\n" + LENGTH + b"\r\n")
        wait_until_read(server)
        assert server.deliver().status == 200
        assert stream.read_event() == ("message", "foo@example.com")


# All requests on one connection get responses in their order.


@pytest.mark.parametrize("store", ["memory", "file"])
def test_responses_are_sent_in_the_order_of_requests(tmp_path: Path, store: str) -> None:
    bad = HEAD + b"Content-Length: 2\r\n\r\n{}"
    health = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    none = b"GET /api/none HTTP/1.1\r\nHost: localhost\r\n\r\n"
    kinds = {200: GOOD, 400: bad, 404: none, 405: GOOD.replace(b"POST", b"PUT"), -200: health}
    order = random.Random(5).choices(list(kinds), k=60)
    where = "memory" if store == "memory" else str(tmp_path / "inbox.sqlite")
    with serving(where) as server, Client(server.url) as client:
        client.send(b"".join(kinds[kind] for kind in order))
        responses = [client.read_response() for _ in order]
        assert [response.status for response in responses] == [abs(kind) for kind in order]
        assert [b"accepted" in response.body for response in responses] == [
            kind in (200, 400, 405) for kind in order
        ]
        deliveries = [kind for kind in order if kind in (200, 400, 405)]
        assert [status for status, _ in list_deliveries(server)] == deliveries


_REST = b"%x\r\n%s\r\n" % (len(BODY) - 5, BODY[5:])
# The request, the status of its response, and whether it is a delivery.
ASKED = {
    "good": (GOOD, 200, True),
    "chunked": (HEAD + CHUNKED + b"\r\n5\r\n%s\r\n%s" % (BODY[:5], _REST) + EMPTY_CHUNK, 200, True),
    "bad": (HEAD + b"Content-Length: 2\r\n\r\n{}", 400, True),
    "put": (GOOD.replace(b"POST", b"PUT"), 405, True),
    "large": (HEAD + b"Content-Length: 70000\r\n\r\n" + BODY + b" " * (70_000 - len(BODY)), 200, True),
    "upgrade": (HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + LENGTH + b"\r\n" + BODY, 200, True),
    "odd path": (GOOD.replace(b"/mail", b"/%6dail"), 200, True),
    "health": (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, False),
    "none": (b"GET /api/none HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, False),
    "held": (b"GET /api/messages/latest?to=nobody&wait=0.01 HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, False),
    "unscript": (b"DELETE /api/replies HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, False),
    "text": (b"POST /api/replies HTTP/1.1\r\nHost: localhost\r\n" + LENGTH + b"\r\n" + BODY, 415, False),
}  # fmt: skip


@pytest.fixture(scope="module", params=["memory", "file"])
def lasting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server for many examples, with each store."""
    folder = tmp_path_factory.mktemp("store")
    with serving("memory" if request.param == "memory" else str(folder / "inbox.sqlite"), 100_000) as running:
        yield running


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from(sorted(ASKED)), min_size=1, max_size=12),
    st.lists(st.floats(0, 1, exclude_max=True), max_size=6),
)
def test_any_requests_in_any_pieces_get_responses_in_order(
    lasting: Serving, names: list[str], cuts: list[float]
) -> None:
    data = b"".join(ASKED[name][0] for name in names)
    places = sorted({int(cut * len(data)) for cut in cuts} | {0, len(data)})
    before = lasting.api.get("/healthz")["last"]
    with Client(lasting.url) as client:
        for start, end in pairwise(places):
            client.send(data[start:end])
            wait_until_read(lasting)
        assert [client.read_response().status for _ in names] == [ASKED[name][1] for name in names]
    deliveries = [ASKED[name][1] for name in names if ASKED[name][2]]
    received = lasting.api.get(f"/api/messages?after={before}")["messages"]
    assert [one["status"] for one in received] == deliveries


@pytest.mark.parametrize("store", ["memory", "file"])
def test_an_error_after_a_valid_request_does_not_affect_it(tmp_path: Path, store: str) -> None:
    with serving("memory" if store == "memory" else str(tmp_path / "inbox.sqlite")) as server:
        assert statuses(server, GOOD + b"garbage\r\n\r\n") == [200, 400]
        assert list_deliveries(server) == [(200, "")]
        with Client(server.url) as client:
            client.send(GOOD + GOOD[:-1])
            assert client.read_response().status == 200
            client.end()
            assert client.read_response().status == 400
            assert client.read() == b""


def test_a_refused_head_gets_no_body_of_an_earlier_request(server: Serving) -> None:
    assert statuses(server, GOOD + HEAD + b": a\r\n\r\n") == [200, 400]
    assert server.api.get("/api/messages/2")["body"] == ""


def test_any_number_of_pipelined_requests_is_accepted(server: Serving) -> None:
    """One read can end inside a head and be larger than the limit of a head."""
    with Client(server.url) as client:
        sending = threading.Thread(target=client.send, args=(GOOD * 3000,))
        sending.start()
        assert [client.read_response().status for _ in range(3000)] == [200] * 3000
        sending.join()
        large = json.dumps({**MESSAGE, "payload": {"code": "042137", "x": "x" * MAX_HEAD_BYTES}}).encode()
        client.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(large) + large + GOOD[:20])
        wait_until_read(server)
        client.send(GOOD[20:])
        assert [client.read_response().status for _ in range(2)] == [200, 200]
        # The limit of a head applies here too.
        client.send(GOOD + HEAD + b"X: ")
        wait_until_read(server)
        client.send(b"x" * (MAX_HEAD_BYTES + 1))
        assert [client.read_response().status for _ in range(2)] == [200, 400]
    check_well(server)


@pytest.mark.parametrize("target", [b"http://mail.test:99999/api/replies", b"http://[::1/", b"http://", b"*"])
def test_a_target_that_is_no_url_causes_no_server_error(target: bytes) -> None:
    with serving(limits=Limits(request_seconds=0.2, sweep_seconds=0.05)) as server:
        with Client(server.url) as client:
            client.send(GOOD.replace(b"/mail", target))
            assert client.read_response().status == 200
            assert is_usable(client)
        # Twice: the task that disconnects slow clients must survive the first.
        for _ in range(2):
            with Client(server.url) as client:
                client.send(GOOD.replace(b"/mail", target)[: -len(BODY)])
                assert client.read_response().status == 400
        check_well(server)


def test_a_connection_without_keep_alive_is_closed(server: Serving) -> None:
    for data in (
        HEAD + b"Connection: close\r\n" + LENGTH + b"\r\n" + BODY,
        GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ):
        with Client(server.url) as client:
            client.send(data)
            response = client.read_response()
            assert (response.status, response.headers["connection"]) == (200, "close")
            assert client.read() == b""


# Limits.


def test_bodies_over_the_limit_are_refused(server: Serving) -> None:
    padding = MAX_BODY_BYTES - len(json.dumps({**MESSAGE, "payload": {"code": "042137", "x": ""}}))
    largest = {**MESSAGE, "payload": {"code": "042137", "x": "x" * padding}}
    response = post(server.url + "/mail", largest)
    assert (len(json.dumps(largest)), response.status) == (MAX_BODY_BYTES, 200)
    response = post(server.url + "/mail", json.dumps(largest).encode() + b" ")
    assert response.status == 400
    assert b"of which at most 2097152 are read" in response.body
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    assert statuses(server, HEAD + CHUNKED + b"\r\n" + chunk * 40 + EMPTY_CHUNK) == [400]
    assert [status for status, _ in list_deliveries(server)] == [200, 400, 400]
    assert server.api.get("/api/messages/2")["body"] == ""


@pytest.mark.parametrize(
    "refused",
    [
        HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1) + b"x" * (MAX_BODY_BYTES + 1),
        HEAD + b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n" + LENGTH + b"\r\n" + BODY,
        SMUGGLING["both lengths"],
        SMUGGLING["a chunk line without CR"],
    ],
    ids=["body", "head", "lengths", "chunks"],
)
def test_requests_pipelined_after_a_refused_one_are_ignored(server: Serving, refused: bytes) -> None:
    post(server.url + "/mail")
    with Client(server.url) as client:
        client.send(refused + b"DELETE /api/messages HTTP/1.1\r\nHost: localhost\r\n\r\n" + GOOD)
        assert client.read_response().status == 400
        assert client.read() == b""
    assert [status for status, _ in list_deliveries(server)] == [200, 400]


def test_heads_over_the_limit_are_refused(server: Serving) -> None:
    room = MAX_HEAD_BYTES - 200
    with Client(server.url) as client:
        client.send(HEAD + b"X: " + b"x" * room + b"\r\n" + LENGTH + b"\r\n" + BODY)
        assert client.read_response().status == 200
        assert is_usable(client)
    too_much = f"a head of more than {MAX_HEAD_BYTES} bytes"
    for data in (
        HEAD + b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n" + LENGTH + b"\r\n" + BODY,
        HEAD + b"X: x\r\n" * (MAX_HEAD_BYTES // 3) + b"\r\n",
    ):
        with Client(server.url) as client:
            client.send(data)
            assert client.read_response().status == 400
        assert list_deliveries(server)[-1] == (400, too_much)
    with Client(server.url) as client:
        client.send(HEAD[:-2] + b"x" * 200_000)
        assert client.read_response().status == 400
    check_well(server)


def test_a_client_that_sends_far_too_much_receives_the_refusal(server: Serving) -> None:
    with Client(server.url) as client:
        client.send(HEAD + b"Content-Length: %d\r\n\r\n" % (8 * MAX_BODY_BYTES) + b"x" * 8 * MAX_BODY_BYTES)
        assert client.read_response().status == 400
        assert client.read() == b""
    assert server.api.get("/api/messages/1")["body"] == ""


def test_a_body_in_single_bytes_is_read_in_linear_time(server: Serving) -> None:
    """If each piece were a copy of the body, half a million pieces would take minutes."""
    body = BODY[:-1] + b" " * 500_000 + b"}"
    with Client(server.url) as client:
        client.send(HEAD + CHUNKED + b"\r\n" + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + EMPTY_CHUNK)
        assert client.read_response().status == 200
    assert server.api.get("/api/messages/1")["body"] == body.decode()


def test_a_head_that_is_too_large_is_refused_on_the_inbox_api(server: Serving) -> None:
    large = b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n"
    with Client(server.url) as client:
        client.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + large)
        assert client.read_response().status == 400
        assert client.read() == b""
    check_well(server)


@pytest.mark.parametrize(
    ("path", "error"),
    [("/healthz", "a head of more than"), ("/api/messages", "a head of more than")],
)
def test_a_refused_request_does_not_change_the_inbox(server: Serving, path: str, error: str) -> None:
    post(server.url + "/mail")
    large = b"X: " + b"x" * MAX_HEAD_BYTES
    with Client(server.url) as client:
        client.send(b"DELETE %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n" % (path.encode(), large))
        response = client.read_response()
        assert (response.status, response.headers["connection"]) == (400, "close")
        assert response.json["error"].startswith(f"The request did not come whole: {error}")
        assert client.read() == b""
    assert list_deliveries(server) == [(200, "")]


def test_the_received_part_of_a_truncated_body_is_recorded(server: Serving) -> None:
    with Client(server.url) as client:
        client.send(HEAD + b"Content-Length: 100\r\n\r\n" + BODY[:30])
        wait_until_read(server)
    wait_until(lambda: len(list_deliveries(server)) == 1)
    with Client(server.url) as client:
        client.send(HEAD + b"Content-Length: 100\r\n\r\n" + BODY[:20])
        wait_until_read(server)
        client.reset()
    wait_until(lambda: len(list_deliveries(server)) == 2)
    (_, ended), (_, broken) = list_deliveries(server)
    assert ended == "Content-Length 100, but 30 bytes came"
    assert broken.startswith("a connection that broke inside the request: ")
    bodies = [server.api.get(f"/api/messages/{number}")["body"] for number in (1, 2)]
    assert bodies == [BODY[:30].decode(), BODY[:20].decode()]


def test_the_received_part_of_a_truncated_head_is_recorded(server: Serving) -> None:
    assert statuses(server, HEAD + b"X: ") == [400]
    assert list_deliveries(server) == [(400, "a head that ends without an empty line")]
    assert ["Host", "mail.test"] in server.api.get("/api/messages/1")["headers"]


def test_a_later_request_whose_body_never_comes_is_refused_in_time() -> None:
    with (
        serving(limits=Limits(request_seconds=0.3, sweep_seconds=0.05)) as server,
        Client(server.url) as client,
    ):
        client.send(GOOD)
        assert client.read_response().status == 200
        # The head alone, in one piece: nothing is buffered, and the request has begun all the same.
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")
        assert client.read_response().status == 400
        assert client.read() == b""


def test_slow_clients_are_disconnected_and_delay_no_other_client() -> None:
    """Five hundred clients send single bytes in the head or in the body while others are served."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    began = [HEAD[:30], HEAD + b"Content-Length: 9999\r\n\r\n{", b"", b"\r\n"]
    with serving(limits=Limits(request_seconds=1.5)) as server, ExitStack() as stack:
        slow = [stack.enter_context(Client(server.url)) for _ in range(500)]
        for number, client in enumerate(slow):
            client.send(began[number % 4])
        slowest, rounds = 0.0, 0
        alive, deadline = set(slow), time.monotonic() + 30
        while alive and time.monotonic() < deadline:
            for client in list(alive):
                client.socket.setblocking(False)
                try:
                    client.send(b"x")
                    if client.socket.recv(4096) == b"":
                        alive.discard(client)
                except BlockingIOError:
                    pass
                except OSError:
                    alive.discard(client)
            start = time.monotonic()
            assert post(server.url + "/mail").status == 200
            slowest = max(slowest, time.monotonic() - start)
            rounds += 1
        assert alive == set()
        assert rounds > 3
        violations = server.api.get("/api/violations?limit=1000")["messages"]
        reported = [one["findings"][0]["actual"] for one in violations]
        assert set(reported) == {"a request that did not come whole within 1.5 s"}
        assert len(reported) >= 100
        assert slowest < 5
        check_well(server)


def test_a_connection_without_a_request_is_closed_without_a_response() -> None:
    with serving(limits=Limits(request_seconds=0.1, sweep_seconds=0.02)) as server:
        for data in (b"", b"\r\n"):
            with Client(server.url) as client:
                client.send(data)
                assert client.read() == b""
        assert server.log.problems == []


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\r\n\r"])
def test_an_idle_connection_is_closed(data: bytes) -> None:
    limits = Limits(keep_alive_seconds=0.1, sweep_seconds=0.02)
    with serving(limits=limits) as server, Client(server.url + "/mail") as client:
        assert client.post().status == 200
        client.send(data)
        assert client.read() == b""


def test_a_refused_client_that_keeps_sending_is_disconnected() -> None:
    limits = Limits(request_seconds=0.3, drain_seconds=0.1, sweep_seconds=0.02)
    with serving(limits=limits) as server, Client(server.url) as client:
        client.send(SMUGGLING["both lengths"])
        assert client.read_response().status == 400

        def is_closed() -> bool:
            try:
                client.send(b"x")
            except OSError:
                return True
            return False

        wait_until(is_closed)


def test_a_refused_client_that_stays_silent_is_disconnected() -> None:
    """The limit on seconds without a byte applies: that for a whole request is far longer."""
    limits = Limits(request_seconds=600, drain_seconds=0.1, sweep_seconds=0.02)
    with serving(limits=limits) as server, Client(server.url) as client:
        client.send(SMUGGLING["both lengths"])
        assert client.read_response().status == 400
        wait_until(lambda: not server.server.connections)


def test_a_client_that_does_not_read_its_response_is_disconnected() -> None:
    big = {**MESSAGE, "payload": {"code": "042137", "x": "x" * 1_500_000}}
    with serving(limits=Limits(request_seconds=0.5, sweep_seconds=0.05)) as server:
        post(server.url + "/mail", big)
        with Client(server.url) as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for _ in range(4):
                client.send(b"GET /api/messages/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            wait_until(lambda: len(server.server.connections) == 1)
            wait_until(lambda: len(server.server.connections) == 0)
        check_well(server)


def is_paused(server: Serving) -> bool:
    """Return whether the server reads nothing from one of its clients."""
    return server.call(lambda: any(connection.is_paused for connection in server.server.connections))


def test_the_server_stops_reading_a_client_that_reads_no_responses(server: Serving) -> None:
    with ThreadPoolExecutor(1) as pool, Client(server.url) as client:
        pool.submit(client.send, b"PUT / HTTP/1.1\r\n\r\n" * 100_000)
        wait_until(lambda: is_paused(server))
        assert 0 < server.api.get("/healthz")["last"] < 60_000
        # The server reads from the client again as soon as the client reads.
        while is_paused(server):
            assert {client.read_response().status for _ in range(500)} == {405}
        client.socket.shutdown(socket.SHUT_RDWR)
    check_well(server)


@pytest.mark.parametrize("count", [2, 3000])
def test_requests_after_a_held_one_wait_for_it(server: Serving, count: int) -> None:
    with ThreadPoolExecutor(1) as pool, Client(server.url) as client:
        client.send(b"GET /api/messages/latest?wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(server.listeners)
        sending = pool.submit(client.send, GOOD * count)
        if count * len(GOOD) > Limits().unread_bytes:
            wait_until(lambda: is_paused(server))
        assert list_deliveries(server) == []
        server.deliver()
        assert [client.read_response().status for _ in range(1 + count)] == [200] * (1 + count)
        sending.result(TIMEOUT)
    assert server.api.get("/healthz")["last"] == 1 + count
    check_well(server)


class FaultyStore(MemoryStore):
    """A store whose first delivery raises an unexpected exception."""

    def add(self, recorded: Recorded, on_stored: OnStored) -> None:
        if recorded.id == 1:
            raise ZeroDivisionError
        super().add(recorded, on_stored)


def test_a_server_error_ends_only_its_connection() -> None:
    with serving(opening=lambda _, limit: FaultyStore(limit)) as server:
        with Client(server.url) as client:
            client.send(GOOD)
            assert client.read_response().status == 500
            assert client.read() == b""
        assert "ZeroDivisionError" in server.log.problems[0]
        assert post(server.url + "/mail").status == 200


def test_a_connection_follows_its_table_of_phases() -> None:
    assert TRANSITIONS.keys() == set(State)
    assert [state for state, steps in TRANSITIONS.items() if not steps] == [State.CLOSED]
    assert all(State.CLOSED in steps for state, steps in TRANSITIONS.items() if state is not State.CLOSED)


def test_a_reply_that_is_released_before_it_begins_ends_its_connection() -> None:
    async def release() -> None:
        writer, closed = Mock(), asyncio.Event()
        writer.close = closed.set
        wire = StandingWire(writer)
        wire.release()
        wire.start(ScriptedResponse(500))
        await asyncio.wait_for(closed.wait(), 5)

    asyncio.run(release())


# The content of messages.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe{\0}\0",
        b"\xef\xbb\xbf{}",
        b'{"to": "\xff"}',
        b"[" * 100_000,
        b"null",
        b"1e999",
        b"\0" * 1000,
    ],
    ids=["empty", "UTF-16", "BOM", "bad UTF-8", "deep", "null", "infinity", "NUL"],
)
def test_its_response_is_the_judgement_of_the_fixture(server: Serving, body: bytes) -> None:
    headers = (("Content-Type", "application/json"),)
    verdict = judge_request(Request("POST", "/mail", headers, body))
    response = post(server.url + "/mail", body)
    assert (response.status, response.body) == (verdict.status, verdict.response_body)
    (one,) = server.api.get("/api/messages")["messages"]
    assert [finding["rule"] for finding in one["findings"]] == [finding.rule for finding in verdict.findings]


PIECES = [
    *(
        GOOD,
        HEAD,
        LENGTH,
        CHUNKED,
        BODY,
        b"\r\n",
        EMPTY_CHUNK,
        b"5\r\nabcde\r\n",
        b"Connection: close\r\n",
        b"\0",
    ),
    *(b"GET /healthz HTTP/1.1\r\n\r\n", b"GET /api/events HTTP/1.1\r\n\r\n", b"PUT / HTTP/1.1\r\n"),
    *(b"Upgrade: h2c\r\nConnection: Upgrade\r\n", b"DELETE /api/replies HTTP/1.1\r\n\r\n"),
    *SMUGGLING.values(),
    *NO_REQUESTS.values(),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_server_survives_any_bytes_in_any_pieces(server: Serving, data: st.DataObject) -> None:
    pieces = st.sampled_from(PIECES)
    sent = data.draw(st.lists(st.one_of(pieces, st.binary(max_size=20)), max_size=8))
    with Client(server.url) as client:
        for piece in sent:
            try:
                client.send(piece)
            except OSError:
                break
            if data.draw(st.booleans()):
                wait_until_read(server)
        if data.draw(st.booleans()):
            client.reset()
    check_well(server)


# The fixture and this server share one reader: both judge the same bytes alike.

SHARED = [
    *(GOOD, HEAD, LENGTH, CHUNKED, BODY, b"\r\n", EMPTY_CHUNK, b"5\r\nabcde\r\n", b"\0", b"\n"),
    *(b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\nConnection: Upgrade\r\n"),
    *(b"BREW /mail HTTP/1.1\r\n\r\n", b"CONNECT /mail HTTP/1.0\r\n\r\n", b"0\r\nA: b\r\n\r\n"),
    *SMUGGLING.values(),
    *NO_REQUESTS.values(),
]


@pytest.fixture(scope="module")
def fixture_endpoint() -> Iterator[MailEndpoint]:
    """The endpoint of the pytest fixture, at the path of these requests."""
    with MailServer() as server:
        yield server.endpoint(path="/mail", lenient=True)


@pytest.mark.parametrize("shape", [*SMUGGLING, *NO_REQUESTS])
def test_the_fixture_and_serve_judge_selected_bytes_alike(
    lasting: Serving, fixture_endpoint: MailEndpoint, shape: str
) -> None:
    assert read_alike(lasting, fixture_endpoint, {**SMUGGLING, **NO_REQUESTS}[shape])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(SHARED), min_size=2, max_size=6))
def test_the_fixture_and_serve_judge_any_bytes_alike(
    lasting: Serving, fixture_endpoint: MailEndpoint, pieces: list[bytes]
) -> None:
    assert read_alike(lasting, fixture_endpoint, b"".join(pieces))


def test_endpoints_that_judge_differently_are_detected(lasting: Serving) -> None:
    with MailServer() as server:
        strict = server.endpoint(path="/mail", lenient=True, authorization="Bearer s3cret")
        assert not read_alike(lasting, strict, GOOD)


def read_alike(server: Serving, mail: MailEndpoint, data: bytes) -> bool:
    """Send the same bytes to both, and compare the responses and what was recorded."""
    before, last = len(mail.inbox), server.api.get("/healthz")["last"]
    there = exchange(mail.url, data)
    here = statuses(server, data)
    recorded = server.api.get(f"/api/messages?after={last}")["messages"]
    details = [server.api.get(f"/api/messages/{one['id']}") for one in recorded]
    return here == [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", there)] and [
        (
            (one["method"], one["target"], [tuple(pair) for pair in one["headers"]], one["bodyBase64"]),
            (one["status"], [finding["actual"] for finding in one["findings"]]),
        )
        for one in details
    ] == [
        (
            (request.method, request.target, list(request.headers), b64encode(request.body).decode()),
            (delivery.status, [finding.actual for finding in delivery.findings]),
        )
        for delivery in list(mail.inbox)[before:]
        for request in [delivery.request]
    ]


# Access.


@pytest.mark.parametrize(
    "path",
    [
        *("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/inbox.js/../../store.py", "//etc/passwd"),
        *(
            "/inbox_page/inbox.html",
            "/standing_app.py",
            "/..%5c..%5cstore.py",
            "/inbox.css%00.py",
            "/.git/config",
        ),
        *("/api/../../etc/passwd", "/api/messages/../../../etc/passwd", "/api/messages/%2e%2e/raw"),
    ],
)
def test_a_path_reaches_no_file(server: Serving, path: str) -> None:
    with Client(server.url) as client:
        response = client.post(b"", method="GET", target=path)
    assert response.status == 404
    assert b"root:" not in response.body
    assert len(response.body) < 300


def test_the_content_security_policy_allows_only_the_page_itself(server: Serving) -> None:
    for path in ("/", "/inbox.js", "/inbox.css", "/icon.svg"):
        with Client(server.url) as client:
            response = client.post(b"", "Host: localhost", method="GET", target=path)
        assert response.status == 200
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert not [name for name in response.headers if name.startswith("access-control")]


# Many messages.


def test_many_concurrent_deliveries_are_all_recorded(server: Serving) -> None:
    """Sixty-four connections at once, a hundred messages on each."""

    def many(number: int) -> None:
        with Client(server.url + "/mail") as client:
            for _ in range(100):
                assert client.post({**MESSAGE, "to": f"{number}@example.com"}).status == 200

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(many, range(64)))
    listing: Any = server.api.get("/api/messages?limit=1")
    assert (listing["total"], listing["last"], listing["dropped"]) == (6400, 6400, 0)
    assert len(server.api.get("/api/messages?to=7@example.com")["messages"]) == 100


def test_memory_use_does_not_grow() -> None:
    """Fifty thousand messages through an inbox of a hundred; ``bench/serve.py`` does it with a million."""
    with serving(max_deliveries=100) as server:
        # In this process the log of the test would grow.
        server.log.deliveries = _Nothing()

        def many(count: int) -> None:
            with Client(server.url + "/mail") as client:
                request = client.request()
                for _ in range(count // 100):
                    client.send(request * 100)
                    for _ in range(100):
                        assert client.read_response().status == 200

        many(5_000)
        before = _resident()
        threads = [threading.Thread(target=many, args=(25_000,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.api.get("/healthz")["total"] == 100
        assert server.api.get("/healthz")["dropped"] == 54_900
        assert _resident() - before < 8 * 1024 * 1024


class _Nothing(list[Any]):
    def append(self, _: object) -> None:
        pass


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
