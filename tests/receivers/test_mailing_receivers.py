"""The receivers that mail over SMTP: the good ones are good, and each mistake shows itself."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from tests.support.broken_receivers import TOKEN
from tests.support.good_receivers import GOOD, Limited, serve_mailing
from tests.support.mistaken_receivers import MISTAKEN

from logto_mail_contract.connector.posting import post
from logto_mail_contract.judging.responses import is_accepted
from logto_mail_contract.receivers.attempts import Refusal
from logto_mail_contract.receivers.outbox import Mail, SmtpSink, wait_until
from logto_mail_contract.wire.outcomes import Response

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SIGN_IN = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "042137", "locale": "en"}}
LINK = "https://example.com/join?a=b+c&d=%20e"
INVITATION = {
    "to": "Bar.Müller@münchen.example",
    "type": "OrganizationInvitation",
    "payload": {"link": LINK, "organization": {"name": "Straße <b>\r\nBcc: eve@example.com"}},
}
LINKLESS = {"to": "foo@example.com", "type": "OrganizationInvitation", "payload": {}}


@pytest.fixture
def sink() -> Iterator[SmtpSink]:
    with SmtpSink() as running:
        yield running


def send(url: str, message: Mapping[str, Any] | bytes, authorization: str | None = TOKEN) -> Response:
    outcome = post(url, message, authorization)
    assert isinstance(outcome, Response), outcome
    assert not outcome.faults
    return outcome


def wait_for_mail(sink: SmtpSink, recipient: str) -> Mail:
    assert wait_until(lambda: any(attempt.is_accepted for attempt in sink.attempts(recipient)), 10)
    return sink()[-1]


@pytest.mark.parametrize("name", GOOD)
def test_a_good_receiver_mails_what_it_accepts_and_nothing_else(name: str, sink: SmtpSink) -> None:
    with serve_mailing(GOOD[name], sink.port) as url:
        assert is_accepted(send(url, SIGN_IN))
        mail = wait_for_mail(sink, "foo@example.com")
        assert "042137" in mail.text
        assert "042137" in mail.html
        assert is_accepted(send(url, INVITATION))
        mail = wait_for_mail(sink, "Bar.Müller@münchen.example")
        assert LINK in mail.text
        assert LINK.replace("&", "&amp;") in mail.html
        assert "<b>" not in mail.html
        assert mail.values("bcc") == []
        for message, authorization in ((SIGN_IN, "Bearer wrong"), (SIGN_IN, None), (b"{", TOKEN)):
            assert 400 <= send(url, message, authorization).status < 500
        refused = send(url, {**SIGN_IN, "to": "foo@bar@example.com"})
        assert refused.status == (502 if name == "bad-gateway" else 422)
    # All work in the background is done.
    assert len(sink()) == 2


@pytest.mark.parametrize("name", GOOD)
def test_a_good_receiver_takes_its_delay(name: str, sink: SmtpSink) -> None:
    with serve_mailing(GOOD[name], sink.port, delay=0.1) as url:
        answer = send(url, SIGN_IN)
    assert is_accepted(answer)
    assert answer.seconds >= 0.1


@pytest.mark.parametrize("refusal", Refusal)
@pytest.mark.parametrize("name", GOOD)
def test_a_good_receiver_survives_a_mail_server_that_refuses(
    name: str, refusal: Refusal, sink: SmtpSink
) -> None:
    sink.refuse("foo@example.com", refusal, times=1)
    with serve_mailing(GOOD[name], sink.port) as url:
        status = send(url, SIGN_IN).status
        if name in ("queue", "retries"):
            assert status in (200, 202)
        else:
            assert status in (422, 502, 503)
        assert is_accepted(send(url, {**SIGN_IN, "to": "bar@example.com"}))
    recipients = sorted(mail.recipients for mail in sink())
    assert recipients == [("bar@example.com",), ("foo@example.com",)][: len(sink())]
    assert len(recipients) == (2 if name in ("queue", "retries") else 1)


def test_a_serial_receiver_answers_one_request_at_a_time(sink: SmtpSink) -> None:
    def seconds_of_two(name: str) -> float:
        with serve_mailing(GOOD[name], sink.port, delay=0.2) as url:
            threads = [threading.Thread(target=send, args=(url, SIGN_IN)) for _ in range(2)]
            start = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return time.monotonic() - start

    assert seconds_of_two("serial") >= 0.4
    assert seconds_of_two("one-connection") >= 0.4
    assert len(sink()) == 4


def test_a_limited_receiver_answers_429_in_a_burst_and_accepts_later(sink: SmtpSink) -> None:
    class Narrow(Limited):
        per_second = 3

    with serve_mailing(Narrow, sink.port) as url:
        assert 429 in [send(url, b"{").status for _ in range(20)]
        assert wait_until(lambda: is_accepted(send(url, SIGN_IN)), 30)


def test_the_flask_receiver_answers_500_to_wrong_types_alone(sink: SmtpSink) -> None:
    with serve_mailing(GOOD["flask"], sink.port) as url:
        for message in ({**SIGN_IN, "payload": None}, {**SIGN_IN, "to": 1}, b"[]"):
            assert send(url, message).status == 500
        assert is_accepted(send(url, SIGN_IN))


def test_a_hidden_receiver_answers_404_to_a_wrong_credential(sink: SmtpSink) -> None:
    with serve_mailing(GOOD["hidden"], sink.port) as url:
        assert send(url, SIGN_IN, "Bearer wrong").status == 404


def is_closed_after(url: str, authorization: str) -> bool:
    address = urlsplit(url)
    with socket.create_connection((address.hostname or "", address.port or 0), 5) as client:
        head = f"POST {address.path} HTTP/1.1\r\nauthorization: {authorization}\r\ncontent-length: 0\r\n\r\n"
        client.sendall(head.encode())
        answer = client.recv(4096)
        assert b"connection: close" not in answer.lower()
        client.settimeout(0.3)
        try:
            return client.recv(1) == b""
        except TimeoutError:
            return False


def test_a_connection_is_closed_unannounced_after_an_error(sink: SmtpSink) -> None:
    with serve_mailing(GOOD["closes-after-errors"], sink.port) as url:
        assert is_closed_after(url, "Bearer wrong")
    with serve_mailing(GOOD["delayed"], sink.port) as url:
        assert not is_closed_after(url, "Bearer wrong")


# Mistakes.


def test_a_blank_link_is_mailed(sink: SmtpSink) -> None:
    with serve_mailing(MISTAKEN["blank-link"], sink.port) as url:
        assert is_accepted(send(url, LINKLESS))
        assert "Join: None" in wait_for_mail(sink, "foo@example.com").text
        assert is_accepted(send(url, SIGN_IN))


def test_a_credential_beyond_ascii_crashes(sink: SmtpSink) -> None:
    with serve_mailing(MISTAKEN["ascii-credential"], sink.port) as url:
        assert send(url, SIGN_IN, "Bearer ü").status == 500
        assert send(url, SIGN_IN, "Bearer u").status == 401
        assert is_accepted(send(url, SIGN_IN))


def test_one_type_is_open(sink: SmtpSink) -> None:
    with serve_mailing(MISTAKEN["one-type-open"], sink.port) as url:
        assert is_accepted(send(url, {**SIGN_IN, "type": "ForgotPassword"}, None))
        assert send(url, SIGN_IN).status == 422
    assert len(sink()) == 1


def test_a_limit_is_never_lifted(sink: SmtpSink) -> None:
    with serve_mailing(MISTAKEN["limit-forever"], sink.port) as url:
        statuses = [send(url, b"{").status for _ in range(302)]
    assert statuses == [400] * 300 + [429] * 2


def test_a_wrong_credential_is_answered_with_success(sink: SmtpSink) -> None:
    with serve_mailing(MISTAKEN["silent-success"], sink.port) as url:
        assert is_accepted(send(url, SIGN_IN, "Bearer wrong"))
        assert is_accepted(send(url, {**SIGN_IN, "to": "bar@example.com"}))
    assert [mail.recipients for mail in sink()] == [("bar@example.com",)]


@pytest.mark.parametrize(("name", "status"), [("first-segment", b"400"), ("delayed", b"200")])
def test_a_body_in_two_segments(name: str, status: bytes, sink: SmtpSink) -> None:
    pool = {**GOOD, **MISTAKEN}
    body = b'{"to":"foo@example.com","type":"SignIn","payload":{"code":"042137"}}'
    with serve_mailing(pool[name], sink.port) as url:
        address = urlsplit(url)
        with socket.create_connection((address.hostname or "", address.port or 0), 5) as client:
            head = f"POST /hook HTTP/1.1\r\nauthorization: {TOKEN}\r\ncontent-length: {len(body)}\r\n\r\n"
            client.sendall(head.encode() + body[:20])
            client.settimeout(0.3)
            try:
                early = client.recv(4096)
            except TimeoutError:
                early = b""
            client.settimeout(5)
            client.sendall(body[20:])
            assert (early or client.recv(4096)).split()[1] == status
        assert is_accepted(send(url, SIGN_IN))
