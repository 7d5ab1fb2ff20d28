"""Judging the form of mails: headers, lines, charsets, recipients."""

from __future__ import annotations

import base64
import smtplib
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.generated import UNHURRIED

from logto_mail_contract.receivers.mail_format import MAX_LINE_BYTES, find_mail_faults, find_strangers
from logto_mail_contract.receivers.outbox import Mail, SmtpSink, wait_until

HEAD = b"From: Shop <shop@example.com>\r\nTo: ann@example.com\r\nSubject: Hello\r\n"


def make_mail(content: bytes, *recipients: str) -> Mail:
    return Mail("shop@example.com", recipients or ("ann@example.com",), content)


def make_part(head: bytes, body: bytes) -> Mail:
    return make_mail(HEAD + head + b"\r\n" + body)


@pytest.mark.parametrize(
    "content",
    [
        HEAD + b"\r\nHello\r\n",
        HEAD + b"\r\n",
        HEAD.replace(b"Hello", b"=?utf-8?Q?M=C3=BCller?=") + b"\r\nHello\r\n",
        HEAD.replace(b"Hello", b"a =? b ?=") + b"\r\nHello\r\n",
        HEAD.replace(b"Shop <shop@example.com>", b"shop@example.com") + b"\r\nHello\r\n",
        HEAD.replace(b"Shop", b'"Shop, the"') + b"\r\nHello\r\n",
        HEAD + b"\r\n" + b"x" * MAX_LINE_BYTES + b"\r\n",
        HEAD + b"Content-Type: text/plain; charset=UTF-8\r\n\r\nM\xc3\xbcller\r\n",
        HEAD + b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nM\xfcller\r\n",
        HEAD + b"Content-Type: text/plain; charset=us-ascii\r\n\r\nMueller\r\n",
        HEAD + b"Content-Type: text/plain; charset=gb2312\r\n\r\n" + "镕".encode("gbk") + b"\r\n",
        HEAD + b"Content-Type: text/plain; charset=iso-8859-8-i\r\n\r\n\xe0\r\n",
        HEAD + b"Content-Type: text/html\r\n\r\n<meta charset=utf-8>\xc3\xbc\r\n",
        HEAD + b"Content-Type: image/png\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xff\xfe\r\n",
        HEAD + b'Content-Disposition: attachment\r\nContent-Type: text/plain; charset="x"\r\n\r\n\xff\r\n',
        HEAD
        + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.b64encode("東京".encode())
        + b"\r\n",
    ],
)
@pytest.mark.parametrize("smtp_utf8", [None, False, True])
def test_a_good_mail_has_no_fault(content: bytes, smtp_utf8: bool | None) -> None:
    assert find_mail_faults(make_mail(content), smtp_utf8=smtp_utf8) == []


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (HEAD.replace(b"Subject: Hello\r\n", b""), "it has no subject"),
        (HEAD.replace(b"Hello", b" "), "it has no subject"),
        (HEAD.replace(b"Hello", b"=?utf-8?B?IA==?="), "it has no subject"),
        (HEAD.replace(b"From", b"X-From"), "no From names an address as its sender"),
        (HEAD.replace(b"<shop@example.com>", b""), "no From names an address as its sender"),
        (HEAD.replace(b"shop@example.com", b""), "no From names an address as its sender"),
        (HEAD + b"Subject: Two\r\n", "it has 2 headers Subject"),
        (HEAD + b"from: a@example.com\r\n", "it has 2 headers From"),
        (HEAD.replace(b"Hello", b"=?x-none?Q?a?="), "the header Subject has an unknown charset: x-none"),
        (HEAD.replace(b"Hello", b"=?utf-8?Q?=FC?="), "the header Subject is not in its charset utf-8"),
        (
            HEAD.replace(b"Hello", b"=?utf-8?B?A?="),
            "the header Subject has encoded words that cannot be decoded",
        ),
        (HEAD.replace(b"Hello", b"a" * 999), "it has a line of 1008 bytes in a header, more than 998"),
        (
            HEAD + b"\r\n" + b"\r\n" * 200 + b"x" * 999,
            "it has a line of 999 bytes in the body, more than 998",
        ),
        (HEAD + b"\r\n" + b"x" * 999, "it has a line of 999 bytes in the body, more than 998"),
        (
            HEAD + b"\r\n" + b"x\n" + b"x" * 999 + b"\ny",
            "it has a line of 999 bytes in the body, more than 998",
        ),
    ],
)
def test_a_fault_of_any_mail_is_found(content: bytes, fault: str) -> None:
    if b"\r\n\r\n" not in content:
        content += b"\r\nHello\r\n"
    assert find_mail_faults(make_mail(content)) == [fault]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (HEAD + b"\r\nHello\nBye\r\n", "it has a bare line feed in the body"),
        (HEAD + b"\r\nHello\rBye\r\n", "it has a bare carriage return in the body"),
        (HEAD.replace(b"Hello", b"Hello\n X") + b"\r\nHello\r\n", "it has a bare line feed in a header"),
        (HEAD.replace(b"Hello", "Müller".encode()) + b"\r\n", "the header Subject has bytes beyond ASCII"),
        (HEAD.replace(b"Shop", b"M\xfcller") + b"\r\n", "the header From has bytes beyond ASCII"),
        (
            HEAD + b'Content-Type: text/plain; name="\xc3\xbc"\r\n\r\nHello\r\n',
            "the header Content-Type has bytes beyond ASCII",
        ),
    ],
)
def test_a_fault_of_a_mail_on_its_way_is_found(content: bytes, fault: str) -> None:
    found = find_mail_faults(make_mail(content), smtp_utf8=False)
    assert len(found) == 1
    assert found[0].startswith(fault)
    assert find_mail_faults(make_mail(content)) == []


