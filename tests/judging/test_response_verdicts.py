"""The verdict on a response: status, redirect and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from logto_mail_contract.judging.responses import (
    format_outcome,
    format_redirect,
    is_accepted,
    is_no_crash,
    is_redirect,
    is_refused,
    is_timeout,
    is_unauthorized,
)
from logto_mail_contract.wire.outcomes import NoResponse, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from logto_mail_contract.wire.outcomes import Outcome

PREDICATES = (is_accepted, is_no_crash, is_refused, is_unauthorized, is_redirect, is_timeout)


@pytest.mark.parametrize(
    ("outcome", "holding"),
    [
        (Response(200, (), b"", 0), {is_accepted, is_no_crash}),
        (Response(299, (), b"", 0), {is_accepted, is_no_crash}),
        (Response(302, (), b"", 0), {is_no_crash, is_redirect}),
        (Response(304, (), b"", 0), {is_accepted, is_no_crash, is_redirect}),
        (Response(400, (), b"", 0), {is_no_crash, is_refused}),
        (Response(401, (), b"", 0), {is_no_crash, is_refused, is_unauthorized}),
        (Response(403, (), b"", 0), {is_no_crash, is_refused, is_unauthorized}),
        (Response(500, (), b"", 0), set()),
        (NoResponse("timeout", "no response", 1), {is_timeout}),
        (NoResponse("cut", "the connection ended without a response", 1), set()),
    ],
)
def test_only_the_matching_predicates_hold(outcome: Outcome, holding: set[Callable[[Outcome], bool]]) -> None:
    assert {predicate for predicate in PREDICATES if predicate(outcome)} == holding


@pytest.mark.parametrize(
    ("status", "location", "text"),
    [
        (200, "/x", ""),
        (304, None, "without Location, Logto counts a 304 as success"),
        (302, None, "Logto follows no such response, and reports the mail as failed"),
        (305, "/x", "Logto follows no such response, and reports the mail as failed"),
        (303, "/x", "Location /x: Logto gets it without a body"),
        (307, "/x\x1b", "Location /x\\u001b: Logto posts the code there once more"),
    ],
)
def test_the_handling_of_a_redirect_by_logto_is_printed(status: int, location: str | None, text: str) -> None:
    headers = () if location is None else (("location", location),)
    found = format_redirect(Response(status, headers, b"", 0))
    assert found.startswith(text)
    assert bool(found) is bool(text)


def test_no_redirect_is_printed_without_a_response() -> None:
    assert format_redirect(NoResponse("timeout", "no response", 1)) == ""


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (Response(200, (), b"", 0.0124), "200 OK after 12 ms"),
        (Response(599, (), b"", 0), "599 after 0 ms"),
        (Response(500, (), b" a\nb\xff ", 0), "500 Internal Server Error after 0 ms, body: a\\nb\ufffd"),
        (Response(400, (), b"x" * 201, 0), f"400 Bad Request after 0 ms, body: {'x' * 200}…"),
        (Response(204, (), b"", 0, (), (307, 303)), "307 and 303, then 204 No Content after 0 ms"),
        (NoResponse("garbled", "x\x1b", 0), "a response that is not HTTP after 0 ms: x\\u001b"),
    ],
)
def test_an_outcome_is_printed_in_one_line(outcome: Outcome, text: str) -> None:
    assert format_outcome(outcome) == text
