"""The reader of requests, without a socket."""

from __future__ import annotations

import time
import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING

import httptools
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.request_events import read_events, read_request

from logto_mail_contract.wire.request_reader import (
    TRANSITIONS,
    ContinueExpected,
    Ended,
    Phase,
    ReadLimits,
    Received,
    Refused,
    RequestReader,
)
from logto_mail_contract.wire.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from logto_mail_contract.wire.request_reader import Event

LIMITS = ReadLimits()
SMALL = ReadLimits(head_bytes=120, body_bytes=40)
MAX_HEAD_BYTES = LIMITS.head_bytes


def keeps_alive(data: bytes) -> bool:
    event = read_events([data])[0]
    return isinstance(event, Received) and event.keep_alive


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"POST /mail HTTP/1.1", *lines, b"", body])


def in_bytes(data: bytes) -> Iterable[bytes]:
    return (data[place : place + 1] for place in range(len(data)))


def test_a_request_is_read_unchanged() -> None:
    data = (
        b"POST //a/%7Eb?c=d HTTP/1.1\r\nuser-agent: got\r\nX-Two:1\r\nHOST:  h \r\nx-two: \xc3\xbc\r\n"
        b"Empty:\r\nContent-Length: 2\r\n\r\n{}"
    )
    request = read_request(data)
    assert (request.method, request.target) == ("POST", "//a/%7Eb?c=d")
    assert request.headers == (
        ("user-agent", "got"),
        ("X-Two", "1"),
        ("HOST", "h"),
        ("x-two", "Ã¼"),
        ("Empty", ""),
        ("Content-Length", "2"),
    )
    assert (request.body, request.framing) == (b"{}", None)


def test_bare_line_feeds_and_a_leading_empty_line_are_accepted() -> None:
    request = read_request(b"\r\nPOST / HTTP/1.1\nA: b\n\n")
    assert (request.headers, request.framing) == ((("A", "b"),), None)


@pytest.mark.parametrize(
    "line", [b"a: x" + b" " * 40_000 + b"x", b"a:" + b" " * 2000 + b"\0"], ids=["value", "broken line"]
)
def test_a_header_line_of_blanks_is_read_in_linear_time(line: bytes) -> None:
    began = time.thread_time()
    request = read_request(post(line))
    assert time.thread_time() - began < 2
    assert request.headers[0][0].encode() in line
    assert (request.framing is None) == (b"\0" not in line)


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\n"])
def test_the_end_of_a_connection_is_no_request(data: bytes) -> None:
    assert read_events([data]) == [Ended()]
    assert read_events([data], end="reset by peer") == [Ended()]


@pytest.mark.parametrize(
    "line",
    [
        b"GET /\r\n",
        b"POST / HTTP/2.0\r\n",
        b"PRI * HTTP/2.0\r\n",
        b"POST /a b HTTP/1.1\r\n",
        b"POST / HTTP/1.1",
        b"PO(ST / HTTP/1.1\r\n",
        b" POST / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01\r\n",
        b"x" * (MAX_HEAD_BYTES + 5),
        b"\r\n\r\n",
        b"CONNECT mail.test:25 HTTP/1.1\r\n",
    ],
)
def test_an_invalid_request_line_is_refused(line: bytes) -> None:
    (event,) = read_events([line + b"A: b\r\n\r\n"])
    assert isinstance(event, Refused)
    assert event.request is None
    assert len(event.problem) < 400
    assert event.problem.isascii()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x16\x03\x01" + b"\0" * 40, "a TLS handshake: the URL says https, this is http"),
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "the preface of HTTP/2: this is HTTP/1.1, so let the client begin with that",
        ),
        (b"EHLO mail.test\r\n", "'EHLO mail.test', which is no HTTP/1.1 request line"),
        (b"CONNECT mail.test:25 HTTP/1.1\r\n", "which asks for a tunnel"),
        (b"x" * MAX_HEAD_BYTES, "which is no HTTP/1.1 request line"),
    ],
)
def test_a_client_that_sends_no_request_is_refused_early(data: bytes, problem: str) -> None:
    (event,) = read_events([data], end=None)
    assert isinstance(event, Refused)
    assert event.problem.endswith(problem)


