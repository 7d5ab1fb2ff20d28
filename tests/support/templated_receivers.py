"""Receivers that make their mails with a template: good ones in several styles, and ones with one mistake.

Each is ``Templated`` with the step changed that its mistake is in.
"""

# Names describe what receivers do. An overriding method keeps the parameters of the original.
# ruff: noqa: ARG002, D101
from __future__ import annotations

import html
import re
import string
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, getaddresses, make_msgid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from tests.support.broken_receivers import Refused
from tests.support.good_receivers import SENDER, Mailing

from logto_mail_contract.receivers.outbox import Mail
from logto_mail_contract.receivers.rules.mail_text import list_texts

if TYPE_CHECKING:
    from collections.abc import Callable


class Templated(Mailing):
    """A correct receiver with a method for each step that can go wrong. It keeps its mails.

    Attributes:
        mails: The mails that it sent.
    """

    status = 202
    subject = "Your mail from"
    greeting = "Hello"

    def __init__(self) -> None:
        super().__init__(smtp_port=0, delay=0)
        self.mails: list[Mail] = []

    def send_over_smtp(self, to: str, mail: bytes) -> None:
        self.mails.append(Mail(SENDER, (to,), mail, smtputf8=not to.isascii()))

    def handle(self, message: Any, request: Any) -> None:
        self.check_recipient(message["to"])
        for recipient in self.recipients(message["to"]):
            self.send(recipient, self.render(message))

    def recipients(self, to: str) -> list[str]:
        return [to]

    def render(self, message: dict[str, Any]) -> bytes:
        payload = message["payload"]
        head = "".join(f"{line}\r\n" for line in self.head(message))
        body = self.body(self.plain(payload), self.page(payload))
        return head.encode() + body.as_bytes(policy=SMTP)

    def head(self, message: dict[str, Any]) -> list[str]:
        subject = Header(self.subject_of(message["payload"]), "utf-8").encode(linesep="\r\n")
        return [
            f"From: Shop <{SENDER}>",
            f"To: {message['to']}",
            f"Subject: {subject}",
            f"Date: {formatdate()}",
            f"Message-ID: {make_msgid(domain='example.org')}",
        ]

    def body(self, text: str, page: str) -> EmailMessage:
        body = EmailMessage()
        body.set_content(text, cte="base64")
        body.add_alternative(page, subtype="html", cte="base64")
        return body

    def subject_of(self, payload: dict[str, Any]) -> str:
        return f"{self.subject} {self.names(payload)}"

    def plain(self, payload: dict[str, Any]) -> str:
        return f"{self.greeting} {self.names(payload)},\n\n{self.text_secret(payload)}\n"

    def text_secret(self, payload: dict[str, Any]) -> str:
        return self.code(payload) if self.is_about_a_code(payload) else self.link(payload)

    def is_about_a_code(self, payload: dict[str, Any]) -> bool:
        return bool(payload.get("code")) and not payload.get("link")

    def page(self, payload: dict[str, Any]) -> str:
        names = html.escape(self.names(payload))
        return f"<!doctype html><p>{self.greeting} {names},</p><p>{self.html_secret(payload)}</p>"

    def html_secret(self, payload: dict[str, Any]) -> str:
        return self.code(payload) if self.is_about_a_code(payload) else self.anchor(self.link(payload))

    def anchor(self, link: str) -> str:
        if not link.lower().startswith(("https:", "http:")):
            return html.escape(link)
        return f'<a href="{html.escape(link)}">Join</a>'

    def code(self, payload: dict[str, Any]) -> str:
        return str(payload.get("code") or "")

    def link(self, payload: dict[str, Any]) -> str:
        if not payload.get("code") and not payload.get("link"):
            return self.no_link(payload)
        return str(payload.get("link") or "").encode("utf-8", "replace").decode()

    def no_link(self, payload: dict[str, Any]) -> str:
        raise Refused(422, "an invitation needs a link")

    def names(self, payload: dict[str, Any]) -> str:
        contexts = (payload.get(name) for name in ("application", "organization", "user", "inviter"))
        return ", ".join(filter(None, (self.name(one) for one in contexts if isinstance(one, dict))))

    def name(self, context: dict[str, Any]) -> str:
        name = context.get("displayName") or context.get("name")
        return self.clean(name) if isinstance(name, str) else ""

    def clean(self, name: str) -> str:
        return "".join(one if one.isprintable() else " " for one in name)


