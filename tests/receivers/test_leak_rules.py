"""Errors that show the program behind a receiver or the credential, and errors that show neither."""

from __future__ import annotations

import base64
import json
from contextlib import closing
from typing import Any
from urllib.parse import quote

import pytest
from tests.support.broken_receivers import TOKEN, Good, Refused, Request, Served, wsgi
from tests.support.runs import has_failed, try_rules

from logto_mail_contract.receivers.receiver import Receiver, Settings

SECRETS = "receiver/respond/error-without-secrets"
INTERNALS = "receiver/respond/error-without-internals"
CREDENTIAL = TOKEN.partition(" ")[2]


def find_failed(text: str | bytes, statuses: tuple[int, ...] = (400, 401, 405, 422)) -> dict[str, str]:
    """Return the actual outcome of both rules, where they fail, for errors with a text."""
    body = text.encode() if isinstance(text, str) else text

    class Tells(Good):
        def refusal(self, refused: Refused, request: Request) -> tuple[int, dict[str, str], bytes]:  # noqa: ARG002
            return refused.status, {}, body if refused.status in statuses else b"no"

    with closing(Receiver.wsgi(wsgi(Tells()), "/hook", authorization=TOKEN)) as receiver:
        results = try_rules((SECRETS, INTERNALS), receiver, Settings(examples=1))
    return {result.rule.id: result.findings[0].actual for result in results if has_failed(result)}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"error":"cannot connect to postgres://mail:pw@10.0.0.5/mail"}', "settings with a password"),
        ("error; config: SMTP_PASSWORD=hunter2", "settings with a password"),
        ('{"SENDGRID_API_KEY": "SG.x1y2"}', "settings with a password"),
        (
            (
                '{"status":400,"error":"Bad Request","trace":"java.lang.NullPointerException: null\\n'
                '\\tat com.acme.MailController.send(MailController.java:41)\\n"}'
            ),
            "a stack trace",
        ),
        (
            (
                "System.NullReferenceException: Object reference not set to an instance of an object.\n"
                "   at Acme.MailController.Post(Message message) in C:\\src\\MailController.cs:line 27\n"
            ),
            "a stack trace",
        ),
        (
            (
                "PHP Fatal error:  Uncaught TypeError: mail(): Argument #1 must be of type string in "
                "/var/www/html/hook.php:12\nStack trace:\n#0 {main}\n  thrown"
            ),
            "a stack trace",
        ),
        (
            (
                "runtime error: index out of range [3] with length 2\n\ngoroutine 19 [running]:\n"
                "main.handle()\n\t/src/main.go:33 +0x1d"
            ),
            "a stack trace",
        ),
        (
            (
                "NoMethodError (undefined method `upcase' for nil:NilClass):\n"
                "app/controllers/mails_controller.rb:9:in `create'"
            ),
            "a stack trace",
        ),
        (
            (
                "TypeError: Cannot read properties of undefined (reading 'name')\n"
                "    at render (/srv/mailer/dist/templates.js:18:33)\n"
                "    at async handle (/srv/mailer/dist/app.js:7:9)"
            ),
            "a stack trace",
        ),
        (
            "Traceback (most recent call last):\n  File \"hook.py\", line 7, in post\nKeyError: 'code'",
            "a stack trace",
        ),
        ("<h1>org.springframework.web.HttpMessageNotReadableException</h1>", "the class of an exception"),
        ('{"error":"duplicate key value violates unique constraint \\"mails_pkey\\""}', "an SQL error"),
        ("You have an error in your SQL syntax; check the manual", "an SQL error"),
        ("SQLSTATE[22P02]: Invalid text representation", "an SQL error"),
        ("SQLITE_CONSTRAINT: NOT NULL constraint failed: mails.code", "an SQL error"),
        ("cannot open /var/www/mailer/templates/sign-in.html", "a file path"),
    ],
)
def test_errors_that_show_the_program_are_found(text: str, what: str) -> None:
    failed = find_failed(text)
    assert failed.keys() == {INTERNALS}
    assert what in failed[INTERNALS]


