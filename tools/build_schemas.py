"""Writes the JSON Schemas of every contract revision, ``index.json`` and ``openapi.json`` into ``schemas/``.

The files are the product; this generator is where their shared sentences and shapes live once.

    python tools/build_schemas.py            write the files
    python tools/build_schemas.py --check    write nothing; exit 1 and name the files that differ
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SCHEMAS = Path(__file__).resolve().parents[1] / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

Json = dict[str, Any]


# ---------------------------------------------------------------------------------------------------
# Revisions
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Revision:
    """One contract revision: what the type ``SendMessageData`` was in a run of Logto releases."""

    id: str
    releases: tuple[str, ...]
    connector_kit: tuple[str, ...]
    connector_http_email: tuple[str, ...]
    template_types: tuple[str, ...]
    typed_variables: tuple[str, ...]
    changes: str
    strings_only: bool = False
    """The guard demands a string of every payload member, not only of the typed ones."""
    never_emitted: tuple[str, ...] = ()
    """Template types that the guard takes although no Logto core sends them."""

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

REVISIONS = (
    Revision(
        id="1.22",
        releases=("1.22.0", "1.23.0", "1.23.1", "1.24.0", "1.24.1"),
        connector_kit=("4.1.0", "4.1.1"),
        connector_http_email=("0.1.0", "0.2.0", "0.2.1"),
        template_types=(*FIRST_TYPES, "Test"),
        typed_variables=("code", "link"),
        strings_only=True,
        never_emitted=("Test",),
        changes=(
            "The first revision of this catalogue. Every payload member is a string. Code mails carry the "
            "code alone; an invitation carries exactly what its caller put in. The guard still takes the "
            "deprecated template type Test, which Logto core does not send. Up to v1.24.0 the Account API "
            "used UserPermissionValidation and BindNewIdentifier the wrong way round; v1.24.1 put that right."
        ),
    ),
    Revision(
        id="1.25",
        releases=("1.25.0", "1.26.0", "1.27.0", "1.28.0", "1.29.0", "1.30.1"),
        connector_kit=("4.2.0", "4.3.0", "4.4.0"),
        connector_http_email=("0.2.1", "0.3.0", "0.3.1"),
        template_types=FIRST_TYPES,
        typed_variables=("code", "link", "locale"),
        changes=(
            "Adds locale and the context variables application, organization, user and inviter, so payload "
            "members beside the typed ones may be any JSON value. The template type Test is gone."
        ),
    ),
    Revision(
        id="1.31",
        releases=("1.31.0",),
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
        releases=("1.32.0", "1.33.0", "1.34.0"),
        connector_kit=("4.6.0",),
        connector_http_email=("0.3.2",),
        template_types=(*FIRST_TYPES, "MfaVerification", "BindMfa"),
        typed_variables=("code", "link", "locale", "uiLocales"),
        changes=(
            "Adds the template type BindMfa and the typed variable uiLocales, which is a string from here "
            "on: the two revisions before tolerate any JSON value under that name. From v1.33.0 on, locale "
            "follows ui_locales first, then Accept-Language, then the fallback language."
        ),
    ),
    Revision(
        id="1.35",
        releases=(
            "1.35.0",
            "1.36.0",
            "1.37.0",
            "1.37.1",
            "1.38.0",
            "1.39.0",
            "1.40.0",
            "1.40.1",
            "1.41.0",
            "1.42.0",
        ),
        connector_kit=("4.7.0", "5.0.0", "5.0.1", "5.1.0", "5.1.1"),
        connector_http_email=("0.4.0", "0.4.1", "0.4.2", "0.4.3"),
        template_types=(*FIRST_TYPES, "MfaVerification", "BindMfa"),
        typed_variables=("code", "link", "locale", "uiLocales"),
        changes=(
            "Adds the top-level member ip, a string where present: before, any value under that name was "
            "tolerated. The sign-in experience sends it from v1.39.0 on, the Account API never does. From "
            "v1.41.0 on, Logto sends at most 10 messages to one recipient within 600 seconds."
        ),
    ),
)


# ---------------------------------------------------------------------------------------------------
# Sentences and samples that several schemas share
# ---------------------------------------------------------------------------------------------------

VARIABLES = {
    "code": (
        "The verification code. Logto core makes it of six decimal digits, leading zeros included, so it is "
        "a string and never a number. The connector test of the Console always sends 000000, which opens "
        "nothing."
    ),
    "link": (
        "The link of an invitation, as the caller of the Management API wrote it: Logto neither makes nor "
        "checks it, so it may be missing, empty or of any scheme."
    ),
    "locale": (
        "The language tag that Logto chose for this mail, such as en or pt-BR. In invitations and connector "
        "tests it is whatever the caller wrote."
    ),
    "uiLocales": (
        "The ui_locales parameter of the sign-in request as the visitor's browser sent it, by the book a "
        "list of BCP 47 language tags separated by spaces. Logto does not check it: escape it before it "
        "enters HTML."
    ),
    "application": "The application that the user signs in to, if Logto could tell.",
    "organization": "The organization that the sign-in or the invitation is about, if any.",
    "user": "The signed-in user who asked for the mail.",
    "inviter": "The user who invited.",
}

TO = (
    "The recipient's email address, spelt as it was typed. Anonymous visitors choose it and Logto hardly "
    "checks it: escape it before it enters HTML or a mail header."
)
TYPE = (
    "The template type: which mail to write. Later Logto releases add types, so a receiver treats a type "
    "that it does not know as mail of a general kind and never as a crash."
)
PAYLOAD = "The variables of the mail."
IP = (
    "The IP address that asked for the mail. IPv4 addresses usually arrive in their IPv6-mapped form. Behind "
    "a trusted proxy the text is the first X-Forwarded-For entry, unchecked; for calls of the Management API "
    "it is the address of the backend that called."
)

TYPE_MEANINGS = {
    "SignIn": "Someone signs in with an email address and a verification code.",
    "Register": "Someone creates an account with an email address.",
    "ForgotPassword": "Someone asks to reset a forgotten password.",
    "OrganizationInvitation": "Someone is invited to an organization.",
    "Generic": "The Management API, the Console's profile page or a connector test asked for a code.",
    "UserPermissionValidation": "A signed-in user proves to own the address of the account.",
    "BindNewIdentifier": "A signed-in user adds a new address to the account.",
    "MfaVerification": "Someone who signs in confirms a second factor by email.",
    "BindMfa": "A user sets up email as a second factor.",
    "Test": "A deprecated name that no Logto core sends.",
}

BRANDING_KEYS = {
    "logoUrl": "Logo for a light background.",
    "darkLogoUrl": "Logo for a dark background.",
    "favicon": "Icon for a light background.",
    "darkFavicon": "Icon for a dark background.",
}

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


def sample_message(revision: Revision, name: str, *, nulls: bool = True) -> Json:
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


# ---------------------------------------------------------------------------------------------------
# Pieces of schema
# ---------------------------------------------------------------------------------------------------

# JavaScript's white space, spelt out: the shorthand class means something else in every language.
WHITE_SPACE = "[\t\n\u000b\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]"


def text(description: str, *, examples: Sequence[str] = (), **limits: int) -> Json:
    """Return the schema of a string."""
    schema: Json = {"type": "string", "description": description}
    if examples:
        schema["examples"] = list(examples)
    return schema | limits


def nullable_text(description: str, *, max_length: int) -> Json:
    """Return the schema of a string that is null when unset."""
    return {
        "type": ["string", "null"],
        "description": f"{description} Null when unset.",
        "maxLength": max_length,
    }


def ref(name: str) -> Json:
    """Return a reference to one of the document's own definitions."""
    return {"$ref": f"#/$defs/{name}"}


