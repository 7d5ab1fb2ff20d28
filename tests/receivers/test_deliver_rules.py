"""The rules ``receiver/deliver/*``: receivers that pass them, and for each rule some that fail it."""

# Receivers are named after what they do. Each of their methods is a step that can go wrong.
# ruff: noqa: ARG002, D101

from __future__ import annotations

import hashlib
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing, contextmanager
from email.message import EmailMessage
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from tests.support.runs import has_failed, try_rule, try_rules

from logto_mail_contract import catalogue
from logto_mail_contract.connector.encoding import connector_call
from logto_mail_contract.judging.javascript_json import stringify
from logto_mail_contract.receivers.outbox import Mail, SmtpSink
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.receivers.run import QUIET_SECONDS, ReceiverRun
from logto_mail_contract.suite.checks import list_rule_ids
from logto_mail_contract.suite.engine import run_rule
from logto_mail_contract.wire.outcomes import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from logto_mail_contract.suite.results import Result

EXAMPLES = Path(__file__).parents[2] / "examples"
AUTHORIZATION = "Bearer s3cret"
RULES = [rule for rule in list_rule_ids("receiver") if rule.startswith("receiver/deliver/")]
# For receivers that lose mails: each lost mail costs the whole wait.
IMPATIENT = Settings(warn_after=0.1, fail_after=0.2, workers=1)


class Refused(Exception):
    """Ends a request with an error status."""


class Small:
    """A correct receiver with a method for each step that can go wrong."""

    subjects: Mapping[str, str] = {"SignIn": "Sign in to", "OrganizationInvitation": "Join"}

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        status = "204 No Content"
        try:
            self.respond(environ)
        except Refused as refusal:
            status = str(refusal)
        start_response(status, [])
        return []

    def respond(self, environ: dict[str, Any]) -> None:
        self.authorize(environ)
        self.handle(self.parse(environ))

    def authorize(self, environ: dict[str, Any]) -> None:
        if environ.get("HTTP_AUTHORIZATION") != AUTHORIZATION:
            raise Refused("401 Unauthorized")

    def parse(self, environ: dict[str, Any]) -> dict[str, Any]:
        if environ["REQUEST_METHOD"] != "POST":
            raise Refused("405 Method Not Allowed")
        try:
            message: dict[str, Any] = json.loads(environ["wsgi.input"].read())
            kinds = [type(message[name]) for name in ("to", "type", "payload")]
        except (ValueError, LookupError, TypeError):
            raise Refused("400 Bad Request") from None
        if kinds != [str, str, dict]:
            raise Refused("400 Bad Request")
        return message

    def handle(self, message: dict[str, Any]) -> None:
        self.post(message)

    def post(self, message: dict[str, Any]) -> None:
        self.mails.append(Mail("shop@example.com", self.recipients(message), self.render(message)))

    def recipients(self, message: dict[str, Any]) -> tuple[str, ...]:
        return (message["to"],)

    def headers(self, message: dict[str, Any]) -> list[str]:
        return [f"To: {message['to']}", f"Subject: {self.one_line(self.subject(message))}"]

    def render(self, message: dict[str, Any]) -> bytes:
        body = EmailMessage()
        body.set_content(self.text(message))
        body.add_alternative(self.html(message), subtype="html")
        head = "".join(f"{line}\r\n" for line in self.headers(message))
        return head.encode("utf-8", "replace") + body.as_bytes()

    def one_line(self, text: str) -> str:
        return " ".join(text.split())

    def escape(self, text: str) -> str:
        return html.escape(text)

    def name(self, message: dict[str, Any]) -> str:
        payload = message["payload"]
        names = [
            (payload.get(context) or {}).get("name")
            for context in ("application", "organization", "user", "inviter")
        ]
        return ", ".join(filter(None, [*names, payload.get("uiLocales"), payload.get("locale")]))

    def subject(self, message: dict[str, Any]) -> str:
        return f"{self.subjects.get(message['type'], 'For')} {self.name(message)}"

    def code(self, message: dict[str, Any]) -> str:
        code: str = message["payload"].get("code", "")
        return code

    def html_code(self, message: dict[str, Any]) -> str:
        return self.code(message)

    def text(self, message: dict[str, Any]) -> str:
        link = message["payload"].get("link", "")
        return f"Hello {self.name(message)}\n\n{self.code(message) or self.text_link(link)}\n"

    def text_link(self, link: str) -> str:
        return link

    def html_link(self, link: str) -> str:
        if not link.startswith("https://"):
            return self.escape(link)
        return f'<a href="{self.escape(link)}">Join</a>'

    def logo(self, message: dict[str, Any]) -> str:
        branding = (message["payload"].get("application") or {}).get("branding", {})
        return f'<img src="{self.escape(branding.get("logoUrl", ""))}" alt="">'

    def html(self, message: dict[str, Any]) -> str:
        link = message["payload"].get("link", "")
        secret = self.html_code(message) or self.html_link(link)
        name = self.escape(self.name(message))
        return (
            f"<!doctype html><html><head><title>{name}</title></head><body>{self.logo(message)}"
            f"<p title='{name}'>Hello {name}</p><p>{secret}</p>"
            f"<p>Sent to {self.recipient(message)} for {self.escape(message.get('ip', ''))}</p></body></html>"
        )

    def recipient(self, message: dict[str, Any]) -> str:
        return self.escape(message["to"])


