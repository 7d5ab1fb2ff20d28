"""The emitted layer: what Logto core really sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .context import (
    make_application,
    make_branding,
    make_branding_url,
    make_nul,
    make_organization,
    make_profile,
    make_stored_text,
    make_user,
)
from .pieces import (
    VARIABLE_EXAMPLES,
    format_releases,
    make_heading,
    make_ref,
    make_requirement,
    make_text,
    make_type_branches,
    make_type_member,
    make_typed_variables,
)
from .revisions import CURRENT, TYPES_WITHOUT_IP
from .samples import SAMPLE_APPLICATION, SAMPLE_IP, SAMPLE_LINK, SAMPLE_ORGANIZATION, SAMPLE_USER, make_sample
from .texts import IP, PAYLOAD, TO, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..files import Json
    from .revisions import Revision


# JavaScript's white space, spelt out: the shorthand class means something else in every language.
WHITE_SPACE = "\t\n\u000b\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"


def make_recipient(refused: str, max_length: int | None, why: str, then: Json) -> Json:
    """Return the schema of ``to`` as core lets it pass; each mistake in it gives one error.

    Args:
        refused: The definition of the texts that are no such recipient, whatever their form.
        max_length: The greatest length; None where there is no bound.
        why: The source of the limits.
        then: The form of other texts.
    """
    schema: Json = {"title": "Recipient", "type": "string", "description": f"{TO} {why}"}
    if max_length is not None:
        schema["maxLength"] = max_length
    return schema | {
        "examples": ["foo@example.com"],
        "not": make_ref(refused),
        "if": {"not": make_ref(refused)},
        "then": then,
    }


def make_recipients() -> Json:
    """Return the definitions of the recipients, and of the texts that they cannot be."""
    white_space = "white space as JavaScript knows it: each character is listed."
    # zod's pattern of an address, without lookaheads, and with $ only where no line break can follow.
    address = (
        "^([A-Za-z0-9_'+-]+\\.)*[A-Za-z0-9_'+-]*[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9-]*\\.)+[A-Za-z]{2,}$"
    )
    loose: Json = {"pattern": ".@.+\\.."}
    return {
        "CodeRecipient": make_recipient(
            "WhiteSpaceOrNul", 128, "Logto stores it with the code, in a column of 128 characters.", loose
        ),
        "TestRecipient": make_recipient(
            "WhiteSpace", None, "The connector test of the Console sets no limit of length.", loose
        ),
        "InvitationRecipient": make_recipient(
            "NoAddress",
            256,
            "Logto checks it more strictly than that of a code, with zod's email(), and stores it in a "
            "column of 256 characters.",
            {"title": "Address that zod's email() accepts", "pattern": address},
        ),
        "WhiteSpace": {
            "title": "White space",
            "type": "string",
            "description": f"Text with {white_space}",
            "examples": [" ", "foo@example.com\n"],
            "pattern": f"[{WHITE_SPACE}]",
        },
        "WhiteSpaceOrNul": {
            "title": "White space or NUL",
            "type": "string",
            "description": f"Text with a NUL, which PostgreSQL does not store, or with {white_space}",
            "examples": [" ", "\0"],
            "pattern": f"[\\x00{WHITE_SPACE}]",
        },
        "NoAddress": {
            "title": "No address",
            "type": "string",
            "description": (
                "Text with a character that zod's email() refuses, any but ASCII letters, digits and "
                "_ ' + . @ -"
            ),
            "examples": ["Foo <foo@example.com>"],
            "pattern": "[^A-Za-z0-9_'+.@-]",
        },
    }


def make_locale() -> Json:
    """Return the schema of ``locale`` where Logto chooses it."""
    return {
        "title": "Language tag",
        "type": "string",
        "description": (
            "The language tag that Logto chose for this mail, among the languages that it knows. All of "
            "their tags have this form; anything else makes Logto fall back to another language."
        ),
        "examples": ["en", "pt-BR", "es-419"],
        "not": make_ref("NoTag"),
        "if": {"not": make_ref("NoTag")},
        "then": {"title": "Language tag", "pattern": "^[a-z]{2}(-([A-Z]{2}|[0-9]{3}))?$"},
    }


def make_no_tag() -> Json:
    """Return the schema of text that no language tag can be; it keeps line breaks from the tag's ``$``."""
    return {
        "title": "No language tag",
        "type": "string",
        "description": "Text with a character other than ASCII letters, digits and hyphens.",
        "examples": ["fr-CA,fr;q=0.9"],
        "pattern": "[^A-Za-z0-9-]",
    }


