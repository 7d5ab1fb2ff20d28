"""The contract revisions: the releases, template types and typed variables of each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

RELEASES: dict[str, tuple[str, ...]] = {
    revision: tuple(releases)
    for revision, releases in json.loads(
        (Path(__file__).parents[1] / "releases.json").read_text(encoding="utf-8")
    ).items()
}
"""The Logto releases of each revision. Add a new release to ``releases.json``, and nowhere else."""


@dataclass(frozen=True)
class Revision:
    """One contract revision: what the type ``SendMessageData`` was in a run of Logto releases."""

    id: str
    connector_kit: tuple[str, ...]
    connector_http_email: tuple[str, ...]
    template_types: tuple[str, ...]
    typed_variables: tuple[str, ...]
    changes: str
    strings_only: bool = False
    """The guard demands a string of every payload member, not only of the typed ones."""
    never_emitted: tuple[str, ...] = ()
    """Template types that the guard accepts although no Logto core sends them."""

    @property
    def releases(self) -> tuple[str, ...]:
        """Return the Logto releases of the revision, first to last."""
        return RELEASES[self.id]

    @property
    def emitted_types(self) -> tuple[str, ...]:
        """Return the template types that Logto core of these releases sends."""
        return tuple(name for name in self.template_types if name not in self.never_emitted)

    @property
    def layers(self) -> tuple[str, ...]:
        """Return the layers that exist for this revision."""
        return (*LAYER_FILES,) if self.id == CURRENT else ("guard", "emitted")


CURRENT = "1.35"

LAYER_FILES = {
    "guard": "send-message-data.schema.json",
    "emitted": "emitted.schema.json",
    "documented": "documented.schema.json",
}

FIRST_TYPES = (
    "SignIn",
    "Register",
    "ForgotPassword",
    "OrganizationInvitation",
    "Generic",
    "UserPermissionValidation",
    "BindNewIdentifier",
)


VISITOR_TYPES = ("SignIn", "Register", "ForgotPassword", "MfaVerification")
ACCOUNT_TYPES = ("UserPermissionValidation", "BindNewIdentifier", "BindMfa")
TYPES_WITHOUT_IP = ("UserPermissionValidation", "BindNewIdentifier")


REVISIONS = (
    Revision(
        id="1.22",
        connector_kit=("4.1.0", "4.1.1"),
        connector_http_email=("0.1.0", "0.2.0", "0.2.1"),
        template_types=(*FIRST_TYPES, "Test"),
        typed_variables=("code", "link"),
        strings_only=True,
        never_emitted=("Test",),
        changes=(
            "The first revision of this catalogue. Every payload member is a string. Code mails carry only "
            "the code. An invitation carries exactly what its caller put in. The guard still accepts the "
            "deprecated template type Test, which Logto core does not send. Up to v1.24.0 the Account API "
            "used UserPermissionValidation and BindNewIdentifier the wrong way round; v1.24.1 put that "
            "right."
        ),
    ),
    Revision(
        id="1.25",
        connector_kit=("4.2.0", "4.3.0", "4.4.0"),
        connector_http_email=("0.2.1", "0.3.0", "0.3.1"),
        template_types=FIRST_TYPES,
        typed_variables=("code", "link", "locale"),
        changes=(
            "Adds locale and the context variables application, organization, user and inviter, so other "
            "payload members may be any JSON value. Removes the template type Test."
        ),
    ),
    Revision(
        id="1.31",
        connector_kit=("4.5.0",),
        connector_http_email=("0.3.1",),
        template_types=(*FIRST_TYPES, "MfaVerification"),
        typed_variables=("code", "link", "locale"),
        changes=(
            "Adds the template type MfaVerification. In this release only, the sign-in experience of a user "
            "who is already identified sends BindNewIdentifier, with application and organization and "
            "without user."
        ),
    ),
    Revision(
        id="1.32",
        connector_kit=("4.6.0",),
        connector_http_email=("0.3.2",),
        template_types=(*FIRST_TYPES, "MfaVerification", "BindMfa"),
        typed_variables=("code", "link", "locale", "uiLocales"),
        changes=(
            "Adds the template type BindMfa and the typed variable uiLocales, which is a string from this "
            "revision on. The two revisions before tolerate any JSON value under that name. From v1.33.0 "
            "on, locale follows ui_locales first, then Accept-Language, then the fallback language."
        ),
    ),
    Revision(
        id="1.35",
        connector_kit=("4.7.0", "5.0.0", "5.0.1", "5.1.0", "5.1.1"),
        connector_http_email=("0.4.0", "0.4.1", "0.4.2", "0.4.3"),
        template_types=(*FIRST_TYPES, "MfaVerification", "BindMfa"),
        typed_variables=("code", "link", "locale", "uiLocales"),
        changes=(
            "Adds the top-level member ip, a string if present. Earlier revisions tolerate any value under "
            "that name. The sign-in experience sends it from v1.39.0 on, the Account API never does. From "
            "v1.41.0 on, Logto sends at most 10 codes and, counted apart, 10 invitations to one recipient "
            "within 600 seconds. v1.43.0 adds the built-in language es-MX. Its Account API answers "
            "third-party applications with 403 and sends no mail for them."
        ),
    ),
)
