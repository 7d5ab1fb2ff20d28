"""The SMTP sink, and reading its mails."""

from __future__ import annotations

import smtplib
import socket
import subprocess
import sys
import threading
import time
from email.message import EmailMessage
from email.mime.text import MIMEText

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.generated import UNHURRIED

from logto_mail_contract.receivers.attempts import Refusal, normalize_address
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


def test_bare_line_ends_are_stored_as_they_came() -> None:
    content = b"Subject: x\nX: y\r\n\r\na\nb\rc\n\nd\r\n"
    with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        client.sendmail("shop@example.com", ["foo@example.com"], content)
        assert [one.content for one in sink()] == [content]


@pytest.mark.parametrize(("options", "smtputf8"), [((), False), (("SMTPUTF8",), True)])
def test_the_mail_says_whether_smtputf8_was_asked_for(options: tuple[str, ...], smtputf8: bool) -> None:
    with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        client.sendmail("shop@example.com", ["foo@example.com"], b"Subject: x\r\n\r\n", mail_options=options)
        assert [one.smtputf8 for one in sink()] == [smtputf8]
    assert Mail.from_message(message()).smtputf8 is None


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

        threads = [threading.Thread(target=send, args=(number,)) for number in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        recipients = {one.recipients for one in sink()}
    assert recipients == {(f"foo{number}@example.com",) for number in range(32)}


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


# Refused recipients.


@pytest.mark.parametrize("refusal", [Refusal.TEMPORARY, Refusal.PERMANENT])
def test_a_refused_recipient_gets_no_mail_and_others_get_theirs(refusal: Refusal) -> None:
    with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        sink.refuse("foo@example.com", refusal)
        refused = client.sendmail("shop@example.com", ["foo@example.com", "bar@example.com"], b"\r\n")
        assert {to: b"%d %b" % answer for to, answer in refused.items()} == {
            "foo@example.com": refusal.value.encode()
        }
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("shop@example.com", ["foo@example.com"], b"\r\n")
        assert [one.recipients for one in sink()] == [("bar@example.com",)]
        assert [one.answer for one in sink.attempts("foo@example.com")] == [refusal.value] * 2


def test_a_recipient_is_accepted_after_the_times_of_its_refusal() -> None:
    with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        sink.refuse("foo@example.com", Refusal.TEMPORARY, times=2)
        for _ in range(2):
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                client.send_message(message())
        client.send_message(message())
        attempts = sink.attempts("foo@example.com")
    assert [(one.command, one.answer[:3], one.is_accepted) for one in attempts] == [
        ("RCPT", "451", False),
        ("RCPT", "451", False),
        ("DATA", "250", True),
    ]
    times = [one.at for one in attempts]
    assert times == sorted(times)


@pytest.mark.parametrize("refusal", [Refusal.CUT_AT_RCPT, Refusal.CUT_AT_DATA])
def test_a_cut_ends_the_session_without_a_mail_and_later_sessions_work(refusal: Refusal) -> None:
    with SmtpSink() as sink:
        sink.refuse("foo@example.com", refusal, times=1)
        with smtplib.SMTP(sink.host, sink.port) as client, pytest.raises(smtplib.SMTPServerDisconnected):
            client.send_message(message())
        assert [(one.recipient, one.answer) for one in sink.attempts()] == [
            ("foo@example.com", refusal.value)
        ]
        assert sink() == []
        with smtplib.SMTP(sink.host, sink.port) as client:
            client.send_message(message())
        assert [one.recipients for one in sink()] == [("foo@example.com",)]


def test_a_cut_leaves_other_sessions_alone() -> None:
    with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as other:
        sink.refuse("foo@example.com", Refusal.CUT_AT_DATA)
        with smtplib.SMTP(sink.host, sink.port) as client, pytest.raises(smtplib.SMTPServerDisconnected):
            client.send_message(message())
        other.send_message(message(to="bar@example.com"))
        assert [one.recipients for one in sink()] == [("bar@example.com",)]


def test_a_mail_given_up_before_a_cut_at_data_takes_its_cut_along() -> None:
    with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        sink.refuse("foo@example.com", Refusal.CUT_AT_DATA)
        client.ehlo()
        client.mail("shop@example.com")
        client.rcpt("foo@example.com")
        client.rset()
        client.send_message(message(to="bar@example.com"))
        assert [one.recipients for one in sink()] == [("bar@example.com",)]
        assert [(one.command, one.answer) for one in sink.attempts("foo@example.com")] == [("RCPT", "250 OK")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Foo.Bar@Example.COM", "foo.bar@example.com"),
        ('"foo.bar"@example.com', "foo.bar@example.com"),
        ('"f\\oo"@example.com', "foo@example.com"),
        ("foo@münchen.example", "foo@xn--mnchen-3ya.example"),
        ("foo@MÜNCHEN.example", "foo@XN--MNCHEN-3YA.example"),
        ("foo@mu\u0308nchen.example", "foo@münchen.example"),
        ("foo@straße.example", "foo@xn--strae-oqa.example"),
    ],
)
def test_two_spellings_of_a_mailbox_are_the_same(one: str, other: str) -> None:
    assert normalize_address(one) == normalize_address(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("foo@example.com", "foo@example.org"),
        ("foo@example.com", "foo@a.example.com"),
        ("foo.bar@example.com", "foobar@example.com"),
        ("foo+1@example.com", "foo@example.com"),
        ("foo@xn--mnchen-3ya.example", "foo@munchen.example"),
        ("foo@xn--ü.example", "foo@ü.example"),
        ("foo@straße.example", "foo@strasse.example"),
        ("foo@a\0.example", "foo@a"),
        ("foo@\udcff.example", "foo@\udcfe.example"),
        ('"@example.com', "@example.com"),
        ("foo", "bar"),
        ("", "foo@example.com"),
    ],
)
def test_two_mailboxes_are_not_the_same(one: str, other: str) -> None:
    assert normalize_address(one) != normalize_address(other)


