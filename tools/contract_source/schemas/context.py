"""The context variables as Logto core sends them: application, organization, user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .pieces import make_ref, make_requirement
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


# A URL parser drops controls and spaces at both ends, and tabs and line breaks everywhere.
URL_SCHEME = "^[\\x00- ]*[A-Za-z][A-Za-z0-9+.\t\n\r-]*:"
HTTP_SCHEME = "^[\\x00- ]*[Hh][Tt][Tt][Pp][Ss]?:"
# No host at all, a character that no host holds, or a port that is no number. With an @, the text may be the
# name and password of a user, which may hold anything.
NO_HOST = (
    "^[^:]*:[/\\\\]*("
    "[/\\\\\\x00- ]*([?#]|$)"
    "|[^/\\\\?#\\[]*([<>^|]| [\\x00- ]*[^\\x00- @]|:[0-9\t\n\r]*[^0-9/\\\\?#@\\x00- ])[^@]*$"
    ")"
)


def make_stored_text(description: str, **limits: int) -> Json:
    """Return the schema of a string from Logto's database."""
    return {"type": "string", "description": description, **limits, "not": make_ref("Nul")}


def make_nullable_text(description: str, **limits: int) -> Json:
    """Return the schema of a string from Logto's database that is null when unset.

    None of them is empty: Logto writes an empty text to a column as NULL, when it inserts and when it updates
    (Logto, packages/core/src/utils/sql.ts, convertToPrimitiveOrSql).
    """
    return {
        "type": ["string", "null"],
        "description": f"{description} Null when unset.",
        **limits,
        "not": make_ref("Nul"),
    }


def make_nul() -> Json:
    """Return the schema of text with a NUL in it."""
    return {
        "title": "NUL",
        "type": "string",
        "description": "Text with a NUL, which PostgreSQL does not store.",
        "examples": ["\0"],
        "pattern": "\\x00",
    }


def make_id(description: str, max_length: int) -> Json:
    """Return the schema of an id; ``max_length`` is the length of its column."""
    return {
        "type": "string",
        "description": (
            f"{description} Logto generates ids of letters and digits; those of built-in applications have "
            "hyphens too."
        ),
        "minLength": 1,
        "maxLength": max_length,
        "not": {
            "description": "Text with a character other than ASCII letters, digits, hyphens and underscores.",
            "type": "string",
            "pattern": "[^A-Za-z0-9_-]",
        },
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
        "properties": {
            key: {"description": meaning, "$ref": "#/$defs/BrandingUrl"}
            for key, meaning in BRANDING_KEYS.items()
        },
        "additionalProperties": False,
    }


def make_branding_url() -> Json:
    """Return the schema of text that a URL parser may accept: what it refuses is certain to fail there."""
    return {
        "title": "URL of a logo",
        "type": "string",
        "description": (
            "Text that a URL parser accepts: it begins with a scheme, and behind http and https is a host."
        ),
        "examples": ["https://shop.example.com/logo.png", "javascript:alert(1)"],
        "not": make_ref("Nul"),
        "pattern": URL_SCHEME,
        "if": {"type": "string", "pattern": HTTP_SCHEME},
        "then": {
            "not": {"description": "An http or https URL without a valid host and port.", "pattern": NO_HOST}
        },
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
            "id": make_id("The application's id.", 21),
            "name": make_stored_text("The name that administrators see.", minLength=1, maxLength=256),
            "branding": make_ref("Branding"),
            "displayName": make_stored_text("The name that users see.", minLength=1, maxLength=256),
        },
        "additionalProperties": False,
    } | make_requirement("displayName", "branding")


def make_organization() -> Json:
    """Return the schema of ``organization`` as emitted."""
    return {
        "title": "Organization",
        "type": "object",
        "description": f"{VARIABLES['organization']} branding is always there, {{}} by default.",
        "examples": [SAMPLE_ORGANIZATION],
        "required": ["id", "name", "branding"],
        "properties": {
            "id": make_id("The organization's id.", 21),
            "name": make_stored_text(
                "The organization's name. In some products its members choose it.",
                minLength=1,
                maxLength=128,
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
            "id": make_id("The user's id.", 12),
            "avatar": make_nullable_text("The address of the user's picture.", minLength=1, maxLength=2048),
            "name": make_nullable_text("The user's name.", minLength=1, maxLength=128),
            "primaryEmail": make_nullable_text("The user's email address.", maxLength=128) | {"pattern": "@"},
            "primaryPhone": make_nullable_text(
                "The user's phone number, digits without a plus.", minLength=1, maxLength=128
            )
            | {"not": {"type": "string", "pattern": "[^0-9]"}},
            "username": make_nullable_text(
                "The user's name to sign in with: ASCII letters, digits and underscores, no digit in front.",
                minLength=1,
                maxLength=128,
            )
            | {"not": {"type": "string", "pattern": "^[0-9]|[^A-Za-z0-9_]"}},
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
            "of form, and the user can edit them. Logto drops members of other names."
        ),
        "examples": [{}, {"nickname": "Foo", "address": {"country": "DE"}}],
        "properties": dict.fromkeys(PROFILE_KEYS, make_ref("StoredText"))
        | {
            "address": {
                "type": "object",
                "description": "The user's postal address.",
                "properties": dict.fromkeys(ADDRESS_KEYS, make_ref("StoredText")),
                "additionalProperties": False,
            }
        },
        "additionalProperties": False,
    }