def make_code() -> Json:
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


def make_ip() -> Json:
    """Return the schema of ``ip`` as emitted: left out, never empty."""
    return {
        "title": "IP address",
        "type": "string",
        "description": f"{IP} Left out rather than empty.",
        "examples": [SAMPLE_IP, "2001:db8::1"],
        "minLength": 1,
    }


def make_code_payload(
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
    properties: Json = {"code": make_ref("VerificationCode")}
    required = ["code"]
    example: Json = {"code": "031415"}
    if locale == "always":
        required.append("locale")
        properties["locale"] = make_ref("Locale")
        example["locale"] = "en"
    elif locale == "sometimes":
        properties["locale"] = make_text(
            f"{VARIABLES['locale']} Left out rather than empty.",
            examples=VARIABLE_EXAMPLES["locale"],
            minLength=1,
        )
    if locale != "never" and "uiLocales" in revision.typed_variables:
        properties["uiLocales"] = make_text(
            f"{VARIABLES['uiLocales']} Left out rather than empty.",
            examples=VARIABLE_EXAMPLES["uiLocales"],
            minLength=1,
        )
    properties |= {name: make_ref(name.capitalize()) for name in context}
    fuller = {"organization": SAMPLE_ORGANIZATION, "user": SAMPLE_USER}
    examples = [example]
    examples += [
        example | {"application": SAMPLE_APPLICATION, about: sample}
        for about, sample in fuller.items()
        if about in context
    ]
    schema = {
        "title": title,
        "type": "object",
        "description": description,
        "examples": examples,
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }
    if locale == "sometimes" and "uiLocales" in properties:
        schema |= make_requirement("uiLocales", "locale")
    if context == ("application", "user"):
        schema |= make_requirement("application", "user")
    return schema


def make_invitation_payload(revision: Revision) -> Json:
    """Return the schema of an invitation's payload: the caller's own object, nearly whatever it is."""
    if revision.strings_only:
        others = "It is exactly the string map that the caller of the Management API handed in."
        examples: list[Json] = [{"link": SAMPLE_LINK}, {}]
    else:
        others = (
            "Logto adds organization, and inviter if one is named. The caller's own members follow. They "
            "may be any JSON value, and replace Logto's members of the same name. Either may be missing."
        )
        examples = [
            {"organization": SAMPLE_ORGANIZATION, "inviter": SAMPLE_USER, "link": SAMPLE_LINK},
            {"organization": "mine", "link": "", "seats": 3},
        ]
    schema: Json = {
        "title": "Payload of an invitation",
        "type": "object",
        "description": (
            f"{others} If the caller gives no link, there is none. No member is named __proto__, because "
            "Logto core drops it."
        ),
        "examples": examples,
        "properties": make_typed_variables(revision.typed_variables),
        "propertyNames": {"not": {"const": "__proto__"}},
    }
    if revision.strings_only:
        schema["additionalProperties"] = {"type": "string", "description": "Any other variable is a string."}
    return schema


def make_payloads(revision: Revision) -> tuple[dict[str, str], Json]:
    """Return the payload definition of each template type, and the payload definitions."""
    if revision.strings_only:
        codes = make_code_payload(
            "Payload of a code mail", "The code and nothing else.", revision, locale="never"
        )
        names = dict.fromkeys(revision.emitted_types, "CodePayload")
        return names | {"OrganizationInvitation": "InvitationPayload"}, {
            "CodePayload": codes,
            "InvitationPayload": make_invitation_payload(revision),
        }
    no_user = "application and organization are present if the browser's sign-in session names them."
    definitions = {
        "VisitorPayload": make_code_payload(
            "Payload of a sign-in flow",
            f"The code for someone who is signing in, registering or resetting a password. {no_user}",
            revision,
            locale="always",
            context=("application", "organization"),
        ),
        "AccountPayload": make_code_payload(
            "Payload of an account change",
            "The code for a signed-in user who changes the account. One failed look-up drops application and "
            "user together, so application never comes alone.",
            revision,
            locale="always",
            context=("application", "user"),
        ),
        "GenericPayload": make_code_payload(
            "Payload of a generic code mail",
            "The code, and the language if the Console or a connector test knows one. uiLocales never comes "
            "without locale.",
            revision,
            locale="sometimes",
        ),
        "InvitationPayload": make_invitation_payload(revision),
    }
    names = dict.fromkeys(revision.emitted_types, "VisitorPayload")
    names |= dict.fromkeys(TYPES_WITHOUT_IP, "AccountPayload")
    names |= {"Generic": "GenericPayload", "OrganizationInvitation": "InvitationPayload"}
    if revision.id == "1.31":
        names["BindNewIdentifier"] = "NewIdentifierPayload"
        definitions["NewIdentifierPayload"] = make_code_payload(
            "Payload of a new identifier",
            "The code. From the Account API, user may come and organization never. In this release only, it "
            "also comes from the sign-in experience of an identified user: then organization may come and "
            "user never.",
            revision,
            locale="always",
            context=("application", "organization", "user"),
        )
    if "BindMfa" in names:
        names["BindMfa"] = "BindMfaPayload"
        definitions["BindMfaPayload"] = make_code_payload(
            "Payload of a new second factor",
            "The code. From the sign-in experience, organization may come and user never. From the Account "
            "API, user may come, organization and ip never.",
            revision,
            locale="always",
            context=("application", "organization", "user"),
        )
    return names, definitions


def build_emitted(revision: Revision) -> Json:
    """Return the emitted layer: the union, per template type, of what Logto core's flows send."""
    names, payloads = make_payloads(revision)
    with_ip = revision.id == CURRENT
    definitions: Json = make_recipients()
    if with_ip:
        definitions["Ip"] = make_ip()
    definitions |= {"VerificationCode": make_code()} | payloads
    if not revision.strings_only:
        definitions |= {
            "Application": make_application(),
            "Organization": make_organization(),
            "User": make_user(),
            "Profile": make_profile(),
            "Branding": make_branding(),
            "BrandingUrl": make_branding_url(),
            "StoredText": make_stored_text("A text from Logto's database.")
            | {"title": "Stored text", "examples": ["Foo"]},
            "Nul": make_nul(),
            "Locale": make_locale(),
            "NoTag": make_no_tag(),
        }
    branches: dict[str, Json] = {}
    for name in revision.emitted_types:
        to = {"Generic": "TestRecipient", "OrganizationInvitation": "InvitationRecipient"}.get(
            name, "CodeRecipient"
        )
        branches[name] = {"to": make_ref(to), "payload": make_ref(names[name])}
        if with_ip:
            branches[name]["ip"] = (
                {"description": "The Account API does not pass on the address.", "not": {}}
                if name in TYPES_WITHOUT_IP
                else make_ref("Ip")
            )
    properties: Json = {
        "to": {"description": TO, "examples": ["foo@example.com"]},
        "type": make_type_member(revision.emitted_types),
        "payload": {"description": f"{PAYLOAD} Which ones may come is decided by the template type."},
    }
    if with_ip:
        properties["ip"] = {"description": IP, "examples": [SAMPLE_IP]}
    description = (
        f"One message as the core of {format_releases(revision)} really sends it: per template type, all "
        "that any of its flows sends, and nothing else. The schema does not say which variables exclude "
        "each other. It is a part of the guard layer. Use it to check that a sender behaves as Logto does, "
        "and to learn what a receiver will meet. It changes with Logto and is no promise of Logto."
    )
    examples = [make_sample(revision, name) for name in revision.emitted_types]
    return make_heading(revision, "emitted", description, examples) | {
        "type": "object",
        "required": ["to", "type", "payload"],
        "properties": properties,
        "additionalProperties": False,
        "allOf": make_type_branches(branches),
        "$defs": definitions,
    }