def variable(name: str, *examples: str) -> Json:
    """Return the schema of a typed variable: any string."""
    return text(VARIABLES[name], examples=examples)


VARIABLE_EXAMPLES = {
    "code": ("031415", "000000"),
    "link": (SAMPLE_LINK,),
    "locale": ("en", "pt-BR"),
    "uiLocales": ("pt-BR de",),
}


def typed_variables(names: Iterable[str]) -> Json:
    """Return the properties of the variables that the type ``SendMessageData`` names."""
    return {name: variable(name, *VARIABLE_EXAMPLES[name]) for name in names}


def recipient(max_length: int | None, why: str) -> Json:
    """Return the schema of ``to`` as core lets it pass; each mistake in it gives one error."""
    schema: Json = {"title": "Recipient", "type": "string", "description": f"{TO} {why}"}
    if max_length is not None:
        schema["maxLength"] = max_length
    return schema | {
        "examples": ["foo@example.com"],
        "not": ref("WhiteSpace"),
        "if": {"not": ref("WhiteSpace")},
        "then": {"pattern": ".@.+\\.."},
    }


def white_space() -> Json:
    """Return the schema of text with white space in it."""
    return {
        "title": "White space",
        "type": "string",
        "description": "Text with white space in it as JavaScript knows it: each character is listed.",
        "examples": [" ", "foo@example.com\n"],
        "pattern": WHITE_SPACE,
    }


