"""Reading HTML mails: the text that a mail client displays, and the values of attributes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.generated import UNHURRIED

from logto_mail_contract.receivers.mail_reading import HtmlPart


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>a<p>b", "a b"),
        ("<b>04</b><i>21</i>37", "042137"),
        ("<table><td>04</td><td>21</td></table>", "04 21"),
        # Outside a table, browsers ignore its cells.
        ("<td>04</td><td>21</td>", "0421"),
        ("a<!-- b -->c<!--[if mso]><b>d</b><![endif]-->e", "ace"),
        ("a<![if !mso]>b<![endif]>c", "abc"),
        ("a<!-- b <b>c</b>", "a"),
        ("a<!--> b", "a b"),
        ("<style>a</style><script>b</script><title>c</title>d", "d"),
        ("a<script>b", "a"),
        ("a<template><p>b</p></template>c", "ac"),
        ("a<iframe>b</iframe>c", "ac"),
        ("<noscript>a</noscript>", "a"),
        ("&#48;&#x34;2&nbsp;1", "042 1"),
        ("a &copy=1 &lt;b&gt;", "a ©=1 <b>"),
        ("<meta charset=latin-1>ü", "ü"),
        ("<p title='a>b'>c", "c"),
        ("", ""),
        ("a\ud800b", "a?b"),
    ],
)
def test_visible_text_is_extracted(source: str, text: str) -> None:
    assert HtmlPart(source).text == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("x <a href='/'>y</a> z", "x z"),
        ("x <a href='/'>y<p>y</p>y</a> z", "x z"),
        ("x <a href='/'>y", "x"),
    ],
)
def test_text_outside_links_is_extracted(source: str, text: str) -> None:
    assert HtmlPart(source).text_outside_links == text


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("?a=1&copy=2", "?a=1&copy=2"),
        ("?a=1&copyright", "?a=1&copyright"),
        ("?a=1&copy", "?a=1©"),
        ("?a=1&amp;b=2", "?a=1&b=2"),
        ("?a=1&#38;b&#x26;c", "?a=1&b&c"),
        ("?a=1&unknown;b", "?a=1&unknown;b"),
        ("?a=1&regionx;b", "?a=1&regionx;b"),
        ("a\nb\tc", "a\nb\tc"),
    ],
)
def test_an_attribute_value_is_decoded(source: str, value: str) -> None:
    assert HtmlPart(f"<a href='{source}'>").attributes == [("href", value)]


@pytest.mark.parametrize(
    ("source", "attributes"),
    [
        ("<A HREF=x Data-Y>", [("href", "x"), ("data-y", "")]),
        ("<a href=x href=y>", [("href", "x")]),
        ("<svg><a xlink:href=x>", [("xlink:href", "x")]),
        ("<p a=1><p b=2><i c=3>", [("a", "1"), ("b", "2"), ("c", "3")]),
        ("<!-- <p a=1> --><template><p b=2></template>", []),
    ],
)
def test_all_attributes_are_read(source: str, attributes: list[tuple[str, str]]) -> None:
    assert HtmlPart(source).attributes == attributes


def test_all_elements_are_read() -> None:
    assert HtmlPart("<p><x-y>a</x-y><p>").elements == ["html", "head", "body", "p", "x-y", "p"]


_PIECES = (
    "<",
    ">",
    "</",
    "/>",
    "<!--",
    "-->",
    "<![",
    "]]>",
    "&",
    ";",
    "&#",
    "'",
    '"',
    "=",
    " ",
    "a",
    "p",
    "svg",
    "\0",
)


@UNHURRIED
@given(st.lists(st.sampled_from(_PIECES) | st.text(max_size=3)).map("".join))
def test_any_text_is_read_without_error(source: str) -> None:
    part = HtmlPart(source)
    assert part.text == " ".join(part.text.split())
    assert part.elements[:1] == ["html"]
