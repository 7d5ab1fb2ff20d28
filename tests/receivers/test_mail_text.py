"""Judging the text of mails: damaged values, placeholders, words for nothing."""

from __future__ import annotations

from email.message import EmailMessage
from html import escape
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.generated import UNHURRIED

from logto_mail_contract.receivers.mail_reading import ReadMail
from logto_mail_contract.receivers.mail_text import MAX_JUDGED_CHARACTERS, find_damaged_text, find_leftovers
from logto_mail_contract.receivers.outbox import Mail

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_mail(text: str = "Hello", subject: str = "Hello", page: str = "") -> ReadMail:
    message = EmailMessage()
    message["Subject"] = subject
    message.set_content(text, cte="base64")
    if page:
        message.add_alternative(page, subtype="html", cte="base64")
    return ReadMail(Mail("shop@example.com", ("ann@example.com",), message.as_bytes()))


def find_text_damage(read: ReadMail, values: Mapping[str, str], control: ReadMail | None = None) -> list[str]:
    return find_damaged_text(read, values) + find_leftovers(read, values, control)


NAMES = [
    "Zoë",
    "Müller & Söhne",
    "東京 🙂",
    "Ελλάδα",
    "Москва",
    "القاهرة",
    'O\'Brien "x" <b>',
    "&amp; &eacute; &#39;",
    "{{name}} {x} %(x)s ${x} #{x} <%= x %> %name% [[x]] {0} {} %s $name *|X|*",
    "null",
    "None",
    "undefined NaN [object Object] <nil>",
    "a\ufffdb",
    "Ã©",
    "??",
    "é",
    "\\1 $& \\u00e9",
    "=?utf-8?B?QQ==?=",
    "",
    "cafe\u0301",
    "C:\\x",
    "a\u202eb",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_value_as_it_is_is_no_damage(name: str) -> None:
    values = {"application.name": name, "code": "042137", "user.name": "Ann"}
    text = f"Hello {name},\r\nyour code is 042137."
    page = f"<p>Hello {escape(name)}, your code is 042137.</p><a href='https://shop.example/?n={escape(name)}'>x</a>"
    assert (
        find_text_damage(read_mail(text, f"Join {name}", page), values, read_mail("Hello", "Join", page))
        == []
    )


@pytest.mark.parametrize(
    "text",
    [
        "Hello,\r\n\r\nyour code is 042137. It is valid for 10 minutes.",
        "Ihre Anmeldung ist ohne den Code null und nichtig. None of this matters.",
        "Attachments: None. Nil return. Vraiment ? 100 %, 20 %d'escompte, 5 % d",
        "https://shop.example/?to=M%C3%BCller, see http://[::1]/M%C3%BCller",
        "https://app.example.com/?a=1&copy;=2&b=%20%AB%CD%name%20&c={x}#/$path",
        "Costs $5 or $USD, A$AP, a{b, [1], [Acme], {see below}, (none), 50%/year",
        "Dear Nullmeier, hi nullable, Hello Nonesuch, AT&T; R&D; & more;",
        "Q?A, who? What?! M?",
        "a <b> c >= d",
        "",
    ],
)
def test_an_ordinary_text_is_no_damage(text: str) -> None:
    values = {
        "link": "https://app.example.com/?a=1&copy;=2&c={x}",
        "user.name": "Müller",
        "organization.name": "東京",
    }
    read = read_mail(text, text.partition("\r")[0], f"<p>{escape(text)}</p>")
    assert find_text_damage(read, values) == []
    assert find_text_damage(read, values, read) == []


MOJIBAKE = [
    ("Zoë", "ZoÃ«"),
    ("Zoë", "ZoÃƒÂ«"),
    ("Zoë", "Zo├½"),
    ("Zoë", "Zo?"),
    ("Zoë", "Zo??"),
    ("Zoë", "Zo\\u00eb"),
    ("Zoë", "Zo\\xc3\\xab"),
    ("Zoë", "Zo=C3=AB"),
    ("Zoë", "Zo%C3%AB"),
    ("Acme Inc", "Acme%20Inc"),
    ("Müller", "Mller"),
    ("東京", "æ\x9d±äº¬"),
    ("東京", "æ±äº¬"),
    ("東京", "??"),
    ("東京 🙂", "?? ????"),
    ("東京 🙂", "?? ?"),
    ("Москва", "РњРѕСЃРєРІР°"),
    ("Москва", "ÐœÐ¾ÑÐºÐ²Ð°"),
    ("Café", "CafÃ©"),
    ("O'Brien", "O\\'Brien"),
    ('The "A" Team', 'The \\"A\\" Team'),
    ("A & B", "A &amp; B"),
    ("&amp;", "&amp;amp;"),
]


@pytest.mark.parametrize(("value", "shown"), MOJIBAKE)
def test_a_damaged_value_is_found_in_every_part(value: str, shown: str) -> None:
    values = {"organization.name": value}
    for place, read in {
        "subject": read_mail(subject=f"Join {shown} now"),
        "plain text": read_mail(f"Welcome to {shown}\r\n"),
        "HTML": read_mail(page=f"<p>Welcome to {escape(shown)}</p>"),
    }.items():
        found = find_text_damage(read, values)
        assert len(found) == 1, place
        assert found[0].startswith(f"the {place} shows organization.name {value} as ")
        assert find_text_damage(read, {"organization.name": value, "user.name": shown}) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        *(
            (f"Hello {left},", left)
            for left in (
                "{{name}}",
                "{{ user.name }}",
                "{name}",
                "{0}",
                "{}",
                "%(name)s",
                "${name}",
                "#{name}",
                "@{name}",
                "<%= name %>",
                "{% if name %}",
                "[% name %]",
                "%name%",
                "%s",
                "%1$s",
                "[[name]]",
                "$name",
                "*|FNAME|*",
                "undefined",
                "NaN",
                "[object Object]",
                "Optional[Ann]",
                "Optional.empty",
                'Optional("Ann")',
                "<nil>",
                "<no value>",
                "(null)",
                "%!s(<nil>",
                "<User object at 0x7f00>",
                "#<User:",
                "&#39;",
                "&amp;",
                "&eacute;",
                "&#x27;",
            )
        ),
        ("Hello None,", "Hello None"),
        ("Hi null!", "Hi null"),
        ("Join: undefined", "undefined"),
    ],
)
def test_what_a_template_left_over_is_found_in_every_part(text: str, problem: str) -> None:
    values = {"organization.name": "Acme", "user.name": "", "code": "042137"}
    for place, read in {
        "subject": read_mail(subject=text),
        "plain text": read_mail(text),
        "HTML": read_mail(page=f"<p>{escape(text)}</p>"),
    }.items():
        assert find_text_damage(read, values) == [f"the {place} shows {problem}"]