def verification_code() -> Json:
    """Return the schema of a code; bounding the length first keeps Python's ``$`` honest."""
    return {
        "title": "Verification code",
        "type": "string",
        "description": VARIABLES["code"],
        "examples": ["031415", "000000"],
        "maxLength": 6,
        "if": {"maxLength": 6},
        "then": {"pattern": "^[0-9]{6}$"},
    }


def branding() -> Json:
    """Return the schema of a branding object as emitted."""
    return {
        "title": "Branding",
        "type": "object",
        "description": (
            "Where the logos are. Logto stores any text that a URL parser takes, javascript: included, so do "
            "not put it into HTML unchecked. Often {}."
        ),
        "examples": [{}, {"logoUrl": "https://shop.example.com/logo.png"}],
        "properties": {key: text(meaning) for key, meaning in BRANDING_KEYS.items()},
        "additionalProperties": False,
    }


def application() -> Json:
    """Return the schema of ``application`` as emitted."""
    return {
        "title": "Application",
        "type": "object",
        "description": (
            f"{VARIABLES['application']} Absent when the browser's cookie is lost or a look-up fails. "
            "displayName and branding come from the application's own sign-in experience and are left out "
            "without one."
        ),
        "examples": [SAMPLE_APPLICATION, SAMPLE_BRANDED_APPLICATION],
        "required": ["id", "name"],
        "properties": {
            "id": text("The application's id.", maxLength=21),
            "name": text("The name that administrators see.", maxLength=256),
            "branding": ref("Branding"),
            "displayName": text("The name that users see.", minLength=1, maxLength=256),
        },
        "additionalProperties": False,
    }


def organization() -> Json:
    """Return the schema of ``organization`` as emitted."""
    return {
        "title": "Organization",
        "type": "object",
        "description": f"{VARIABLES['organization']} branding is always there, {{}} by default.",
        "examples": [SAMPLE_ORGANIZATION],
        "required": ["id", "name", "branding"],
        "properties": {
            "id": text("The organization's id.", maxLength=21),
            "name": text("The organization's name. In some products its members choose it.", maxLength=128),
            "branding": ref("Branding"),
        },
        "additionalProperties": False,
    }


def user() -> Json:
    """Return the schema of ``user`` as emitted: seven keys, always."""
    return {
        "title": "User",
        "type": "object",
        "description": (
            f"{VARIABLES['user']} All seven keys are always there; what is unset is null, although the docs "
            "call it an optional string. The user chooses most of these texts: escape them."
        ),
        "examples": [SAMPLE_USER],
        "required": ["id", "avatar", "name", "primaryEmail", "primaryPhone", "username", "profile"],
        "properties": {
            "id": text("The user's id.", maxLength=12),
            "avatar": nullable_text("The address of the user's picture.", max_length=2048),
            "name": nullable_text("The user's name.", max_length=128),
            "primaryEmail": nullable_text("The user's email address.", max_length=128),
            "primaryPhone": nullable_text("The user's phone number, digits without a plus.", max_length=128)
            | {"minLength": 1, "not": {"type": "string", "pattern": "[^0-9]"}},
            "username": nullable_text(
                "The user's name to sign in with: ASCII letters, digits and underscores, no digit in front.",
                max_length=128,
            )
            | {"minLength": 1, "not": {"type": "string", "pattern": "^[0-9]|[^A-Za-z0-9_]"}},
            "profile": ref("Profile"),
        },
        "additionalProperties": False,
    }


