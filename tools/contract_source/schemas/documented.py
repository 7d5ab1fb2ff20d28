"""The documented layer: what docs.logto.io promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .pieces import (
    make_heading,
    make_ref,
    make_text,
    make_type_branches,
    make_type_member,
    make_typed_variables,
)
from .revisions import ACCOUNT_TYPES, VISITOR_TYPES
from .samples import (
    SAMPLE_APPLICATION,
    SAMPLE_BRANDED_APPLICATION,
    SAMPLE_IP,
    SAMPLE_LINK,
    SAMPLE_ORGANIZATION,
    make_sample,
)
from .texts import BRANDING_KEYS, IP, PAYLOAD, TO, VARIABLES

if TYPE_CHECKING:
    from ..files import Json
    from .revisions import Revision


DOCUMENTED_VARIABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "VisitorVariables": (("code", "application"), ("organization",)),
    "GenericVariables": (("code",), ()),
    "InvitationVariables": (("link", "organization"), ("inviter",)),
    "AccountVariables": (("code", "user"), ("application",)),
}
DOCUMENTED_TITLES = {
    "VisitorVariables": "Variables of SignIn, Register, ForgotPassword and MfaVerification",
    "GenericVariables": "Variables of Generic",
    "InvitationVariables": "Variables of OrganizationInvitation",
    "AccountVariables": "Variables of UserPermissionValidation, BindNewIdentifier and BindMfa",
}
INFOS = {
    "application": "ApplicationInfo",
    "organization": "OrganizationInfo",
    "user": "UserInfo",
    "inviter": "UserInfo",
}


def make_documented_payload(name: str, revision: Revision) -> Json:
    """Return the schema of a payload as the docs promise it, open to more."""
    promised, optional = DOCUMENTED_VARIABLES[name]
    samples: Json = {
        "code": "031415",
        "link": SAMPLE_LINK,
        "application": SAMPLE_APPLICATION,
        "organization": SAMPLE_ORGANIZATION,
        "user": {"id": "w13v2u89sxbs", "name": "Foo"},
    }
    may = f" {' and '.join(optional)} may come." if optional else ""
    return {
        "title": DOCUMENTED_TITLES[name],
        "type": "object",
        "description": f"The docs promise {' and '.join(promised)}.{may} Other variables are tolerated.",
        "examples": [{key: samples[key] for key in promised}],
        "required": [*promised],
        "properties": make_typed_variables(revision.typed_variables)
        | {key: make_ref(INFOS[key]) for key in (*promised, *optional) if key in INFOS},
    }


def make_documented_infos() -> Json:
    """Return the shapes that the docs give to the context variables, open to more."""
    return {
        "ApplicationInfo": {
            "title": "ApplicationInfo",
            "type": "object",
            "description": VARIABLES["application"],
            "examples": [SAMPLE_APPLICATION, SAMPLE_BRANDED_APPLICATION],
            "required": ["id", "name"],
            "properties": {
                "id": make_text("The application's id."),
                "name": make_text("The name that administrators see."),
                "displayName": make_text("The name that users see."),
                "branding": make_ref("Branding"),
            },
        },
        "OrganizationInfo": {
            "title": "OrganizationInfo",
            "type": "object",
            "description": VARIABLES["organization"],
            "examples": [SAMPLE_ORGANIZATION],
            "required": ["id", "name"],
            "properties": {
                "id": make_text("The organization's id."),
                "name": make_text("The organization's name."),
                "branding": make_ref("Branding"),
            },
        },
        "UserInfo": {
            "title": "UserInfo",
            "type": "object",
            "description": (
                "The user who asked for the mail, or who invited. The docs call every member but id an "
                "optional string. Real Logto sends all of them, and unset ones as null, which violates this "
                "schema."
            ),
            "examples": [{"id": "w13v2u89sxbs", "name": "Foo", "primaryEmail": "foo@example.com"}],
            "required": ["id"],
            "properties": {
                "id": make_text("The user's id."),
                "name": make_text("The user's name."),
                "username": make_text("The user's name to sign in with."),
                "primaryEmail": make_text("The user's email address."),
                "primaryPhone": make_text("The user's phone number."),
                "avatar": make_text("The address of the user's picture."),
                "profile": {"type": "object", "description": "The user's profile claims."},
            },
        },
        "Branding": {
            "title": "Branding",
            "type": "object",
            "description": "The URLs of the logos.",
            "examples": [{"logoUrl": "https://shop.example.com/logo.png"}],
            "properties": {key: make_text(meaning) for key, meaning in BRANDING_KEYS.items()},
        },
    }


def build_documented(revision: Revision) -> Json:
    """Return the documented layer: the promises of docs.logto.io, extra variables tolerated."""
    names = dict.fromkeys(VISITOR_TYPES, "VisitorVariables") | dict.fromkeys(
        ACCOUNT_TYPES, "AccountVariables"
    )
    names |= {"Generic": "GenericVariables", "OrganizationInvitation": "InvitationVariables"}
    description = (
        "One message as docs.logto.io promises it per template type (the pages on email templates and on "
        "the HTTP email connector). A part of the guard layer. Null is not a documented value, yet real "
        "Logto sends null for what a user has not set. At times it leaves out application, user or link. "
        "Judge Logto itself by the emitted layer, and a sender that follows the docs by this one. Extra "
        "variables and extra top-level members are tolerated."
    )
    return make_heading(
        revision,
        "documented",
        description,
        [make_sample(revision, name, nulls=False) for name in revision.template_types],
    ) | {
        "type": "object",
        "required": ["to", "type", "payload"],
        "properties": {
            "to": {"type": "string", "description": TO, "examples": ["foo@example.com"]},
            "type": make_type_member(revision.template_types),
            "payload": {"description": f"{PAYLOAD} Which ones are promised is decided by the template type."},
            "ip": make_text(IP, examples=[SAMPLE_IP]),
        },
        "allOf": make_type_branches(
            {name: {"payload": make_ref(names[name])} for name in revision.template_types}
        ),
        "$defs": {name: make_documented_payload(name, revision) for name in DOCUMENTED_VARIABLES}
        | make_documented_infos(),
    }
