"""Judging the links in a mail: intact ones, changed ones, and ones that run a script."""

from __future__ import annotations

import html
from email.message import EmailMessage
from urllib.parse import quote

import pytest

from logto_mail_contract.receivers.mail_links import find_link_change, find_script_links
from logto_mail_contract.receivers.mail_reading import ReadMail
from logto_mail_contract.receivers.outbox import Mail

MARK = "qwertzuiop"
LINK = f"https://app.example.com:8443/Join/{MARK}?org=a%2Bb&note=x+y%20z&next=%2Fa%26b&token=N4c1x#/Step=1"


def read_mail(text: str = "", page: str = "") -> ReadMail:
    message = EmailMessage()
    if text:
        message.set_content(text, cte="base64")
    if page:
        message.add_alternative(page, subtype="html", cte="base64")
    return ReadMail(Mail("shop@example.com", ("a@example.com",), message.as_bytes()))


def make_anchor(href: str, label: str = "Join") -> str:
    return f'<p>Hello</p><a href="{html.escape(href)}">{label}</a>'


@pytest.mark.parametrize(
    ("text", "page"),
    [
        (LINK, ""),
        (f"Join: {LINK}.", ""),
        (f"Join ({LINK}), today", ""),
        (f"<{LINK}>", ""),
        (f'"{LINK}"', ""),
        (f"[{LINK}]\r\nBye", ""),
        (f"请点击 {LINK}。", ""),
        (f"see {LINK[:50]}… or whole: {LINK}", ""),
        (f"Join [Acme]({LINK}).", ""),
        ("", make_anchor(LINK)),
        ("", make_anchor(f"\n {LINK}\n")),
        ("Hello", make_anchor(LINK)),
        (LINK, "<p>Hello</p>"),
        ("", f"<p>Join: {html.escape(LINK)}</p>"),
        ("", make_anchor(LINK, label="app.example.com/…")),
        ("", make_anchor(LINK, label=html.escape(LINK[:60]))),
        ("", make_anchor(LINK) + f"or copy {html.escape(LINK[:60])}…"),
        # Another spelling of the same URL.
        (LINK.replace("app.example.com", "APP.Example.com"), make_anchor(LINK.replace("https", "HTTPS"))),
        ("", make_anchor(LINK.replace("%2B", "%2b"))),
        ("", make_anchor(LINK.replace("token", "tok%65n"))),
        # Parameters of the receiver's own.
        ("", make_anchor(LINK.replace("#", "&utm_source=mail#"))),
        # Redirects of the receiver's own.
        ("", make_anchor(f"https://click.example/r?u={quote(LINK, safe='')}&sig=ab")),
        ("", make_anchor(f"https://click.example/r?u={quote(LINK)}")),
        ("", make_anchor(f"https://click.example/L0/{quote(LINK, safe='')}/1/0100")),
        ("", make_anchor(f"https://a.example/?u={quote(f'https://b.example/?v={quote(LINK)}', safe='')}")),
        ("", make_anchor(f"https://click.example/r?u={LINK}")),
        (f"https://click.example/r?u={quote(LINK, safe='')}", ""),
    ],
)
def test_an_intact_link_is_no_change(text: str, page: str) -> None:
    assert find_link_change(read_mail(text, page), LINK, MARK) is None


@pytest.mark.parametrize(
    ("link", "same"),
    [
        (f"https://example.com:443/{MARK}", f"https://example.com/{MARK}"),
        (f"https://example.com/{MARK}", f"https://example.com:443/{MARK}"),
        (f"https://münchen.example/{MARK}", f"https://xn--mnchen-3ya.example/{MARK}"),
        (f"https://example.com/ü/{MARK}", f"https://example.com/%C3%BC/{MARK}"),
        (f"https://example.com/{MARK}", f"https://example.com/{MARK}?utm_source=mail"),
        (f"com.example.app://join?x={MARK}", f"com.example.app://join?x={MARK}"),
        (f"myapp:join-{MARK}", f"myapp:join-{MARK}"),
        (f"ask  for {MARK} at the door", f"ask for {MARK} at the door"),
        (MARK, MARK),
    ],
)
def test_links_of_every_form_are_recognized(link: str, same: str) -> None:
    assert find_link_change(read_mail(f"Join: {same}\r\n"), link, MARK) is None
    assert find_link_change(read_mail("", make_anchor(same)), link, MARK) is None