def test_eight_bit_headers_are_right_with_smtputf8() -> None:
    mail = make_mail(HEAD.replace(b"Hello", "Müller".encode()) + b"\r\nHello\r\n")
    assert find_mail_faults(mail, smtp_utf8=True) == []


def test_all_bare_line_feeds_are_one_fault() -> None:
    mail = make_mail(HEAD.replace(b"\r\n", b"\n") + b"\nHello\nBye\n")
    assert find_mail_faults(mail, smtp_utf8=False) == ["it has a bare line feed in a header"]


@pytest.mark.parametrize(
    ("mail", "fault"),
    [
        (make_part(b"Content-Type: text/plain; charset=x-none\r\n", b"a"), "has an unknown charset: x-none"),
        (
            make_part(b"Content-Type: text/plain; charset=utf8mb4\r\n", b"a"),
            "has an unknown charset: utf8mb4",
        ),
        (make_part(b"Content-Type: text/plain; charset=rot13\r\n", b"a"), "has an unknown charset: rot13"),
        (make_part(b"Content-Type: text/plain; charset=utf-8\r\n", b"M\xfc"), "is not in its charset utf-8"),
        (
            make_part(b"Content-Type: text/plain; charset=us-ascii\r\n", b"\xc3\xbc"),
            "is not in its charset us-ascii",
        ),
        (make_part(b"Content-Type: text/plain\r\n", b"\xc3\xbc"), "has bytes beyond ASCII and no charset"),
        (make_part(b"", b"\xc3\xbc"), "has bytes beyond ASCII and no charset"),
        (
            make_part(b"Content-Transfer-Encoding: utf-8\r\n", b"a"),
            "has an unknown Content-Transfer-Encoding: utf-8",
        ),
    ],
)
def test_a_text_that_cannot_be_decoded_is_found(mail: Mail, fault: str) -> None:
    assert find_mail_faults(mail) == [f"its text/plain part {fault}"]


