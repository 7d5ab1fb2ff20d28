"""A receiver for Logto's HTTP email connector, in Flask: one mail by template type, handed to SMTP.

Configured by the environment: MAIL_AUTHORIZATION (as in the connector's settings), MAIL_FROM, SMTP_HOST,
SMTP_PORT, PORT. To try it: ``MAIL_AUTHORIZATION='Bearer s3cret' python receiver_flask.py``; behind a real
WSGI server: ``gunicorn 'receiver_flask:create_app()'``.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import smtplib
from email.headerregistry import Address
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

from flask import Flask, abort, request
from jinja2 import Environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.exceptions import HTTPException

# Later Logto releases add template types: a type that is not listed becomes a general mail.
PURPOSES = {
    "SignIn": "sign in",
    "Register": "create your account",
    "ForgotPassword": "reset your password",
    "UserPermissionValidation": "confirm that it is you",
    "BindNewIdentifier": "add this address to your account",
    "MfaVerification": "finish signing in",
    "BindMfa": "set up email as a second factor",
}

# Mail libraries read quoted names, lists and comments differently: such a recipient is refused.
ATOM = r'[^ .@"(),:;<>\[\\\]\ufffd]+'
ADDRESS = re.compile(rf"{ATOM}(?:\.{ATOM})*@{ATOM}(?:\.{ATOM})*")

SUBJECT = (
    "{% if link %}You are invited to {{ place }}{% else %}{{ code }} is your code for {{ place }}{% endif %}"
)
TEXT = """\
Hello{% if user %} {{ user }}{% endif %},

{% if code -%}
use this code to {{ purpose }}{% if place %} at {{ place }}{% endif %}:

{{ code }}
{% else -%}
{{ inviter or "someone" }} invites you to {{ place }}. To join, open this link:

{{ link }}
{% endif %}
If you did not expect this mail, ignore it.
"""
HTML = """\
<!doctype html>
<html><head><meta charset="utf-8"><title>{{ place }}</title></head><body>
<p>Hello{% if user %} {{ user }}{% endif %},</p>
{% if code %}
<p>use this code to {{ purpose }}{% if place %} at {{ place }}{% endif %}:</p>
<p style="font-size: 2em"><strong>{{ code }}</strong></p>
{% else %}
<p>{{ inviter or "someone" }} invites you to {{ place }}. To join, open this link:</p>
<p>{% if web_link %}<a href="{{ link }}">{{ link }}</a>{% else %}{{ link }}{% endif %}</p>
{% endif %}
<p>If you did not expect this mail, ignore it.</p>
</body></html>
"""

AS_TEXT = Environment(autoescape=False)  # noqa: S701 - for subject and plain text; HTML has the other one
AS_HTML = Environment(autoescape=True)
SUBJECT_TEMPLATE, TEXT_TEMPLATE = AS_TEXT.from_string(SUBJECT), AS_TEXT.from_string(TEXT)
HTML_TEMPLATE = AS_HTML.from_string(HTML)


def one_line(text: str) -> str:
    """Return a text without line breaks, control characters and lone surrogates: fit for a header."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def name_of(context: object, *members: str) -> str:
    """Return the first of some members that is a string; Logto leaves any of them out or sets it to null."""
    if not isinstance(context, dict):
        return ""
    texts = (context.get(member) for member in members)
    return next((one_line(text)[:100] for text in texts if isinstance(text, str) and text.strip()), "")


def compose(message: Mapping[str, Any], sender: str) -> EmailMessage:
    """Return the mail for a message.

    Raises:
        ValueError: It is not a message, or it cannot become a mail.
    """
    to, kind, payload = (message.get(member) for member in ("to", "type", "payload"))
    if not isinstance(to, str) or not isinstance(kind, str) or not isinstance(payload, dict):
        raise ValueError("to, type or payload is missing")  # noqa: TRY004 - one error for all that is refused
    if not ADDRESS.fullmatch(to) or not to.isprintable():
        raise ValueError("the recipient is no address that a mail can be sent to")
    code, link = payload.get("code"), payload.get("link")
    secret = link if kind == "OrganizationInvitation" else code or link
    if not isinstance(secret, str) or not secret or not secret.isprintable():
        raise ValueError("there is no code and no link to send")
    application = name_of(payload.get("application"), "displayName", "name")
    organization = name_of(payload.get("organization"), "name")
    values = {
        "code": "" if secret is link else secret,
        "link": link if secret is link else "",
        "web_link": secret.lower().startswith(("https://", "http://")),
        "purpose": PURPOSES.get(kind, "go on"),
        "place": organization or application or "our service",
        "user": name_of(payload.get("user"), "name", "username"),
        "inviter": name_of(payload.get("inviter"), "name", "username", "primaryEmail"),
    }
    mail = EmailMessage()
    # Not by addr_spec, which takes no letters beyond ASCII before the @.
    local, _, domain = to.rpartition("@")
    mail["To"] = Address(username=local, domain=domain)
    mail["From"] = sender
    mail["Subject"] = SUBJECT_TEMPLATE.render(values)
    mail.set_content(TEXT_TEMPLATE.render(values))
    mail.add_alternative(HTML_TEMPLATE.render(values), subtype="html")
    return mail


def create_app(environment: Mapping[str, str] = os.environ) -> Flask:
    """Return the application.

    Args:
        environment: Where its settings are.
    """
    authorization = environment["MAIL_AUTHORIZATION"].encode()
    sender = environment.get("MAIL_FROM", "no-reply@example.com")
    host, port = environment.get("SMTP_HOST", "localhost"), int(environment.get("SMTP_PORT", "25"))
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 2 * 1024 * 1024

    @app.errorhandler(400)
    @app.errorhandler(401)
    @app.errorhandler(422)
    @app.errorhandler(503)
    def failed(error: HTTPException) -> tuple[dict[str, str | None], int]:
        return {"error": error.description}, error.code or 500

    @app.post("/logto-mail")
    def receive() -> tuple[str, int]:
        # WSGI passes header bytes as Latin-1. compare_digest needs the same time for every wrong value.
        given = request.headers.get("Authorization", "").encode("latin-1")
        if not hmac.compare_digest(given, authorization):
            abort(401, "wrong authorization")
        try:
            message = json.loads(request.get_data())
        except (ValueError, RecursionError):
            abort(400, "the body is not JSON")
        if not isinstance(message, dict):
            abort(400, "the body is not an object")
        try:
            mail = compose(message, sender)
        except ValueError as problem:
            # Logto shows the response to the user: this text is our own and repeats nothing of the message.
            abort(422, str(problem))
        try:
            # Logto's user waits for this response, and gives up after 10 seconds.
            with smtplib.SMTP(host, port, timeout=5) as smtp:
                smtp.send_message(mail)
        except smtplib.SMTPRecipientsRefused as problem:
            # The error names the recipient, which belongs in no log.
            ((code, _),) = problem.recipients.values()
            app.logger.error("the SMTP server answered %d", code)  # noqa: TRY400 - for that reason
            # A code below 500 asks to try again later.
            if code >= 500:
                abort(422, "the recipient was refused")
            abort(503, "the mail was not sent")
        except (smtplib.SMTPException, OSError):
            app.logger.exception("the mail was not sent")
            abort(503, "the mail was not sent")
        return "", 204

    return app


if __name__ == "__main__":
    create_app().run(port=int(os.environ.get("PORT", "3000")))
