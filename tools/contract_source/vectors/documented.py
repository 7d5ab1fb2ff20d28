"""The vectors of the documented layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .context import add_null_logos
from .shared import add_broken_texts, add_extra_members, add_roots, add_wrong_payloads, add_wrong_types
from .suite import Suite, format_slug, put
from .values import APPLICATION, NO_OBJECTS, NO_STRINGS, ORGANIZATION, USER, make_message

if TYPE_CHECKING:
    from ..files import Json

PROMISES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "SignIn": (("code", "application"), ("organization",)),
    "Register": (("code", "application"), ("organization",)),
    "ForgotPassword": (("code", "application"), ("organization",)),
    "MfaVerification": (("code", "application"), ("organization",)),
    "Generic": (("code",), ()),
    "OrganizationInvitation": (("link", "organization"), ("inviter",)),
    "UserPermissionValidation": (("code", "user"), ("application",)),
    "BindNewIdentifier": (("code", "user"), ("application",)),
    "BindMfa": (("code", "user"), ("application",)),
}
"""The variables that the docs promise for each template type, and those that they call optional."""
VALUES: Json = {
    "code": "012345",
    "link": "https://app.example.com/join",
    "application": APPLICATION,
    "organization": ORGANIZATION,
    "user": USER,
    "inviter": USER,
}


def build_documented(revision: str) -> Suite:
    """Return the vectors of the documented layer."""
    suite = Suite(revision, "documented")
    message = make_message("Generic", {"code": "012345"})
    add_roots(suite, message)
    add_extra_members(suite, message, "Other members are tolerated.")
    suite.group = "The recipient"
    to = suite.at(message, "to")
    to.add_each("to", "to is a string.", NO_STRINGS, "type")
    to.add("to-empty", "The docs say nothing of the form.", "")
    add_wrong_types(suite, message, PROMISES)
    suite.group = "The member ip"
    ip = suite.at(message, "ip")
    ip.add_each("ip", "ip may be any string.", {"v4": "203.0.113.7", "empty": ""})
    ip.add_each("ip", "ip is a string where present.", NO_STRINGS, "type")
    for name in PROMISES:
        _add_type(suite, name)
    shapes = {
        "application": ("SignIn", ("id", "name")),
        "organization": ("OrganizationInvitation", ("id", "name")),
        "user": ("BindMfa", ("id",)),
        "inviter": ("OrganizationInvitation", ("id",)),
    }
    for variable, (name, required) in shapes.items():
        _add_shape(suite, variable, _make_promised(name, variable), required)
    suite.group = "Messages that depend on how JSON text is read"
    suite.add_text(
        "surrogate-in-code",
        "A lone surrogate in a string.",
        '{"to":"a@b.c","type":"Generic","payload":{"code":"\\ud800"}}',
        difficulty="surrogate",
    )
    suite.add_text(
        "depth-1000",
        "A tolerated value a thousand levels deep.",
        f'{{"to":"a@b.c","type":"Generic","payload":{{"code":"1","x":{"[" * 1000}{"]" * 1000}}}}}',
        difficulty="depth",
    )
    add_broken_texts(suite, ("empty", "nan", "byte-order-mark", "two-documents"))
    return suite


def _make_promised(name: str, *more: str) -> Json:
    """Return a message with the variables that the docs promise, and more."""
    return make_message(name, {key: VALUES[key] for key in (*PROMISES[name][0], *more)})


def _add_type(suite: Suite, name: str) -> None:
    """Add the vectors of one template type as the docs describe it."""
    promised, optional = PROMISES[name]
    prefix = format_slug(name)
    suite.group = f"Messages of type {name}"
    message = _make_promised(name)
    suite.add(f"{prefix}-promised", "Exactly what the docs promise.", message)
    everything = put(message, ("payload",), {**VALUES, "locale": "pt-BR", "uiLocales": "pt-BR de"})
    suite.at(everything, "ip").add(
        f"{prefix}-everything", "All documented variables at once are tolerated.", "203.0.113.7"
    )
    extra = suite.at(message, "payload", "x")
    extra.add(f"{prefix}-extra-variable", "Other variables are tolerated.", [None, 1])
    for key in promised:
        suite.at(message, "payload", key).add_without(f"{prefix}-without-{key}", f"The docs promise {key}.")
    for key in ("code", "link", "locale", "uiLocales"):
        title = f"{prefix}-{format_slug(key)}"
        place = suite.at(message, "payload", key)
        place.add(f"{title}-empty", f"{key} may be any string.", "")
        wrong = {case: NO_STRINGS[case] for case in ("null", "number")}
        place.add_each(title, f"{key} is a string.", wrong, "type")
    for key in ("application", "organization", "user", "inviter"):
        place = suite.at(message, "payload", key)
        if key in optional:
            place.add(f"{prefix}-with-{key}", f"{key} may come.", VALUES[key])
        known = key in promised or key in optional
        place.add_each(
            f"{prefix}-{key}",
            f"{key} is an object." if known else f"{key} is not documented for this type, so anything goes.",
            {case: NO_OBJECTS[case] for case in ("null", "string")},
            "type" if known else None,
        )
    add_wrong_payloads(suite, message, f"{prefix}-payload")


def _add_shape(suite: Suite, variable: str, message: Json, required: tuple[str, ...]) -> None:
    """Add the inner shape that the docs give to a context variable."""
    suite.group = f"The shape of {variable}"
    steps = ("payload", variable)
    value: Json = VALUES[variable]
    whole = suite.at(message, *steps)
    suite.at(message, *steps, "x").add(f"{variable}-extra", "Other members are tolerated.", None)
    whole.add(f"{variable}-least", "Only the promised members.", {key: value[key] for key in required})
    for key, sample in value.items():
        title = f"{variable}-{format_slug(key)}"
        place = suite.at(message, *steps, key)
        place.add_without(
            f"{variable}-without-{format_slug(key)}",
            f"{key} is {'promised' if key in required else 'optional'}.",
            required=key in required,
        )
        if isinstance(sample, str):
            place.add_each(title, f"{key} is a string, null is no value.", NO_STRINGS, "type")
        else:
            place.add_each(title, f"{key} is an object, null is no value.", NO_OBJECTS, "type")
    if "branding" in value:
        add_null_logos(suite, message, (*steps, "branding"), f"{variable}-branding")
        surplus = suite.at(message, *steps, "branding", "color")
        surplus.add(f"{variable}-branding-extra", "Other members of a branding are tolerated.", 1)
    else:
        whole.add(f"{variable}-all-null", "All members have values, as the docs promise.", USER)