def test_the_parts_of_a_mail_are_judged_too() -> None:
    head = b'Content-Type: multipart/alternative; boundary="b"\r\n'
    body = b"--b\r\n\r\nHello\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\xfc\r\n--b--\r\n"
    assert find_mail_faults(make_part(head, body)) == ["its text/html part is not in its charset utf-8"]


def test_mails_of_the_standard_library_have_no_fault_over_smtp() -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = (
        "Müller <a@example.com>",
        "ann@example.com",
        "東京 🙂",
    )
    message.set_content("東京\n" + "x" * 2000)
    message.add_alternative("<p>東京</p>", subtype="html")
    with SmtpSink() as sink:
        with smtplib.SMTP("127.0.0.1", sink.port, timeout=10) as client:
            client.send_message(message)
        assert wait_until(lambda: len(sink()) == 1, 10)
        assert find_mail_faults(sink()[0], smtp_utf8=False) == []


def test_the_sink_keeps_bare_line_ends() -> None:
    with SmtpSink() as sink:
        with smtplib.SMTP("127.0.0.1", sink.port, timeout=10) as client:
            client.ehlo()
            client.mail("a@example.com")
            client.rcpt("ann@example.com")
            client.docmd("DATA")
            client.send(HEAD + b"\r\na\nb\rc\r\n.\r\n")
            client.getreply()
        assert wait_until(lambda: len(sink()) == 1, 10)
        assert find_mail_faults(sink()[0], smtp_utf8=False) == [
            "it has a bare line feed in the body",
            "it has a bare carriage return in the body",
        ]


@UNHURRIED
@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_judged_without_error(content: bytes, smtp_utf8: bool) -> None:
    for mail in (make_mail(content), make_mail(HEAD + content), make_mail(b"To: " + content)):
        assert find_mail_faults(mail, smtp_utf8=smtp_utf8) is not None
        assert find_strangers(mail, "ann@example.com") is not None


@pytest.mark.parametrize(
    ("wanted", "recipient", "to"),
    [
        ("ann@example.com", "ann@example.com", "ann@example.com"),
        ("Ann@Example.COM", "Ann@example.com", "<Ann@example.com>"),
        ("ann@example.com", "ann@example.com", '"Miller, Ann" <ann@example.com>'),
        ("ann@example.com", "ann@example.com", "Ann (of Acme, Inc.) <ann@example.com>"),
        (
            "ann@example.com",
            "ann@example.com",
            "=?utf-8?Q?M=C3=BCller=2C_eve=40example=2Ecom?= <ann@example.com>",
        ),
        ("ann@example.com", "ann@example.com", '"eve@example.com" <ann@example.com>'),
        ("ann@example.com", "ann@example.com", "undisclosed-recipients:;"),
        ("ann@example.com", "ann@example.com", "Customers: ann@example.com;"),
        ("ann@example.com", "ann@example.com", ""),
        ("ann@example.com", "ann@example.com", "Miller, Ann <ann@example.com>"),
        ("ann@münchen.example", "ann@xn--mnchen-3ya.example", "ann@münchen.example"),
        ("ann@xn--mnchen-3ya.example", "ann@MÜNCHEN.example", "ann@xn--mnchen-3ya.example"),
        ("ann@straße.example", "ann@xn--strae-oqa.example", "ann@straße.example"),
        ("änn@example.com", "änn@example.com", "=?utf-8?Q?=C3=A4nn=40example=2Ecom?="),
        ("änn@example.com", "änn@example.com", "=?utf-8?Q?=C3=A4nn?=@example.com"),
        ("änn@example.com", "a\u0308nn@example.com", "änn@example.com"),
        ('"a,b"@example.com', '"a,b"@example.com', '"a,b"@example.com'),
        ("a,b@example.com", '"a,b"@example.com', '<"a,b"@example.com>'),
        ('"a"@example.com', "a@example.com", "a@example.com"),
        ('"a\\"b"@example.com', '"a\\"b"@example.com', '"a\\"b"@example.com'),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]", "ann@[192.0.2.1]"),
        ("ann@example.com", "ann@example.com.", '"Ann"@EXAMPLE.com'),
        ("o'mc@example.com", "o'mc@example.com", "o'mc@example.com"),
        ("eve@example.com,ann@example.com", '"eve@example.com,ann"@example.com', ""),
    ],
)
def test_the_wanted_recipient_is_no_stranger(wanted: str, recipient: str, to: str) -> None:
    assert find_strangers(make_mail(f"To: {to}\r\n\r\n".encode(), recipient), wanted) == []


