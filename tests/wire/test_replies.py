"""Scripted replies: the effect of each on its connection."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from logto_mail_contract.wire.replies import (
    Endless,
    Garbage,
    Reply,
    Reset,
    Script,
    ScriptedResponse,
    scripted_response,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Wire:
    """A connection that records its calls."""

    def __init__(self, *, patience: int = 100, head_only: bool = False) -> None:
        self.head_only = head_only
        self.keep_alive = True
        self.sent = b""
        self.pauses: list[float] = []
        self.was_reset = False
        self._patience = patience

    def send(self, data: bytes) -> None:
        """Record bytes."""
        self.sent += data

    def pause(self, seconds: float) -> bool:
        """Record a pause; after ``patience`` pauses the endpoint is released."""
        self.pauses.append(seconds)
        return len(self.pauses) < self._patience

    def reset(self) -> None:
        """Record a reset."""
        self.was_reset = True


def sent(reply: Reply, **wire: Any) -> Wire:
    connection = Wire(**wire)
    reply.send(connection)
    return connection


def test_a_response_is_sent_whole_and_the_connection_stays_open() -> None:
    wire = sent(scripted_response(503, "dówn", {"Retry-After": "5"}))
    assert wire.sent == (
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 5\r\n\r\nd\xc3\xb3wn"
    )
    assert wire.keep_alive
    assert wire.pauses == []


def test_a_response_announces_the_end_of_the_connection() -> None:
    assert b"\r\nConnection: close\r\n" in scripted_response(200, b"").encode(close=True)
    assert b"Connection" not in scripted_response(200, b"").encode(close=False)


@pytest.mark.parametrize(("status", "length"), [(200, True), (100, False), (204, False), (304, False)])
def test_an_empty_body_has_a_length_if_the_status_allows_a_body(status: int, length: bool) -> None:
    assert (b"Content-Length: 0" in scripted_response(status, b"").encode(close=False)) == length


def test_a_script_can_send_a_wrong_length() -> None:
    assert scripted_response(204, b"x").encode(close=False) == (
        b"HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\nx"
    )
    lie = scripted_response(200, b"xy", {"content-length": "1"}).encode(close=False)
    assert lie == b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxy"
    chunks = scripted_response(200, b"0\r\n\r\n", {"Transfer-Encoding": "chunked"}).encode(close=False)
    assert b"Content-Length" not in chunks


def test_a_response_to_head_has_no_body() -> None:
    wire = sent(scripted_response(200, b"body"), head_only=True)
    assert wire.sent == b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"


def test_a_delayed_response_waits_once() -> None:
    wire = sent(scripted_response(200, b"", delay=1.5))
    assert wire.pauses == [1.5]
    assert wire.sent.startswith(b"HTTP/1.1 200 OK")


def test_a_delayed_response_that_is_released_is_never_sent() -> None:
    wire = sent(scripted_response(200, b"", delay=math.inf), patience=1)
    assert wire.sent == b""
    assert not wire.keep_alive


def test_a_drip_waits_between_two_bytes() -> None:
    whole = scripted_response(200, b"ab").encode(close=False)
    wire = sent(scripted_response(200, b"ab", drip=0.25))
    assert wire.sent == whole
    assert wire.pauses == [0.25] * (len(whole) - 1)
    assert wire.keep_alive
    cut = sent(scripted_response(200, b"ab", drip=0.25), patience=3)
    assert cut.sent == whole[:3]
    assert not cut.keep_alive


def test_an_endless_body_ends_when_it_is_released() -> None:
    wire = sent(Endless(), patience=5)
    assert wire.sent == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n" + b"." * 4
    )
    assert not wire.keep_alive


def test_garbage_and_reset_end_the_connection() -> None:
    wire = sent(Garbage(b"\0\1"))
    assert (wire.sent, wire.keep_alive) == (b"\0\1", False)
    assert sent(Reset()).was_reset


def test_replies_describe_themselves() -> None:
    assert str(scripted_response(503, b"", delay=1.5)) == "503 after 1.5 s"
    assert str(scripted_response(200, b"", drip=1)) == "200, byte by byte"
    assert [str(reply) for reply in (Reset(), Garbage(b""), Endless())] == [
        "a reset",
        "garbage",
        "a body without end",
    ]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"status": 99}, "invalid status 99: expected three digits"),
        ({"status": 1000}, "invalid status 1000: expected three digits"),
        ({"delay": -1}, "interval -1: expected seconds, 0 or more"),
        ({"delay": math.nan}, "interval nan: expected seconds, 0 or more"),
        ({"drip": -0.5}, "interval -0.5: expected seconds, 0 or more"),
        ({"headers": {"X": "a\r\nY: b"}}, "cannot be sent as a header line: 'X'"),
        ({"headers": {"X:": "a"}}, "cannot be sent as a header line: 'X:'"),
        ({"headers": {"": "a"}}, "cannot be sent as a header line: ''"),
        ({"headers": {"X": "€"}}, "cannot be sent as a header line: 'X'"),
    ],
)
def test_an_unsendable_response_is_refused_when_it_is_scripted(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        scripted_response(**{"status": 200, "body": b"", **given})


def test_header_values_are_latin_1() -> None:
    assert b"X: \xfc\r\n" in scripted_response(200, b"", {"X": "ü"}).encode(close=False)


def test_finite_replies_are_used_in_order_before_the_standing_one() -> None:
    script = Script()
    assert script.take_next() is None
    first, second, standing = ScriptedResponse(201), ScriptedResponse(202), ScriptedResponse(500)
    script.add(standing, None)
    script.add(first, 2)
    script.add(second, 1)
    assert [script.take_next() for _ in range(5)] == [first, first, second, standing, standing]
    script.add(first, 1)
    script.reset()
    assert script.take_next() is None


def test_the_last_standing_reply_wins() -> None:
    script = Script()
    script.add(ScriptedResponse(201), None)
    script.add(ScriptedResponse(202), None)
    assert script.take_next() == ScriptedResponse(202)


@pytest.mark.parametrize("times", [0, -1])
def test_times_is_at_least_one(times: int) -> None:
    with pytest.raises(ValueError, match=f"invalid times {times}: expected a number of requests, 1 or more"):
        Script().add(ScriptedResponse(), times)


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda: scripted_response("503", b""), "whole number"),  # type: ignore[arg-type]
        (lambda: scripted_response(200, {"ok": True}), "text or bytes"),  # type: ignore[arg-type]
    ],
)
def test_an_invalid_reply_is_refused_when_it_is_scripted(call: Callable[[], object], problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        call()