def profile() -> Json:
    """Return the schema of a user's ``profile`` as emitted."""
    return {
        "title": "Profile",
        "type": "object",
        "description": (
            "The user's profile claims, {} by default. All of them are texts without a limit of length or a "
            "check of form, and the user can edit them. Logto's own keys are the ones listed here."
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


def member_ip() -> Json:
    """Return the schema of ``ip`` as emitted: left out, never empty."""
    return {
        "title": "IP address",
        "type": "string",
        "description": f"{IP} Left out rather than empty.",
        "examples": [SAMPLE_IP, "2001:db8::1"],
        "minLength": 1,
    }


# ---------------------------------------------------------------------------------------------------
# Whole schemas
# ---------------------------------------------------------------------------------------------------

LAYER_TITLES = {
    "guard": "what Logto's type allows",
    "emitted": "what Logto really sends",
    "documented": "what Logto's docs promise",
}


def identifier(revision: str, layer: str) -> str:
    """Return the ``$id`` of a schema."""
    return f"urn:logto-mail-contract:schema:{revision}:{layer}"


def heading(revision: Revision, layer: str, description: str, examples: list[Json]) -> Json:
    """Return the members with which every message schema begins."""
    return {
        "$schema": DIALECT,
        "$id": identifier(revision.id, layer),
        "title": f"SendMessageData {revision.id}: {LAYER_TITLES[layer]}",
        "description": description,
        "examples": examples,
    }


def span(revision: Revision) -> str:
    """Return the releases of a revision in words."""
    first, last = revision.releases[0], revision.releases[-1]
    return f"Logto v{first}" if first == last else f"Logto v{first} to v{last}"


def type_member(names: Iterable[str]) -> Json:
    """Return the schema of ``type``, each name with its meaning."""
    listed = tuple(names)
    meanings = " ".join(f"{name}: {TYPE_MEANINGS[name]}" for name in listed)
    return {"description": f"{TYPE} {meanings}", "examples": [listed[0]], "enum": [*listed]}


def guard(revision: Revision) -> Json:
    """Return the guard layer: the verdict of connector-kit's ``sendMessageDataGuard``, exactly."""
    others = (
        "Every other member is a string too."
        if revision.strings_only
        else "Every other member may be any JSON value, null included."
    )
    payload: Json = {
        "title": "Payload",
        "type": "object",
        "description": (
            f"{PAYLOAD} No variable is tied to a template type here: {{}} passes for every type. A named "
            f"variable is absent or a string, the empty one included, and never null. {others}"
        ),
        "examples": [{"code": "031415"}, {"link": SAMPLE_LINK}, {}],
        "properties": typed_variables(revision.typed_variables),
    }
    if revision.strings_only:
        payload["additionalProperties"] = {"type": "string", "description": "Any other variable is a string."}
    properties: Json = {
        "to": {
            "type": "string",
            "description": f"{TO} Any string passes here.",
            "examples": ["foo@example.com"],
        },
        "type": type_member(revision.template_types),
        "payload": payload,
    }
    if revision.id == CURRENT:
        properties["ip"] = text(f"{IP} Any string passes here.", examples=[SAMPLE_IP])
    description = (
        f"One message as {span(revision)} may post it to an HTTP email endpoint. This schema accepts exactly "
        "what sendMessageDataGuard accepts (packages/toolkit/connector-kit/src/types/passwordless.ts of "
        "those releases), so it is the widest of the layers and the one for a receiver to be judged against. "
        "Logto itself does not run the guard on what it sends. Unknown top-level members are tolerated."
    )
    names = [
        name for name in ("SignIn", "OrganizationInvitation", "BindMfa") if name in revision.emitted_types
    ]
    return heading(revision, "guard", description, [sample_message(revision, name) for name in names]) | {
        "type": "object",
        "required": ["to", "type", "payload"],
        "properties": properties,
    }


VISITOR_TYPES = ("SignIn", "Register", "ForgotPassword", "MfaVerification")
ACCOUNT_TYPES = ("UserPermissionValidation", "BindNewIdentifier", "BindMfa")
TYPES_WITHOUT_IP = ("UserPermissionValidation", "BindNewIdentifier")


def by_type(branches: dict[str, Json]) -> list[Json]:
    """Return one ``if``/``then`` per template type, flat, so that one mistake is one error."""
    return [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"properties": properties},
        }
        for name, properties in branches.items()
    ]


