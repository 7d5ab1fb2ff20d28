"""Small receivers that keep their mails: good ones in several styles, and ones with one mistake.

Each is ``Small`` with the step changed that its mistake is in.
"""

# Receivers are named after what they do. Each of their methods is a step that can go wrong.
# ruff: noqa: ARG002, D101

from __future__ import annotations

import hashlib
import html
import io
import json
import re
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from logto_mail_contract import catalogue
from logto_mail_contract.receivers.outbox import Mail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

AUTHORIZATION = "Bearer s3cret"


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
        # Cut, since a line of a mail has at most 998 bytes.
        return [
            "From: shop@example.com",
            f"To: {message['to']}",
            f"Subject: {self.one_line(self.subject(message))[:200]}",
        ]

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
        return f"Hello {self.name(message)}\n\n{self.text_link(link) if link else self.code(message)}\n"

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
        secret = self.html_link(link) if link else self.html_code(message)
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
        body.set_content(f"{self.text(message)}\n{self.name(message)}")
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


class SlowWorker(Small):
    """Responds first; one worker takes its time for each mail, so that the queue becomes long."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = ThreadPoolExecutor(1)

    def handle(self, message: dict[str, Any]) -> None:
        self.queue.submit(self.work, message)

    def work(self, message: dict[str, Any]) -> None:
        time.sleep(0.015)
        self.post(message)


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


class IgnoresStrangers(Small):
    """Accepts a message with a wrong credential, and sends nothing."""

    def respond(self, environ: dict[str, Any]) -> None:
        if environ.get("HTTP_AUTHORIZATION") == AUTHORIZATION:
            super().respond(environ)


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


class LinksTheAvatar(Small):
    def logo(self, message: dict[str, Any]) -> str:
        avatar = (message["payload"].get("user") or {}).get("avatar") or ""
        return f'<a href="{self.escape(avatar)}">{super().logo(message)}</a>'


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


class CodeInsteadOfTheLink(Small):
    """Shows the code of an invitation that has both."""

    def text_link(self, link: str) -> str:
        return "" if self.has_code else link

    def html_link(self, link: str) -> str:
        return "" if self.has_code else super().html_link(link)

    def render(self, message: dict[str, Any]) -> bytes:
        self.has_code = "code" in message["payload"]
        return super().render(message)


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


class DropsRoles(Small):
    def post(self, message: dict[str, Any]) -> None:
        if message["to"].partition("@")[0] not in ("admin", "info", "no-reply"):
            super().post(message)


class VariablesOverMembers(Small):
    """Merges the payload over the message, so that its ``to`` counts."""

    def recipients(self, message: dict[str, Any]) -> tuple[str, ...]:
        return ((message | message["payload"])["to"],)


class LosesTaggedAddresses(Small):
    def post(self, message: dict[str, Any]) -> None:
        if "+" not in message["to"]:
            super().post(message)


# The rules that each receiver fails: its own first, then those that necessarily fail too.
LOST = "one-mail one-mail-to-odd-addresses unknown-type-carries-code"
MISTAKES: list[tuple[type[Small], str]] = [
    (SendsNothing, LOST),
    (SendsTwice, "one-mail one-mail-to-odd-addresses"),
    (SendsAgainLater, "one-mail one-mail-to-odd-addresses"),
    (ForgetsAType, "one-mail"),
    (AuthorizesAfterwards, "none-for-refused"),
    (IgnoresStrangers, "no-silent-acceptance"),
    (ReadsPastTheEnd, "none-for-refused"),
    (ArchivesInCopy, "recipient"),
    (ArchivesInAnotherMail, "recipient"),
    (NamesOthers, "recipient"),
    (CutsTags, "recipient"),
    (NumbersForCodes, "code-intact"),
    (NumberInThePlainText, "code-intact"),
    (DigitsOfTheLanguage, "code-intact"),
    (CodeOutOfSight, "code-intact unknown-type-carries-code no-leftovers"),
    (CodeInAStyle, "code-intact unknown-type-carries-code"),
    (CodeInPieces, "code-in-one-piece"),
    (CodeInCells, "code-in-one-piece"),
    (CodeWithInvisibleCharacters, "code-in-one-piece"),
    (WrapsText, "link-intact"),
    (EscapesPlainText, "link-intact odd-link-intact"),
    (LinkAsItCame, "link-intact markup-escaped"),
    (LinkInTextAsItCame, "link-intact"),
    (LinkWithoutItsQuery, "link-intact odd-link-intact"),
    (NoLink, "link-intact odd-link-intact"),
    (CodeInsteadOfTheLink, "link-intact"),
    (NothingForUnknownTypes, "unknown-type-carries-code"),
    (UnknownTypesWithoutCode, "unknown-type-carries-code"),
    (PastesNames, "markup-escaped"),
    (KeepsQuotes, "markup-escaped"),
    (PastesTheRecipient, "markup-escaped"),
    (PastesTheLogo, "markup-escaped"),
    (PastesIntoTheTitle, "markup-escaped"),
    (LinksToAnything, "no-script-link"),
    (LinksTheLogo, "no-script-link"),
    (LinksTheAvatar, "no-script-link"),
    (NamesInTheSubject, "no-header-injection recipient mail-format text-intact"),
    (CutsOnlyOneKindOfLineEnd, "no-header-injection"),
    (
        RecipientsOfTheHeaders,
        """no-header-injection recipient no-second-recipient one-mail-to-odd-addresses code-intact mail-format
        text-intact""",
    ),
    (SharesTheMessage, "codes-do-not-cross"),
    (RemembersTheFirst, "codes-do-not-cross"),
    (DropsRepetitions, "resend-is-sent"),
    (LosesNamesWithLineEnds, "one-mail"),
    (LosesTaggedAddresses, "one-mail"),
    (DropsRoles, "one-mail"),
    (VariablesOverMembers, "no-second-recipient"),
    (LosesQuotedAddresses, "one-mail-to-odd-addresses"),
]