@pytest.mark.parametrize("data", [b"\x16\x03\x01", b"POST /", b"POST / HTTP/1.1", b"CONN", b"P" * 100])
def test_a_partial_request_line_is_waited_for(data: bytes) -> None:
    assert read_events([data], end=None) == []


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        pytest.param([b"A: b", b"no colon", b"C: d"], "header line 2 is no 'Name: value'", id="no-colon"),
        pytest.param([b"Authorization : s3cret"], "header line 1 is no", id="space-before-colon"),
        pytest.param([b"A: b", b" folded"], "header line 2 is no", id="fold"),
        pytest.param([b": b"], "header line 1 is no", id="no-name"),
        pytest.param([b"A: b\rC: d"], "header line 1 is no", id="carriage-return"),
        pytest.param([b"A: b\0"], "header line 1 is no", id="nul"),
        pytest.param([b"A: \x1b[31m"], "header line 1 is no", id="control"),
        pytest.param([b"\xc3\xbc: b"], "header line 1 is no", id="name-not-ascii"),
        pytest.param([b"A: " + b"b" * MAX_HEAD_BYTES], "a head of more than", id="long-line"),
        pytest.param([b"A: b"] * (MAX_HEAD_BYTES // 6), "a head of more than", id="many-lines"),
        pytest.param(
            [b"Content-Length: 2", b"Content-Length: 2"], "Content-Length 2 and 2", id="length-twice"
        ),
        pytest.param([b"Content-Length: +2"], "Content-Length +2", id="length-sign"),
        pytest.param([b"Content-Length: -2"], "Content-Length -2", id="length-negative"),
        pytest.param([b"Content-Length: 2, 2"], "Content-Length 2, 2", id="length-list"),
        pytest.param([b"Content-Length: \xb2"], "Content-Length ²", id="length-superscript"),
        pytest.param([b"Content-Length:"], "Content-Length ", id="length-empty"),
        pytest.param([b"Content-Length: " + b"9" * 5000], "Content-Length 999", id="length-digits"),
        pytest.param([b"Content-Length: 67108865"], "a body of 67108865 bytes", id="length-huge"),
        pytest.param([b"Content-Length: 9"], "Content-Length 9, but 2 bytes came", id="length-short"),
        pytest.param(
            [b"Content-Length: 2", b"Transfer-Encoding: chunked"],
            "both Content-Length and Transfer-Encoding",
            id="length-and-coding",
        ),
        pytest.param([b"Transfer-Encoding: gzip, chunked"], "Transfer-Encoding: gzip", id="other-coding"),
        pytest.param([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], "Transfer-", id="twice"),
    ],
)
def test_malformed_framing_is_reported_and_ends_the_connection(lines: list[bytes], problem: str) -> None:
    data = post(*lines, body=b"{}")
    framing = read_request(data).framing
    assert framing is not None
    assert framing.startswith(problem)
    assert "s3cret" not in framing
    assert len(framing) < 200
    assert [type(event) for event in read_events([data])] == [Refused]


def test_malformed_header_lines_are_recorded_whole() -> None:
    request = read_request(post(b"A: b", b"no colon", b" folded", b"C: d"))
    assert request.headers == (("A", "b"), ("no colon", ""), (" folded", ""), ("C", "d"))


@pytest.mark.parametrize("head", [b"POST / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nContent-Le"])
def test_a_head_that_ends_early_is_reported(head: bytes) -> None:
    assert read_request(head).framing == "a head that ends without an empty line"
    whole = read_request(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n")
    assert whole.framing == "a head that ends without an empty line"
    assert whole.headers == (("Content-Length", "2"),)


def chunked(body: bytes, coding: bytes = b"chunked") -> Request:
    return read_request(post(b"Transfer-Encoding: " + coding, body=body))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'2\r\n{"\r\n2\r\na"\r\n1\r\n}\r\n0\r\n\r\n', id="plain"),
        pytest.param(
            b'2;x=y\r\n{"\r\n003 ;z\r\na"}\r\n0;q\r\nA: b\r\nC: d\r\n\r\n', id="extensions-trailers"
        ),
    ],
)
def test_chunks_are_joined(body: bytes) -> None:
    request = chunked(body)
    assert (request.body, request.framing) == (b'{"a"}', None)
    assert chunked(body, b"Chunked").framing is None


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(b"2\r\n{}\r\n", "a chunk without a valid size", id="no-last"),
        pytest.param(b"2\r\n{}XX0\r\n\r\n", "a chunk of size 2 that is not as long", id="size-lies"),
        pytest.param(b"9\r\n{}\r\n", "a chunk of size 9 that is not as long", id="short"),
        pytest.param(b"-1\r\n", "a chunk without a valid size", id="negative"),
        pytest.param(b"0x2\r\n{}\r\n0\r\n\r\n", "a chunk without a valid size", id="prefix"),
        pytest.param(b"1_0\r\n", "a chunk without a valid size", id="underscore"),
        pytest.param(b"{}", "a chunk without a valid size", id="not-chunked"),
        pytest.param(b"2\n{}\r\n0\r\n\r\n", "a chunk without a valid size", id="line-feed"),
        pytest.param(b"1" * MAX_HEAD_BYTES, "a chunk without a valid size", id="no-line"),
        pytest.param(b"FFFFFFF\r\n", "chunks of more than", id="huge"),
        pytest.param(b"0\r\nA: b\r\n", "chunks without an empty line at their end", id="no-end"),
        pytest.param(b"0\r\nA: b\r\nC\r\n\r\n", "trailer line 2 is no 'Name: value'", id="trailer"),
        pytest.param(b"0\r\nA: " + b"b" * MAX_HEAD_BYTES, "a head of more than", id="long-trailer"),
    ],
)
def test_malformed_chunks_are_reported(body: bytes, problem: str) -> None:
    framing = chunked(body).framing
    assert framing is not None
    assert framing.startswith(problem)