def code_payload(
    title: str,
    description: str,
    revision: Revision,
    *,
    locale: str,
    context: Sequence[str] = (),
) -> Json:
    """Return the schema of a payload that carries a code, closed to everything not named.

    Args:
        title: What these payloads are.
        description: When they are sent and what to expect in them.
        revision: The contract revision.
        locale: Whether ``locale`` comes: "always", "sometimes" or "never".
        context: The context variables that may come.
    """
    properties: Json = {"code": ref("VerificationCode")}
    required = ["code"]
    example: Json = {"code": "031415"}
    if locale == "always":
        required.append("locale")
        properties["locale"] = text(
            "The language tag that Logto chose for this mail.", examples=["en", "pt-BR"], minLength=1
        )
        example["locale"] = "en"
    elif locale == "sometimes":
        properties["locale"] = variable("locale", *VARIABLE_EXAMPLES["locale"])
    if locale != "never" and "uiLocales" in revision.typed_variables:
        properties["uiLocales"] = variable("uiLocales", *VARIABLE_EXAMPLES["uiLocales"])
    properties |= {name: ref(name.capitalize()) for name in context}
    fuller = {"organization": SAMPLE_ORGANIZATION, "user": SAMPLE_USER}
    examples = [example]
    examples += [
        example | {"application": SAMPLE_APPLICATION, about: sample}
        for about, sample in fuller.items()
        if about in context
    ]
    return {
        "title": title,
        "type": "object",
        "description": description,
        "examples": examples,
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


def invitation_payload(revision: Revision) -> Json:
    """Return the schema of an invitation's payload: the caller's own object, nearly whatever it is."""
    if revision.strings_only:
        others = "It is exactly the string map that the caller of the Management API handed in."
        examples: list[Json] = [{"link": SAMPLE_LINK}, {}]
    else:
        others = (
            "Logto puts in organization, and inviter where one is named; the caller's own members follow, "
            "may be any JSON value, and replace Logto's where the names are the same. Either may be missing."
        )
        examples = [
            {"organization": SAMPLE_ORGANIZATION, "inviter": SAMPLE_USER, "link": SAMPLE_LINK},
            {"organization": "mine", "link": "", "seats": 3},
        ]
    schema: Json = {
        "title": "Payload of an invitation",
        "type": "object",
        "description": (
            f"{others} Without a link from the caller there is none. No member is ever named __proto__: it "
            "does not get through Logto core."
        ),
        "examples": examples,
        "properties": typed_variables(revision.typed_variables),
        "propertyNames": {"not": {"const": "__proto__"}},
    }
    if revision.strings_only:
        schema["additionalProperties"] = {"type": "string", "description": "Any other variable is a string."}
    return schema


def emitted_definitions(revision: Revision) -> tuple[dict[str, str], Json]:
    """Return the payload definition of each template type, and the payload definitions."""
    if revision.strings_only:
        codes = code_payload(
            "Payload of a code mail", "The code, and nothing else yet.", revision, locale="never"
        )
        names = dict.fromkeys(revision.emitted_types, "CodePayload")
        return names | {"OrganizationInvitation": "InvitationPayload"}, {
            "CodePayload": codes,
            "InvitationPayload": invitation_payload(revision),
        }
    no_user = "application and organization are told when the browser's sign-in session names them."
    definitions = {
        "VisitorPayload": code_payload(
            "Payload of a sign-in flow",
            f"The code for someone who is signing in, registering or resetting a password. {no_user}",
            revision,
            locale="always",
            context=("application", "organization"),
        ),
        "AccountPayload": code_payload(
            "Payload of an account change",
            "The code for a signed-in user who changes the account. One failed look-up drops application and "
            "user together.",
            revision,
            locale="always",
            context=("application", "user"),
        ),
        "GenericPayload": code_payload(
            "Payload of a generic code mail",
            "The code; the language only where the Console or a connector test knows one.",
            revision,
            locale="sometimes",
        ),
        "InvitationPayload": invitation_payload(revision),
    }
    names = dict.fromkeys(revision.emitted_types, "VisitorPayload")
    names |= dict.fromkeys(TYPES_WITHOUT_IP, "AccountPayload")
    names |= {"Generic": "GenericPayload", "OrganizationInvitation": "InvitationPayload"}
    if revision.id == "1.31":
        names["BindNewIdentifier"] = "NewIdentifierPayload"
        definitions["NewIdentifierPayload"] = code_payload(
            "Payload of a new identifier",
            "The code, either from the Account API (then user may come and organization never) or, in this "
            "release only, from the sign-in experience of an identified user (then organization may come and "
            "user "
            "never).",
            revision,
            locale="always",
            context=("application", "organization", "user"),
        )
    if "BindMfa" in names:
        names["BindMfa"] = "BindMfaPayload"
        definitions["BindMfaPayload"] = code_payload(
            "Payload of a new second factor",
            "The code, either from the sign-in experience (then organization may come and user never) or "
            "from the "
            "Account API (then user may come, organization and ip never).",
            revision,
            locale="always",
            context=("application", "organization", "user"),
        )
    return names, definitions


def emitted(revision: Revision) -> Json:
    """Return the emitted layer: the union, per template type, of what Logto core's flows send."""
    names, payloads = emitted_definitions(revision)
    with_ip = revision.id == CURRENT
    definitions: Json = {
        "CodeRecipient": recipient(128, "Logto stores it with the code, in a column of 128 characters."),
        "TestRecipient": recipient(None, "The connector test of the Console sets no limit of length."),
        "InvitationRecipient": recipient(
            256, "Logto stores it with the invitation, in a column of 256 characters."
        ),
    }
    definitions["WhiteSpace"] = white_space()
    if with_ip:
        definitions["Ip"] = member_ip()
    definitions |= {"VerificationCode": verification_code()} | payloads
    if not revision.strings_only:
        definitions |= {
            "Application": application(),
            "Organization": organization(),
            "User": user(),
            "Profile": profile(),
            "Branding": branding(),
        }
    branches: dict[str, Json] = {}
    for name in revision.emitted_types:
        to = {"Generic": "TestRecipient", "OrganizationInvitation": "InvitationRecipient"}.get(
            name, "CodeRecipient"
        )
        branches[name] = {"to": ref(to), "payload": ref(names[name])}
        if with_ip:
            branches[name]["ip"] = (
                {"description": "The Account API does not tell the address.", "not": {}}
                if name in TYPES_WITHOUT_IP
                else ref("Ip")
            )
    properties: Json = {
        "to": {"description": TO, "examples": ["foo@example.com"]},
        "type": type_member(revision.emitted_types),
        "payload": {"description": f"{PAYLOAD} Which ones may come is decided by the template type."},
    }
    if with_ip:
        properties["ip"] = {"description": IP, "examples": [SAMPLE_IP]}
    description = (
        f"One message as the core of {span(revision)} really sends it: per template type, all that any of "
        "its flows sends, and nothing else. Which variables exclude each other is not told. A part of the "
        "guard layer: use it to hold a sender to Logto's habits, and to learn what a receiver will meet. It "
        "changes with Logto and is not a promise that Logto makes."
    )
    examples = [sample_message(revision, name) for name in revision.emitted_types]
    return heading(revision, "emitted", description, examples) | {
        "type": "object",
        "required": ["to", "type", "payload"],
        "properties": properties,
        "additionalProperties": False,
        "allOf": by_type(branches),
        "$defs": definitions,
    }


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


def documented_payload(name: str, revision: Revision) -> Json:
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
        "properties": typed_variables(revision.typed_variables)
        | {key: ref(INFOS[key]) for key in (*promised, *optional) if key in INFOS},
    }


