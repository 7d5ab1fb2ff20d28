"""The fake endpoint as a sender sees it, over sockets."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gzip
import json
import math
import select
import socket
import ssl
import sys
import threading
import time
import unittest
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.http_client import INVALID, MESSAGE, TIMEOUT, Client, exchange, post

from logto_mail_contract import (
    ContractViolation,
    Delivery,
    EndpointNotStarted,
    MailEndpoint,
    MailNotReceived,
    MailServer,
    UnknownRevision,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logto_mail_contract.endpoint.connection import Connection
    from logto_mail_contract.wire.requests import Request

ONLY_GUARD = {"to": "foo@example.com", "type": "Generic", "payload": {"code": "1"}}


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        yield running


@pytest.fixture
def mail(server: MailServer) -> MailEndpoint:
    """An endpoint unknown to the plugin: its violations do not fail the test."""
    return server.endpoint()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def connection_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "mail endpoint connection"]


# Responses and records.


def test_a_message_is_accepted_and_recorded_unchanged(mail: MailEndpoint) -> None:
    with Client(mail.url) as client:
        response = client.post(
            MESSAGE, "x-B: 1", "X-a: 2", "x-b: \xc3\xbc", target=client.parts.path + "?a=%20b"
        )
    assert (response.status, response.json) == (200, {"accepted": True})
    assert response.headers["content-type"] == "application/json"
    (delivery,) = mail.inbox
    assert delivery.message.raw == MESSAGE
    assert delivery.request.target.endswith("/mail?a=%20b")
    assert delivery.headers[:4] == (("Host", "mail.test"), ("x-B", "1"), ("X-a", "2"), ("x-b", "Ã¼"))
    assert abs(delivery.time.timestamp() - time.time()) < TIMEOUT


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "post", "CONNECT"])
def test_another_method_is_405_and_recorded(mail: MailEndpoint, method: str) -> None:
    response = post(mail.url, method=method)
    assert response.status == 405
    assert response.headers["allow"] == "POST"
    if method != "HEAD":
        assert response.json["reason"].startswith("A message is sent with POST.")
    with pytest.raises(ContractViolation, match="sender/request/method"):
        mail.verify()
    mail.lenient = True
    assert mail.inbox[0].request.method == method


def test_authorization_is_checked_when_it_is_set(mail: MailEndpoint) -> None:
    assert post(mail.url).status == 200
    mail.authorization = "Bearer s3cret"
    response = post(mail.url)
    assert response.status == 401
    assert "no Authorization header" in response.json["reason"]
    assert "www-authenticate" in response.headers
    assert post(mail.url, MESSAGE, "Authorization: Bearer s3cret").status == 200
    assert post(mail.url, MESSAGE, "Authorization: Bearer other").status == 401
    with pytest.raises(ContractViolation) as caught:
        mail.verify()
    assert "s3cret" not in str(caught.value)
    assert "other" not in str(caught.value).replace("another", "")
    mail.authorization = None
    assert post(mail.url).status == 200


def test_authorization_of_logto_is_utf_8(mail: MailEndpoint) -> None:
    mail.authorization = "Schlüssel"
    assert post(mail.url, MESSAGE, "Authorization: Schl\xc3\xbcssel").status == 200
    assert post(mail.url, MESSAGE, "Authorization: Schl\xfcssel").status == 401


@pytest.mark.parametrize(
    ("lines", "body", "status", "reason"),
    [
        (["Content-Type: text/plain"], MESSAGE, 415, "The request says Content-Type: application/json."),
        ([], INVALID, 400, "code is absent or a string."),
        ([], b"{", 400, "JSON"),
        ([], b"\xff", 400, "UTF-8"),
    ],
)
def test_refusals_have_a_readable_reason(
    mail: MailEndpoint, lines: list[str], body: object, status: int, reason: str
) -> None:
    response = post(mail.url, body, *lines)
    assert response.status == status
    assert response.json["accepted"] is False
    assert reason in response.json["reason"]
    assert response.json["findings"]
    with pytest.raises(ContractViolation):
        mail.verify()


def test_settings_choose_the_rules_for_a_message(server: MailServer) -> None:
    assert post(server.endpoint().url, ONLY_GUARD).status == 200
    emitted = server.endpoint(layer="emitted")
    assert post(emitted.url, ONLY_GUARD).status == 200
    with pytest.raises(ContractViolation, match="message/emitted/code"):
        emitted.verify()
    old = server.endpoint(revision="v1.28.0")
    assert old.revision == "1.25"
    assert post(old.url, {**MESSAGE, "type": "BindMfa"}).status == 400


def test_a_lenient_endpoint_sends_the_same_response_and_raises_nothing(server: MailServer) -> None:
    mail = server.endpoint(lenient=True)
    assert post(mail.url, INVALID).status == 400
    mail.verify()
    assert mail.inbox[0].violations
    mail.lenient = False
    post(mail.url, INVALID)
    with pytest.raises(ContractViolation):
        mail.verify()


# Errors on the wire.


def framing(mail: MailEndpoint) -> list[str]:
    violation = mail.inbox.unreported_violation()
    assert violation is not None
    return [finding.actual for finding in violation.findings if finding.rule == "sender/request/framing"]


@pytest.mark.parametrize(
    ("lines", "body", "actual"),
    [
        (["Content-Length: 500"], b"{}", "Content-Length 500, but 2 bytes came"),
        (["Content-Length: 99999999999"], b"{}", "a body of 99999999999 bytes"),
        (["Content-Length: 2", "Content-Length: 2"], b"{}", "Content-Length 2 and 2"),
        (["Content-Length: 2", "Transfer-Encoding: chunked"], b"{}", "both Content-Length and"),
        (["no colon"], b"{}", "header line 2 is no 'Name: value'"),
        ([" folded"], b"{}", "header line 2 is no 'Name: value'"),
        (["Transfer-Encoding: chunked", "Content-Length: "], b"{}", "both"),
    ],
)
def test_malformed_framing_is_400_recorded_and_ends_the_connection(
    mail: MailEndpoint, lines: list[str], body: bytes, actual: str
) -> None:
    with Client(mail.url) as client:
        client.send(client.request(body, *lines) + b"POST / HTTP/1.1\r\n\r\n")
        client.end()
        data = client.read()
    if "500" in lines[0]:
        actual = "Content-Length 500, but"
    assert data.startswith(b"HTTP/1.1 400 ")
    assert data.count(b"HTTP/1.1") == 1
    assert b"\r\nConnection: close\r\n" in data
    assert framing(mail)[0].startswith(actual)
    mail.lenient = True
    assert len(mail.inbox) == 1


def test_a_client_that_still_sends_receives_the_refusal(mail: MailEndpoint) -> None:
    with Client(mail.url) as client:
        client.send(client.request(b"", "Content-Length: 99999999999"))
        for _ in range(64):
            client.send(b"x" * 65536)
        client.end()
        assert client.read_response().status == 400


def test_a_truncated_request_is_recorded(mail: MailEndpoint) -> None:
    client = Client(mail.url)
    client.send(client.request(b"{", "Content-Length: 500"))
    wait_until(connection_threads)
    client.reset()
    with pytest.raises(ContractViolation):
        mail.inbox.wait_for(timeout=TIMEOUT)
    assert framing(mail)


def test_chunked_bodies_are_read(mail: MailEndpoint) -> None:
    with Client(mail.url) as client:
        head = client.request(b"", "Transfer-Encoding: chunked", "Content-Length: x").replace(
            b"Content-Length: x\r\n", b""
        )
        body = b'{"to":"a@example.com","type":"Generic","payload":{}}'
        client.send(head + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
        assert client.read_response().status == 200
    assert mail.inbox[0].body == body


def test_a_client_that_expects_100_continue_gets_it(mail: MailEndpoint) -> None:
    with Client(mail.url) as client:
        whole = client.request(MESSAGE, "Expect: 100-continue")
        head, _, body = whole.partition(b"\r\n\r\n")
        client.send(head + b"\r\n\r\n")
        assert client.head()[0] == 100
        client.send(body)
        assert client.read_response().status == 200


def test_http_1_0_ends_the_connection(mail: MailEndpoint) -> None:
    with Client(mail.url) as client:
        client.send(client.request().replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert client.read_response().headers["connection"] == "close"
        assert client.read() == b""
    assert len(mail.inbox) == 1


def test_a_connection_is_reused_after_a_refusal(mail: MailEndpoint) -> None:
    mail.lenient = True
    with Client(mail.url) as client:
        statuses = [client.post(body).status for body in (MESSAGE, INVALID, MESSAGE)]
        statuses.append(client.post(MESSAGE, method="HEAD").status)
        statuses.append(client.post(MESSAGE, target="/nowhere").status)
        client.send(client.request(MESSAGE, "Connection: close"))
        assert client.read_response().headers["connection"] == "close"
        assert client.read() == b""
    assert statuses == [200, 400, 200, 405, 404]
    assert len(mail.inbox) == 5


def test_pipelined_requests_get_responses_in_order(mail: MailEndpoint) -> None:
    mail.reply(201, times=1)
    mail.reply(202, times=1)
    with Client(mail.url) as client:
        client.send(client.request() * 3)
        assert [client.read_response().status for _ in range(3)] == [201, 202, 200]
    assert [delivery.number for delivery in mail.inbox] == [1, 2, 3]


@pytest.mark.parametrize("form", ["http://mail.test{}", "https://other:99{}?x=y", "{}?x=http://y"])
def test_targets_find_their_endpoint(mail: MailEndpoint, form: str) -> None:
    with Client(mail.url) as client:
        target = form.format(client.parts.path)
        assert client.post(target=target).status == 200
    assert mail.inbox[0].request.target == target


@pytest.mark.parametrize("target", ["*", "/", "/x", "mail", "http://[", "http://h", "//{}", "{}/", "{}#x"])
def test_other_targets_are_404_and_listed_when_a_wait_fails(mail: MailEndpoint, target: str) -> None:
    with Client(mail.url) as client:
        target = target.format(client.parts.path)
        response = client.post(target=target)
    assert response.status == 404
    assert "no mail endpoint at this path" in response.json["reason"]
    with pytest.raises(MailNotReceived) as caught:
        mail.inbox.wait_for(timeout=0)
    lines = str(caught.value).splitlines()
    assert lines[-2:] == ["Requests that reached this server, but no inbox:", f"  POST {target}"]
    assert f"mail_endpoint listens at {mail.url}" in lines
    mail.verify()


HOSTILE = {
    "empty-lines": b"\r\n\r\n\r\n",
    "spaces": b"   \r\n\r\n",
    "no-version": b"POST /\r\n\r\n",
    "nul": b"\0" * 1000,
    "long-line": b"POST /" + b"a" * 300_000 + b" HTTP/1.1\r\n\r\n",
    "no-line-end": b"x" * 300_000,
    "terminal": b"POST \x1b[31m / HTTP/1.1\r\n\r\n",
    "format": b"%s%n%d HTTP/1.1 x\r\n\r\n",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_bytes_that_are_no_request_are_refused_and_listed(
    mail: MailEndpoint, data: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    assert exchange(mail.url, data).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(MailNotReceived, match=r"which is no HTTP/1\.1 request line") as caught:
        mail.inbox.wait_for(timeout=0)
    assert "\x1b" not in str(caught.value)
    assert post(mail.url).status == 200
    assert capfd.readouterr() == ("", "")


def test_tls_at_a_plain_endpoint_is_named(mail: MailEndpoint) -> None:
    with pytest.raises(ssl.SSLError):
        Client(mail.url, context=ssl.create_default_context())
    with pytest.raises(MailNotReceived, match="a TLS handshake: the URL says https, this is http"):
        mail.inbox.wait_for(timeout=0)
    assert len(mail.inbox) == 0


def test_http_2_is_named(mail: MailEndpoint) -> None:
    assert exchange(mail.url, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    with pytest.raises(MailNotReceived, match=r"the preface of HTTP/2: this is HTTP/1\.1"):
        mail.inbox.wait_for(timeout=0)
    assert len(mail.inbox) == 0


def test_an_encoded_body_is_a_violation_that_names_the_encoding(mail: MailEndpoint) -> None:
    body = gzip.compress(json.dumps(MESSAGE).encode())
    with mail.expect_violation("sender/request/content-encoding") as deliveries:
        assert post(mail.url, body, "Content-Encoding: gzip").status == 415
    assert [finding.actual for finding in deliveries[0].findings] == ['Content-Encoding "gzip"']
    assert post(mail.url, MESSAGE, "Content-Encoding: identity").status == 200


def test_a_hostile_target_is_listed_without_control_characters(mail: MailEndpoint) -> None:
    with Client(mail.url) as client:
        assert client.post(target="/\x9b31m").status == 404
    with pytest.raises(MailNotReceived) as caught:
        mail.inbox.wait_for(timeout=0)
    assert str(caught.value).replace("\n", "").isprintable()
    assert post(mail.url + "x" * 100_000).status == 404
    with pytest.raises(MailNotReceived) as caught:
        mail.inbox.wait_for(timeout=0)
    assert max(map(len, str(caught.value).splitlines())) < 300


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_clients_that_disconnect_anywhere_affect_no_other_client(
    mail: MailEndpoint, cut: int, capfd: pytest.CaptureFixture[str]
) -> None:
    mail.lenient = True
    for leave in (Client.close, Client.reset):
        client = Client(mail.url)
        client.send(client.request()[:cut])
        leave(client)
    assert post(mail.url).status == 200
    wait_until(lambda: not connection_threads())
    assert capfd.readouterr() == ("", "")


def test_header_names_that_python_knows_do_no_harm(mail: MailEndpoint) -> None:
    lines = ["From x: y", "Content-Length : 3", "MIME-Version: x", "Subject: =?utf-8?q?x?="]
    for line in lines:
        assert post(mail.url, MESSAGE, line).status == (400 if " " in line.partition(":")[0] else 200)
    mail.lenient = True
    assert [delivery.headers[1] for delivery in mail.inbox] == [
        ("From x: y", ""),
        ("Content-Length : 3", ""),
        ("MIME-Version", "x"),
        ("Subject", "=?utf-8?q?x?="),
    ]


def test_a_large_body_is_read(mail: MailEndpoint) -> None:
    large = {**MESSAGE, "payload": {"code": "042137", "text": "ü" * 1_000_000}}
    assert post(mail.url, large).status == 200
    assert mail.inbox[0].message.raw == large


# Scripted replies, as a client sees them.


def test_a_delayed_reply_does_not_hide_the_message(mail: MailEndpoint) -> None:
    mail.reply(delay=math.inf, times=1)
    with Client(mail.url) as client:
        client.send(client.request())
        assert mail.inbox.wait_for(timeout=TIMEOUT).response == "no response (scripted)"
        client.socket.settimeout(0.02)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)


def test_a_delay_holds_on_a_connection_that_is_kept_alive(mail: MailEndpoint) -> None:
    mail.reply(503, "down", delay=0.05, times=1)
    with Client(mail.url) as client:
        start = time.monotonic()
        assert client.post().body == b"down"
        assert time.monotonic() - start >= 0.05
        assert client.post().status == 200


def test_scripted_responses_are_sent_unchanged(mail: MailEndpoint) -> None:
    mail.reply(418, "tëa", headers={"X-Kind": "pot"})
    response = post(mail.url)
    assert (response.status, response.body, response.headers["x-kind"]) == (418, "tëa".encode(), "pot")
    assert mail.inbox[0].status == 200
    assert mail.inbox[0].response == "418 (scripted)"
    mail.reset_replies()
    assert post(mail.url).status == 200


def test_refusals_precede_scripted_replies_and_use_up_none(mail: MailEndpoint) -> None:
    mail.lenient = True
    mail.authorization = "x"
    mail.reply(503, times=1)
    good = "Authorization: x"
    assert post(mail.url).status == 401
    assert post(mail.url, MESSAGE, good, method="PUT").status == 405
    assert post(mail.url, MESSAGE, good, "Content-Type: text/plain").status == 415
    assert post(mail.url, INVALID, good).status == 400
    assert [post(mail.url, MESSAGE, good).status for _ in range(2)] == [503, 200]


def test_a_redirect_sends_its_location(mail: MailEndpoint) -> None:
    mail.reply_redirect("http://other.test/x")
    response = post(mail.url)
    assert (response.status, response.headers["location"]) == (307, "http://other.test/x")
    mail.reply_redirect("/y", 303)
    assert post(mail.url).status == 303


def test_a_reset_is_a_tcp_reset(mail: MailEndpoint) -> None:
    mail.reply_reset(times=1)
    with Client(mail.url) as client:
        client.send(client.request())
        with pytest.raises(ConnectionResetError):
            client.read()
    assert post(mail.url).status == 200
    assert [delivery.response for delivery in mail.inbox] == ["a reset (scripted)", "200"]


def test_scripted_garbage_is_not_http(mail: MailEndpoint) -> None:
    mail.reply_garbage()
    with Client(mail.url) as client:
        client.send(client.request())
        assert client.read() == b"\0\1garbage\xff\r\n\r\n"
    mail.reply_garbage(b"HTTP/9 nonsense")
    with Client(mail.url) as client:
        client.send(client.request())
        assert client.read() == b"HTTP/9 nonsense"


def test_a_drip_is_sent_byte_by_byte(mail: MailEndpoint) -> None:
    mail.reply_drip(200, "slow", interval=0.001, times=1)
    with Client(mail.url) as client:
        client.send(client.request())
        first = client.socket.recv(4096)
        assert len(first) < 20
        rest = b""
        while not rest.endswith(b"slow"):
            rest += client.socket.recv(4096)
        assert (first + rest).endswith(b"Content-Length: 4\r\n\r\nslow")
        assert client.post().status == 200


def test_an_endless_body_lasts_until_the_client_disconnects(mail: MailEndpoint) -> None:
    mail.reply_endless()
    with Client(mail.url) as client:
        client.send(client.request())
        assert client.head()[0] == 200
        assert client.read(5) == b"." * 5
        assert connection_threads()
    wait_until(lambda: not connection_threads())


def test_closing_ends_the_replies_that_are_being_sent(mail: MailEndpoint) -> None:
    mail.reply_endless(times=1)
    mail.reply(delay=math.inf, times=1)
    mail.reply_drip(interval=math.inf, times=1)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(mail.url)) for _ in range(3)]
        for count, client in enumerate(clients, start=1):
            client.send(client.request())
            wait_until(lambda count=count: len(mail.inbox) == count)  # type: ignore[misc]
        mail.close()
        assert clients[0].read().rstrip(b".").endswith(b"\r\n\r\n")
        assert clients[1].read() == b""
        assert clients[2].read() == b"H"


@pytest.mark.parametrize(
    "script",
    [
        lambda mail: mail.reply(99),
        lambda mail: mail.reply(times=0),
        lambda mail: mail.reply(delay=-1),
        lambda mail: mail.reply(headers={"a b": "c"}),
        lambda mail: mail.reply_redirect("/x\n"),
        lambda mail: mail.reply_reset(times=0),
        lambda mail: mail.reply_endless(times=0),
        lambda mail: mail.reply_garbage(times=0),
        lambda mail: mail.reply_drip(interval=-1),
    ],
)
def test_an_invalid_script_is_an_error_at_once(mail: MailEndpoint, script: Any) -> None:
    with pytest.raises(ValueError, match=r"expected|cannot be sent"):
        script(mail)
    assert post(mail.url).status == 200


# Many at once.


def test_64_parallel_posts_lose_nothing(mail: MailEndpoint) -> None:
    def run(number: int) -> None:
        with Client(mail.url) as client:
            for turn in range(4):
                client.post({**MESSAGE, "to": f"{number}-{turn}@example.com"})

    threads = [threading.Thread(target=run, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [delivery.number for delivery in mail.inbox] == list(range(1, 257))
    assert {str(delivery.message.to) for delivery in mail.inbox} == {
        f"{number}-{turn}@example.com" for number in range(64) for turn in range(4)
    }


def test_async_waiting_beside_an_app_on_the_same_loop(mail: MailEndpoint) -> None:
    async def app() -> None:
        parts = Client(mail.url)
        with parts:
            reader, writer = await asyncio.open_connection(parts.parts.hostname, parts.parts.port)
            writer.write(parts.request())
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            writer.close()
            await writer.wait_closed()

    async def both() -> None:
        delivery, _ = await asyncio.gather(mail.inbox.wait_for_async(timeout=TIMEOUT), app())
        assert delivery.code == "042137"

    asyncio.run(both())


# Start and end.


def test_every_endpoint_has_a_path_of_its_own(server: MailServer) -> None:
    one, other = server.endpoint(), server.endpoint()
    assert one.url != other.url
    post(one.url)
    assert (len(one.inbox), len(other.inbox)) == (1, 0)


def test_a_new_test_resets_the_endpoint(mail: MailEndpoint) -> None:
    mail.authorization = "x"
    mail.reply(503)
    post(mail.url, INVALID)
    before = mail.url
    mail.begin()
    assert mail.url != before
    assert post(before).status == 404
    assert post(mail.url).status == 200
    assert len(mail.inbox) == 1


def test_a_late_request_reaches_no_other_test(server: MailServer) -> None:
    """A request already routed to its endpoint is not recorded in the inbox of the next test."""
    found, go_on = threading.Event(), threading.Event()

    class Slow(MailEndpoint):
        def receive(self, *args: Any) -> bool:
            found.set()
            assert go_on.wait(TIMEOUT)
            return super().receive(*args)

    mail = Slow(server, "mail_endpoint")
    mail.begin()
    with Client(mail.url) as client:
        client.send(client.request(INVALID))
        assert found.wait(TIMEOUT)
        mail.begin()
        go_on.set()
        assert client.read_response().status == 404
    assert len(mail.inbox) == 0


def test_a_fixed_path_belongs_to_its_current_endpoint(server: MailServer) -> None:
    mail = server.endpoint(path="/hook")
    post(mail.url)
    mail.begin(path="/hook")
    post(f"{server.url}/hook")
    assert len(mail.inbox) == 1


@pytest.mark.parametrize("path", ["hook", "", "/a b", "/a?b", "/a#b", "/ä", "/a\n"])
def test_an_unreachable_path_is_refused(server: MailServer, path: str) -> None:
    with pytest.raises(ValueError, match="begins with a slash"):
        server.endpoint(path=path)


def test_a_path_belongs_to_one_endpoint(server: MailServer) -> None:
    server.endpoint(path="/hook")
    with pytest.raises(ValueError, match="Another endpoint has the path '/hook' already"):
        server.endpoint(path="/hook")


def test_a_closed_endpoint_has_no_url(mail: MailEndpoint) -> None:
    url = mail.url
    mail.close()
    mail.close()
    with pytest.raises(RuntimeError, match="mail_endpoint is closed"):
        _ = mail.url
    assert post(url).status == 404


def test_recording_returns_the_deliveries_of_its_block(mail: MailEndpoint) -> None:
    post(mail.url)
    with mail.recording() as inbox:
        post(mail.url)
        post(mail.url)
        assert len(inbox) == 2
        assert mail.inbox is inbox
    assert len(mail.inbox) == 1


def test_recording_raises_violations_at_its_end(mail: MailEndpoint) -> None:
    def block(*, own: BaseException | None = None) -> None:
        with mail.recording():
            post(mail.url, INVALID)
            if own is not None:
                raise own

    with pytest.raises(ContractViolation):
        block()
    with pytest.raises(ZeroDivisionError) as caught:
        block(own=ZeroDivisionError())
    assert caught.value.__notes__[0].startswith("Beside that, mail_endpoint received")
    for skip in (pytest.skip.Exception("no"), unittest.SkipTest("no")):
        with pytest.raises(ContractViolation):
            block(own=skip)
    mail.lenient = True
    block()
    assert len(mail.inbox) == 0


def test_every_call_inside_a_recording_raises(mail: MailEndpoint) -> None:
    def block() -> None:
        with mail.recording() as inbox:
            post(mail.url, INVALID)
            for _ in range(2):
                with pytest.raises(ContractViolation):
                    len(inbox)

    with pytest.raises(ContractViolation):
        block()


def test_a_violation_of_a_recording_that_the_test_caught_is_raised_at_the_end(mail: MailEndpoint) -> None:
    def block(own: BaseException | None = None) -> None:
        with mail.recording():
            post(mail.url, INVALID)
            if own is not None:
                raise own

    for own in (None, ZeroDivisionError()):
        with pytest.raises(ZeroDivisionError if own else ContractViolation):
            block(own)
        assert mail.take_unreported() is not None
        assert mail.take_unreported() is None
        # Hypothesis catches the exceptions of its examples, and fails with one of them.
        with pytest.raises(ZeroDivisionError if own else ContractViolation) as caught:
            block(own)
        assert mail.take_unreported(caught.value) is None


def test_overlapping_recordings_are_judged_separately(mail: MailEndpoint) -> None:
    outer = mail.inbox
    first, second = mail.recording(), mail.recording()
    with first:
        post(mail.url)
        inbox = second.__enter__()
    assert mail.inbox is inbox
    post(mail.url, INVALID)
    with pytest.raises(ContractViolation):
        second.__exit__(None, None, None)
    assert mail.inbox is outer
    outer.assert_empty()


def test_a_new_test_ends_a_recording(mail: MailEndpoint) -> None:
    with mail.recording():
        post(mail.url, INVALID)
        mail.begin()
        inbox = mail.inbox
    assert mail.inbox is inbox
    assert mail.take_unreported() is not None
    assert mail.take_unreported() is None


def test_tolerated_violations_are_returned_once_and_limited(mail: MailEndpoint) -> None:
    assert mail.take_tolerated() == []
    mail.lenient = True
    for number in range(12):
        with mail.recording():
            post(mail.url, {**MESSAGE, "type": f"New{number}"})
    assert len(mail.take_tolerated()) == 10
    assert mail.take_tolerated() == []
    assert mail.take_unreported() is None


@pytest.mark.parametrize("inside", [True, False])
def test_a_recording_accepts_violations_expected_around_or_inside_it(
    mail: MailEndpoint, inside: bool
) -> None:
    def block(expecting: contextlib.AbstractContextManager[Any] | None) -> list[Delivery]:
        with mail.recording() as inbox, expecting or inbox.expect_violation("message/guard/code"):
            post(mail.url, INVALID)
            return list(inbox)

    if inside:
        deliveries = block(None)
    else:
        with mail.expect_violation("message/guard/code") as deliveries:
            assert block(contextlib.nullcontext()) == deliveries
    assert [delivery.number for delivery in deliveries] == [1]
    assert mail.take_unreported() is None


def test_a_violation_is_expected_over_a_socket(mail: MailEndpoint) -> None:
    with mail.expect_violation("message/guard/code") as deliveries:
        assert post(mail.url, INVALID).status == 400
        mail.inbox.wait_for(to="foo@example.com")
    assert [delivery.status for delivery in deliveries] == [400]
    mail.verify()
    with pytest.raises(MailNotReceived, match="No delivery broke message/guard/code within the block"):
        expect_in_vain(mail)


def expect_in_vain(mail: MailEndpoint) -> None:
    with mail.expect_violation("message/guard/code"):
        assert post(mail.url).status == 200


# The server.


def test_stop_closes_open_connections() -> None:
    threads = threading.active_count()
    server = MailServer()
    with contextlib.ExitStack() as stack:
        with server:
            mail = server.endpoint()
            mail.reply_endless(times=1)
            mail.reply(delay=math.inf, times=1)
            idle, endless, delayed, half = (stack.enter_context(Client(mail.url)) for _ in range(4))
            endless.send(endless.request())
            wait_until(lambda: len(mail.inbox) == 1)
            delayed.send(delayed.request())
            wait_until(lambda: len(mail.inbox) == 2)
            half.send(half.request()[:30])
            assert idle.post().status == 200
            start = time.monotonic()
        assert time.monotonic() - start < 1
        assert connection_threads() == []
        assert not server.is_running()
        assert threading.active_count() == threads
        for client in (idle, delayed):
            assert client.read() == b""
        with pytest.raises(OSError, match="refused"):
            Client(f"http://127.0.0.1:{server.port}")


def test_stop_closes_the_connection_of_a_client_that_does_not_read() -> None:
    with MailServer() as server:
        mail = server.endpoint()
        mail.reply(body=b"x" * 50_000_000)
        client = Client(mail.url)
        client.send(client.request())
        wait_until(lambda: len(mail.inbox) == 1)
    assert connection_threads() == []
    client.close()


def test_stop_waits_for_connections_just_accepted() -> None:
    for _ in range(5):
        with MailServer() as server, contextlib.ExitStack() as stack:
            url = server.endpoint().url
            for _ in range(10):
                stack.enter_context(Client(url))
        assert connection_threads() == []


def test_a_server_can_be_started_again() -> None:
    server = MailServer()
    for _ in range(2):
        with server:
            assert post(server.endpoint().url).status == 200


def test_a_running_server_can_be_entered() -> None:
    server = MailServer()
    server.start()
    with server:
        assert server.is_running()
    assert not server.is_running()


def test_a_server_can_be_stopped_repeatedly() -> None:
    server = MailServer()
    server.stop()
    with server:
        server.stop()
        assert not server.is_running()
    server.stop()


def test_a_running_server_cannot_be_started(server: MailServer) -> None:
    with pytest.raises(EndpointNotStarted, match=f"listens already, at {server.url}"):
        server.start()
    assert server.is_running()


def test_a_server_without_a_port_has_no_url() -> None:
    server = MailServer()
    endpoint = server.endpoint()
    with pytest.raises(RuntimeError, match="has no port yet"):
        _ = endpoint.url
    with server:
        assert post(endpoint.url).status == 200


def test_a_port_in_use_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    with MailServer() as first, pytest.raises(EndpointNotStarted) as caught:
        MailServer(port=first.port).start()
    assert str(caught.value) == (
        f"The mail endpoint cannot listen at 127.0.0.1 port {first.port}: Address already in use. "
        "Port 0 picks a free one; with pytest-xdist every worker needs a port of its own."
    )
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("host", "port"), [("no-such-host.invalid", 0), ("127.0.0.1", 70000)])
def test_an_unusable_address_is_reported(host: str, port: int) -> None:
    with pytest.raises(EndpointNotStarted, match=f"cannot listen at {host} port {port}: ."):
        MailServer(host, port).start()


def test_urls_have_a_reachable_address() -> None:
    with MailServer("0.0.0.0") as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert post(server.endpoint().url).status == 200
    assert MailServer("::", 80).url == "http://[::1]:80"
    assert MailServer("mail.test", 80).url == "http://mail.test:80"


def test_only_the_last_unmatched_requests_are_listed(server: MailServer) -> None:
    for number in range(15):
        post(f"{server.url}/{number}")
    assert server.unmatched_since(0) == [f"  POST /{number}" for number in range(5, 15)]
    assert server.unmatched_since(time.time() + 60) == []


def test_a_server_has_only_its_own_attributes() -> None:
    """It has no attribute that it ignores, for example pytest-httpserver's ``expect_request``."""
    own = {name for name in dir(MailServer()) if not name.startswith("_")}
    assert own == {
        *("host", "port", "url", "ca_pem", "start", "stop", "is_running", "endpoint"),
        # For endpoints and connections.
        *("mount", "unmount", "has", "deliver", "note_unmatched", "unmatched_since", "connections", "tls"),
    }