# Other correct receivers.


class PlainText(Templated):
    def body(self, text: str, page: str) -> EmailMessage:
        body = EmailMessage()
        body.set_content(text)
        return body


class HtmlOnly(Templated):
    def body(self, text: str, page: str) -> EmailMessage:
        body = EmailMessage()
        body.set_content(page, subtype="html", cte="quoted-printable")
        return body


class CodeAlone(Templated):
    """Ignores the context."""

    def names(self, payload: dict[str, Any]) -> str:
        return "Shop"


class CodeInSubject(Templated):
    def subject_of(self, payload: dict[str, Any]) -> str:
        return f"{self.code(payload)} Shop"


class German(Templated):
    subject = "Bestätigung für"
    greeting = "Grüße! Ohne Code ist die Anmeldung null und nichtig. 100 % sicher."

    def names(self, payload: dict[str, Any]) -> str:
        return super().names(payload) or "Kundin oder Kunde"


class CutsNames(Templated):
    def clean(self, name: str) -> str:
        return f"{super().clean(name)[:12]}…" if len(name) > 12 else super().clean(name)


class CutsNamesWithoutAMark(Templated):
    characters = 16

    def clean(self, name: str) -> str:
        return super().clean(name)[: self.characters].rstrip()


class CutsLongNamesWithoutAMark(CutsNamesWithoutAMark):
    characters = 24


class CutsNamesBeforeAWord(CutsNamesWithoutAMark):
    characters = 15

    def subject_of(self, payload: dict[str, Any]) -> str:
        return f"{self.names(payload) or 'Shop'} invites you"


class LettersOnly(Templated):
    def clean(self, name: str) -> str:
        return " ".join(re.sub(r"[^\w ]", " ", name).split())


class StripsTags(Templated):
    def clean(self, name: str) -> str:
        return re.sub("<[^>]*>", "", super().clean(name))


class UpperCase(Templated):
    def subject_of(self, payload: dict[str, Any]) -> str:
        return super().subject_of(payload).upper()


class Redirects(Templated):
    def anchor(self, link: str) -> str:
        return f'<a href="https://shop.example.com/out?to={quote(link, safe="")}">Join</a>'


class ShowsTheLinkToo(Templated):
    def anchor(self, link: str) -> str:
        return f"{super().anchor(link)}<p>Or copy this: {html.escape(link)}</p>"


class Coloured(Templated):
    """Writes colours that look like codes."""

    def page(self, payload: dict[str, Any]) -> str:
        return f'<div style="color:#000000" bgcolor="#777777">{super().page(payload)}</div>'


class LinklessInvitations(Templated):
    def no_link(self, payload: dict[str, Any]) -> str:
        return "Please ask the person who invited you for the link."


class BadGateway(Templated):
    undeliverable = unavailable = 502


class Utf8Headers(Templated):
    """Writes headers in UTF-8, as SMTPUTF8 allows: RFC 6532."""

    def head(self, message: dict[str, Any]) -> list[str]:
        lines = [line for line in super().head(message) if not line.startswith("Subject")]
        # A line of a mail holds at most 998 bytes: RFC 5322, 2.1.1.
        return [*lines, f"Subject: {self.clean(self.subject_of(message['payload']))[:200]}"]

    def send_over_smtp(self, to: str, mail: bytes) -> None:
        self.mails.append(Mail(SENDER, (to,), mail, smtputf8=True))


GOOD: tuple[type[Templated], ...] = (
    Templated,
    PlainText,
    HtmlOnly,
    CodeAlone,
    CodeInSubject,
    German,
    CutsNames,
    CutsNamesWithoutAMark,
    CutsLongNamesWithoutAMark,
    CutsNamesBeforeAWord,
    LettersOnly,
    StripsTags,
    UpperCase,
    Redirects,
    ShowsTheLinkToo,
    Coloured,
    LinklessInvitations,
    BadGateway,
    Utf8Headers,
)


# Mails that never come: the receiver answers 202, and swallows an exception where it makes the mail.


def lose(is_lost: Callable[[dict[str, Any]], bool]) -> type[Templated]:
    """Return a receiver that loses the mails of some messages.

    Args:
        is_lost: Returns whether the mail of a message is lost.
    """

    class Loses(Templated):
        def handle(self, message: Any, request: Any) -> None:
            if not is_lost(message):
                super().handle(message, request)

    return Loses


