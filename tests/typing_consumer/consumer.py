"""A consumer of the public API, for ``mypy --strict`` alone: nothing runs it.

``assert_type`` states the type that a user gets. A line with ``type: ignore[code]`` is a mistake that mypy
must report with this code: ``--strict`` reports an ignore that suppresses nothing.
"""

from __future__ import annotations

import ssl
from datetime import datetime
from typing import TYPE_CHECKING, Any, assert_type

from hypothesis.strategies import SearchStrategy

from logto_mail_contract import (
    Attempt,
    ContractViolation,
    Delivery,
    EndpointNotStarted,
    Finding,
    Inbox,
    Mail,
    MailEndpoint,
    MailNotReceived,
    MailServer,
    Message,
    Receiver,
    ReceiverContract,
    Refusal,
    Rule,
    Sender,
    SenderContract,
    SenderSettings,
    SenderUnusable,
    Settings,
    SmtpSink,
    TemplateType,
    UnknownLayer,
    UnknownRevision,
    check,
    post,
    validate,
)
from logto_mail_contract.strategies import (
    BrokenRequest,
    Mutation,
    break_request,
    http_requests,
    messages,
    mutate,
    mutation_names,
    mutations,
    request_names,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from email.message import EmailMessage

MESSAGE: dict[str, Any] = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "042137"}}


def judge_messages() -> None:
    assert_type(validate(MESSAGE), tuple[Finding, ...])
    assert_type(validate(b"{}", "v1.42.0", layer="emitted"), tuple[Finding, ...])
    message = check(MESSAGE)
    assert_type(message, Message)
    assert_type(message.to, str | None)
    assert_type(message.code, str | None)
    assert_type(TemplateType("SignIn"), TemplateType)
    validate(MESSAGE, layer=1)  # type: ignore[arg-type]
    print(check(MESSAGE).kode)  # type: ignore[attr-defined]
    check(MESSAGE).to.upper()  # type: ignore[union-attr]


def read_findings(finding: Finding, rule: Rule, violation: ContractViolation) -> None:
    assert_type(finding.rule, str)
    assert_type(finding.layer, str | None)
    assert_type(finding.expected, tuple[str, ...])
    assert_type(rule.level, str)
    assert_type(rule.outcomes, tuple[str, ...])
    assert_type(violation.findings, tuple[Finding, ...])
    failure: AssertionError = violation
    finding.level = "SHOULD"  # type: ignore[misc]
    raise failure


def catch_errors() -> type[Exception]:
    wrong_choices: tuple[type[ValueError], ...] = (UnknownLayer, UnknownRevision)
    failures: tuple[type[AssertionError], ...] = (ContractViolation, MailNotReceived)
    unusable: tuple[type[Exception], ...] = (SenderUnusable, EndpointNotStarted)
    return (*wrong_choices, *failures, *unusable)[0]


def test_with_the_fixtures(
    mail_endpoint: MailEndpoint, make_mail_endpoint: Callable[..., MailEndpoint]
) -> None:
    assert_type(mail_endpoint.url, str)
    assert_type(mail_endpoint.authorization, str | None)
    assert_type(make_mail_endpoint(https=True).ca_pem, bytes | None)
    assert_type(mail_endpoint.inbox, Inbox)
    assert_type(mail_endpoint.inbox.wait_for(to="foo@example.com", timeout=2), Delivery)
    assert_type(mail_endpoint.inbox.count(type="SignIn"), int)
    assert_type([mail.code for mail in mail_endpoint.inbox], list[str])
    recording: AbstractContextManager[Inbox] = mail_endpoint.recording()
    with recording as inbox:
        assert_type(inbox.latest().message, Message)
    mail_endpoint.reply(503, "down", times=2)
    mail_endpoint.reply("503")  # type: ignore[arg-type]
    mail_endpoint.authorization = b"Bearer s3cret"  # type: ignore[assignment]
    mail_endpoint.inbox.wait_for("foo@example.com")  # type: ignore[call-arg]


