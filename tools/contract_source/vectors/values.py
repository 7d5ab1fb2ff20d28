"""The facts and values that vectors of several layers use.

The facts about each revision stand here a second time. A slip in the schemas' tables then shows in the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..files import Json

OLD = ("SignIn", "Register", "ForgotPassword", "Generic", "UserPermissionValidation", "BindNewIdentifier")
ALL_TYPES = (*OLD, "OrganizationInvitation", "MfaVerification", "BindMfa", "Test")

GUARD_TYPES = {
    "1.22": (*OLD, "OrganizationInvitation", "Test"),
    "1.25": (*OLD, "OrganizationInvitation"),
    "1.31": (*OLD, "OrganizationInvitation", "MfaVerification"),
    "1.32": (*OLD, "OrganizationInvitation", "MfaVerification", "BindMfa"),
    "1.35": (*OLD, "OrganizationInvitation", "MfaVerification", "BindMfa"),
}
TYPED = {
    "1.22": ("code", "link"),
    "1.25": ("code", "link", "locale"),
    "1.31": ("code", "link", "locale"),
    "1.32": ("code", "link", "locale", "uiLocales"),
    "1.35": ("code", "link", "locale", "uiLocales"),
}
REVISIONS = (*GUARD_TYPES,)
CURRENT = "1.35"

NO_STRINGS: dict[str, Any] = {
    "null": None,
    "number": 123456,
    "boolean": True,
    "array": ["x"],
    "object": {},
}
NO_OBJECTS: dict[str, Any] = {"null": None, "string": "x", "number": 1, "boolean": False, "array": []}

BRANDING = {
    "logoUrl": "https://example.com/logo.png",
    "darkLogoUrl": "javascript:alert(1)",
    "favicon": 'https://example.com/"><img src=x>',
    "darkFavicon": "https://example.com/dark.ico",
}
APPLICATION: Json = {
    "id": "a1z9g7jcl36qklitq4a3d",
    "name": "Shop",
    "branding": BRANDING,
    "displayName": "The <b>Shop</b>",
}
ORGANIZATION: Json = {"id": "uavz4qsvncw7", "name": "Org <b>\"&'</b>", "branding": {}}
PROFILE: Json = {
    "familyName": "Foo",
    "givenName": "Bar",
    "middleName": "Baz",
    "nickname": "n<i>",
    "preferredUsername": "foo",
    "profile": "https://example.com/foo",
    "website": "javascript:1",
    "gender": "x",
    "birthdate": "2000-01-01",
    "zoneinfo": "Europe/Berlin",
    "locale": "de",
    "address": {
        "formatted": "x\ny",
        "streetAddress": "x",
        "locality": "y",
        "region": "z",
        "postalCode": "01234",
        "country": "DE",
    },
}
USER: Json = {
    "id": "w13v2u89sxbs",
    "avatar": "https://example.com/foo.png",
    "name": "Foo <script>",
    "primaryEmail": "foo@example.com",
    "primaryPhone": "15550001",
    "username": "_foo1",
    "profile": PROFILE,
}
NULL_USER: Json = {
    "id": "w13v2u89sxbs",
    "avatar": None,
    "name": None,
    "primaryEmail": None,
    "primaryPhone": None,
    "username": None,
    "profile": {},
}
CONTEXT: Json = {"application": APPLICATION, "organization": ORGANIZATION, "user": USER}
NULLABLE = {"avatar": 2048, "name": 128, "primaryEmail": 128, "primaryPhone": 128, "username": 128}

STRINGS_ONLY = "1.22"
"""The revision whose guard demands a string of every variable."""
INVITATION_LINK = "https://app.example.com/join?a=1&b=2"


def make_message(name: str, payload: Json) -> Json:
    """Return a message of template type ``name`` to the usual recipient."""
    return {"to": "foo@example.com", "type": name, "payload": payload}
