"""The typed view of a message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class TemplateType(StrEnum):
    """The template types that Logto sends today (v1.32.0 and later).

    Source: ``packages/toolkit/connector-kit/src/types/passwordless.ts``. Logto may add types, so a
    message's type may be a string that is none of these.
    """

    SIGN_IN = "SignIn"
    REGISTER = "Register"
    FORGOT_PASSWORD = "ForgotPassword"  # noqa: S105 - the name of a template, not a password
    ORGANIZATION_INVITATION = "OrganizationInvitation"
    GENERIC = "Generic"
    USER_PERMISSION_VALIDATION = "UserPermissionValidation"
    BIND_NEW_IDENTIFIER = "BindNewIdentifier"
    MFA_VERIFICATION = "MfaVerification"
    BIND_MFA = "BindMfa"


@dataclass(frozen=True, slots=True)
class Message:
    """One ``SendMessageData`` document, which need not be valid.

    A member that is missing or has the wrong JSON type reads as None, ``payload`` as an empty mapping.
    ``validate`` says what is wrong with a message.

    Args:
        raw: The document, a JSON object as ``json.loads`` returns it.
    """

    raw: Mapping[str, Any]

    @property
    def to(self) -> str | None:
        """The recipient's address, with case as the user typed it."""
        return text_member(self.raw, "to")

    @property
    def type(self) -> str | None:
        """The template type; it compares equal to the members of TemplateType."""
        return text_member(self.raw, "type")

    @property
    def ip(self) -> str | None:
        """The IP address of the user; sent by Logto v1.35.0 and later, free text behind some proxies."""
        return text_member(self.raw, "ip")

    @property
    def payload(self) -> Mapping[str, Any]:
        """The variables."""
        payload = self.raw.get("payload")
        return payload if isinstance(payload, dict) else {}

    @property
    def code(self) -> str | None:
        """The verification code: six digits in every code flow, with leading zeros."""
        return text_member(self.payload, "code")

    @property
    def link(self) -> str | None:
        """The link of an invitation. Logto sends the text that its caller gave, which may be empty."""
        return text_member(self.payload, "link")

    @property
    def locale(self) -> str | None:
        """The language tag that Logto chose."""
        return text_member(self.payload, "locale")

    @property
    def ui_locales(self) -> str | None:
        """The ``ui_locales`` of the sign-in request, unchanged (``uiLocales`` in the payload)."""
        return text_member(self.payload, "uiLocales")


def text_member(members: Mapping[str, Any], name: str) -> str | None:
    """Return the member of a JSON object where it is text, else None.

    Args:
        members: The object.
        name: The member's name.
    """
    value = members.get(name)
    return value if isinstance(value, str) else None


def condense(message: Any) -> dict[str, Any] | None:
    """Return a message with nothing but the text that ``Message`` shows; None where it is no object.

    Args:
        message: A JSON value. One of many parts takes much more memory than its text.
    """
    if not isinstance(message, dict):
        return None
    whole = Message(message)
    payload = {
        name: text
        for name in ("code", "link", "locale", "uiLocales")
        if (text := text_member(whole.payload, name)) is not None
    }
    texts = {name: text for name in ("to", "type", "ip") if (text := text_member(message, name)) is not None}
    return {**texts, "payload": payload}
