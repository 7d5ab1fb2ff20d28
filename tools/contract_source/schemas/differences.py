"""The differences between each revision and the one before, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .revisions import FIRST_TYPES

if TYPE_CHECKING:
    from ..files import Json

BROKEN = {
    "type-added": "receiver",
    "type-removed": "sender",
    "member-added": "receiver",
    "variable-added": "receiver",
    "variable-removed": "sender",
    "variable-required": "sender",
    "variable-optional": "receiver",
    "value-widened": "receiver",
    "value-narrowed": "sender",
}
"""Whom each kind of difference breaks: a receiver gets what is new, a sender may send what is refused now."""


@dataclass(frozen=True)
class Difference:
    """One difference between the schemas of a layer in two revisions.

    Attributes:
        name: The template type, the member, or the variable; ``*`` stands for every variable without a type.
        witness: The id of a vector of the newer revision and the layer, with another verdict in the older.
        types: The template types that it concerns; all if empty.
        beside: The variable without which the difference does not count; empty if there is none.
    """

    layer: str
    kind: str
    name: str
    witness: str
    types: tuple[str, ...] = ()
    beside: str = ""

    def write(self) -> Json:
        """Return the difference as the catalogue has it."""
        document: Json = {"layer": self.layer, "kind": self.kind, "name": self.name}
        if self.types:
            document["types"] = [*self.types]
        if self.beside:
            document["beside"] = self.beside
        return document | {"breaks": BROKEN[self.kind], "witness": self.witness}


CODE_TYPES = tuple(name for name in FIRST_TYPES if name != "OrganizationInvitation")
INVITATION = ("OrganizationInvitation",)
VISITOR = ("SignIn", "Register", "ForgotPassword")
ACCOUNT = ("UserPermissionValidation", "BindNewIdentifier")

DIFFERENCES: dict[str, tuple[Difference, ...]] = {
    "1.22": (),
    "1.25": (
        Difference("guard", "type-removed", "Test", "type-test-unknown"),
        Difference("guard", "value-widened", "*", "other-application-object"),
        Difference("emitted", "variable-added", "locale", "sign-in-locale-string", CODE_TYPES),
        Difference("emitted", "variable-required", "locale", "sign-in-locale-missing", (*VISITOR, *ACCOUNT)),
        Difference(
            "emitted", "variable-added", "application", "sign-in-application-alone", (*VISITOR, *ACCOUNT)
        ),
        Difference("emitted", "variable-added", "organization", "sign-in-organization-alone", VISITOR),
        Difference("emitted", "variable-added", "user", "user-permission-validation-user-alone", ACCOUNT),
        Difference("emitted", "value-widened", "*", "invitation-usual", INVITATION),
    ),
    "1.31": (
        Difference("guard", "type-added", "MfaVerification", "type-mfa-verification"),
        Difference("emitted", "type-added", "MfaVerification", "mfa-verification-minimal"),
        Difference(
            "emitted",
            "variable-added",
            "organization",
            "bind-new-identifier-organization-alone",
            ("BindNewIdentifier",),
        ),
        Difference(
            "emitted",
            "variable-optional",
            "user",
            "bind-new-identifier-application-alone",
            ("BindNewIdentifier",),
            "application",
        ),
    ),
    "1.32": (
        Difference("guard", "type-added", "BindMfa", "type-bind-mfa"),
        Difference("guard", "value-narrowed", "uiLocales", "ui-locales-number"),
        Difference("emitted", "type-added", "BindMfa", "bind-mfa-minimal"),
        Difference(
            "emitted",
            "variable-added",
            "uiLocales",
            "sign-in-ui-locales-string",
            (*CODE_TYPES, "MfaVerification"),
        ),
        Difference(
            "emitted",
            "variable-removed",
            "organization",
            "bind-new-identifier-organization-surplus",
            ("BindNewIdentifier",),
        ),
        Difference(
            "emitted",
            "variable-required",
            "user",
            "bind-new-identifier-application-without-user",
            ("BindNewIdentifier",),
            "application",
        ),
        Difference("emitted", "value-narrowed", "uiLocales", "invitation-ui-locales-number", INVITATION),
    ),
    "1.35": (
        Difference("guard", "value-narrowed", "ip", "ip-number"),
        Difference(
            "emitted",
            "member-added",
            "ip",
            "sign-in-ip-mapped",
            (*VISITOR, "OrganizationInvitation", "Generic", "MfaVerification", "BindMfa"),
        ),
    ),
}