async def test_without_blocking(mail_endpoint: MailEndpoint) -> None:
    delivery = await mail_endpoint.inbox.wait_for_async(type="SignIn")
    assert_type(delivery, Delivery)
    assert_type(delivery.status, int)
    assert_type(delivery.time, datetime)
    assert_type(delivery.body, bytes)
    assert_type(delivery.headers, tuple[tuple[str, str], ...])
    assert_type(delivery.violations, tuple[Finding, ...])
    print(mail_endpoint.inbox.wait_for_async().code)  # type: ignore[attr-defined]


def serve_without_pytest() -> None:
    with MailServer(port=0) as server:
        endpoint = server.endpoint(authorization="Bearer s3cret", lenient=True)
        assert_type(endpoint, MailEndpoint)
        outcome = post(endpoint.url, MESSAGE, "Bearer s3cret", tls=ssl.create_default_context())
        assert_type(outcome.seconds, float)
        post(endpoint.url, "text")  # type: ignore[arg-type]
        server.endpoint(revision=1.35)  # type: ignore[arg-type]


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()]


class TestReceiver(ReceiverContract):
    """A receiver in this process."""

    receiver = Receiver.wsgi(application, authorization="Bearer s3cret")
    settings = Settings(examples=50, strict=True)


class TestWrongReceiver(ReceiverContract):
    """A URL in the place of a receiver."""

    receiver = "http://localhost:3000/"  # type: ignore[assignment]
    settings = Settings(examples="50")  # type: ignore[arg-type]


class TestSender(SenderContract):
    """A sender that is a method."""

    settings = SenderSettings(seed=1)

    def send(self, message: dict[str, Any], endpoint: str, authorization: str | None) -> None:
        post(endpoint, message, authorization)


class TestWrongSender(SenderContract):
    """A command and a method of the wrong types."""

    command = "sender --once", 1  # type: ignore[assignment]

    def send(self, message: str) -> None:  # type: ignore[override]
        print(message)


def describe_subjects() -> None:
    assert_type(Receiver.url("http://localhost:3000/"), Receiver)
    assert_type(Receiver.asgi(application, "/hook"), Receiver)
    assert_type(Sender.command(["./sender"]), Sender)
    Receiver.url(b"http://localhost:3000/")  # type: ignore[arg-type]
    Sender.calling(3)  # type: ignore[arg-type]


def read_mails(sent: EmailMessage) -> None:
    mail = Mail.from_message(sent, recipients=["foo@example.com"])
    assert_type(mail, Mail)
    assert_type(mail.text, str)
    assert_type(mail.recipients, tuple[str, ...])
    with SmtpSink(port=0) as sink:
        assert_type(sink.port, int)
        sink.refuse("foo@example.com", Refusal.TEMPORARY, times=1)
        assert_type(sink.attempts("foo@example.com"), list[Attempt])
    Mail(sender="foo@example.com")  # type: ignore[call-arg]


def generate() -> None:
    assert_type(messages(layer="emitted"), SearchStrategy[dict[str, Any]])
    assert_type(mutations(names=mutation_names()), SearchStrategy[Mutation])
    assert_type(http_requests(authorization="Bearer s3cret"), SearchStrategy[BrokenRequest])
    assert_type(mutation_names("1.35", "guard"), tuple[str, ...])
    assert_type(request_names(), tuple[str, ...])
    mutation = mutate(mutation_names()[0], MESSAGE)
    assert_type(mutation, Mutation)
    assert_type(mutation.message, dict[str, Any] | None)
    request = break_request(request_names()[0])
    assert_type(request, BrokenRequest)
    assert_type(request.raw, bytes)
    messages(types="SignIn", layer=None)  # type: ignore[arg-type]
    mutations(names=3)  # type: ignore[arg-type]