def documented_infos() -> Json:
    """Return the shapes that the docs give to the context variables, open to more."""
    return {
        "ApplicationInfo": {
            "title": "ApplicationInfo",
            "type": "object",
            "description": VARIABLES["application"],
            "examples": [SAMPLE_APPLICATION, SAMPLE_BRANDED_APPLICATION],
            "required": ["id", "name"],
            "properties": {
                "id": text("The application's id."),
                "name": text("The name that administrators see."),
                "displayName": text("The name that users see."),
                "branding": ref("Branding"),
            },
        },
        "OrganizationInfo": {
            "title": "OrganizationInfo",
            "type": "object",
            "description": VARIABLES["organization"],
            "examples": [SAMPLE_ORGANIZATION],
            "required": ["id", "name"],
            "properties": {
                "id": text("The organization's id."),
                "name": text("The organization's name."),
                "branding": ref("Branding"),
            },
        },
        "UserInfo": {
            "title": "UserInfo",
            "type": "object",
            "description": (
                "The user who asked for the mail, or who invited. The docs call every member but id an "
                "optional string; real Logto sends all of them, with null where unset, which breaks this "
                "promise."
            ),
            "examples": [{"id": "w13v2u89sxbs", "name": "Foo", "primaryEmail": "foo@example.com"}],
            "required": ["id"],
            "properties": {
                "id": text("The user's id."),
                "name": text("The user's name."),
                "username": text("The user's name to sign in with."),
                "primaryEmail": text("The user's email address."),
                "primaryPhone": text("The user's phone number."),
                "avatar": text("The address of the user's picture."),
                "profile": {"type": "object", "description": "The user's profile claims."},
            },
        },
        "Branding": {
            "title": "Branding",
            "type": "object",
            "description": "Where the logos are.",
            "examples": [{"logoUrl": "https://shop.example.com/logo.png"}],
            "properties": {key: text(meaning) for key, meaning in BRANDING_KEYS.items()},
        },
    }