def test_a_replacement_character_is_found() -> None:
    found = find_text_damage(read_mail("Hello Zo\ufffd"), {"user.name": "Zoë"})
    assert found == ["the plain text shows a replacement character: Hello Zo\ufffd"]


def test_an_encoded_word_in_a_subject_is_found() -> None:
    content = b"Subject: =?utf-8?Q?=3D=3Futf-8=3FB=3FQQ=3D=3D=3F=3D?=\r\n\r\nHello\r\n"
    read = ReadMail(Mail("shop@example.com", (), content))
    assert find_text_damage(read, {}) == ["the subject shows =?utf-8?B?QQ==?="]


@pytest.mark.parametrize(
    ("href", "is_damage"),
    [
        ("None", True),
        ("undefined", True),
        ("https://app.example.com/null", True),
        ("{{link}}", True),
        ("https://app.example.com/%7B%7Blink%7D%7D", True),
        ("https://app.example.com/join?x=null", False),
        ("https://app.example.com/#/none", False),
        ("#", False),
        ("https://app.example.com/%7Bown%7D", False),
    ],
)
def test_a_link_to_nothing_is_found(href: str, is_damage: bool) -> None:
    found = find_text_damage(
        read_mail(page=f"<a href='{href}'>Join</a>"), {"link": "https://app.example.com/%7Bown%7D"}
    )
    assert found == ([f"the HTML links to {href}"] if is_damage else [])


@pytest.mark.parametrize("word", ["None", "null", "NULL", "nil", "[]", "()"])
def test_a_word_for_nothing_is_damage_where_the_control_has_fewer(word: str) -> None:
    control = read_mail("Join: Acme\r\nAttachments: None, null, NULL, nil, [], ()")
    read = read_mail(f"Join: {word}\r\nAttachments: None, null, NULL, nil, [], ()")
    assert find_text_damage(read, {}, control) == [f"the plain text shows {word}"]
    assert find_text_damage(read, {}) == []
    assert find_text_damage(read, {"organization.name": word}, control) == []
    assert find_text_damage(control, {}, read) == []


@UNHURRIED
@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_is_judged_without_error(value: str, other: str) -> None:
    read = ReadMail(Mail("", (), f"Subject: {other}\r\n\r\n{value}".encode("utf-8", "replace")))
    assert find_text_damage(read, {"a": value, "b": other}) is not None


@pytest.mark.parametrize(
    "piece", ["{", "{{", "%", "&", "<%", "?", "ü", "{ ", "$a", "[[a", "a://", "Ã", "=?", "Hi ", "None "]
)
def test_a_large_mail_is_judged_to_its_limit(piece: str) -> None:
    large = piece * ((MAX_JUDGED_CHARACTERS - 100) // len(piece))
    values = {f"name{number}": f"Zoë{number} ü" for number in range(20)}
    assert find_text_damage(read_mail(f"{large}\r\nHello undefined"), values) == [
        "the plain text shows undefined"
    ]
    assert find_text_damage(read_mail(f"{large}{large}\r\nHello undefined"), values) == []


def test_marks_of_direction_may_be_left_out_of_a_value() -> None:
    assert find_text_damage(read_mail("Hello ab,"), {"user.name": "a\u202eb"}) == []