def test_the_received_part_of_a_malformed_body_is_recorded() -> None:
    assert chunked(b"2\r\n{}\r\n4\r\nab").body == b"{}ab"
    assert chunked(b"2\r\n{}\r\n4\r\nabcdef").body == b"{}abcd"
    assert read_request(post(b"Content-Length: 9", body=b"{}")).body == b"{}"


def test_trailers_are_no_header_lines_and_count_as_head() -> None:
    def with_trailer(size: int) -> Request:
        data = post(b"Transfer-Encoding: chunked", body=b"0\r\nX: " + b"x" * size + b"\r\n\r\n")
        return read_request(data, SMALL)

    assert with_trailer(9).headers == (("Transfer-Encoding", "chunked"),)
    used = len(post(b"Transfer-Encoding: chunked")) + len(b"\nX: \r\n\r\n")
    assert with_trailer(SMALL.head_bytes - used).framing is None
    assert (
        with_trailer(SMALL.head_bytes - used + 1).framing
        == "a head of more than 120 bytes, with its trailers"
    )


def test_the_limit_of_a_head_is_exact() -> None:
    def with_header(size: int) -> Request:
        return read_request(post(b"A: b", b"X: " + b"x" * size), SMALL)

    room = SMALL.head_bytes - len(post(b"A: b", b"X: "))
    assert with_header(room).framing is None
    assert with_header(room + 1).framing == "a head of more than 120 bytes"
    # A line that is incomplete at the limit is no header line.
    assert with_header(room + 5).headers == (("A", "b"),)


def test_the_limit_of_a_body_is_exact() -> None:
    whole = read_request(post(b"Content-Length: 40", body=b"x" * 40), SMALL)
    assert (whole.framing, len(whole.body)) == (None, 40)
    refused = read_request(post(b"Content-Length: 41", body=b"x" * 41), SMALL)
    assert (refused.framing, refused.body) == ("a body of 41 bytes, of which at most 40 are read", b"")
    chunks = b"a\r\n0123456789\r\n" * 5 + b"0\r\n\r\n"
    refused = read_request(post(b"Transfer-Encoding: chunked", body=chunks), SMALL)
    assert (refused.framing, len(refused.body)) == ("chunks of more than 40 bytes", 40)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"Content-Length: 33554432", b"x" * 65536),
        (b"Transfer-Encoding: chunked", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    ],
    ids=["length", "chunks"],
)
def test_a_body_over_its_limit_is_not_buffered(head: bytes, piece: bytes) -> None:
    most = 1024 * 1024
    tracemalloc.start()
    try:
        events = read_events([post(head), *[piece] * 512], ReadLimits(body_bytes=most))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [type(event) for event in events] == [Refused]
    # Once in the buffer, and once as the body of the request.
    assert peak < 3 * most


def test_the_body_ends_at_its_declared_length() -> None:
    data = post(b"Content-Length: 2", body=b"{}POST /next HTTP/1.1\r\n\r\n")
    first, second, end = read_events([data])
    assert isinstance(first, Received)
    assert isinstance(second, Received)
    assert (first.request.body, second.request.target, end) == (b"{}", "/next", Ended())
    (event, refused) = read_events([post(body=b"not counted")])
    assert isinstance(event, Received)
    assert event.request.body == b""
    assert isinstance(refused, Refused)


def test_the_next_request_is_not_read_before_it_is_requested() -> None:
    reader = RequestReader()
    reader.feed(post() + post(b"no colon"))
    assert isinstance(reader.next_event(), Received)
    assert reader.buffered == len(post(b"no colon"))
    assert reader.has_begun
    assert isinstance(reader.next_event(), Refused)
    assert (reader.buffered, reader.has_begun) == (0, False)