def lose_names(is_lost: Callable[[str], bool]) -> type[Templated]:
    """Return a receiver that loses the mails of messages with some names.

    Args:
        is_lost: Returns whether the mail of a message with a name is lost.
    """
    return lose(
        lambda message: any(
            is_lost(text) for place, text in list_texts(message) if place.endswith((".name", ".displayName"))
        )
    )


# Links.


def change_link(change: Callable[[str], str]) -> type[Templated]:
    """Return a receiver that changes the link of invitations.

    Args:
        change: Returns the changed link.
    """

    class ChangesLinks(Templated):
        def link(self, payload: dict[str, Any]) -> str:
            return change(super().link(payload))

    return ChangesLinks


class LinksBranding(Templated):
    def page(self, payload: dict[str, Any]) -> str:
        logos = [
            html.escape(str(payload[name]["branding"].get("logoUrl", "")))
            for name in ("application", "organization")
            if isinstance(payload.get(name), dict) and isinstance(payload[name].get("branding"), dict)
        ]
        return super().page(payload) + "".join(f'<a href="{logo}">Home</a>' for logo in logos if logo)


class LinksTheWebsite(Templated):
    def page(self, payload: dict[str, Any]) -> str:
        inviter = payload.get("inviter")
        profile = inviter.get("profile", {}) if isinstance(inviter, dict) else {}
        website = html.escape(str(profile.get("website", ""))) if isinstance(profile, dict) else ""
        return super().page(payload) + (f'<a href="{website}">About</a>' if website else "")


# Text.


def change_name(change: Callable[[str], str]) -> type[Templated]:
    """Return a receiver that changes names.

    Args:
        change: Returns the changed name.
    """

    class ChangesNames(Templated):
        def clean(self, name: str) -> str:
            return change(super().clean(name))

    return ChangesNames


class EscapesTheSubject(Templated):
    def subject_of(self, payload: dict[str, Any]) -> str:
        return html.escape(super().subject_of(payload))


class EscapesTheText(Templated):
    def plain(self, payload: dict[str, Any]) -> str:
        return html.escape(self.names(payload)) + "\n" + self.text_secret(payload)


class EscapesTwice(Templated):
    def page(self, payload: dict[str, Any]) -> str:
        return f"<p>{html.escape(html.escape(self.names(payload)))}</p><p>{self.html_secret(payload)}</p>"


class JoinNone(Templated):
    """Mails an invitation without a link as ``Join: None``."""

    def no_link(self, payload: dict[str, Any]) -> str:
        return f"Join: {payload.get('link')}"


class JoinUndefined(Templated):
    def no_link(self, payload: dict[str, Any]) -> str:
        return "undefined"


class JoinArray(Templated):
    def no_link(self, payload: dict[str, Any]) -> str:
        return "Join Array now"


class NoneForAName(Templated):
    def name(self, context: dict[str, Any]) -> str:
        return self.clean(str(context.get("displayName") or context.get("name")))


class NullLanguages(Templated):
    def plain(self, payload: dict[str, Any]) -> str:
        return f"{super().plain(payload)}\nLanguages: {payload.get('uiLocales') or 'null'}\n"


class PlaceholderLeft(Templated):
    def names(self, payload: dict[str, Any]) -> str:
        return super().names(payload) or "{{ application.name }}"


class ObjectForAName(Templated):
    def names(self, payload: dict[str, Any]) -> str:
        return "[object Object]" if payload.get("user") else super().names(payload)


# The form of the mail.


class NoSubject(Templated):
    def head(self, message: dict[str, Any]) -> list[str]:
        return [line for line in super().head(message) if not line.startswith("Subject")]


class NoSender(Templated):
    def head(self, message: dict[str, Any]) -> list[str]:
        return [line for line in super().head(message) if not line.startswith("From")]


class BareLineFeed(Templated):
    def render(self, message: dict[str, Any]) -> bytes:
        return super().render(message).replace(b"\r\nDate:", b"\nDate:")


class RawHeaders(Templated):
    def head(self, message: dict[str, Any]) -> list[str]:
        lines = [line for line in super().head(message) if not line.startswith("Subject")]
        return [*lines, f"Subject: {self.subject_of(message['payload'])}"]