def test_a_handler_replaces_the_endpoints() -> None:
    received: list[str] = []

    class Own:
        def deliver(self, request: Request, connection: Connection) -> bool:
            received.append(request.target)
            connection.respond(299, b"{}")
            return True

        def note_unmatched(self, what: str) -> None:
            received.append(what)

    with MailServer(handler=Own()) as server:
        assert post(f"{server.url}/hook").status == 299
        assert exchange(f"{server.url}/", b"no request\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert server.unmatched_since(0) == []
    assert received == ["/hook", "'no request', which is no HTTP/1.1 request line"]


# https.


def trusting(mail: MailEndpoint) -> ssl.SSLContext:
    assert mail.ca_pem is not None
    return ssl.create_default_context(cadata=mail.ca_pem.decode())


@pytest.fixture(scope="module")
def https_server() -> Iterator[MailServer]:
    with MailServer(https=True) as running:
        yield running


@pytest.fixture
def https_mail(https_server: MailServer) -> Iterator[MailEndpoint]:
    mail = https_server.endpoint()
    yield mail
    mail.close()


def test_a_client_that_trusts_the_authority_verifies_https(https_mail: MailEndpoint) -> None:
    assert https_mail.url.startswith("https://127.0.0.1:")
    with Client(https_mail.url, context=trusting(https_mail)) as client:
        assert [client.post().status for _ in range(2)] == [200, 200]
    assert len(https_mail.inbox) == 2


def test_plain_http_has_no_authority(mail: MailEndpoint) -> None:
    assert mail.ca_pem is None


def test_a_client_that_does_not_trust_the_authority_is_listed(
    https_mail: MailEndpoint, https_server: MailServer
) -> None:
    start = time.monotonic()
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(https_mail.url, context=ssl.create_default_context())
    wait_until(lambda: https_server.unmatched_since(start))
    with pytest.raises(MailNotReceived, match=r"a connection whose TLS handshake failed: .*unknown ca"):
        https_mail.inbox.wait_for(timeout=0)


@pytest.mark.parametrize("request_line", ["POST / HTTP/1.1", "DELETE / HTTP/1.1", "PRI * HTTP/2.0"])
def test_plain_http_at_an_https_endpoint_is_named(
    request_line: str, https_mail: MailEndpoint, https_server: MailServer, capfd: pytest.CaptureFixture[str]
) -> None:
    start = time.monotonic()
    request = f"{request_line}\r\n\r\n".encode()
    with contextlib.suppress(OSError):  # the server may be faster than the client's end
        assert not exchange(https_mail.url, request).startswith(b"HTTP")
    plain = "  plain http: the URL says http, this is https"
    wait_until(lambda: plain in https_server.unmatched_since(start))
    assert len(https_mail.inbox) == 0
    assert capfd.readouterr() == ("", "")


def test_a_silent_client_does_not_delay_others(https_mail: MailEndpoint, https_server: MailServer) -> None:
    with (
        socket.create_connection((https_server.host, https_server.port)),
        Client(https_mail.url, context=trusting(https_mail)) as client,
    ):
        assert client.post().status == 200


def test_a_reset_over_https_is_a_tcp_reset(https_mail: MailEndpoint) -> None:
    https_mail.reply_reset(times=1)
    with Client(https_mail.url, context=trusting(https_mail)) as client:
        client.send(client.request())
        # Reading does not show it: OpenSSL reports a reset as an end.
        assert select.select([client.socket], [], [], TIMEOUT)[0]
        wait_until(lambda: client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET)


def test_malformed_framing_over_https_gets_a_response(https_mail: MailEndpoint) -> None:
    https_mail.lenient = True
    with Client(https_mail.url, context=trusting(https_mail)) as client:
        assert client.post(MESSAGE, "no colon").status == 400


def test_stop_ends_https_connections_in_every_state(capfd: pytest.CaptureFixture[str]) -> None:
    with contextlib.ExitStack() as stack:
        with MailServer(https=True) as server:
            mail = server.endpoint()
            mail.reply(delay=math.inf)
            stack.enter_context(socket.create_connection((server.host, server.port)))
            stack.enter_context(Client(mail.url, context=trusting(mail)))
            delayed = stack.enter_context(Client(mail.url, context=trusting(mail)))
            delayed.send(delayed.request())
            mail.inbox.wait_for(timeout=TIMEOUT)
            start = time.monotonic()
        assert time.monotonic() - start < 1
        assert connection_threads() == []
    assert capfd.readouterr() == ("", "")


def test_https_without_trustme_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'logto-mail-contract\[https\]'"):
        MailServer(https=True)
    assert MailServer().ca_pem is None


def test_unusable_settings_are_refused_when_they_are_set() -> None:
    with MailServer() as server:
        endpoint = server.endpoint()
        with pytest.raises(TypeError, match="authorization is text or None"):
            endpoint.authorization = 3  # type: ignore[assignment]
        with pytest.raises(AttributeError):
            endpoint.revision = "bogus"  # type: ignore[misc]
        with pytest.raises(UnknownRevision):
            server.endpoint(revision="bogus")