def test_a_text_without_url_may_be_wrapped() -> None:
    link = f"ask for {MARK} at the door"
    assert find_link_change(read_mail(f"ask for {MARK}\r\nat the door"), link, MARK) is None


@pytest.mark.parametrize(
    ("actual", "change"),
    [
        (LINK.replace("+", " "), "its plus signs became spaces"),
        (LINK.replace("+", "%20"), "its plus signs became %20"),
        (LINK.replace("+", "%2B"), "its plus signs became %2B"),
        (LINK.replace("%2B", "+"), "its %2B became plus signs"),
        (LINK.replace("%20", "+"), "its %20 became plus signs"),
        (LINK.replace("%26", "&"), "its %26 became &"),
        (LINK.replace("%2F", "/"), "its %2F became /"),
        (LINK.replace("%", "%25"), "it is percent-encoded twice"),
        (quote(LINK, safe=""), "it is percent-encoded as a whole"),
        (LINK.replace(":8443", ""), "its port is missing"),
        (LINK.replace("https:", "http:"), "https became http"),
        (LINK.removeprefix("https://"), "its scheme is missing"),
        (LINK.removeprefix("https://app.example.com:8443"), "its scheme and host are missing"),
        (LINK.lower(), "its upper case became lower case"),
        (LINK.upper(), "its lower case became upper case"),
        (LINK.partition("#")[0], "its fragment is missing"),
        (LINK.replace("#", "%23"), "its fragment is percent-encoded"),
        (LINK.partition("?")[0], "its query and fragment are missing"),
        (LINK.partition("&")[0], "it is cut off at its first &"),
        (LINK[:-9], f"it is cut off after {len(LINK) - 9} of {len(LINK)} characters"),
        (LINK.replace("/", "\\/"), "it is escaped as JSON"),
        (LINK.replace("=", "=3D"), "it is encoded as quoted-printable"),
        (LINK.replace("next=%2Fa%26b&token=N4c1x", "token=N4c1x&next=%2Fa%26b"), "order of its parameters"),
        (LINK.replace("&next=%2Fa%26b", ""), "parameters are missing: next"),
        (LINK.replace("app.example.com", "app.example.org"), "from character 21 on it differs"),
        (LINK.replace(":8443", "").replace("%2B", "+"), "its port is missing, and its %2B became plus signs"),
    ],
)
def test_a_changed_link_is_explained_in_every_part(actual: str, change: str) -> None:
    # Some browsers' spellings are the same: only a text shows a difference there.
    for place, read in {
        "plain text part": read_mail(f"Join:\r\n\r\n{actual}\r\n"),
        "HTML part": read_mail("", f"<p>Join: {html.escape(actual)}</p>"),
        "href": read_mail("", make_anchor(actual)),
    }.items():
        found = find_link_change(read, LINK, MARK)
        assert found is not None, place
        assert (found.place, found.expected) == (place, LINK)
        assert change in found.change
        assert MARK in found.actual.lower()


@pytest.mark.parametrize(
    ("text", "change"),
    [
        (html.escape(LINK), "it is escaped as HTML"),
        (f"{LINK[:75]}\r\n{LINK[75:]}", "a line break or space splits it"),
        (f"Join:{LINK}Bye", "other text is glued to it"),
        (f"{LINK}.Bye", "other text is glued to it"),
        (f"Join{LINK}", "other text is glued to it"),
        (LINK.replace("%20", " "), "its %20 became spaces"),
        ("https://app.example.com:8443/Join/", "it is missing"),
        ("Hello", "it is missing"),
    ],
)
def test_a_link_changed_in_plain_text_is_explained(text: str, change: str) -> None:
    found = find_link_change(read_mail(text), LINK, MARK)
    assert found is not None
    assert found.change == change


