"""Vectors of the emitted layer for the shapes of application, organization and user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .flows import make_full
from .suite import drop, format_slug
from .urls import GOOD_URLS, URLS_WITHOUT_HOST, URLS_WITHOUT_SCHEME
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

STORED_TEXTS = ("name", "displayName", "avatar", "primaryEmail")
IDS: dict[str, tuple[Any, str | None]] = {
    "built-in": ("demo-app", None),
    "all-characters": ("azmAZM059-_", None),
    "one-character": ("-", None),
    "empty": ("", "minLength"),
    "blank": ("foo bar", "not"),
    "newline": ("foo\n", "not"),
    "dot": ("foo.bar", "not"),
    "url": ("a://b", "not"),
    "umlaut": ("f\u00f6\u00f6", "not"),
    "colon": ("foo:", "not"),
    "between": ("foo[`", "not"),
}


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
        if (variable, key) == ("application", "branding"):
            continue  # displayName demands it; see _add_branding.
        suite.at(message, *steps, key).add_without(
            f"{variable}-without-{format_slug(key)}",
            f"{key} {'always comes' if key in required else 'may be missing'}.",
            required=key in required,
        )
    surplus = suite.at(message, *steps, "customData")
    surplus.add(f"{variable}-surplus", "No other member comes.", {}, "additionalProperties")
    suite.at(message, *steps).add(f"{variable}-array", f"{variable} is an object.", [], "type")
    identifier = suite.at(message, *steps, "id")
    identifier.add_each_wrong(f"{variable}-id", "An id is letters, digits, hyphens and underscores.", IDS)
    for key, longest in lengths.items():
        prefix = f"{variable}-{format_slug(key)}"
        place = suite.at(message, *steps, key)
        for name, wrong in NO_STRINGS.items():
            if name == "null" and variable == "user" and key in NULLABLE:
                place.add(f"{prefix}-{name}", f"{key} is null when unset.", wrong)
            else:
                place.add(f"{prefix}-{name}", f"{key} is a string.", wrong, "type")
        letter = {"primaryPhone": "1", "primaryEmail": "@"}.get(key, "x")
        place.add(f"{prefix}-{longest}", f"{key} may be that long.", letter * longest)
        description = f"{key} is at most {longest} characters long."
        place.add(f"{prefix}-{longest + 1}", description, letter * (longest + 1), "maxLength")
        if key in STORED_TEXTS:
            place.add(f"{prefix}-nul", "PostgreSQL stores no NUL.", "@\0", "not")
            place.add(f"{prefix}-control", "Other controls are stored.", "@\1x00")
        if key == "name" and variable != "user":
            place.add(f"{prefix}-empty", "A name is never empty.", "", "minLength")
            place.add(f"{prefix}-short", "One character is a name.", "x")


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
    for key in ("name", "avatar"):
        place = suite.at(account, "payload", "user", key)
        place.add(f"user-{format_slug(key)}-empty", "Logto stores an empty text as null.", "", "minLength")
        place.add(f"user-{format_slug(key)}-short", "One character is stored.", "x")
    suite.at(account, "payload", "user", "primaryEmail").add_each(
        "user-primary-email", "An address has an at sign.", {"empty": "", "no-at": "example.com"}, "pattern"
    )


def _add_profile(suite: Suite, account: Json) -> None:
    steps = ("payload", "user", "profile")
    profile = suite.at(account, *steps)
    profile.add("user-profile-empty", "A profile is {} by default.", {})
    profile.add("user-profile-null", "A profile is an object, also when unset.", None, "type")
    other = suite.at(account, *steps, "x")
    other.add("user-profile-other-key", "Logto drops other keys of a profile.", "y", "additionalProperties")
    nickname = suite.at(account, *steps, "nickname")
    nickname.add("user-profile-nickname-nul", "PostgreSQL stores no NUL.", "\0", "not")
    wrong: dict[str, Any] = {"null": None, "number": 1}
    for key in PROFILE:
        description = f"{key} is {'an object' if key == 'address' else 'a string'} where present."
        suite.at(account, *steps, key).add_each(
            f"user-profile-{format_slug(key)}", description, wrong, "type"
        )
    suite.at(account, *steps, "address").add("user-profile-address-empty", "An address may be empty.", {})
    other = suite.at(account, *steps, "address", "x")
    description = "Logto drops other keys of an address."
    other.add("user-profile-address-other-key", description, "y", "additionalProperties")
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
        for key in BRANDING:
            place = suite.at(sign_in, *steps, key)
            place.add_each(f"{prefix}-{format_slug(key)}", "A URL has a scheme.", {"empty": ""}, "pattern")
    logo = suite.at(sign_in, "payload", "organization", "branding", "logoUrl")
    logo.add_each("url", "A URL parser accepts this text.", GOOD_URLS)
    logo.add_each("url", "A URL begins with a scheme.", URLS_WITHOUT_SCHEME, "pattern")
    logo.add_each("url", "An http URL has a valid host and port.", URLS_WITHOUT_HOST, "not")
    logo.add_each("url", "PostgreSQL stores no NUL.", {"nul": "https://example.com/\0"}, "not")
    branding = suite.at(sign_in, "payload", "application", "branding")
    branding.add_without(
        "application-display-name-alone", "displayName comes from the row that has the branding."
    )
    bare = drop(sign_in, ("payload", "application", "displayName"))
    suite.at(bare, "payload", "application", "branding").add_without(
        "application-without-row", "An application without a sign-in experience has neither.", required=False
    )
    display_name = suite.at(sign_in, "payload", "application", "displayName")
    display_name.add("application-display-name-short", "One character is a name.", "x")
    description = "displayName is left out rather than empty."
    display_name.add("application-display-name-empty", description, "", "minLength")


def add_null_logos(suite: Suite, message: Json, steps: tuple[str, ...], prefix: str) -> None:
    """Add each member of the branding at ``steps`` as null."""
    for key in BRANDING:
        name = f"{prefix}-{format_slug(key)}-null"
        suite.at(message, *steps, key).add(name, f"{key} is a string where present.", None, "type")