@pytest.mark.parametrize(
    ("data", "asked"),
    [
        (post(b"Expect: 100-Continue", b"Content-Length: 0"), True),
        (post(b"Expect: 100-continue", b"Content-Length: 2", body=b"{}"), True),
        (post(b"Content-Length: 0"), False),
        (b"POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", False),
        (post(b"Expect: 100-continue", b"no colon"), False),
        (post(b"Expect: 100-continue", b"Content-Length: 99999999999"), False),
        (post(b"Expect: something"), False),
    ],
)
def test_expect_100_continue_is_reported(data: bytes, asked: bool) -> None:
    events = read_events([data], end=None)
    assert (ContinueExpected() == events[0]) == asked
    assert len(events) == 1 + asked


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (post(), True),
        (post(b"Connection: keep-alive, TE"), True),
        (post(b"Connection: TE, Close"), False),
        (post(b"Connection: TE", b"connection: close"), False),
        (b"POST / HTTP/1.0\r\n\r\n", False),
        (post(b"Connection: Upgrade", b"Upgrade: h2c"), True),
    ],
)
def test_a_connection_stays_open_if_both_sides_allow_it(data: bytes, expected: bool) -> None:
    assert keeps_alive(data) == expected


def test_nothing_is_read_after_the_last_request() -> None:
    assert len(read_events([post(b"Connection: close") + post()])) == 1


def test_a_connection_lost_inside_a_request_is_reported() -> None:
    (event,) = read_events([post(b"Content-Length: 2", body=b"{")], end="reset by peer")
    assert isinstance(event, Refused)
    assert event.request is not None
    assert (event.problem, event.request.framing, event.request.body) == ("reset by peer",) * 2 + (b"{",)
    assert read_events([b"POS"], end="reset by peer") == [Refused("reset by peer", None)]


@settings(deadline=None)
@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_are_read_without_an_exception(data: bytes, behind_a_line: bool) -> None:
    if behind_a_line:
        request = read_request(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + data)
        assert request.method == "POST"
        return
    assert read_events([data])


def test_a_head_in_single_bytes_is_read_in_linear_time() -> None:
    """If each piece caused a search from the start, it would take minutes."""
    data = post(b"X: " + b"x" * 200_000)
    assert len(read_events(in_bytes(data), end=None)) == 1


# The result does not depend on how the bytes are split.

FRAGMENTS = [
    *(b"POST / HTTP/1.1\r\n", b"GET /a HTTP/1.0\r\n", b"BREW /a HTTP/1.1\n", b"CONNECT /a HTTP/1.1\r\n"),
    *(b"Content-Length: 5\r\n", b"Content-Length: 41\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"no colon\r\n", b"A: b\n", b"A: " + b"b" * 60),
    *(b"\r\n", b"\n", b"\r", b"hello", b"5\r\nhello\r\n", b"0\r\n", b"0\r\n\r\n", b"3\r\nhello\r\n"),
    *(b"5;x=y\r\nhello\r\n", b"28\r\n" + b"x" * 40 + b"\r\n", b"EHLO mail.test\r\n", b"\x16\x03\x01\0"),
    post(b"Content-Length: 5", body=b"hello"),
    post(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\nA: b\r\n\r\n"),
    post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"),
]


def differs_by_pieces(read: Callable[[Iterable[bytes]], list[Event]], data: bytes, cuts: list[float]) -> bool:
    places = sorted({int(cut * len(data)) for cut in cuts} | {0, len(data)})
    whole = read([data])
    return read(data[start:end] for start, end in pairwise(places)) != whole or read(in_bytes(data)) != whole


STREAMS = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=5)), max_size=12).map(b"".join)
CUTS = st.lists(st.floats(0, 1, exclude_max=True), max_size=6)
ENDS = st.sampled_from(["", "reset by peer"])


@settings(max_examples=1000, deadline=None)
@given(STREAMS, CUTS, ENDS)
def test_the_pieces_make_no_difference(data: bytes, cuts: list[float], end: str) -> None:
    assert not differs_by_pieces(lambda pieces: read_events(pieces, SMALL, end=end), data, cuts)


def test_a_reader_that_depends_on_the_pieces_is_detected() -> None:
    def read_each(pieces: Iterable[bytes]) -> list[Event]:
        return [event for piece in pieces for event in read_events([piece], SMALL)]

    assert differs_by_pieces(read_each, post(b"Content-Length: 5", body=b"hello"), [0.5])