@pytest.mark.parametrize("statuses", [(400,), (401,), (405,), (422,)])
def test_errors_are_judged_whatever_provoked_them(statuses: tuple[int, ...]) -> None:
    assert find_failed("panic: runtime error: index out of range", statuses).keys() == {INTERNALS}


@pytest.mark.parametrize(
    "text",
    [
        f"expected {TOKEN}",
        f"expected {base64.b64encode(TOKEN.encode()).decode()}",
        f"token {base64.b64encode(b'x' + CREDENTIAL.encode()).decode()} differs",
        f"wanted {base64.urlsafe_b64encode(CREDENTIAL.encode()).decode().rstrip('=')}",
        f"?token={quote(TOKEN, safe='')}",
        f"0x{CREDENTIAL.encode().hex()}",
    ],
)
def test_errors_that_show_the_credential_in_any_encoding_are_found(text: str) -> None:
    failed = find_failed(text, statuses=(401,))
    assert failed.keys() == {SECRETS}
    assert "the Authorization" in failed[SECRETS]
    assert "s3cret" not in failed[SECRETS]


@pytest.mark.parametrize(
    "text",
    [
        '{"error":"unauthorized","error_description":"The bearer token is missing or wrong."}',
        (
            '{"type":"https://tools.ietf.org/html/rfc9110#section-15.5.1","title":"Bad Request","status":400,'
            '"traceId":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}'
        ),
        '{"detail":[{"type":"missing","loc":["body","payload"],"msg":"Field required","input":null}]}',
        '{"message":["type must be a string"],"error":"Bad Request","statusCode":400}',
        '{"timestamp":"2026-01-02T03:04:05.123+00:00","status":400,"error":"Bad Request","path":"/hook"}',
        "<html><head><title>405 Not Allowed</title></head><body><hr><center>nginx</center></body></html>",
        "invalid character '}' looking for beginning of object key string",
        "Unexpected token < in JSON at position 0",
        "syntax error, unexpected end of input",
        "Select a template from the list at https://example.com/docs/errors.html; see /api/hook",
        base64.b64encode(b"another text that is long enough").decode(),
        "",
    ],
)
def test_errors_that_show_nothing_pass(text: str) -> None:
    assert find_failed(text) == {}


def test_what_logto_never_sends_may_be_repeated_but_no_message_of_a_new_type() -> None:
    class Repeats(Good):
        def __init__(self, members: set[str]) -> None:
            self.members = members

        def refusal(self, refused: Refused, request: Request) -> tuple[int, dict[str, str], bytes]:
            try:
                message = json.loads(request.body)
            except ValueError:
                message = None
            known = isinstance(message, dict) and message.keys() - {"ip"} == self.members
            return refused.status, {}, request.body if known else b"no"

    failed = {}
    for members in ({"to", "type"}, {"to", "type", "payload"}):
        with closing(Receiver.wsgi(wsgi(Repeats(members)), "/hook", authorization=TOKEN)) as receiver:
            (result,) = try_rules((SECRETS,), receiver, Settings(examples=1))
        failed[frozenset(members)] = has_failed(result)
    assert list(failed.values()) == [False, True]


def test_a_word_that_a_short_recipient_has_too_is_no_address() -> None:
    class RefusesSubdomains(Good):
        def handle(self, message: Any, request: Request) -> None:
            super().handle(message, request)
            if message["to"].partition("@")[2].count(".") > 1:
                raise Refused(422, "no address")

    with closing(Receiver.wsgi(wsgi(RefusesSubdomains()), "/hook", authorization=TOKEN)) as receiver:
        addresses, secrets = try_rules(("receiver/accept/ordinary-addresses", SECRETS), receiver)
    assert has_failed(addresses)
    assert not has_failed(secrets)


def test_a_message_in_a_content_type_that_logto_never_sends_may_be_repeated() -> None:
    class RefusesText(Good):
        def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
            if request.values("content-type") != ["application/json"] and request.method == "POST":
                return 415, {}, request.body
            return super().respond(request)

    rules = "receiver/auth/wrong-for-every-content-type", SECRETS
    with Served(RefusesText()) as served, closing(Receiver.url(served.url, authorization=TOKEN)) as receiver:
        _, secrets = try_rules(rules, receiver)
    assert secrets.outcome == "passed"