# Other correct receivers.


class PlainText(Small):
    def render(self, message: dict[str, Any]) -> bytes:
        body = EmailMessage()
        # Markup in plain text is text.
        body.set_content(self.text(message) + self.name(message))
        return "".join(f"{line}\r\n" for line in self.headers(message)).encode() + body.as_bytes()


class HtmlOnly(Small):
    encoding = "base64"

    def render(self, message: dict[str, Any]) -> bytes:
        body = EmailMessage()
        body.set_content(self.html(message), subtype="html", cte=self.encoding)
        return "".join(f"{line}\r\n" for line in self.headers(message)).encode() + body.as_bytes()


class QuotedPrintable(HtmlOnly):
    encoding = "quoted-printable"


class CodeInSubject(PlainText):
    def subject(self, message: dict[str, Any]) -> str:
        return f"{self.code(message)} is your code"

    def text(self, message: dict[str, Any]) -> str:
        return str(message["payload"].get("link", "The code is in the subject."))


class DigitsInElements(Small):
    def html_code(self, message: dict[str, Any]) -> str:
        return "".join(f'<span class="digit">&#{ord(digit)};</span>' for digit in self.code(message))


class ShortText(Small):
    def text(self, message: dict[str, Any]) -> str:
        return "This mail is HTML."


class LabelledLink(Small):
    def html_link(self, link: str) -> str:
        return f'<!--[if mso]><a href="{link[:20]}"><![endif]-->{super().html_link(link)}' + (
            f"<a href='{self.escape(link)}'>{self.escape(link[:50])}…</a>" if link.startswith("https") else ""
        )


class RedirectedLink(Small):
    def html_link(self, link: str) -> str:
        return f'<a href="https://shop.example.com/out?to={quote(link, safe="")}">Join</a>'


class LowerCase(Small):
    def recipients(self, message: dict[str, Any]) -> tuple[str, ...]:
        return (message["to"].lower(),)


class OnlyPlainRecipients(Small):
    def handle(self, message: dict[str, Any]) -> None:
        if not re.fullmatch(r"[\w.+-]+@[\w.-]+", message["to"]):
            raise Refused("422 Unprocessable Content")
        super().handle(message)


class ClosedTypes(Small):
    def handle(self, message: dict[str, Any]) -> None:
        if message["type"] not in catalogue.schema("1.35", "emitted")["properties"]["type"]["enum"]:
            raise Refused("422 Unprocessable Content")
        super().handle(message)


class Queued(Small):
    """Responds first and sends later, from one thread."""

    delay = 0.02

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def handle(self, message: dict[str, Any]) -> None:
        threading.Timer(self.delay, self.later, [message]).start()

    def later(self, message: dict[str, Any]) -> None:
        self.post(message)


GOOD = [
    Small,
    PlainText,
    HtmlOnly,
    QuotedPrintable,
    CodeInSubject,
    DigitsInElements,
    ShortText,
    LabelledLink,
    RedirectedLink,
    LowerCase,
    OnlyPlainRecipients,
    ClosedTypes,
    Queued,
]


# Receivers with one mistake.


class SendsNothing(Small):
    def post(self, message: dict[str, Any]) -> None:
        pass


