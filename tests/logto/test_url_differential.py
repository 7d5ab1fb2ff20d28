"""Compares how we and Node read URLs: ``new URL``, and then got and Node's client.

The Ada of Node 20 and 22 (2.9) follows an older text of the URL standard than that of ``ada-url`` 4 in two
points. It leaves ``^`` in a path as it is, and it refuses the host ``xn--a``, which is no valid Punycode.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from logto_mail_contract.wire.urls import Url

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.logto.node import NodeWorker

URLS = 3_000

GIVEN = (
    "",
    "mail",
    "/mail",
    "//example.com/mail",
    "ftp://example.com/",
    "mailto:foo@example.com",
    "http:",
    "http://",
    "http:///",
    "http:///example.com/mail",
    "http:example.com/mail",
    "HTTP:\\\\EXAMPLE.com\\a\\..\\b?\\#\\",
    " \t\nhttp://example.com/ \0",
    "ht\ntp://exa\tmple.com/a\rb",
    "http://straße.example/",
    "http://bücher.example/",
    "http://BÜCHER.example/",
    "http://☃.test/",
    "http://ﬀ.test/",
    "http://例え。テスト/",
    "http://xn--bcher-kva.example/",
    "http://a_b.test/",
    "http://a..b/",
    "http://example.com./",
    "http://ex%41mple.com/",
    "http://exa mple.com/",
    "http://exa%20mple.com/",
    "http://a%2fb/",
    "http://127.1/",
    "http://0x7f.1/",
    "http://2130706433/",
    "http://256.0.0.1/",
    "http://1.2.3.4.5/",
    "http://[::1]:3000/",
    "http://[::FFFF:127.0.0.1]/",
    "http://[::1%25eth0]/",
    "http://[::1/",
    "http://example.com:80/",
    "https://example.com:80/",
    "https://example.com:443/",
    "http://example.com:00080/",
    "http://example.com:0/",
    "http://example.com:/",
    "http://example.com:65536/",
    "http://example.com:8o/",
    "http://foo@example.com/",
    "http://foo:b%40r@example.com/",
    "http://foo:bar@baz@example.com/",
    "http://:bar@example.com/",
    "http://:@example.com/",
    "http://@example.com/",
    "http://f%zz:bar@example.com/",
    "http://f%ff:bar@example.com/",
    "http://f%C3%BC:%@example.com/",
    "http://fü:b+r@example.com/",
    "http://example.com/a b/ü/😀?q=ü 'x'&y=[1]|{2}",
    'http://example.com/"<>`{}|^?"<>`{}|^#"<>`{}|^',
    "http://example.com/a/../b/./c//d/%2e%2E/e/%2E",
    "http://example.com/%zz%?%zz%",
    "http://example.com?a=1",
    "http://example.com#?a",
    "http://example.com/?#a",
    "http://example.com/a?b?c",
)
RELATIVE = (
    "",
    "?q",
    "#f",
    "x",
    "./x",
    "../../x",
    "/x",
    "//other.test/x",
    "\\x",
    "https:x",
    "http:x",
    "http:/x",
)
BASE = "http://foo:bar@example.com:3000/a/b?c#d"

_PIECES = (
    *(
        "http://",
        "https://",
        "http:",
        "//",
        "/",
        "\\",
        "@",
        ":",
        "?",
        "#",
        "%",
        "%2e",
        "..",
        ".",
        " ",
        "\t",
        "[",
        "]",
    ),
    *(
        "::1",
        "127.0.0.1",
        "80",
        "443",
        "example",
        "com",
        "a",
        "A",
        "ß",
        "ü",
        "é",
        "。",
        "'",
        '"',
        "|",
        "^",
        "{",
    ),
)


def urls() -> st.SearchStrategy[str]:
    """Draw URLs: most have a host, and pieces that parsers treat differently stand everywhere."""
    pieces = st.lists(st.sampled_from(_PIECES), max_size=8).map("".join)
    text = st.text(st.characters(max_codepoint=0x17F, exclude_categories=["Cs"]), max_size=6)
    part = pieces | text
    built = st.tuples(
        st.sampled_from(("http://", "https://", "HTTP:\\\\", "http:")),
        part.map(lambda user: f"{user}@") | st.just(""),
        st.sampled_from(("example.com", "127.0.0.1", "[::1]", "Straße.example")) | part,
        st.just("") | st.integers(0, 70_000).map(lambda port: f":{port}"),
        part.map(lambda path: f"/{path}") | st.just(""),
        part.map(lambda query: f"?{query}") | st.just(""),
    ).map("".join)
    return built | pieces


def read(text: str, base: str | None = None) -> dict[str, Any] | None:
    """Return the reading of ``Url`` in the form of the worker."""
    try:
        found = asdict(Url.parse(text, base))
    except ValueError:
        return None
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def differences(
    node: NodeWorker,
    pairs: list[tuple[str, str | None]],
    reader: Callable[[str, str | None], dict[str, Any] | None] = read,
) -> list[Any]:
    """Return both readings of each URL that the two sides read differently."""
    found = []
    for pair, theirs in zip(pairs, node.ask(pairs), strict=True):
        ours = reader(*pair)
        if theirs and theirs["credentials"] is False:  # got fails where it cannot decode user or password
            theirs = None
        if without_escaped_carets(ours) != without_escaped_carets(theirs):
            found.append((pair, ours, theirs))
    return found


def without_escaped_carets(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a reading as the older text of the standard has it."""
    return found and {**found, **{name: found[name].replace("%5E", "^") for name in ("target", "plain")}}


def test_listed_urls_are_read_as_node_reads_them(url_reader: NodeWorker) -> None:
    assert differences(url_reader, [(url, None) for url in GIVEN]) == []


def test_relative_urls_are_read_as_node_reads_them(url_reader: NodeWorker) -> None:
    assert differences(url_reader, [(url, BASE) for url in (*RELATIVE, *GIVEN)]) == []


def test_generated_urls_are_read_as_node_reads_them(url_reader: NodeWorker) -> None:
    drawn: list[tuple[str, str | None]] = []

    @seed(1035)
    @settings(max_examples=URLS, database=None, deadline=None, phases=[Phase.generate])
    @given(urls(), st.none() | st.just(BASE))
    def draw(url: str, base: str | None) -> None:
        drawn.append((url, base))

    draw()
    assert differences(url_reader, drawn) == []
    # Both kinds occur often enough for a meaningful comparison.
    valid = sum(read(*pair) is not None for pair in drawn)
    assert URLS / 5 < valid < URLS * 4 / 5, valid


def test_a_reader_with_other_rules_is_reported(url_reader: NodeWorker) -> None:
    """The negative control: Python's own codec maps the names of hosts by older rules."""

    def read_by_idna_2003(text: str, base: str | None) -> dict[str, Any] | None:
        found = read(text, base)
        return found and {**found, "host": urlsplit(text).netloc.encode("idna").decode()}

    pairs: list[tuple[str, str | None]] = [("http://bücher.example/", None), ("http://straße.example/", None)]
    ((pair, ours, theirs),) = differences(url_reader, pairs, read_by_idna_2003)
    assert pair == pairs[1]
    assert (ours["host"], theirs["host"]) == ("strasse.example", "xn--strae-oqa.example")
