"""The context variables as Logto core sends them: application, organization, user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .pieces import make_ref, make_text
from .samples import SAMPLE_APPLICATION, SAMPLE_BRANDED_APPLICATION, SAMPLE_ORGANIZATION, SAMPLE_USER
from .texts import BRANDING_KEYS, VARIABLES

if TYPE_CHECKING:
    from ..files import Json


PROFILE_KEYS = (
    "familyName",
    "givenName",
    "middleName",
    "nickname",
    "preferredUsername",
    "profile",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
)
ADDRESS_KEYS = ("formatted", "streetAddress", "locality", "region", "postalCode", "country")


def make_nullable_text(description: str, *, max_length: int) -> Json:
    """Return the schema of a string that is null when unset."""
    return {
        "type": ["string", "null"],
        "description": f"{description} Null when unset.",
        "maxLength": max_length,
    }


def make_branding() -> Json:
    """Return the schema of a branding object as emitted."""
    return {
        "title": "Branding",
        "type": "object",
        "description": (
            "The URLs of the logos. Logto stores any text that a URL parser accepts, javascript: included: "
            "check it before it enters HTML. Often {}."
        ),
        "examples": [{}, {"logoUrl": "https://shop.example.com/logo.png"}],
        "properties": {key: make_text(meaning) for key, meaning in BRANDING_KEYS.items()},
        "additionalProperties": False,
    }


def make_application() -> Json:
    """Return the schema of ``application`` as emitted."""
    return {
        "title": "Application",
        "type": "object",
        "description": (
            f"{VARIABLES['application']} Absent when the browser's cookie is lost or a look-up fails. "
            "displayName and branding come from the application's own sign-in experience, and are absent "
            "without one."
        ),
        "examples": [SAMPLE_APPLICATION, SAMPLE_BRANDED_APPLICATION],
        "required": ["id", "name"],
        "properties": {
            "id": make_text("The application's id.", maxLength=21),
            "name": make_text("The name that administrators see.", maxLength=256),
            "branding": make_ref("Branding"),
            "displayName": make_text("The name that users see.", minLength=1, maxLength=256),
        },
        "additionalProperties": False,
    }


def make_organization() -> Json:
    """Return the schema of ``organization`` as emitted."""
    return {
        "title": "Organization",
        "type": "object",
        "description": f"{VARIABLES['organization']} branding is always there, {{}} by default.",
        "examples": [SAMPLE_ORGANIZATION],
        "required": ["id", "name", "branding"],
        "properties": {
            "id": make_text("The organization's id.", maxLength=21),
            "name": make_text(
                "The organization's name. In some products its members choose it.", maxLength=128
            ),
            "branding": make_ref("Branding"),
        },
        "additionalProperties": False,
    }


def make_user() -> Json:
    """Return the schema of ``user`` as emitted: seven keys, always."""
    return {
        "title": "User",
        "type": "object",
        "description": (
            f"{VARIABLES['user']} All seven keys are always there. An unset value is null, although the "
            "docs call it an optional string. The user chooses most of these texts: escape them."
        ),
        "examples": [SAMPLE_USER],
        "required": ["id", "avatar", "name", "primaryEmail", "primaryPhone", "username", "profile"],
        "properties": {
            "id": make_text("The user's id.", maxLength=12),
            "avatar": make_nullable_text("The address of the user's picture.", max_length=2048),
            "name": make_nullable_text("The user's name.", max_length=128),
            "primaryEmail": make_nullable_text("The user's email address.", max_length=128),
            "primaryPhone": make_nullable_text(
                "The user's phone number, digits without a plus.", max_length=128
            )
            | {"minLength": 1, "not": {"type": "string", "pattern": "[^0-9]"}},
            "username": make_nullable_text(
                "The user's name to sign in with: ASCII letters, digits and underscores, no digit in front.",
                max_length=128,
            )
            | {"minLength": 1, "not": {"type": "string", "pattern": "^[0-9]|[^A-Za-z0-9_]"}},
            "profile": make_ref("Profile"),
        },
        "additionalProperties": False,
    }


def make_profile() -> Json:
    """Return the schema of a user's ``profile`` as emitted."""
    return {
        "title": "Profile",
        "type": "object",
        "description": (
            "The user's profile claims, {} by default. They are texts without a limit of length or a check "
            "of form, and the user can edit them. The keys listed here are Logto's own."
        ),
        "examples": [{}, {"nickname": "Foo", "address": {"country": "DE"}}],
        "properties": {key: {"type": "string"} for key in PROFILE_KEYS}
        | {
            "address": {
                "type": "object",
                "description": "The user's postal address.",
                "properties": {key: {"type": "string"} for key in ADDRESS_KEYS},
            }
        },
    }