class SendsTwice(Small):
    def post(self, message: dict[str, Any]) -> None:
        super().post(message)
        super().post(message)


class SendsAgainLater(Queued):
    """A queue that sends a mail again after it was sent."""

    def handle(self, message: dict[str, Any]) -> None:
        self.post(message)
        super().handle(message)


class ForgetsAType(Small):
    def post(self, message: dict[str, Any]) -> None:
        if message["type"] != "BindMfa":
            super().post(message)


class AuthorizesAfterwards(Small):
    def respond(self, environ: dict[str, Any]) -> None:
        self.handle(self.parse(environ))
        self.authorize(environ)


class ReadsPastTheEnd(Small):
    """Sends a mail from a truncated request body, and then refuses the request."""

    def parse(self, environ: dict[str, Any]) -> dict[str, Any]:
        body = environ["wsgi.input"].read()
        for end in (b"", b"}"):
            try:
                return self._checked(environ, body + end, whole=not end)
            except ValueError:
                continue
        raise Refused("400 Bad Request")

    def _checked(self, environ: dict[str, Any], body: bytes, *, whole: bool) -> dict[str, Any]:
        message = super().parse({**environ, "wsgi.input": io.BytesIO(json.dumps(json.loads(body)).encode())})
        if not whole:
            self.post(message)
            raise Refused("400 Bad Request")
        return message


class ArchivesInCopy(Small):
    def recipients(self, message: dict[str, Any]) -> tuple[str, ...]:
        return (message["to"], "archive@example.com")


class ArchivesInAnotherMail(Small):
    def post(self, message: dict[str, Any]) -> None:
        super().post(message)
        self.mails.append(Mail("shop@example.com", ("archive@example.com",), self.render(message)))


class NamesOthers(Small):
    def headers(self, message: dict[str, Any]) -> list[str]:
        return [*super().headers(message), "Cc: support@example.com"]


class CutsTags(Small):
    def recipients(self, message: dict[str, Any]) -> tuple[str, ...]:
        return (re.sub(r"\+.*@", "@", message["to"]),)


class NumbersForCodes(Small):
    def code(self, message: dict[str, Any]) -> str:
        code = super().code(message)
        return str(int(code)) if code else ""


class NumberInThePlainText(Small):
    def text(self, message: dict[str, Any]) -> str:
        code = message["payload"].get("code")
        return f"Your code: {int(code)}" if code else super().text(message)


class DigitsOfTheLanguage(Small):
    def code(self, message: dict[str, Any]) -> str:
        code = super().code(message)
        arabic = message["payload"].get("locale") in ("ar", "fa-IR")
        return code.translate({ord("0") + digit: 0x660 + digit for digit in range(10)}) if arabic else code


class CodeOutOfSight(Small):
    """The HTML template misspells its variable; only the unseen plain text is right."""

    def html_code(self, message: dict[str, Any]) -> str:
        return "{{ verificationCode }}" if self.code(message) else ""


class CodeInAStyle(Small):
    def html_code(self, message: dict[str, Any]) -> str:
        return f"<style>.c{self.code(message)} {self.code(message)}</style>" if self.code(message) else ""


class CodeInPieces(Small):
    def code(self, message: dict[str, Any]) -> str:
        code = super().code(message)
        return f"{code[:3]} {code[3:]}" if code else ""


class CodeInCells(Small):
    def html_code(self, message: dict[str, Any]) -> str:
        code = self.code(message)
        cells = "".join(f"<td>{digit}</td>\n" for digit in code)
        return f"<table><tr>{cells}</tr></table>" if code else ""


class CodeWithInvisibleCharacters(Small):
    def html_code(self, message: dict[str, Any]) -> str:
        return "&zwnj;".join(self.code(message))


class WrapsText(Small):
    def text(self, message: dict[str, Any]) -> str:
        return textwrap.fill(super().text(message), 72)


class EscapesPlainText(Small):
    def text_link(self, link: str) -> str:
        return html.escape(link)


class LinkAsItCame(Small):
    def html_link(self, link: str) -> str:
        return f'<a href="{link}">Join</a>' if link.startswith("https://") else html.escape(link)


class LinkInTextAsItCame(Small):
    def html_link(self, link: str) -> str:
        return link.replace("<", "&lt;")


class LinkWithoutItsQuery(Small):
    def html_link(self, link: str) -> str:
        return super().html_link(link.partition("?")[0])

    text_link = html_link


