"""The vectors of the guard layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .guard_texts import add_guard_texts
from .shared import (
    NO_JSON,
    add_broken_texts,
    add_extra_members,
    add_recorded,
    add_roots,
    add_wrong_payloads,
    add_wrong_types,
)
from .suite import Suite, format_slug
from .values import CURRENT, GUARD_TYPES, NO_STRINGS, STRINGS_ONLY, TYPED, make_message

if TYPE_CHECKING:
    from ..files import Json

FIRST_VARIABLES = ("application", "organization", "user", "inviter", "x")
"""Variables that are tried with a value of every JSON type; the others with few."""
OTHER_VARIABLES = (
    *FIRST_VARIABLES,
    *("ip", "to", "type", "Code", "code ", "", "a/b~c"),
    *("constructor", "prototype", "toString", "hasOwnProperty", "valueOf", "then", "toJSON", "length"),
)
VARIABLE_SLUGS = {"": "empty-name", "a/b~c": "name-to-escape", "Code": "code-capital", "code ": "code-space"}
"""Names for the ids of vectors, where the variable's own name gives none."""


def build_guard(revision: str) -> Suite:
    """Return the vectors of the guard layer."""
    suite = Suite(revision, "guard")
    message = make_message("SignIn", {"code": "123456"})
    add_roots(suite, message)
    suite.at(message, "payload").add("minimal", "The three members, with an empty payload.", {})
    suite.add("usual", "A sign-in code.", message)
    add_extra_members(suite, message, "Unknown top-level members are tolerated.")
    for name in ("constructor", "toString", "hasOwnProperty", "then", "toJSON", "length"):
        description = "A member named like one of JavaScript's own is no different."
        suite.at(message, name).add(f"extra-member-named-{format_slug(name)}", description, {"to": 1})
    _add_recipients(suite, message)
    _add_types(suite, message)
    suite.group = "The payload"
    add_wrong_payloads(suite, message)
    suite.at(message, "payload").add("payload-array-of-objects", "payload is an object.", [{}], "type")
    _add_typed_variables(suite, message)
    _add_other_variables(suite, message)
    _add_ip(suite, message)
    add_guard_texts(suite, strings_only=revision == STRINGS_ONLY)
    add_broken_texts(suite, (*NO_JSON,))
    if revision == CURRENT:
        add_recorded(suite)
    return suite


def _add_recipients(suite: Suite, message: Json) -> None:
    suite.group = "The recipient"
    strings = {
        "empty": "",
        "no-address": "not an address",
        "control-characters": "a\u0000\r\nb",
        "html": '"><svg/onload=1>@x.y',
        "long": "a" * 300 + "@example.com",
        "line-separator": "a\u2028@example.com",
    }
    to = suite.at(message, "to")
    to.add_each("to", "Any string is a recipient to the guard.", strings)
    to.add_each("to", "to is a string.", NO_STRINGS, "type")


def _add_types(suite: Suite, message: Json) -> None:
    known = GUARD_TYPES[suite.revision]
    add_wrong_types(suite, message, known)
    for name in known:
        prefix = f"type-{format_slug(name)}"
        suite.at(message, "type").add(prefix, f"{name} is a type of this revision.", name)
        any_variables = make_message(name, {"link": "", "other": "x"})
        suite.add(f"{prefix}-any-variables", "No variable is tied to a type.", any_variables)


def _add_typed_variables(suite: Suite, message: Json) -> None:
    suite.group = "The variables that the type names"
    strings = {"string": "000000", "empty": "", "html": "<b>", "nul": "a\u0000b"}
    for variable in ("code", "link", "locale", "uiLocales"):
        slug = format_slug(variable)
        place = suite.at(message, "payload", variable)
        place.add_each(slug, f"{variable} may be any string.", strings)
        typed = suite.revision == STRINGS_ONLY or variable in TYPED[suite.revision]
        description = f"{variable} is {'a string' if typed else 'not typed in this revision'}."
        place.add_each(slug, description, NO_STRINGS, "type" if typed else None)


def _add_other_variables(suite: Suite, message: Json) -> None:
    suite.group = "Other variables"
    every: dict[str, Any] = {**NO_STRINGS, "nested": {"a": {"b": [1, None, "x"]}}}
    few: dict[str, Any] = {name: every[name] for name in ("null", "object")}
    strings_only = suite.revision == STRINGS_ONLY
    for variable in OTHER_VARIABLES:
        prefix = f"other-{VARIABLE_SLUGS.get(variable) or format_slug(variable)}"
        place = suite.at(message, "payload", variable)
        place.add(f"{prefix}-string", "Any other variable may be a string.", "x")
        place.add_each(
            prefix,
            "Every variable is a string." if strings_only else "Any other variable may be any JSON value.",
            every if variable in FIRST_VARIABLES else few,
            "type" if strings_only else None,
        )


def _add_ip(suite: Suite, message: Json) -> None:
    suite.group = "The member ip"
    typed = suite.revision == CURRENT
    strings = {"v4": "203.0.113.7", "mapped": "::ffff:203.0.113.7", "empty": "", "text": "unknown"}
    ip = suite.at(message, "ip")
    ip.add_each("ip", "ip may be any string.", strings)
    ip.add_each(
        "ip",
        "ip is a string where present." if typed else "ip is not known yet, so any value is tolerated.",
        NO_STRINGS,
        "type" if typed else None,
    )
