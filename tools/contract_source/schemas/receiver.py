"""The schema that receivers make types from: it names all that Logto sends and refuses next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .context import ADDRESS_KEYS, PROFILE_KEYS
from .pieces import DIALECT, format_releases, make_ref, make_text, make_typed_variables
from .samples import (
    SAMPLE_APPLICATION,
    SAMPLE_BRANDED_APPLICATION,
    SAMPLE_IP,
    SAMPLE_LINK,
    SAMPLE_ORGANIZATION,
    SAMPLE_USER,
    make_sample,
)
from .texts import BRANDING_KEYS, IP, PAYLOAD, TO, TYPE, TYPE_MEANINGS, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..files import Json
    from .revisions import Revision


def make_object(
    title: str, description: str, properties: Json, *, required: Sequence[str] = (), examples: Sequence[Json]
) -> Json:
    """Return the schema of an object that tolerates every other member."""
    schema: Json = {"title": title, "type": "object", "description": description, "examples": [*examples]}
    if required:
        schema["required"] = [*required]
    return schema | {"properties": properties, "additionalProperties": True}


def make_nullable_text(description: str) -> Json:
    """Return the schema of a string that is null when unset."""
    return {"type": ["string", "null"], "description": f"{description} Null when unset."}


def make_context() -> dict[str, Json]:
    """Return the context objects under their class names; only an id is required."""
    application = make_object(
        "Application",
        VARIABLES["application"],
        {
            "id": make_text("The application's id."),
            "name": make_text("The name that administrators see."),
            "displayName": make_text("The name that users see. Absent without a sign-in experience."),
            "branding": make_ref("Branding"),
        },
        required=["id"],
        examples=[SAMPLE_APPLICATION, SAMPLE_BRANDED_APPLICATION],
    )
    organization = make_object(
        "Organization",
        VARIABLES["organization"],
        {
            "id": make_text("The organization's id."),
            "name": make_text("The organization's name."),
            "branding": make_ref("Branding"),
        },
        required=["id"],
        examples=[SAMPLE_ORGANIZATION],
    )
    user = make_object(
        "User",
        "A user of Logto. The user chooses most of these texts: escape them before they enter HTML.",
        {
            "id": make_text("The user's id."),
            "name": make_nullable_text("The user's name."),
            "username": make_nullable_text("The user's name to sign in with."),
            "primaryEmail": make_nullable_text("The user's email address."),
            "primaryPhone": make_nullable_text("The user's phone number, digits without a plus."),
            "avatar": make_nullable_text("The address of the user's picture."),
            "profile": make_ref("Profile"),
        },
        required=["id"],
        examples=[SAMPLE_USER],
    )
    address = make_object(
        "Address",
        "The user's postal address.",
        {key: {"type": "string"} for key in ADDRESS_KEYS},
        examples=[{"country": "DE"}],
    )
    profile = make_object(
        "Profile",
        "The user's profile claims, {} by default. The user can edit them.",
        {key: {"type": "string"} for key in PROFILE_KEYS} | {"address": address},
        examples=[{}, {"nickname": "Foo", "address": {"country": "DE"}}],
    )
    branding = make_object(
        "Branding",
        "The URLs of the logos. Any scheme may come: check it before it enters HTML.",
        {key: make_text(meaning) for key, meaning in BRANDING_KEYS.items()},
        examples=[{}, {"logoUrl": "https://shop.example.com/logo.png"}],
    )
    return {
        "Application": application,
        "Organization": organization,
        "User": user,
        "Profile": profile,
        "Branding": branding,
    }


def build_receiver(revision: Revision) -> Json:
    """Return the receiver's view of a message, for types in code and for servers that validate.

    It has no keyword that a generator of types cannot express, and its type is open: a later Logto adds types
    and variables. It has no ``$id``, because some engines fetch what an ``$id`` names.
    """
    payload = make_object(
        "MailPayload",
        f"{PAYLOAD} Every variable may be absent, and later Logto releases add more.",
        make_typed_variables(revision.typed_variables)
        | {name: make_ref(name.capitalize()) for name in ("application", "organization", "user")}
        | {"inviter": make_ref("User")},
        examples=[
            {"code": "031415", "locale": "en", "application": SAMPLE_APPLICATION},
            {"organization": SAMPLE_ORGANIZATION, "inviter": SAMPLE_USER, "link": SAMPLE_LINK},
        ],
    )
    meanings = " ".join(f"{name}: {TYPE_MEANINGS[name]}" for name in revision.emitted_types)
    message = make_object(
        "MailMessage",
        f"One message from {format_releases(revision)} or an earlier release, as a receiver should read it. "
        "Make types from this schema. It accepts all that Logto core sends, except an invitation whose "
        "caller replaces application, organization, user or inviter with a value that is not such an object.",
        {
            "to": make_text(TO, examples=["foo@example.com"]),
            "type": make_text(f"{TYPE} {meanings}", examples=revision.emitted_types),
            "payload": payload,
            "ip": make_text(IP, examples=[SAMPLE_IP]),
        },
        required=["to", "type", "payload"],
        examples=[make_sample(revision, name) for name in revision.emitted_types],
    )
    return {"$schema": DIALECT} | message | {"$defs": make_context()}
