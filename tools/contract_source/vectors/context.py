"""Vectors of the emitted layer for the shapes of application, organization and user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .flows import make_full
from .suite import format_slug
from .values import (
    APPLICATION,
    BRANDING,
    NO_OBJECTS,
    NO_STRINGS,
    NULL_USER,
    NULLABLE,
    ORGANIZATION,
    PROFILE,
    USER,
)

if TYPE_CHECKING:
    from ..files import Json
    from .flows import Flow
    from .suite import Suite


def add_context(suite: Suite, flows: dict[str, Flow]) -> None:
    """Add the shapes of application, organization and user."""
    sign_in = make_full("SignIn", flows["SignIn"])
    account = make_full("UserPermissionValidation", flows["UserPermissionValidation"])
    lengths = {"id": 21, "name": 256, "displayName": 256}
    _add_shape(suite, sign_in, "application", APPLICATION, required=("id", "name"), lengths=lengths)
    lengths = {"id": 21, "name": 128}
    _add_shape(
        suite, sign_in, "organization", ORGANIZATION, required=("id", "name", "branding"), lengths=lengths
    )
    _add_shape(suite, account, "user", USER, required=(*USER,), lengths={"id": 12, **NULLABLE})
    _add_user(suite, account)
    _add_profile(suite, account)
    _add_branding(suite, sign_in)


def _add_shape(
    suite: Suite,
    message: Json,
    variable: str,
    value: Json,
    *,
    required: tuple[str, ...],
    lengths: dict[str, int],
) -> None:
    """Add the members of a context variable: missing, surplus, of another type, as long as may be, longer."""
    suite.group = f"The shape of {variable}"
    steps = ("payload", variable)
    for key in value:
        suite.at(message, *steps, key).add_without(
            f"{variable}-without-{format_slug(key)}",
            f"{key} {'always comes' if key in required else 'may be missing'}.",
            required=key in required,
        )
    surplus = suite.at(message, *steps, "customData")
    surplus.add(f"{variable}-surplus", "No other member comes.", {}, "additionalProperties")
    suite.at(message, *steps).add(f"{variable}-array", f"{variable} is an object.", [], "type")
    for key, longest in lengths.items():
        prefix = f"{variable}-{format_slug(key)}"
        place = suite.at(message, *steps, key)
        for name, wrong in NO_STRINGS.items():
            if name == "null" and variable == "user" and key in NULLABLE:
                place.add(f"{prefix}-{name}", f"{key} is null when unset.", wrong)
            else:
                place.add(f"{prefix}-{name}", f"{key} is a string.", wrong, "type")
        letter = "1" if key == "primaryPhone" else "x"
        place.add(f"{prefix}-{longest}", f"{key} may be that long.", letter * longest)
        description = f"{key} is at most {longest} characters long."
        place.add(f"{prefix}-{longest + 1}", description, letter * (longest + 1), "maxLength")


def _add_user(suite: Suite, account: Json) -> None:
    """Add what is particular to a user's own members."""
    suite.group = "The members of user"
    suite.at(account, "payload", "user").add("user-all-null", "Everything unset is null.", NULL_USER)
    phone = suite.at(account, "payload", "user", "primaryPhone")
    wrong = {"plus": "+15550001", "newline": "15550001\n", "letters": "1a", "wide": "\uff11"}
    phone.add_each("user-primary-phone", "A phone number is ASCII digits only.", wrong, "not")
    phone.add("user-primary-phone-empty", "A phone number is never empty.", "", "minLength")
    username = suite.at(account, "payload", "user", "username")
    username.add_each(
        "user-username",
        "A username is ASCII letters, digits and underscores, no digit in front.",
        {
            "digit-first": "1foo",
            "hyphen": "foo-bar",
            "at-sign": "foo@bar",
            "newline": "foo\n",
            "umlaut": "f\u00f6\u00f6",
        },
        "not",
    )
    username.add_each("user-username", "Such a username is valid.", {"underscore": "_", "capitals": "FOO_1"})
    username.add("user-username-empty", "A username is never empty.", "", "minLength")
    for key in ("name", "avatar", "primaryEmail"):
        suite.at(account, "payload", "user", key).add(
            f"user-{format_slug(key)}-empty", f"{key} may be empty.", ""
        )


def _add_profile(suite: Suite, account: Json) -> None:
    steps = ("payload", "user", "profile")
    profile = suite.at(account, *steps)
    profile.add("user-profile-empty", "A profile is {} by default.", {})
    profile.add("user-profile-null", "A profile is an object, also when unset.", None, "type")
    other = suite.at(account, *steps, "x")
    other.add("user-profile-other-key", "Other keys of a profile are not ruled out.", "y")
    wrong: dict[str, Any] = {"null": None, "number": 1}
    for key in PROFILE:
        description = f"{key} is {'an object' if key == 'address' else 'a string'} where present."
        suite.at(account, *steps, key).add_each(
            f"user-profile-{format_slug(key)}", description, wrong, "type"
        )
    suite.at(account, *steps, "address").add("user-profile-address-empty", "An address may be empty.", {})
    other = suite.at(account, *steps, "address", "x")
    other.add("user-profile-address-other-key", "Other keys of an address are not ruled out.", "y")
    for key in PROFILE["address"]:
        suite.at(account, *steps, "address", key).add(
            f"user-profile-address-{format_slug(key)}-null", f"{key} is a string where present.", None, "type"
        )


def _add_branding(suite: Suite, sign_in: Json) -> None:
    """Add the branding of applications and organizations."""
    suite.group = "Branding"
    for variable in ("application", "organization"):
        steps = ("payload", variable, "branding")
        prefix = f"{variable}-branding"
        branding = suite.at(sign_in, *steps)
        branding.add(f"{prefix}-empty", "Branding may be empty.", {})
        branding.add(f"{prefix}-full", "Branding has four members.", BRANDING)
        branding.add_each(prefix, "Branding is an object.", NO_OBJECTS, "type")
        surplus = suite.at(sign_in, *steps, "color")
        surplus.add(f"{prefix}-surplus", "Branding has no other member.", "red", "additionalProperties")
        add_null_logos(suite, sign_in, steps, prefix)
    display_name = suite.at(sign_in, "payload", "application", "displayName")
    display_name.add("application-display-name-short", "One character is a name.", "x")
    description = "displayName is left out rather than empty."
    display_name.add("application-display-name-empty", description, "", "minLength")


def add_null_logos(suite: Suite, message: Json, steps: tuple[str, ...], prefix: str) -> None:
    """Add each member of the branding at ``steps`` as null."""
    for key in BRANDING:
        name = f"{prefix}-{format_slug(key)}-null"
        suite.at(message, *steps, key).add(name, f"{key} is a string where present.", None, "type")
