"""The reader of responses: complete or not, what it refuses, and its limits.

``tests/logto/test_transport_differential.py`` holds its verdicts to those of the real connector.
"""

from __future__ import annotations

import gzip
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.generated import UNHURRIED

from logto_mail_contract.wire.outcomes import Response
from logto_mail_contract.wire.responses import NotAResponse, ResponseReader, decode_content

RESPONSE = (
    b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nX:  y \r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;a\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: u\r\n\r\n"
)


PARTS = (
    *(
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 204 No\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n",
    ),
    *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"X: y\r\n"),
    *(b"\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"abc", b"\r", b"\n", b" ", b":"),
)


@pytest.mark.parametrize("size", range(1, 40))
def test_a_response_is_read_the_same_in_pieces(size: int) -> None:
    reader = ResponseReader()
    for place in range(0, len(RESPONSE), size):
        assert not reader.done
        reader.feed(RESPONSE[place : place + size])
    assert reader.done
    assert (reader.status, reader.headers) == (200, [("x", "y"), ("transfer-encoding", "chunked")])
    assert (bytes(reader.body), reader.reusable, reader.surplus) == (b"abc0123456789", True, b"")


@pytest.mark.parametrize("end", range(len(RESPONSE)))
def test_a_truncated_response_is_never_complete(end: int) -> None:
    reader = ResponseReader()
    if end:
        reader.feed(RESPONSE[:end])
    assert not reader.done
    with pytest.raises(EOFError):
        reader.feed(b"")
    assert reader.begun is (end > 0 and end != RESPONSE.index(b"HTTP/1.1 200"))


@pytest.mark.parametrize(
    "data",
    [b"SSH-2.0-x\r\n", b"HTTX", b"\x16\x03\x01", b"HTTP/1.1 000 No\r\n\r\n", b"HTTP/1.1 200OK\r\n\r\n"],
)
def test_bytes_that_are_no_response_are_refused(data: bytes) -> None:
    with pytest.raises(NotAResponse):
        ResponseReader().feed(data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (
            b"220 mail.example.com ESMTP\r\n",
            "Expected HTTP/, RTSP/ or ICE/, at '220 mail.example.com ESMTP\\r\\n'",
        ),
        (b"HTTP/1.1 200 OK\r\nX Y: z\r\n\r\n", "Invalid header token, at 'X Y: z\\r\\n'"),
        (b"HTTP/1.1 200 OK\r\nX\x01" + b"y" * 99, rf"Invalid header token, at 'X\x01{'y' * 99}'"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc",
            "Expected LF after chunk data, in the chunked body",
        ),
        (
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "101 Switching Protocols, which the request did not ask for",
        ),
        (
            b"HTTP/1.1 101 No\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "101 Switching Protocols, which the request did not ask for",
        ),
        (
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 99 + b"\r\nX Y: z\r\n",
            "Invalid header token, at 'X Y: z\\r\\n'",
        ),
        (b"HTTP/1.1 000 No\r\n\r\n", "the status 000"),
    ],
)
def test_the_problem_of_a_malformed_response_is_reported(data: bytes, problem: str) -> None:
    with pytest.raises(NotAResponse) as raised:
        ResponseReader().feed(data)
    assert str(raised.value) == problem


_HEAD = b"HTTP/1.1 200 OK\r\n"
_CHUNKED_HEAD = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "endless"),
    [
        (_HEAD, b"x"),
        (_HEAD + b"a:", b" " * 100),
        (_HEAD, b"a: b\r\n"),
        (_CHUNKED_HEAD + b"0;", b"a" * 100),
        (_CHUNKED_HEAD + b"0\r\n", b"a: b\r\n"),
    ],
    ids=["name", "blanks", "lines", "chunk size", "trailers"],
)
def test_endless_input_is_refused(start: bytes, endless: bytes) -> None:
    reader = ResponseReader()
    reader.feed(start)

    def feed_on() -> None:
        for _ in range(100_000):
            reader.feed(endless)

    with pytest.raises(NotAResponse, match="a head of more than 16384 bytes"):
        feed_on()


