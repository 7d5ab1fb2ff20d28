"""The verdict on a response: status, redirect, time and leaks."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from logto_mail_contract.judging.responses import (
    find_internals,
    find_secrets,
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


def repeated_secrets(body: bytes, *authorizations: str, encoding: str = "") -> list[str]:
    """Return the names of the secrets of a request that a response body repeats."""
    headers = (("content-encoding", encoding),) if encoding else ()
    response = Response(400, headers, body, 0)
    return find_secrets(
        response, code="739105", link="token=a.b", address="foo@", authorizations=authorizations
    )


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"no", []),
        (b"code 739105.", ["the code"]),
        (b"number 1739105, id a739105, id 739105b", []),
        (b"https://app.example.com/?token=a.b", ["the link"]),
        (b"https://app.example.com/?token=axb", []),
        (b"739105 for foo@example.com", ["the code", "the address"]),
        (b"Bearer s3cret-T0ken is wrong", ["the Authorization"]),
        (b"s3cret-T0ken is wrong", ["the Authorization"]),
        (b"a Bearer token is needed", []),
    ],
)
def test_secrets_that_a_body_repeats_are_found(body: bytes, found: list[str]) -> None:
    assert repeated_secrets(body, "Bearer s3cret-T0ken") == found
    assert repeated_secrets(gzip.compress(body), "Bearer s3cret-T0ken", encoding="gzip") == found


@pytest.mark.parametrize("authorization", ["", "token", "secret", "Bearer x"])
def test_an_authorization_that_may_be_an_ordinary_word_is_no_secret(authorization: str) -> None:
    assert repeated_secrets(b"Bearer x: the secret token is wrong", authorization) == []


def test_empty_secrets_are_not_found() -> None:
    response = Response(400, (), b"123456", 0)
    assert find_secrets(response, code="", link="", address="", authorizations=()) == []


@pytest.mark.parametrize(
    "text",
    [
        "Cannot PUT /app/hook.php",
        '{"path": "/app/hook.php", "error": "Not Found"}',
        "http://localhost:3000/app/hook.php",
        '<script src="/srv/x.js"></script><link href="/opt/app.css">',
        "see https://example.com/home/user/docs and /docs/errors",
        "at 12:30 (UTC)\nat position 3",
        "application/json; charset=utf-8",
        "Expected:\\nsomething",
        "ratio 1/2/3 and/or",
        "invalid type at payload (line 3)",
        "/_next/static/chunks/pages/_error-1a2b.js",
    ],
)
def test_text_without_internals_has_no_finding(text: str) -> None:
    assert shown_internals(text) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('Traceback (most recent call last):\n  File "x.py", line 3, in f', "a stack trace"),
        ('{"e": "Traceback (most recent call last):\\n  File \\"x.py\\", line 3"}', "a stack trace"),
        ("<br> &nbsp; &nbsp;at parse (/app/node_modules/body-parser/lib/json.js:92:19)", "a stack trace"),
        ('{"stack":"Error: x\\n    at async handle (file:///app/x.mjs:1:2)"}', "a stack trace"),
        ("Error\n    at file:///app/server.mjs:10:5", "a stack trace"),
        ("java.lang.NullPointerException\n\tat com.example.Mail.send(Mail.java:42)", "a stack trace"),
        ("   at Mail.Hook.Post(String b) in C:\\src\\Hook.cs:line 12", "a stack trace"),
        ("panic: runtime error: index out of range\n\ngoroutine 1 [running]:", "a stack trace"),
        ("thread 'main' panicked at src/main.rs:3:5", "a stack trace"),
        ("#0 /var/www/html/index.php(12): handle()", "a stack trace"),
        ("/srv/mail/app.rb:12:in `call'", "a stack trace"),
        ("open /etc/mail/templates: no such file", "a file path"),
        ("ENOENT: no such file, open '/app/templates/NewTemplate.js'", "a file path"),
        ("ENOENT: no such file, open '/home/deploy/mail/x.html'", "a file path"),
        ('{"file": "\\/var\\/www\\/html\\/index.php"}', "a file path"),
        ('{"file": "C:\\\\inetpub\\\\mail"}', "a file path"),
        ("Module not found: node_modules/express", "a file path"),
        ("/usr/local/lib/python3.11/json/decoder.py", "a file path"),
    ],
)
def test_internals_in_a_text_are_found(text: str, what: str) -> None:
    assert what in shown_internals(text)


def shown_internals(text: str) -> list[str]:
    """Return the kinds of internals in a response body of a receiver at ``/app/hook.php``."""
    return find_internals(Response(500, (), text.encode(), 0), "/app/hook.php")