def test_a_refusal_holds_for_each_spelling_of_a_recipient() -> None:
    with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        sink.refuse("Foo.Bar@münchen.example", Refusal.PERMANENT)
        for recipient in ('"foo.bar"@xn--mnchen-3ya.example', "foo.bar@MÜNCHEN.example"):
            options = [] if recipient.isascii() else ["SMTPUTF8"]
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                client.sendmail("shop@example.com", [recipient], b"\r\n", mail_options=options)
        assert len(sink.attempts("FOO.BAR@münchen.example")) == 2


# What the sink answered.


def test_each_attempt_has_the_last_answer_to_its_recipient() -> None:
    with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        client.sendmail("shop@example.com", ["foo@example.com", "bar@example.com"], b"\r\n")
        client.send_message(message())
        accepted = ("DATA", "250 OK")
        assert [(one.recipient, one.command, one.answer) for one in sink.attempts()] == [
            ("foo@example.com", *accepted),
            ("bar@example.com", *accepted),
            ("foo@example.com", *accepted),
        ]
        assert len(sink.attempts("foo@example.com")) == 2
        assert sink.attempts("other@example.com") == []
        sink.clear()
        assert sink.attempts() == []


@pytest.mark.parametrize(
    ("argument", "recipient", "code"),
    [
        ("<foo@bar@example.com>", "foo@bar@example.com", "553"),
        ("<foo,bar@example.com>", "foo,bar@example.com", "501"),
        ("<foo@>", "foo@", "553"),
        ("<foo@example.com>,<bar@example.com>", "foo@example.com>,<bar@example.com", "501"),
        ("<foo@example.com> BCC=bar@example.com", "foo@example.com", "555"),
        ("foo,bar", "foo,bar", "501"),
        ("", "", "501"),
    ],
)
def test_the_answer_to_a_malformed_recipient_is_recorded(argument: str, recipient: str, code: str) -> None:
    with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        client.ehlo()
        client.mail("shop@example.com")
        status, text = client.docmd("RCPT", f"TO:{argument}")
        assert [(one.command, one.answer) for one in sink.attempts(recipient)] == [
            ("RCPT", f"{status} {text.decode()}")
        ]
        assert str(status) == code
        assert sink.attempts()[0].recipient == recipient


def test_the_answer_to_a_line_that_is_too_long_is_recorded() -> None:
    with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail("shop@example.com", ["foo@example.com"], b"Subject: " + b"x" * 1000)
        [attempt] = sink.attempts("foo@example.com")
        assert (attempt.command, attempt.answer[:17]) == ("DATA", "500 Line too long")
        assert not attempt.is_accepted


def test_a_refused_command_without_recipient_is_recorded() -> None:
    with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        client.ehlo()
        client.docmd("MAIL", "FROM:<shop@>")
        client.docmd("MAIL", "FROM:<shop@example.com>")
        client.docmd("Bcc: foo@example.com")
        client.rcpt("x" * 600)
        assert [(one.recipient, one.command, one.answer[:3]) for one in sink.attempts()] == [
            ("", "MAIL", "553"),
            ("", "", "500"),
            ("", "", "500"),
        ]


def test_a_refused_data_leaves_the_attempts_before_it_alone() -> None:
    with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        client.send_message(message())
        assert client.docmd("DATA")[0] == 503
        assert [(one.recipient, one.command, one.answer[:3]) for one in sink.attempts()] == [
            ("foo@example.com", "DATA", "250"),
            ("", "DATA", "503"),
        ]


def test_a_recipient_of_a_refused_sender_is_recorded() -> None:
    with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        client.ehlo()
        client.docmd("MAIL", "FROM:<shop@>")
        client.rcpt("foo@example.com")
        assert [one.answer for one in sink.attempts("foo@example.com")] == ["503 Error: need MAIL command"]


@UNHURRIED
@given(st.binary(min_size=1, max_size=40).map(lambda data: data.replace(b"\n", b"")))
def test_any_recipient_gets_one_answer_and_its_session_goes_on(written: bytes) -> None:
    with SmtpSink() as sink, socket.create_connection((sink.host, sink.port), 5) as client:
        lines = client.makefile("rb")
        assert lines.readline().startswith(b"220")
        client.sendall(b"HELO a\r\nMAIL FROM:<shop@example.com>\r\n")
        assert [lines.readline()[:3] for _ in range(2)] == [b"250", b"250"]
        client.sendall(b"RCPT TO:<" + written + b">\r\n")
        answer = lines.readline().decode().rstrip()
        assert [one.answer for one in sink.attempts()] == [answer]
        client.sendall(b"RSET\r\n")
        assert lines.readline() == b"250 OK\r\n"
        lines.close()


def test_refused_commands_are_not_printed() -> None:
    program = """
import smtplib
from logto_mail_contract import SmtpSink
with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
    client.docmd("Bcc: foo@example.com")
    print(len(sink.attempts()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("1\n", "")


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