def documented(revision: Revision) -> Json:
    """Return the documented layer: the promises of docs.logto.io, extra variables tolerated."""
    names = dict.fromkeys(VISITOR_TYPES, "VisitorVariables") | dict.fromkeys(
        ACCOUNT_TYPES, "AccountVariables"
    )
    names |= {"Generic": "GenericVariables", "OrganizationInvitation": "InvitationVariables"}
    description = (
        "One message as docs.logto.io promises it per template type (the pages on email templates and on the "
        "HTTP email connector). A part of the guard layer. Null is not a documented value, yet real Logto "
        "sends null for what a user has not set, and leaves out application, user or link at times: hold "
        "Logto itself to the emitted layer, and use this one for a sender that keeps the docs' word. Extra "
        "variables and extra top-level members are tolerated."
    )
    return heading(
        revision,
        "documented",
        description,
        [sample_message(revision, name, nulls=False) for name in revision.template_types],
    ) | {
        "type": "object",
        "required": ["to", "type", "payload"],
        "properties": {
            "to": {"type": "string", "description": TO, "examples": ["foo@example.com"]},
            "type": type_member(revision.template_types),
            "payload": {"description": f"{PAYLOAD} Which ones are promised is decided by the template type."},
            "ip": text(IP, examples=[SAMPLE_IP]),
        },
        "allOf": by_type({name: {"payload": ref(names[name])} for name in revision.template_types}),
        "$defs": {name: documented_payload(name, revision) for name in DOCUMENTED_VARIABLES}
        | documented_infos(),
    }


BUILDERS = {"guard": guard, "emitted": emitted, "documented": documented}


# ---------------------------------------------------------------------------------------------------
# Catalogue and OpenAPI
# ---------------------------------------------------------------------------------------------------


def index() -> Json:
    """Return ``index.json``: the revisions, oldest first, and their files."""
    return {
        "$schema": "./index.schema.json",
        "current": CURRENT,
        "layers": {
            "guard": (
                "What the type SendMessageData allows: the verdict of sendMessageDataGuard, which Logto "
                "defines and does not run on outgoing mail."
            ),
            "emitted": "What Logto core of these releases really sends, per template type. A part of guard.",
            "documented": (
                "What docs.logto.io promises per template type, extra variables tolerated. A part of guard; "
                "the current revision only."
            ),
        },
        "revisions": [
            {
                "id": revision.id,
                "releases": [*revision.releases],
                "connectorKit": [*revision.connector_kit],
                "connectorHttpEmail": [*revision.connector_http_email],
                "templateTypes": [*revision.template_types],
                "typedVariables": [*revision.typed_variables],
                "changes": revision.changes,
                "files": {layer: f"{revision.id}/{LAYER_FILES[layer]}" for layer in revision.layers},
                "vectors": {layer: f"vectors/{revision.id}/{layer}.json" for layer in revision.layers},
            }
            for revision in REVISIONS
        ],
    }


