"""How requests are read off the wire, told without a socket."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logto_mail_contract.wire import requests as http1
from logto_mail_contract.wire.requests import NotARequest, read_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from logto_mail_contract.wire.requests import Request


def read(data: bytes, go_on: Callable[[], None] = lambda: None) -> Request:
    came = read_request(io.BytesIO(data), go_on)
    assert came is not None
    return came[0]


def stays(data: bytes) -> bool:
    came = read_request(io.BytesIO(data), lambda: None)
    assert came is not None
    return came[1]


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"POST /mail HTTP/1.1", *lines, b"", body])


def test_a_request_is_kept_as_it_came() -> None:
    data = (
        b"POST //a/%7Eb?c=d HTTP/1.1\r\nuser-agent: got\r\nX-Two:1\r\nHOST:  h \r\nx-two: \xc3\xbc\r\n"
        b"Empty:\r\nContent-Length: 2\r\n\r\n{}"
    )
    request = read(data)
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


def test_bare_line_feeds_and_an_empty_line_before_are_read() -> None:
    request = read(b"\r\nPOST / HTTP/1.1\nA: b\n\n")
    assert (request.headers, request.framing) == ((("A", "b"),), None)


def test_the_end_of_a_connection_is_no_request() -> None:
    assert read_request(io.BytesIO(b""), lambda: None) is None
    assert read_request(io.BytesIO(b"\r\n"), lambda: None) is None


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
        b"x" * (http1.MAX_HEAD_BYTES + 5),
        b"\r\n\r\n",
    ],
)
def test_what_is_no_request_line(line: bytes) -> None:
    with pytest.raises(NotARequest) as caught:
        read(line + b"A: b\r\n\r\n")
    assert len(str(caught.value)) < 400
    assert str(caught.value).isascii()


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        pytest.param([b"A: b", b"no colon", b"C: d"], "header line 2 is no 'Name: value'", id="no-colon"),
        pytest.param([b"Authorization : s3cret"], "header line 1 is no", id="space-before-colon"),
        pytest.param([b"A: b", b" folded"], "header line 2 is no", id="fold"),
        pytest.param([b": b"], "header line 1 is no", id="no-name"),
        pytest.param([b"A: b\rC: d"], "header line 1 is no", id="carriage-return"),
        pytest.param([b"A: b\0"], "header line 1 is no", id="nul"),
        pytest.param([b"\xc3\xbc: b"], "header line 1 is no", id="name-not-ascii"),
        pytest.param([b"A: " + b"b" * http1.MAX_HEAD_BYTES], "a head of more than", id="long-line"),
        pytest.param([b"A: b"] * (http1.MAX_HEAD_BYTES // 6), "a head of more than", id="many-lines"),
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
def test_broken_framing_is_told_and_ends_the_connection(lines: list[bytes], told: str) -> None:
    data = post(*lines, body=b"{}")
    framing = read(data).framing
    assert framing is not None
    assert framing.startswith(told)
    assert "s3cret" not in framing
    assert len(framing) < 200
    assert not stays(data)


def test_broken_header_lines_are_kept_whole() -> None:
    request = read(post(b"A: b", b"no colon", b" folded", b"C: d"))
    assert request.headers == (("A", "b"), ("no colon", ""), (" folded", ""), ("C", "d"))


def test_a_head_that_ends_early_is_told() -> None:
    assert (
        read(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n").framing == "a head that ends without an empty line"
    )
    assert read(b"POST / HTTP/1.1\r\nContent-Le").framing == "a head that ends without an empty line"


def chunked(body: bytes, coding: bytes = b"chunked") -> Request:
    return read(post(b"Transfer-Encoding: " + coding, body=body))


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
    ("body", "told"),
    [
        pytest.param(b"2\r\n{}\r\n", "a chunk without a valid size", id="no-last"),
        pytest.param(b"2\r\n{}XX0\r\n\r\n", "a chunk of size 2 that is not as long", id="size-lies"),
        pytest.param(b"9\r\n{}\r\n", "a chunk of size 9 that is not as long", id="short"),
        pytest.param(b"-1\r\n", "a chunk without a valid size", id="negative"),
        pytest.param(b"0x2\r\n{}\r\n0\r\n\r\n", "a chunk without a valid size", id="prefix"),
        pytest.param(b"1_0\r\n", "a chunk without a valid size", id="underscore"),
        pytest.param(b"{}", "a chunk without a valid size", id="not-chunked"),
        pytest.param(b"FFFFFFF\r\n", "chunks of more than", id="huge"),
        pytest.param(b"0\r\nA: b\r\n", "chunks without an empty line at their end", id="no-end"),
    ],
)
def test_broken_chunks_are_told(body: bytes, told: str) -> None:
    framing = chunked(body).framing
    assert framing is not None
    assert framing.startswith(told)


def test_the_body_ends_where_it_says() -> None:
    source = io.BytesIO(post(b"Content-Length: 2", body=b"{}POST /next HTTP/1.1\r\n\r\n"))
    first, second = read_request(source, lambda: None), read_request(source, lambda: None)
    assert first is not None
    assert second is not None
    assert (first[0].body, second[0].target) == (b"{}", "/next")
    assert read(post(body=b"not counted")).body == b""


def test_who_waits_for_continue_is_told_to_go_on() -> None:
    called: list[bool] = []
    read(post(b"Expect: 100-Continue", b"Content-Length: 0"), lambda: called.append(True))
    assert called == [True]
    read(post(b"Content-Length: 0"), lambda: called.append(True))
    read(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", lambda: called.append(True))
    read(post(b"Expect: 100-continue", b"no colon"), lambda: called.append(True))
    assert called == [True]


def test_connections_stay_open_where_both_may_go_on() -> None:
    assert stays(post())
    assert stays(post(b"Connection: keep-alive, TE"))
    assert not stays(post(b"Connection: TE, Close"))
    assert not stays(post(b"Connection: TE", b"connection: close"))
    assert not stays(b"POST / HTTP/1.0\r\n\r\n")


class Broken(io.BytesIO):
    """A connection that is reset behind the head."""

    def read(self, size: int | None = -1) -> bytes:
        """Fail."""
        raise ConnectionResetError(f"reset by peer, {size} bytes were wanted")


def test_a_connection_that_breaks_inside_a_request_is_told() -> None:
    came = read_request(Broken(post(b"Content-Length: 2")), lambda: None)
    assert came is not None
    assert came[0].framing == "a connection that broke inside the request: reset by peer, 2 bytes were wanted"
    assert not came[1]


@given(st.binary(max_size=80), st.booleans())
def test_no_bytes_make_reading_fail(data: bytes, behind_a_line: bool) -> None:
    if behind_a_line:
        request = read(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + data)
        assert request.method == "POST"
        return
    with contextlib.suppress(NotARequest):
        read_request(io.BytesIO(data), lambda: None)
