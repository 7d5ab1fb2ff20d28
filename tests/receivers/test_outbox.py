"""The SMTP sink, and reading its mails."""

from __future__ import annotations

import smtplib
import socket
import sys
import threading
import time
from email.message import EmailMessage
from email.mime.text import MIMEText

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.generated import UNHURRIED

from logto_mail_contract.receivers.outbox import Mail, SmtpSink, wait_until


def message(text: str = "Hello", to: str = "foo@example.com") -> EmailMessage:
    made = EmailMessage()
    made["From"] = "Shop <shop@example.com>"
    made["To"] = to
    made["Subject"] = "Grüße"
    made.set_content(text)
    return made


def mail(*lines: str) -> Mail:
    return Mail("", (), "\r\n".join(lines).encode())


# The sink.


def test_a_mail_is_stored_byte_for_byte() -> None:
    with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        assert sink() == []
        content = b"Subject: x\r\nX-Odd:  two  spaces\r\n\r\n.\r\n..\xff\r\n"
        client.sendmail("shop@example.com", ["foo@example.com", "bar@example.com"], content)
        [received] = sink()
    assert received == Mail("shop@example.com", ("foo@example.com", "bar@example.com"), content)
    # The mails remain after the server has stopped.
    assert sink() == [received]


def test_mails_are_in_order_and_can_be_cleared() -> None:
    with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        for number in range(3):
            client.send_message(message(f"number {number}"))
        assert [one.text.strip() for one in sink()] == ["number 0", "number 1", "number 2"]
        sink.clear()
        assert sink() == []
        client.send_message(message("later"))
        assert [one.text.strip() for one in sink()] == ["later"]


def test_mails_of_parallel_clients_are_all_stored() -> None:
    with SmtpSink() as sink:

        def send(number: int) -> None:
            with smtplib.SMTP(sink.host, sink.port) as client:
                client.send_message(message(to=f"foo{number}@example.com"))

        threads = [threading.Thread(target=send, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        recipients = {one.recipients for one in sink()}
    assert recipients == {(f"foo{number}@example.com",) for number in range(12)}


@pytest.mark.parametrize(
    "recipient",
    [
        "Foo.Bar+tag@example.com",
        "o'foo@example.com",
        '"><b>"@example.com',
        "'x=`y`@example.com",
        "grüße@example.com",
    ],
)
def test_any_recipient_that_smtp_can_carry_is_accepted(recipient: str) -> None:
    options = [] if recipient.isascii() else ["SMTPUTF8"]
    with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        client.sendmail("shop@example.com", [recipient], b"Subject: x\r\n\r\n", mail_options=options)
        assert [one.recipients for one in sink()] == [(recipient,)]


def test_any_credentials_are_accepted() -> None:
    with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        client.login("anybody", "anything")
        client.send_message(message())
        assert len(sink()) == 1


def test_the_sink_stops_with_connected_clients_and_frees_its_port() -> None:
    before = threading.active_count()
    with SmtpSink() as sink:
        port = sink.port
        clients = [smtplib.SMTP(sink.host, port) for _ in range(3)]
        clients[0].send_message(message())
        start = time.monotonic()
    assert time.monotonic() - start < 2
    assert threading.active_count() == before
    for client in clients:
        client.close()
    with pytest.raises(OSError):  # noqa: PT011 - refused; the text differs by system
        socket.create_connection(("127.0.0.1", port), 1)
    with SmtpSink(port=port) as second:
        assert second.port == port


def test_a_sink_can_be_entered_twice() -> None:
    sink = SmtpSink()
    for count in (1, 2):
        with sink, smtplib.SMTP(sink.host, sink.port) as client:
            client.send_message(message())
            assert len(sink()) == count


def test_entering_a_sink_on_a_used_port_raises() -> None:
    with SmtpSink() as sink:
        before = threading.active_count()
        with pytest.raises(OSError, match="address"), SmtpSink(port=sink.port):
            pass
        assert threading.active_count() == before


def test_the_port_of_a_stopped_sink_raises() -> None:
    with pytest.raises(RuntimeError, match="with statement"):
        _ = SmtpSink().port
    with SmtpSink() as sink:
        pass
    with pytest.raises(RuntimeError, match="with statement"):
        _ = sink.port


def test_without_aiosmtpd_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiosmtpd", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'logto-mail-contract\[smtp\]'"), SmtpSink():
        pass


# Mails.


def test_an_email_message_is_read() -> None:
    made = message("Grüße\n")
    made.add_alternative("<p>Grüße &amp; so</p>", subtype="html")
    made.add_attachment("not this", filename="x.txt")
    made["Cc"] = "Bar <bar@example.com>"
    read = Mail.from_message(made)
    assert read.sender == "shop@example.com"
    assert read.recipients == ("foo@example.com", "bar@example.com")
    assert read.subject == "Grüße"
    assert read.text == "Grüße\n"
    assert read.html.strip() == "<p>Grüße &amp; so</p>"
    assert read.values("SUBJECT", "cc") == ["Grüße", "Bar <bar@example.com>"]
    assert read.parts[0].get_content_type() == "multipart/mixed"


def test_the_envelope_can_be_passed() -> None:
    read = Mail.from_message(message(), sender="", recipients=["eve@example.com"])
    assert (read.sender, read.recipients) == ("", ("eve@example.com",))
    old = MIMEText("x")
    old["Bcc"] = "foo@example.com"
    assert Mail.from_message(old).recipients == ("foo@example.com",)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("7bit", "code 042137"),
        ("quoted-printable", "code 04=\r\n2137"),
        ("base64", "Y29kZSAw\r\nNDIxMzc="),
        ("unheard-of", "code 042137"),
    ],
)
@pytest.mark.parametrize("charset", ["utf-8", "us-ascii", "unheard-of", "rot13", "undefined"])
def test_a_text_is_decoded_in_any_encoding(encoding: str, body: str, charset: str) -> None:
    read = mail(
        f"Content-Type: text/plain; charset={charset}", f"Content-Transfer-Encoding: {encoding}", "", body
    )
    assert "042137" in read.text