def answer(description: str) -> Json:
    """Return an OpenAPI response whose body Logto may hand on as text."""
    return {"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}}


LOCATION_HEADER: Json = {
    "Location": {
        "description": "Where Logto sends the request again.",
        "schema": {"type": "string"},
    }
}


def redirect(description: str) -> Json:
    """Return an OpenAPI response with a Location header."""
    return {"description": description, "headers": LOCATION_HEADER}


FAILURE = (
    "Logto does not retry. The user's request fails with HTTP 400 connector.general, which carries the text "
    "of this answer, so put nothing confidential into it."
)


def openapi(revision: Revision) -> Json:
    """Return ``openapi.json``: the endpoint that a receiver offers to Logto."""
    message = {key: value for key, value in guard(revision).items() if key not in ("$schema", "$id")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "HTTP email endpoint for Logto",
            "version": revision.id,
            "summary": "What a receiver of Logto's HTTP email connector offers.",
            "description": (
                f"Logto (contract revision {revision.id}, {span(revision)}) posts each mail to one URL of "
                "your choice and waits for the answer inside the user's own request. The connector itself "
                "waits without limit; Logto's hosted sign-in page gives up after 10 seconds, and Logto's "
                "server cuts the user's connection after 120 seconds. So end every answer, validly and well "
                "within 10 seconds. There is no idempotency key and no retry; a resent invitation is equal "
                "byte for byte, so do not drop a message because its body came before. Facts: "
                "packages/connectors/connector-http-email/src/index.ts, v1.35.0 to v1.42.0."
            ),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [
            {
                "url": "{endpoint}",
                "description": "The URL in the connector's configuration, with any path and query.",
                "variables": {
                    "endpoint": {
                        "default": "https://mail.example.com/logto",
                        "description": "The endpoint; userinfo in it would replace the Authorization header.",
                    }
                },
            }
        ],
        "tags": [{"name": "mail", "description": "Messages from Logto."}],
        "paths": {
            "/": {
                "post": {
                    "operationId": "sendMessage",
                    "tags": ["mail"],
                    "summary": "Take one message from Logto and send it as a mail.",
                    "description": (
                        "The request is HTTP/1.1 with Content-Type application/json without charset, always "
                        "with Content-Length, the body compact UTF-8 JSON with the members in the order to, "
                        "type, payload, ip. Nothing signs it: the Authorization header is all that proves "
                        "the sender."
                    ),
                    "security": [{"authorization": []}, {}],
                    "requestBody": {
                        "required": True,
                        "description": "One message.",
                        "content": {
                            "application/json": {
                                "schema": {"$ref": "#/components/schemas/SendMessageData"},
                                "examples": {
                                    name: {
                                        "summary": TYPE_MEANINGS[name],
                                        "value": sample_message(revision, name),
                                    }
                                    for name in revision.emitted_types
                                },
                            }
                        },
                    },
                    "responses": {
                        "2XX": {
                            "description": (
                                "The message was taken. Any status from 200 to 299 means the same; Logto "
                                "reads the body to its end and ignores it. A 204 with body bytes makes the "
                                "send fail."
                            )
                        },
                        "304": {
                            "description": (
                                "Counts as taken when there is neither a Location header nor a body. Do not "
                                "rely on it: answer 2xx."
                            )
                        },
                        "303": redirect(
                            "Followed with GET and without the body: a 200 there looks like success although "
                            "the message is lost. Do not use."
                        ),
                        "3XX": redirect(
                            "300, 301, 302, 307 and 308 with a Location are followed, up to 10 times, with "
                            "POST and the whole body, code included; Authorization goes along only to the "
                            "same host and port. Any other 3xx is a failure like a 4xx."
                        ),
                        "401": answer(f"The Authorization header is not the configured one. {FAILURE}"),
                        "4XX": answer(f"The message was refused. {FAILURE} That holds for 429 as well."),
                        "5XX": answer(
                            f"The message was not taken. {FAILURE} Retry-After is ignored. An invitation "
                            "whose mail fails is not created, so a link that was mailed all the same leads "
                            "nowhere."
                        ),
                    },
                }
            }
        },
        "components": {
            "schemas": {"SendMessageData": message},
            "securitySchemes": {
                "authorization": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": (
                        "The text of the connector's setting authorization, verbatim: any scheme or none. "
                        "Optional in Logto; the header is absent when the setting is. Set one and check it."
                    ),
                }
            },
        },
    }


# ---------------------------------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------------------------------


def documents() -> dict[str, Json]:
    """Return every generated document under its path below ``schemas/``."""
    made: dict[str, Json] = {"index.json": index()}
    for revision in REVISIONS:
        for layer in revision.layers:
            document = BUILDERS[layer](revision)
            made[f"{revision.id}/{LAYER_FILES[layer]}"] = document
            if revision.id == CURRENT:
                made[LAYER_FILES[layer]] = document | {"$id": identifier("current", layer)}
                if layer == "guard":
                    made["openapi.json"] = openapi(revision)
    return made


def render(document: Json) -> str:
    """Return the text of a file: indented, ASCII, with a line feed at the end."""
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with ``--check`` compare them, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when files differ")
    parser.add_argument("--folder", type=Path, default=SCHEMAS, help="the folder to write or to compare")
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    differing = []
    for name, document in documents().items():
        path = folder / name
        rendered = render(document).encode()
        if path.is_file() and path.read_bytes() == rendered:
            continue
        differing.append(name)
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(rendered)
    for name in differing:
        sys.stdout.write(f"{'differs' if options.check else 'wrote'}: {name}\n")
    return 1 if options.check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