class NoLink(Small):
    def html_link(self, link: str) -> str:
        return ""

    text_link = html_link


class NothingForUnknownTypes(ClosedTypes):
    def handle(self, message: dict[str, Any]) -> None:
        try:
            super().handle(message)
        except Refused:
            return


class UnknownTypesWithoutCode(ClosedTypes):
    def handle(self, message: dict[str, Any]) -> None:
        try:
            super().handle(message)
        except Refused:
            self.post({**message, "payload": {}})


class PastesNames(Small):
    def html(self, message: dict[str, Any]) -> str:
        self.escape = str  # type: ignore[method-assign, assignment]
        page = super().html(message)
        del self.escape
        return page

    def html_link(self, link: str) -> str:
        return f'<a href="{html.escape(link)}">Join</a>' if link.startswith("https://") else html.escape(link)


class KeepsQuotes(Small):
    def escape(self, text: str) -> str:
        return html.escape(text, quote=False)


class PastesTheRecipient(Small):
    def recipient(self, message: dict[str, Any]) -> str:
        recipient: str = message["to"]
        return recipient


class PastesTheLogo(Small):
    def logo(self, message: dict[str, Any]) -> str:
        branding = (message["payload"].get("application") or {}).get("branding", {})
        return f"<img alt='' src='{branding.get('logoUrl', '')}'>"


class PastesIntoTheTitle(Small):
    def html(self, message: dict[str, Any]) -> str:
        return f"<title>{self.name(message)}</title>{super().html(message)}"


class LinksToAnything(Small):
    def html_link(self, link: str) -> str:
        return f'<a href="{self.escape(link)}">Join</a>'


class LinksTheLogo(Small):
    def logo(self, message: dict[str, Any]) -> str:
        branding = (message["payload"].get("application") or {}).get("branding", {})
        return f'<a href=" {self.escape(branding.get("logoUrl", ""))}">{super().logo(message)}</a>'


class NamesInTheSubject(Small):
    def one_line(self, text: str) -> str:
        return text


class CutsOnlyOneKindOfLineEnd(Small):
    def one_line(self, text: str) -> str:
        return text.replace("\r\n", " ").replace("\n", " ")


class RecipientsOfTheHeaders(NamesInTheSubject):
    """Reads the recipients from the headers, as sendmail -t does."""

    def post(self, message: dict[str, Any]) -> None:
        content = self.render(message)
        found = Mail("", (), content).addresses("to", "bcc")
        for recipient in found:
            self.mails.append(
                Mail("shop@example.com", (recipient,), re.sub(rb"\r?[\r\n](X-mc|Bcc).*", b"", content))
            )


class SharesTheMessage(Small):
    def handle(self, message: dict[str, Any]) -> None:
        self.current = message["payload"]
        time.sleep(0.001)
        super().handle({**message, "payload": self.current})


class RemembersTheFirst(Small):
    """Renders a template once for each type, and sends that first result again."""

    def __init__(self) -> None:
        super().__init__()
        self.rendered: dict[str, bytes] = {}

    def render(self, message: dict[str, Any]) -> bytes:
        if message["type"] != "MfaVerification":
            return super().render(message)
        return self.rendered.setdefault(message["type"], super().render(message))


class DropsRepetitions(Small):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def post(self, message: dict[str, Any]) -> None:
        digest = hashlib.sha256(json.dumps(message).encode()).hexdigest()
        if digest not in self.seen:
            super().post(message)
        self.seen.add(digest)


class LosesNamesWithLineEnds(Small):
    """Loses the mail, as a background mailer does that cannot build the subject."""

    def post(self, message: dict[str, Any]) -> None:
        if not set("\r\n") & set(self.name(message)):
            super().post(message)


class LosesQuotedAddresses(Small):
    def post(self, message: dict[str, Any]) -> None:
        if "<" not in message["to"]:
            super().post(message)


class LosesTaggedAddresses(Small):
    def post(self, message: dict[str, Any]) -> None:
        if "+" not in message["to"]:
            super().post(message)