@settings(max_examples=500, deadline=None)
@given(STREAMS, CUTS)
@example(post(b"Transfer-Encoding: chunked", body=b"1\r\na\r\n0\r\n\r\n") + post(b"A b"), [])
@example(post(b"Content-Length: 5", body=b"hello") + b"\0\r\n", [0.5])
def test_the_reader_follows_its_table_of_phases(data: bytes, cuts: list[float]) -> None:
    reader = RequestReader(SMALL)
    places = sorted({int(cut * len(data)) for cut in cuts} | {0, len(data)})
    for start, end in pairwise(places):
        reader.feed(data[start:end])
        before = reader.phase
        while reader.next_event() is not None:
            assert reader.phase in reached(before)
            before = reader.phase
        assert reader.phase in reached(before)


def reached(phase: Phase) -> set[Phase]:
    """Return the phases that the table leads to from one, over any number of steps."""
    found, todo = {phase}, [phase]
    while todo:
        for step in TRANSITIONS[todo.pop()] - found:
            found.add(step)
            todo.append(step)
    return found


def test_the_table_of_phases_is_complete_and_has_one_end() -> None:
    assert TRANSITIONS.keys() == set(Phase)
    assert [phase for phase, steps in TRANSITIONS.items() if not steps] == [Phase.CLOSED]
    assert reached(Phase.HEAD) == set(Phase)


# A request that Node's own parser accepts is read as the same request.


class Llhttp:
    """The requests that llhttp reads."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._parser = httptools.HttpRequestParser(self)

    def read(self, data: bytes) -> list[Request]:
        """Parse bytes and return the requests."""
        self._parser.feed_data(data)
        return self.requests

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers: list[tuple[str, str]] = []
        self._trailers = False
        self._body = b""

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._trailers:
            self._headers.append((name.decode("latin-1"), value.decode("latin-1").rstrip(" \t")))

    def on_headers_complete(self) -> None:
        self._trailers = True

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        request = Request(method, self._target.decode("latin-1"), tuple(self._headers), self._body)
        self.requests.append(request)


NAMES = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=12).map(lambda name: f"X{name}")
VALUES = st.text("\t !09azAZ~\x80\xff:;,=", max_size=20).map(lambda value: value.strip(" \t"))


@st.composite
def valid_requests(draw: st.DrawFn) -> tuple[Request, bytes]:
    """Draw a request and its bytes."""
    method = draw(st.sampled_from(["POST", "PUT", "GET", "DELETE", "PATCH"]))
    target = "/" + draw(st.text("azAZ09-._~%!$&'()*+,;=:@/?", max_size=20))
    body = draw(st.binary(max_size=40))
    headers = draw(st.lists(st.tuples(NAMES, VALUES), max_size=5))
    if draw(st.booleans()):
        headers.append(("Content-Length", str(len(body))))
        sent = body
    else:
        headers.append(("transfer-encoding", draw(st.sampled_from(["chunked", "Chunked"]))))
        cuts = sorted({0, len(body), *draw(st.lists(st.integers(0, len(body)), max_size=3))})
        parts = [body[start:end] for start, end in pairwise(cuts)]
        trailers = draw(st.sampled_from([b"", b"A: b\r\n", b"A: b\r\nC:\r\n"]))
        sent = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n" + trailers + b"\r\n"
    order = draw(st.permutations(headers))
    before, behind = draw(st.sampled_from(["", " ", "\t"])), draw(st.sampled_from(["", " "]))
    head = [f"{method} {target} HTTP/1.1", *(f"{name}:{before}{value}{behind}" for name, value in order)]
    data = "\r\n".join([*head, "", ""]).encode("latin-1") + sent
    return Request(method, target, tuple(order), body), data


@settings(max_examples=300, deadline=None)
@given(st.lists(valid_requests(), min_size=1, max_size=4))
def test_valid_requests_are_read_as_llhttp_reads_them(drawn: list[tuple[Request, bytes]]) -> None:
    data = b"".join(sent for _, sent in drawn)
    wanted = [request for request, _ in drawn]
    events = read_events([data])
    assert [event.request for event in events if isinstance(event, Received)] == wanted
    assert events[-1] == Ended()
    assert Llhttp().read(data) == wanted


def test_a_request_that_llhttp_reads_differently_is_detected() -> None:
    """Bare line feeds are such a case: read here, refused there."""
    with pytest.raises(httptools.HttpParserError):
        Llhttp().read(b"POST / HTTP/1.1\nA: b\n\n")