def test_charsets_are_decoded() -> None:
    latin = Mail("", (), b"Content-Type: text/html; charset=iso-8859-1\r\n\r\n\xfc")
    assert latin.html == "ü"
    assert Mail("", (), b"Subject: Gr\xc3\xbc\xc3\x9fe\r\n\r\n").subject == "Grüße"
    assert mail("Subject: =?utf-8?q?a=2C?=", " =?utf-8?b?Yg==?=", "", "").subject == "a,b"
    assert mail("Subject: =?unheard-of?q?a?=", "", "").subject == "=?unheard-of?q?a?="


def test_a_flowed_text_is_joined() -> None:
    plain = mail("Content-Type: text/plain; format=flowed", "", "one ", "two", " three", "-- ", "Shop")
    assert plain.text == "one two\nthree\n-- \nShop"
    long = mail("Content-Type: text/plain; format=flowed; delsp=yes", "", "https://example.com/ ", "join")
    assert long.text == "https://example.com/join"


def test_addresses_are_read_from_headers() -> None:
    read = mail("To: =?utf-8?q?Foo=2C_Bar?= <foo@example.com>,", ' "a, b" <bar@example.com>', "", "")
    assert read.addresses("to") == ["foo@example.com", "bar@example.com"]
    assert read.addresses("cc", "bcc") == []


def test_a_mail_without_text_has_empty_parts() -> None:
    read = mail("Content-Type: application/pdf", "", "x")
    assert (read.text, read.html, read.subject) == ("", "", "")


_PIECES = st.sampled_from(
    [
        b"Subject: ",
        b"To: ",
        b"Content-Type: text/plain",
        b"Content-Type: multipart/mixed; boundary=x",
        b"Content-Disposition: ",
        b"Content-Transfer-Encoding: base64",
        b"; charset=",
        b"; format*0*=utf-8''flowed",
        b"=?utf-8?b?/?=",
        b"--x",
        b"\r\n",
        b"\n\n",
        b'"',
        b"<(",
        b"\xff",
        b"\0",
        b"a",
    ]
)


@UNHURRIED
@given(st.lists(st.one_of(_PIECES, st.binary(max_size=3))).map(b"".join))
def test_an_invalid_mail_is_read_without_error(content: bytes) -> None:
    read = Mail("", (), content)
    texts = [read.text, read.html, read.subject, *read.addresses("to"), *(value for _, value in read.headers)]
    assert all(isinstance(text, str) for text in texts)


# Waiting.


def test_waiting_ends_when_the_condition_holds() -> None:
    done = threading.Event()
    timer = threading.Timer(0.05, done.set)
    timer.start()
    start = time.monotonic()
    assert wait_until(done.is_set, 5)
    assert time.monotonic() - start < 1
    timer.join()


def test_waiting_ends_at_the_deadline() -> None:
    start = time.monotonic()
    assert not wait_until(lambda: False, 0.05)
    assert 0.05 <= time.monotonic() - start < 1
    assert wait_until(lambda: True, 0)
