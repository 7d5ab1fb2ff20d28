"""Receivers that send their mails over SMTP, each with one mistake that public receivers have.

``serve_mailing(MISTAKEN["blank-link"], sink.port)`` of ``good_receivers`` serves one of them.
"""

# Names describe what receivers and methods do. An overriding method keeps the parameters of the original.
# ruff: noqa: ARG002
from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from tests.support.broken_receivers import TOKEN, Refused, Request
from tests.support.good_receivers import Mailing
from tests.support.limited_receivers import LimitInTotal

if TYPE_CHECKING:
    from io import BufferedIOBase


class BlankLink(Mailing):
    """Mails an invitation without link as ``Join: None``."""

    def secrets(self, type: str, payload: dict[str, Any]) -> list[str]:
        if type == "OrganizationInvitation":
            return [f"Join: {payload.get('link')}"]
        return super().secrets(type, payload)


class AsciiCredential(Mailing):
    """``compare_digest`` raises a TypeError for a text that is not ASCII."""

    def authorized(self, value: str) -> bool:
        return hmac.compare_digest(value, TOKEN)


class OneTypeOpen(Mailing):
    """Accepts one template type alone, and that one without a look at the authorization."""

    def authorized(self, value: str) -> bool:
        return True

    def handle(self, message: Any, request: Request) -> None:
        if message["type"] != "ForgotPassword":
            raise Refused(422, "no such template")
        super().handle(message, request)


class LimitForever(LimitInTotal, Mailing):
    """Answers 429 to each request after the first 300."""

    requests = 300


class SilentSuccess(Mailing):
    """Answers 200 to a wrong credential, and sends nothing."""

    def check_authorization(self, request: Request) -> None:
        if not self.authorized(",".join(request.values("authorization"))):
            raise Refused(200, "")


class FirstSegment(Mailing):
    """Reads the part of the body that came with the head, or in the next segment, and no more."""

    def read_body(self, stream: BufferedIOBase, length: int) -> bytes:
        return stream.read1(length) if length else b""


MISTAKEN: dict[str, type[Mailing]] = {
    "blank-link": BlankLink,
    "ascii-credential": AsciiCredential,
    "one-type-open": OneTypeOpen,
    "limit-forever": LimitForever,
    "silent-success": SilentSuccess,
    "first-segment": FirstSegment,
}