def declare_charset(charset: str) -> type[Templated]:
    """Return a receiver that writes UTF-8, and declares another charset.

    Args:
        charset: The charset that it declares.
    """

    class DeclaresCharset(Templated):
        def body(self, text: str, page: str) -> EmailMessage:
            body = super().body(text, page)
            for part in body.iter_parts():
                part.replace_header("Content-Type", f'{part.get_content_type()}; charset="{charset}"')
            return body

    return DeclaresCharset


class LongLines(Templated):
    """Puts the whole page on one line."""

    def body(self, text: str, page: str) -> EmailMessage:
        body = EmailMessage()
        body.set_content(page.encode(), "text", "html", cte="7bit" if page.isascii() else "8bit")
        body.replace_header("Content-Type", 'text/html; charset="utf-8"')
        return body


# Recipients.


class SplitsRecipients(Templated):
    def check_recipient(self, to: str) -> None:
        """Take any."""

    def recipients(self, to: str) -> list[str]:
        return re.split("[,;]", to)


class RecipientsOfAHeader(Templated):
    def check_recipient(self, to: str) -> None:
        """Take any."""

    def recipients(self, to: str) -> list[str]:
        return [address for _, address in getaddresses([to]) if "@" in address] or [to]


class UnquotesRecipients(Templated):
    def recipients(self, to: str) -> list[str]:
        quoted = re.fullmatch('"(.*)"@.*', to)
        return [quoted[1] if quoted and "@" in quoted[1] else to]


# Templates.


class FormatsNames(Templated):
    """Fails at names that ``str.format`` cannot read."""

    def handle(self, message: Any, request: Any) -> None:
        self.names(message["payload"]).format(code="1", name="x")
        super().handle(message, request)


class FormatsWithPercent(Templated):
    def handle(self, message: Any, request: Any) -> None:
        _ = (self.names(message["payload"]) + " %s") % ("1",)
        super().handle(message, request)


class SubstitutesNames(Templated):
    """Fails at names that ``re.sub`` cannot read as a replacement."""

    def handle(self, message: Any, request: Any) -> None:
        re.sub("x", self.names(message["payload"]), "x")
        super().handle(message, request)


def _replace_like_javascript(name: str) -> str:
    # What String.prototype.replace makes of a replacement, for the pattern "{{name}}".
    name = re.sub(r"\$\$", "\0", name.replace("$&", "{{name}}").replace("$'", " rest"))
    return name.replace("\0", "$")


_MISREAD: dict[str, Callable[[str], str]] = {
    "format_map": lambda name: re.sub(r"\{(\w*)\}", lambda found: "1" if found[1] == "code" else "", name),
    "expand": lambda name: re.sub(r"\\g<0>|\\[0-9]", "x", name),
    "javascript": _replace_like_javascript,
    "shell": lambda name: string.Template(name).safe_substitute(code="123456", x="y"),
    "mustache": lambda name: re.sub(r"\{\{\{?.*?\}?\}\}", "", name),
    "liquid": lambda name: re.sub(r"\{%.*?%\}", "", name),
    "erb": lambda name: re.sub("<%=.*?%>", "123456", name),
    "ruby": lambda name: re.sub(r"#\{.*?\}", "123456", name),
    "thymeleaf": lambda name: re.sub(r"\[\[.*?\]\]", "123456", name),
    "percent": lambda name: re.sub(r"%\((\w+)\)s", "1", name),
    "unescape": lambda name: name.replace("\\n", " ").replace("\\1", "\1"),
}