@pytest.mark.parametrize(
    ("href", "change"),
    [
        (html.escape(LINK), "it is escaped twice as HTML"),
        (f"{LINK}.", ". is glued to its end"),
        (f"{LINK})", ") is glued to its end"),
        (f"Join: {LINK}", "Join:  is glued to its start"),
        (f"mailto:{LINK}", "mailto: is glued to its start"),
    ],
)
def test_a_link_changed_in_an_href_is_explained(href: str, change: str) -> None:
    # The plain text does not make up for it.
    found = find_link_change(read_mail(LINK, make_anchor(href)), LINK, MARK)
    assert found is not None
    assert found.change == change


@pytest.mark.parametrize(
    ("link", "actual", "change"),
    [
        (f"http://shop.example/{MARK}", f"https://shop.example/{MARK}", "http became https"),
        (
            f"com.example.app://join?x={MARK}",
            f"https://com.example.app://join?x={MARK}",
            "another scheme stands before its own",
        ),
        (
            f"com.example.app://join?x={MARK}",
            f"https://join?x={MARK}",
            "another scheme replaced its own",
        ),
        (f"myapp:join-{MARK}", f"https://shop.example/myapp:join-{MARK}", "is glued to its start"),
        (f"https://a.example/?a=1&copy=2&x={MARK}", f"https://a.example/?a=1©=2&x={MARK}", "read as HTML"),
        (f"https://a.example/{MARK}/", f"https://a.example/{MARK}", "a slash at its end is missing"),
        (f"https://a.example/{MARK}", f"https://a.example/{MARK}/", "a slash was added to its end"),
        (f"{MARK} at the door", f"{MARK}%20at%20the%20door", "percent-encoded"),
    ],
)
def test_a_change_of_another_form_of_link_is_explained(link: str, actual: str, change: str) -> None:
    found = find_link_change(read_mail("", make_anchor(actual)), link, MARK)
    assert found is not None
    assert change in found.change


def test_a_link_change_shows_both_sides() -> None:
    found = find_link_change(read_mail(LINK.replace(":8443", "")), LINK, MARK)
    assert str(found) == (
        "a mail whose plain text part has the link changed: its port is missing; "
        f"expected {LINK} and got {LINK.replace(':8443', '')}"
    )
    assert str(find_link_change(read_mail("x"), LINK, MARK)) == f"a mail without the link {LINK}"


@pytest.mark.parametrize("piece", [MARK, f" {MARK} ", f"https://{MARK}%25 ", "%25", "://", "&amp;"])
def test_a_large_mail_is_read_to_its_end(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    assert find_link_change(read_mail(text, make_anchor(text)), LINK, MARK) is not None


@pytest.mark.parametrize(
    ("page", "links"),
    [
        ("<a href='javascript:alert(1)'>", ["javascript:alert(1)"]),
        ("<a href=' JavaScript:alert(1)'>", [" JavaScript:alert(1)"]),
        ("<a href='java&#10;script:alert(1)'>", ["javascript:alert(1)"]),
        ("<a href='&#1;vbscript:x'>", ["\x01vbscript:x"]),
        ("<a href='data:text/html,x'><img src=x></a>", ["data:text/html,x"]),
        ("<form action='javascript:x'><button formaction='javascript:y'>", ["javascript:x", "javascript:y"]),
        ("<svg><a xlink:href='javascript:x'>", ["javascript:x"]),
        ("<img src='javascript:x'><img src='data:image/png;base64,AA'>", []),
        ("<a href='https://example.com/javascript:x'>javascript:x</a>", []),
        ("<a href='#javascript:'>x</a><a>y</a>", []),
        ("javascript:alert(1)", []),
    ],
)
def test_links_that_run_scripts_are_found(page: str, links: list[str]) -> None:
    assert find_script_links(read_mail("javascript:alert(1)", page)) == links


def test_a_mail_without_html_has_no_script_link() -> None:
    assert find_script_links(read_mail("javascript:alert(1)")) == []