# The rules that each receiver fails: its own first, then those that necessarily fail too.
LOST = (
    "one-mail one-mail-to-odd-addresses link-intact unknown-type-carries-code codes-do-not-cross "
    "resend-is-sent"
)
MISTAKES: list[tuple[type[Small], str]] = [
    (SendsNothing, LOST),
    (SendsTwice, "one-mail one-mail-to-odd-addresses"),
    (SendsAgainLater, "one-mail one-mail-to-odd-addresses"),
    (ForgetsAType, "one-mail codes-do-not-cross"),
    (AuthorizesAfterwards, "none-for-refused"),
    (ReadsPastTheEnd, "none-for-refused"),
    (ArchivesInCopy, "recipient"),
    (ArchivesInAnotherMail, "recipient"),
    (NamesOthers, "recipient"),
    (CutsTags, "recipient"),
    (NumbersForCodes, "code-intact"),
    (NumberInThePlainText, "code-intact"),
    (DigitsOfTheLanguage, "code-intact"),
    (CodeOutOfSight, "code-intact unknown-type-carries-code"),
    (CodeInAStyle, "code-intact unknown-type-carries-code"),
    (CodeInPieces, "code-in-one-piece"),
    (CodeInCells, "code-in-one-piece"),
    (CodeWithInvisibleCharacters, "code-in-one-piece"),
    (WrapsText, "link-intact"),
    (EscapesPlainText, "link-intact"),
    (LinkAsItCame, "link-intact markup-escaped"),
    (LinkInTextAsItCame, "link-intact"),
    (LinkWithoutItsQuery, "link-intact"),
    (NoLink, "link-intact"),
    (NothingForUnknownTypes, "unknown-type-carries-code"),
    (UnknownTypesWithoutCode, "unknown-type-carries-code"),
    (PastesNames, "markup-escaped"),
    (KeepsQuotes, "markup-escaped"),
    (PastesTheRecipient, "markup-escaped"),
    (PastesTheLogo, "markup-escaped"),
    (PastesIntoTheTitle, "markup-escaped"),
    (LinksToAnything, "no-script-link"),
    (LinksTheLogo, "no-script-link"),
    (NamesInTheSubject, "no-header-injection"),
    (CutsOnlyOneKindOfLineEnd, "no-header-injection"),
    (RecipientsOfTheHeaders, "no-header-injection one-mail-to-odd-addresses"),
    (SharesTheMessage, "codes-do-not-cross"),
    (RemembersTheFirst, "codes-do-not-cross"),
    (DropsRepetitions, "resend-is-sent"),
    (LosesNamesWithLineEnds, "one-mail"),
    (LosesTaggedAddresses, "one-mail"),
    (LosesQuotedAddresses, "one-mail-to-odd-addresses"),
]


SHORT = 0.01
"""Quiet seconds that suffice for receivers that send before they respond, as most here do."""


def run_all_rules(
    app: Small, settings: Settings | None = None, quiet_seconds: float = QUIET_SECONDS
) -> dict[str, Result]:
    """Run every rule; return the results by the last part of the rule id."""
    receiver = Receiver.wsgi(app, authorization=AUTHORIZATION)
    with closing(receiver):
        results = try_rules(RULES, receiver, settings, lambda: app.mails, quiet_seconds=quiet_seconds)
    return {result.rule.id.rpartition("/")[2]: result for result in results}


def find_failed(results: Mapping[str, Result]) -> set[str]:
    return {name for name, result in results.items() if has_failed(result)}


@pytest.mark.parametrize("app", GOOD, ids=lambda app: app.__name__)
def test_a_correct_receiver_passes_every_rule(app: type[Small]) -> None:
    results = run_all_rules(app(), quiet_seconds=SHORT)
    assert {name: result.findings for name, result in results.items() if result.findings} == {}
    judged = {name for name, result in results.items() if result.outcome == "passed"}
    missing = {PlainText: {"markup-escaped", "no-script-link"}, ClosedTypes: {"unknown-type-carries-code"}}
    missing[CodeInSubject] = missing[PlainText]
    assert set(results) - judged == missing.get(app, set())