# The rules that each receiver fails; all of them are about the same mistake.
MISTAKES: dict[str, tuple[type[Templated], str]] = {
    "loses-apostrophes": (lose_names(lambda name: "'" in name), "one-mail"),
    "loses-quotes": (lose_names(lambda name: '"' in name), "one-mail"),
    "loses-non-ascii": (lose_names(lambda name: not name.isascii()), "one-mail"),
    "loses-astral": (lose_names(lambda name: any(ord(one) > 0xFFFF for one in name)), "one-mail"),
    "loses-long": (lose_names(lambda name: len(name) > 100), "one-mail"),
    "loses-blank": (lose_names(lambda name: not name.strip()), "one-mail"),
    "loses-percent": (lose_names(lambda name: "%" in name), "one-mail"),
    "loses-braces": (lose_names(lambda name: "{" in name), "one-mail"),
    "loses-line-breaks": (lose_names(lambda name: "\n" in name), "one-mail"),
    **{
        f"loses-{locale}": (
            lose(lambda message, locale=locale: message["payload"].get("locale") == locale),  # type: ignore[misc]
            "one-mail",
        )
        for locale in ("uk-UA", "zh-HK", "es-MX", "en-GB", "fr-CA")
    },
    "loses-variants": (lose(lambda message: "-" in message["payload"].get("locale", "")), "one-mail"),
    "loses-octal": (lose(lambda message: _is_octal(message)), "one-mail"),
    "loses-zeros": (lose(lambda message: message["payload"].get("code", "1")[:5] == "00000"), "one-mail"),
    "loses-nulls": (
        lose(lambda message: None in (message["payload"].get("user") or {}).values()),
        "one-mail",
    ),
    "decodes-links": (change_link(unquote), "link-intact"),
    "drops-ports": (change_link(lambda link: re.sub(r":[0-9]+(?=/)", "", link)), "link-intact"),
    "upgrades-links": (change_link(lambda link: link.replace("http:", "https:")), "link-intact"),
    "plus-to-space": (change_link(lambda link: link.replace("+", " ")), "link-intact"),
    "lower-case-links": (change_link(str.lower), "link-intact odd-link-intact"),
    "web-links-alone": (
        change_link(lambda link: link if link.startswith("http") else "Open the app."),
        "odd-link-intact",
    ),
    "ascii-links": (change_link(lambda link: link.encode("ascii", "ignore").decode()), "odd-link-intact"),
    "links-branding": (LinksBranding, "no-script-link"),
    "links-the-website": (LinksTheWebsite, "no-script-link"),
    "latin-1": (change_name(lambda name: name.encode().decode("latin-1")), "text-intact"),
    "question-marks": (change_name(lambda name: name.encode("ascii", "replace").decode()), "text-intact"),
    "cp1251": (change_name(lambda name: name.encode().decode("cp1251", "replace")), "text-intact"),
    "escapes-the-subject": (EscapesTheSubject, "text-intact"),
    "escapes-the-text": (EscapesTheText, "text-intact"),
    "escapes-twice": (EscapesTwice, "text-intact"),
    "join-none": (JoinNone, "no-leftovers"),
    "join-undefined": (JoinUndefined, "no-leftovers"),
    "join-array": (JoinArray, "no-leftovers"),
    "markdown-links": (change_link(lambda link: re.sub("_([^_]+)_", r"\1", link)), "link-intact"),
    "half-emoji": (
        change_name(lambda name: name.encode("utf-16-le")[:30].decode("utf-16-le", "replace")),
        "text-intact",
    ),
    "none-for-a-name": (NoneForAName, "no-leftovers"),
    "null-languages": (NullLanguages, "no-leftovers"),
    "placeholder-left": (PlaceholderLeft, "no-leftovers"),
    "object-for-a-name": (ObjectForAName, "no-leftovers"),
    "no-subject": (NoSubject, "mail-format"),
    "no-sender": (NoSender, "mail-format"),
    "bare-line-feed": (BareLineFeed, "mail-format"),
    "long-lines": (LongLines, "mail-format"),
    "raw-headers": (RawHeaders, "mail-format"),
    "unknown-charset": (declare_charset("x-utf-9"), "mail-format"),
    "wrong-charset": (declare_charset("us-ascii"), "mail-format odd-link-intact text-intact"),
    "splits-recipients": (SplitsRecipients, "no-second-recipient one-mail-to-odd-addresses"),
    "recipients-of-a-header": (RecipientsOfAHeader, "no-second-recipient"),
    "unquotes-recipients": (UnquotesRecipients, "no-second-recipient"),
    "str-format": (FormatsNames, "template-syntax"),
    "percent-format": (FormatsWithPercent, "template-syntax"),
    "re-sub": (SubstitutesNames, "template-syntax"),
    **{
        f"misread-{name}": (change_name(misread), "no-template-injection")
        for name, misread in _MISREAD.items()
    },
}


def _is_octal(message: dict[str, Any]) -> bool:
    """Return whether a code begins with a zero, and is no octal number."""
    code = message["payload"].get("code", "1")
    return code.startswith("0") and re.search("[89]", code) is not None