@pytest.mark.parametrize(
    ("recipients", "headers", "strangers"),
    [
        (
            ["ann@example.com", "eve@example.com"],
            "To: ann@example.com",
            ["the envelope names eve@example.com"],
        ),
        (["eve@example.com"], "To: ann@example.com", ["the envelope names eve@example.com"]),
        (["ann"], "", ["the envelope names ann"]),
        ([""], "", ["the envelope names "]),
        (["ann@example.com"], "To: ann@example.com, eve@example.com", ["To names eve@example.com"]),
        (["ann@example.com"], "To: ann@example.com; eve@example.com", ["To names eve@example.com"]),
        (["ann@example.com"], "To: eve@example.com <ann@example.com>, b@c.example", ["To names b@c.example"]),
        (["ann@example.com"], "Cc: eve@example.com", ["Cc names eve@example.com"]),
        (["ann@example.com"], "BCC: Eve <eve@example.com>", ["Bcc names eve@example.com"]),
        (["ann@example.com"], "To: G: ann@example.com, eve@example.com;", ["To names eve@example.com"]),
        (["ann@example.com"], "To: ann@example.com\r\nTo: eve@example.com", ["To names eve@example.com"]),
        (["ann@example.org"], "", ["the envelope names ann@example.org"]),
        (["nn@example.com"], "", ["the envelope names nn@example.com"]),
        (["ann+tag@example.com"], "", ["the envelope names ann+tag@example.com"]),
        (["ann@strasse.example"], "", ["the envelope names ann@strasse.example"]),
        (
            ["ann@example.com"],
            "To: =?utf-8?Q?eve=40example=2Ecom?=",
            ["To names =?utf-8?Q?eve=40example=2Ecom?="],
        ),
    ],
)
def test_strangers_are_found(recipients: list[str], headers: str, strangers: list[str]) -> None:
    assert (
        find_strangers(make_mail(f"{headers}\r\n\r\n".encode(), *recipients), "ann@example.com") == strangers
    )


@pytest.mark.parametrize(
    ("wanted", "to", "strangers"),
    [
        (
            "eve@example.org,ann@example.com",
            "eve@example.org,ann@example.com",
            ["the envelope names ann@example.com", "To names eve@example.org", "To names ann@example.com"],
        ),
        (
            "Ann<ann@example.com>",
            "Ann<ann@example.com>",
            ["the envelope names ann@example.com", "To names ann@example.com"],
        ),
        (
            '"a,b"@example.com',
            "a,b@example.com",
            ["the envelope names ann@example.com", "To names b@example.com"],
        ),
    ],
)
def test_an_address_that_is_read_as_another_is_a_stranger(wanted: str, to: str, strangers: list[str]) -> None:
    assert find_strangers(make_mail(f"To: {to}\r\n\r\n".encode()), wanted) == strangers


@pytest.mark.parametrize(
    "piece", ["<", "(", '"', "\\", "a,", "=?", "\n", "\r", "a@b,", "<a@b>,", ":", "\u00fc"]
)
def test_a_large_mail_is_judged_to_its_end(piece: str) -> None:
    large = (piece * (300_000 // len(piece))).encode()
    for mail in (
        make_mail(HEAD + b"\r\n" + large),
        make_mail(b"From: " + large.replace(b"\n", b"\n x") + b"\r\n\r\nx"),
    ):
        assert find_mail_faults(mail, smtp_utf8=False) != []
        assert find_strangers(mail, "other@example.com") != []