def test_a_body_is_stored_up_to_a_limit() -> None:
    reader = ResponseReader(max_body_bytes=1000)
    reader.feed(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(100):
        reader.feed(b"x" * 300)
    reader.feed(b"")
    assert (reader.done, reader.length, len(reader.body)) == (True, 30_000, 1200)


def test_surplus_has_the_bytes_after_the_end() -> None:
    body = b"\r\n\r\n0\r\n\r\n"
    chunked = b"Transfer-Encoding: chunked\r\n\r\n9\r\n" + body + b"\r\n0\r\n\r\n"
    for rest in (b"Content-Length: 9\r\n\r\n" + body, chunked):
        reader = ResponseReader()
        reader.feed(b"HTTP/1.1 200 OK\r\n" + rest + b"\r\nHTTP/1.1 200 OK\r\n")
        assert (bytes(reader.body), reader.done) == (body, True)
        assert reader.surplus == b"HTTP/1.1 200 OK\r\n"


@UNHURRIED
@given(st.lists(st.sampled_from(PARTS) | st.binary(max_size=3)).map(b"".join), st.integers(1, 50))
def test_any_bytes_are_read_or_refused(data: bytes, size: int) -> None:
    def read(size: int) -> object:
        reader = ResponseReader()
        try:
            for place in range(0, len(data), size):
                reader.feed(data[place : place + size])
                if reader.done:
                    return reader.status, reader.headers, bytes(reader.body), reader.reusable
        except NotAResponse as error:
            return type(error)
        return reader.status, reader.headers, bytes(reader.body)

    assert read(size) == read(len(data) or 1)


def test_decoded_content_is_limited() -> None:
    """A decompression bomb is not unpacked."""
    assert decode_content(gzip.compress(b"x" * 10**6), "gzip", 1000) == b"x" * 1000


def _zip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def test_the_time_for_decoding_is_linear_in_the_body() -> None:
    """Decoding each member took as long as the rest of the body: 90 s for this one."""
    member = _zip(b"")
    body = member * 100_000 + _zip(b"end")
    start = time.monotonic()
    assert decode_content(body, "gzip") == b"end"
    assert decode_content(body[:-1], "gzip") is None
    assert time.monotonic() - start < 45


@pytest.mark.parametrize(
    ("encoding", "body", "content"),
    [
        ("gzip", _zip(b"a") + _zip(b"") + _zip(b"b" * 999), b"a" + b"b" * 999),
        ("GZIP", _zip(b"a") + b"\0\0\0", b"a"),
        ("gzip", _zip(b"a") + b"\0" + _zip(b"b"), b"a"),
        ("gzip", _zip(b"a") + b"garbage", None),
        ("gzip", _zip(b"a")[:-1], None),
        ("deflate", zlib.compress(b"a") + zlib.compress(b"b"), b"a"),
        ("deflate", zlib.compress(b"a")[:-1], None),
        ("deflate", b"garbage", None),
        ("br", b"garbage", b"garbage"),
        ("", b"garbage", b"garbage"),
        ("gzip", b"", b""),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_body_is_decoded_in_pieces_as_node_decodes_it(
    encoding: str, body: bytes, content: bytes | None, size: int
) -> None:
    assert decode_content(body, encoding) == content
    reader = ResponseReader()
    reader.feed(f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n\r\n".encode())
    for place in range(0, len(body), size):
        reader.feed(body[place : place + size])
    reader.feed(b"")
    response = Response.from_reader(reader, 0)
    assert response.content == (body if content is None else content)
    assert bool(response.faults) is (content is None)


def test_content_is_decoded() -> None:
    response = Response(400, (("content-encoding", "gzip"),), gzip.compress(b"no"), 0)
    assert response.content == b"no"
    assert Response(400, (("content-encoding", "gzip"),), b"plain", 0).content == b"plain"
