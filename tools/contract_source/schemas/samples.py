"""The values that serve as examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .revisions import ACCOUNT_TYPES, CURRENT

if TYPE_CHECKING:
    from ..files import Json
    from .revisions import Revision


SAMPLE_APPLICATION: Json = {"id": "demo-app", "name": "Live Preview"}
SAMPLE_BRANDED_APPLICATION: Json = {
    "id": "a1z9g7jcl36qklitq4a3d",
    "name": "Shop",
    "branding": {"logoUrl": "https://shop.example.com/logo.png"},
    "displayName": "The Example Shop",
}
SAMPLE_ORGANIZATION: Json = {"id": "uavz4qsvncw7", "name": "Example Org", "branding": {}}
SAMPLE_USER: Json = {
    "id": "w13v2u89sxbs",
    "avatar": None,
    "name": "Foo",
    "primaryEmail": "foo@example.com",
    "primaryPhone": None,
    "username": "foo",
    "profile": {},
}
SAMPLE_IP = "::ffff:203.0.113.7"
SAMPLE_LINK = "https://app.example.com/join?token=abc"


def make_sample(revision: Revision, name: str, *, nulls: bool = True) -> Json:
    """Return a message of template type ``name`` as a receiver of that revision meets it.

    Args:
        revision: The contract revision that the message speaks.
        name: The template type.
        nulls: Whether the user's unset fields are null, as Logto sends them, or left out, as the docs say.
    """
    rich = not revision.strings_only
    user = SAMPLE_USER if nulls else {key: value for key, value in SAMPLE_USER.items() if value is not None}
    payload: Json = {}
    if name == "OrganizationInvitation":
        if rich:
            payload |= {"organization": SAMPLE_ORGANIZATION, "inviter": user}
        payload["link"] = SAMPLE_LINK
    else:
        payload["code"] = "031415"
        if rich and name != "Generic":
            payload |= {"locale": "en", "application": SAMPLE_APPLICATION}
        if rich and name in ACCOUNT_TYPES:
            payload["user"] = user
    message: Json = {"to": "foo@example.com", "type": name, "payload": payload}
    if revision.id == CURRENT and name not in ACCOUNT_TYPES:
        message["ip"] = SAMPLE_IP
    return message
