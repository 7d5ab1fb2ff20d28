"""A receiver for Logto's HTTP email connector, in FastAPI: one mail by template type, handed to SMTP.

Configured by the environment: MAIL_AUTHORIZATION (as in the connector's settings), MAIL_FROM, SMTP_HOST,
SMTP_PORT, PORT. To run it: ``MAIL_AUTHORIZATION='Bearer s3cret' python receiver_fastapi.py``, or
``uvicorn --factory receiver_fastapi:create_app``.
"""

from __future__ import annotations

import hmac
import logging
import os
import re
import smtplib
from email.headerregistry import Address
from email.message import EmailMessage
from html import escape
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

# Subject and first line. Later Logto releases add template types: a type that is not listed gets GENERAL.
TEXTS = {
    "SignIn": ("Your sign-in code", "Enter this code to sign in"),
    "Register": ("Welcome", "Enter this code to create your account"),
    "ForgotPassword": ("Reset your password", "Enter this code to choose a new password"),
    "OrganizationInvitation": ("You are invited", "Follow this link to join"),
    "UserPermissionValidation": ("Is it you?", "Enter this code to confirm that it is you"),
    "BindNewIdentifier": ("Your new address", "Enter this code to add this address to your account"),
    "MfaVerification": ("Your second factor", "Enter this code to finish signing in"),
    "BindMfa": ("A second factor", "Enter this code to receive codes here from now on"),
}
GENERAL = ("Your verification", "Use this to go on")
# Mail libraries read quoted names, lists and comments differently: such a recipient is refused.
ATOM = r'[^ .@"(),:;<>\[\\\]\ufffd]+'
ADDRESS = re.compile(rf"{ATOM}(?:\.{ATOM})*@{ATOM}(?:\.{ATOM})*")


class Message(BaseModel):
    """The body that Logto posts; other members are ignored, since later releases add some."""

    to: str
    type: str
    payload: dict[Any, Any]


class Refused(Exception):
    """No mail can be made of a message; the text holds nothing of it."""


def text_of(context: object, *members: str) -> str:
    """Return the first of some members that is a string, on one line; any may be missing or null."""
    if not isinstance(context, dict):
        return ""
    for member in members:
        text = context.get(member)
        if isinstance(text, str) and text.strip():
            # Line breaks would make headers, and control characters and lone surrogates cannot be sent.
            return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return ""


def compose(message: Message, sender: str) -> EmailMessage:
    """Return the mail for a message.

    Raises:
        Refused: It has nothing to send, or no recipient.
    """
    if not ADDRESS.fullmatch(message.to) or not message.to.isprintable():
        raise Refused("No mail can be sent to this recipient")
    payload = message.payload
    secret = payload.get("link" if message.type == "OrganizationInvitation" else "code") or payload.get(
        "link"
    )
    if not isinstance(secret, str) or not secret or not secret.isprintable():
        raise Refused("The message has no code and no link")
    subject, line = TEXTS.get(message.type, GENERAL)
    place = text_of(payload.get("organization"), "name") or text_of(
        payload.get("application"), "displayName", "name"
    )
    name = text_of(payload.get("user"), "name", "username")
    inviter = text_of(payload.get("inviter"), "name", "username")
    greeting = f"Hello {name}," if name else "Hello,"
    closing = f"This mail was sent to {message.to}" + (f" on behalf of {inviter}." if inviter else ".")

    mail = EmailMessage()
    # Not by addr_spec, which takes no letters beyond ASCII before the @.
    local, _, domain = message.to.rpartition("@")
    mail["To"] = Address(username=local, domain=domain)
    mail["From"] = sender
    mail["Subject"] = f"{subject}: {place}" if place else subject
    mail.set_content(f"{greeting}\n\n{line}:\n\n{secret}\n\n{closing}\n")
    shown = escape(secret)
    if secret.lower().startswith(("https://", "http://")):
        shown = f'<a href="{shown}">{shown}</a>'
    mail.add_alternative(
        f"<!doctype html><html><body><p>{escape(greeting)}</p><p>{escape(line)}:</p>"
        f"<p><b>{shown}</b></p><p><small>{escape(closing)}</small></p></body></html>\n",
        subtype="html",
    )
    return mail


def create_app(environment: Mapping[str, str] = os.environ) -> FastAPI:
    """Return the application.

    Args:
        environment: Where its settings are.
    """
    authorization = environment["MAIL_AUTHORIZATION"].encode()
    sender = environment.get("MAIL_FROM", "no-reply@example.com")
    host, port = environment.get("SMTP_HOST", "localhost"), int(environment.get("SMTP_PORT", "25"))
    app = FastAPI(openapi_url=None)

    def send(mail: EmailMessage) -> None:
        # Logto's user waits for the response, and gives up after 10 seconds.
        with smtplib.SMTP(host, port, timeout=5) as smtp:
            smtp.send_message(mail)

    @app.exception_handler(RequestValidationError)
    async def not_a_message(_request: Request, _error: RequestValidationError) -> JSONResponse:
        # The default response repeats the input with its code, and Logto shows the response to the user.
        return JSONResponse({"detail": "The body is not a message"}, 422)

    @app.middleware("http")
    async def authorize(request: Request, call_next: Any) -> Any:
        # Constant time: else the time shows how much of a guess is right. Two values are refused.
        given = [value for name, value in request.scope["headers"] if name == b"authorization"]
        if len(given) != 1 or not hmac.compare_digest(given[0], authorization):
            return JSONResponse({"detail": "Wrong authorization"}, 401)
        return await call_next(request)

    @app.post("/logto-mail", status_code=204)
    async def receive(message: Message) -> Response:
        try:
            mail = compose(message, sender)
            await run_in_threadpool(send, mail)
        except Refused as problem:
            raise HTTPException(422, str(problem)) from None
        except smtplib.SMTPRecipientsRefused as problem:
            # The error names the recipient, which belongs in no log.
            ((code, _),) = problem.recipients.values()
            log.error("The SMTP server answered %d to the recipient", code)  # noqa: TRY400 - for that reason
            # A code below 500 asks to try again later.
            if code >= 500:
                raise HTTPException(422, "The recipient was refused") from None
            raise HTTPException(503, "The mail was not sent") from None
        except (smtplib.SMTPException, OSError):
            log.exception("The mail was not sent")
            raise HTTPException(503, "The mail was not sent") from None
        return Response(status_code=204)

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(), port=int(os.environ.get("PORT", "3000")))