@pytest.mark.parametrize(("app", "rules"), MISTAKES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_receiver_with_one_mistake_fails_exactly_its_rules(app: type[Small], rules: str) -> None:
    results = run_all_rules(app(), IMPATIENT, QUIET_SECONDS if issubclass(app, Queued) else SHORT)
    assert find_failed(results) == set(rules.split()), {
        name: results[name].findings for name in find_failed(results)
    }
    for name in find_failed(results):
        [finding] = results[name].findings
        assert finding.actual


def test_every_rule_has_a_receiver_that_fails_it() -> None:
    assert {rules.split()[0] for _, rules in MISTAKES} == {rule.rpartition("/")[2] for rule in RULES}


@pytest.mark.parametrize("revision", catalogue.revisions())
def test_a_correct_receiver_passes_in_every_revision(revision: str) -> None:
    app = Small()
    with closing(Receiver.wsgi(app, authorization=AUTHORIZATION, revision=revision)) as receiver:
        results = try_rules(RULES, receiver, outbox=lambda: app.mails, quiet_seconds=SHORT)
    assert not [result.findings for result in results if result.findings]
    passed = {result.rule.id.rpartition("/")[2] for result in results if result.outcome == "passed"}
    assert {rule.rpartition("/")[2] for rule in RULES} - passed == (
        {"no-header-injection"} if revision == "1.22" else set()
    )


# Waiting for mails, and rules that are not judged.


class NeverInTime(Queued):
    delay = 0.6


def one_mail(app: Small, settings: Settings) -> Result:
    with closing(Receiver.wsgi(app, authorization=AUTHORIZATION)) as receiver:
        return try_rule("receiver/deliver/one-mail", receiver, settings, lambda: app.mails)


def test_a_late_mail_passes_within_the_limit_and_fails_after_it() -> None:
    assert one_mail(NeverInTime(), Settings(fail_after=5)).outcome == "passed"
    result = one_mail(NeverInTime(), Settings(fail_after=0.1))
    [finding] = result.findings
    assert re.fullmatch(
        r"204 No Content after \d+ ms, and no mail to foo\d+@example.com within 0.1 s", finding.actual
    )


def test_a_receiver_without_mails_costs_the_full_wait_only_once() -> None:
    app = SendsNothing()
    settings = Settings(warn_after=0.02, fail_after=0.5)
    with closing(Receiver.wsgi(app, authorization=AUTHORIZATION)) as receiver:
        results = try_rules(RULES, receiver, settings, lambda: app.mails, quiet_seconds=SHORT)
    seconds = [result.seconds for result in results]
    assert 0.5 < seconds[0] < 1
    assert sum(seconds[1:]) < 2


def test_rules_that_look_at_the_same_mails_wait_for_them_once() -> None:
    class Late(Queued):
        delay = 0.3

    app = Late()
    with (
        closing(Receiver.wsgi(app, authorization=AUTHORIZATION)) as receiver,
        closing(ReceiverRun(receiver, outbox=app.mails.copy)) as run,
    ):
        waited = run_rule(run, "receiver/deliver/code-intact")
        count = len(app.mails)
        shared = run_rule(run, "receiver/deliver/code-in-one-piece")
        assert (waited.outcome, shared.outcome) == ("passed", "passed")
        assert waited.seconds > 0.3 > 0.1 > shared.seconds
        assert len(app.mails) == count
        # A repeated rule sends new messages and waits for their mails.
        assert run_rule(run, "receiver/deliver/code-in-one-piece").seconds > 0.3
        assert len(app.mails) > count


def test_an_outbox_may_be_another_one_for_each_rule() -> None:
    """As the fixtures of pytest are, which empty it after each test."""
    app = Small()
    with (
        closing(Receiver.wsgi(app, authorization=AUTHORIZATION)) as receiver,
        closing(ReceiverRun(receiver)) as run,
    ):
        for rule in RULES:
            app.mails.clear()
            run.outbox = app.mails.copy
            assert run_rule(run, rule).outcome == "passed"


def test_mails_to_unknown_recipients_are_ignored() -> None:
    app = Small()
    app.mails += [Mail("", ("foo@example.com",), b"Subject: 042137\r\n\r\n")] * 3
    assert find_failed(run_all_rules(app, quiet_seconds=SHORT)) == set()


def test_an_outbox_may_be_cleared_between_rules_and_return_new_mail_objects() -> None:
    app = Small()
    app.mails += [Mail("", ("foo@example.com",), b"")] * 1000

    def outbox() -> list[Mail]:
        return [Mail(mail.sender, mail.recipients, mail.content) for mail in app.mails]

    with (
        closing(Receiver.wsgi(app, authorization=AUTHORIZATION)) as receiver,
        closing(ReceiverRun(receiver, outbox=outbox, quiet_seconds=SHORT)) as run,
    ):
        for rule in RULES:
            assert run_rule(run, rule).outcome == "passed"
            app.mails.clear()


def test_mails_go_only_to_the_recipient_domain() -> None:
    app = Small()
    results = run_all_rules(app, Settings(recipient_domain="mail.test"), SHORT)
    assert {result.outcome for result in results.values()} == {"passed"}
    assert {recipient.rpartition("@")[2] for mail in app.mails for recipient in mail.recipients} == {
        "mail.test"
    }


class RefusesEverything(Small):
    def handle(self, message: dict[str, Any]) -> None:
        raise Refused("503 Service Unavailable")


class AcceptsEverything(Small):
    def respond(self, environ: dict[str, Any]) -> None:
        try:
            super().respond(environ)
        except Refused:
            return


class FailsAfterSending(Small):
    def handle(self, message: dict[str, Any]) -> None:
        super().handle(message)
        raise Refused("500 Internal Server Error")


class RefusesRepetitions(DropsRepetitions):
    def post(self, message: dict[str, Any]) -> None:
        before = len(self.mails)
        super().post(message)
        if len(self.mails) == before:
            raise Refused("409 Conflict")


def test_refused_messages_leave_deliver_rules_not_judged() -> None:
    results = run_all_rules(RefusesEverything(), quiet_seconds=SHORT)
    assert {name for name, result in results.items() if result.outcome == "passed"} == set()
    assert find_failed(results) == set()
    assert results["one-mail"].outcome == "not judged"
    assert results["one-mail"].reason == ("the receiver accepted none of the messages; see receiver/accept/*")
    refusing = run_all_rules(RefusesRepetitions(), quiet_seconds=SHORT)["resend-is-sent"]
    assert refusing.outcome == "not judged"
    assert refusing.reason.endswith("see receiver/accept/resend")


def test_a_mail_sent_despite_an_error_response_fails_none_for_refused() -> None:
    assert find_failed(run_all_rules(FailsAfterSending(), quiet_seconds=SHORT)) == {"none-for-refused"}
    result = run_all_rules(AcceptsEverything(), quiet_seconds=SHORT)["none-for-refused"]
    assert result.outcome == "not judged"
    assert result.reason == "the receiver refused none of the requests meant to be refused"


def test_without_an_outbox_no_rule_is_applicable() -> None:
    with closing(Receiver.wsgi(Small(), authorization=AUTHORIZATION)) as receiver:
        results = try_rules(RULES, receiver)
    assert {result.outcome for result in results} == {"not applicable"}
    assert {result.cases for result in results} == {0}


def test_ten_runs_with_other_codes_and_recipients_fail_no_rule() -> None:
    for _ in range(10):
        assert find_failed(run_all_rules(Small(), quiet_seconds=SHORT)) == set()


# The examples.


@contextmanager
def process(*command: str | Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Run a server program, and return the URL that it prints."""
    with subprocess.Popen(
        [str(argument) for argument in command],
        env={**os.environ, **environment, "PORT": "0", "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        assert server.stdout is not None
        lines = server.stdout
        output = []
        try:
            for line in lines:
                output.append(line)
                if match := re.search(r"http://127\.0\.0\.1:\d+", line):
                    # Drain the output: a full pipe would block the program.
                    threading.Thread(target=lambda: [None for _ in lines], daemon=True).start()
                    yield f"{match[0]}/logto-mail"
                    return
            pytest.fail(f"{command} ended:\n{''.join(output)}")
        finally:
            server.kill()


def require_node() -> None:
    """Skip if Node or its packages are missing; in CI (``CI=true``) fail."""
    if shutil.which("node") and (EXAMPLES / "receiver_node" / "node_modules" / "nodemailer").is_dir():
        return
    reason = "the receiver in Node needs Node 20 or later and: npm ci --prefix examples/receiver_node"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def example(name: str) -> Iterator[tuple[Receiver, SmtpSink]]:
    """Start an example and the SMTP server to which it sends its mails."""
    with SmtpSink() as sink:
        environment = {
            "MAIL_AUTHORIZATION": AUTHORIZATION,
            "SMTP_HOST": sink.host,
            "SMTP_PORT": str(sink.port),
        }
        if name in ("receiver_flask", "receiver_fastapi"):
            app = import_module(name).create_app(environment)
            make = Receiver.wsgi if name == "receiver_flask" else Receiver.asgi
            with closing(make(app, "/logto-mail", authorization=AUTHORIZATION)) as receiver:
                yield receiver, sink
            return
        if name == "receiver_node":
            command: tuple[str | Path, ...] = ("node", EXAMPLES / name / "receiver.mjs")
        else:
            command = (sys.executable, EXAMPLES / f"{name.removesuffix('.py')}.py")
        with (
            process(*command, environment=environment) as url,
            closing(Receiver.url(url, authorization=AUTHORIZATION)) as receiver,
        ):
            yield receiver, sink


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[tuple[Receiver, SmtpSink]]:
    """Start the example that the parameter names; return it and its outbox."""
    if request.param == "receiver_node":
        require_node()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        with example(request.param) as started:
            yield started


on_wire = pytest.mark.parametrize("running", ["receiver_flask.py", "receiver_fastapi.py"], indirect=True)
all_examples = pytest.mark.parametrize(
    "running", ["receiver_flask", "receiver_fastapi", "receiver_node"], indirect=True
)
NOT_IN_PROCESS = {
    "receiver/auth/doubled-authorization",
    "receiver/auth/header-name-case",
    "receiver/respond/framing",
    "receiver/respond/keep-alive",
    "receiver/respond/keep-alive-after-error",
}


@all_examples
@pytest.mark.parametrize("rule", list_rule_ids("receiver"))
def test_an_example_passes_every_rule(rule: str, running: tuple[Receiver, SmtpSink]) -> None:
    receiver, sink = running
    result = try_rule(rule, receiver, Settings(), sink)
    assert result.findings == ()
    expected = "passed" if receiver.target.on_wire or rule not in NOT_IN_PROCESS else "not applicable"
    if rule == "receiver/deliver/one-mail-to-odd-addresses" and not receiver.target.on_wire:
        expected = "not judged"  # they refuse such an address
    assert result.outcome == expected, result.reason


@on_wire
def test_an_example_run_as_a_program_passes_the_wire_rules(running: tuple[Receiver, SmtpSink]) -> None:
    receiver, sink = running
    results = try_rules(sorted(NOT_IN_PROCESS), receiver, Settings(), sink)
    assert [(result.outcome, result.findings) for result in results] == [("passed", ())] * len(NOT_IN_PROCESS)


@all_examples
def test_an_example_passes_generated_messages_of_ten_seeds(running: tuple[Receiver, SmtpSink]) -> None:
    receiver, sink = running
    for seed in range(1, 11):
        result = try_rule("receiver/accept/generated", receiver, Settings(seed=seed, examples=10), sink)
        assert (result.outcome, result.findings) == ("passed", ())


@all_examples
def test_a_message_that_no_mail_can_carry_is_refused_without_echoing_it(
    running: tuple[Receiver, SmtpSink],
) -> None:
    receiver, sink = running
    before = len(sink())
    for to, link in (
        ("f,o@example.com", "https://app.example.com/join"),
        ("foo@example.com", "https://app.example.com/\nBcc: eve@example.com"),
        ("foo@example.com", "https://app.example.com/\0"),
        ("foo@example.com", "https://app.example.com/\ud800"),
        ("foo@example.com", ""),
    ):
        message = {"to": to, "type": "OrganizationInvitation", "payload": {"link": link}}
        response = post(receiver, message)
        assert response.status == 422
        assert to.encode() not in response.body
        assert b"app.example.com" not in response.body
    assert len(sink()) == before


@all_examples
def test_without_smtp_server_the_response_is_a_short_error(
    running: tuple[Receiver, SmtpSink], request: pytest.FixtureRequest
) -> None:
    del running
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        with example(request.node.callspec.params["running"]) as (receiver, sink):
            sink.__exit__(None, None, None)
            response = post(
                receiver, {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "042137"}}
            )
    assert response.status == 503
    assert len(response.body) < 100
    assert b"042137" not in response.body


def post(receiver: Receiver, message: dict[str, Any]) -> Response:
    """Post a message and return the response."""
    call = connector_call(receiver.target, stringify(message), AUTHORIZATION)
    with closing(receiver.target.open()) as channel:
        response = channel.exchange(call, 10)
    assert isinstance(response, Response), response
    return response
