"""Every feature that crashes real receivers is drawn, and often enough."""

from __future__ import annotations

import re
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.drawing import draw_examples, get_member, get_payload, is_invitation

from logto_mail_contract.judging.javascript_json import walk
from logto_mail_contract.strategies import messages

if TYPE_CHECKING:
    from collections.abc import Callable


def join_texts(value: Any) -> str:
    return "\t\t".join(part for _, part in walk(value) if isinstance(part, str))


def join_names(message: dict[str, Any]) -> str:
    found = [
        get_member(message, "payload", variable, key)
        for variable in ("application", "organization", "user", "inviter")
        for key in ("name", "displayName")
    ]
    return "\t\t".join(name for name in found if isinstance(name, str))


def has_lone_surrogate(text: str) -> bool:
    return re.search("[\ud800-\udfff]", text) is not None


def is_wrong_context(message: dict[str, Any], key: str) -> bool:
    return key in get_payload(message) and not isinstance(get_payload(message)[key], dict)


COMMON: dict[str, Callable[[dict[str, Any]], bool]] = {
    "no application": lambda message: "application" not in get_payload(message),
    "no organization": lambda message: "organization" not in get_payload(message),
    "no user": lambda message: message["type"] == "BindNewIdentifier" and "user" not in get_payload(message),
    "application without branding": lambda message: (
        isinstance(get_member(message, "payload", "application"), dict)
        and "branding" not in get_payload(message)["application"]
    ),
    "empty branding": lambda message: (
        get_member(message, "payload", "application", "branding") == {}
        or get_member(message, "payload", "organization", "branding") == {}
    ),
    "branding that runs a script": lambda message: (
        "javascript:" in join_texts(get_member(message, "payload", "organization", "branding"))
    ),
    "a name with markup": lambda message: "<" in join_names(message),
    "a name with a script": lambda message: "<script>" in join_names(message),
    "a name with a quotation mark": lambda message: '"' in join_names(message),
    "a name with an apostrophe": lambda message: "'" in join_names(message),
    "a name with an ampersand": lambda message: "&" in join_names(message),
    "a name with a line break": lambda message: re.search(r"[\r\n]", join_names(message)) is not None,
    "a name with a header": lambda message: "\r\nBcc:" in join_names(message),
    "a name with a bidirectional control": lambda message: (
        re.search("[\u202e\u2066\u200f]", join_names(message)) is not None
    ),
    "a name beyond the basic plane": lambda message: max(join_names(message), default="") > "\uffff",
    "a name of 128 characters": lambda message: any(
        len(name) == 128 for name in join_names(message).split("\t\t")
    ),
    "a name of 256 characters": lambda message: any(
        len(name) >= 256 for name in join_names(message).split("\t\t")
    ),
    "a user with a name": lambda message: isinstance(get_member(message, "payload", "user", "name"), str),
    "a user with a profile": lambda message: bool(get_member(message, "payload", "user", "profile")),
    "a user with an address": lambda message: (
        "address" in (get_member(message, "payload", "user", "profile") or ())
    ),
    "a code with a leading zero": lambda message: str(get_payload(message).get("code", "")).startswith("0"),
    "the code 000000": lambda message: get_payload(message).get("code") == "000000",
    "a code without a leading zero": lambda message: (
        re.match("[1-9]", get_payload(message).get("code", "")) is not None
    ),
    "no ip": lambda message: "ip" not in message,
    "a mapped ip": lambda message: str(message.get("ip")).startswith("::ffff:"),
    "an ip that is markup": lambda message: "<script>" in str(message.get("ip")),
    "an ip that is any text": lambda message: (
        re.search("[\u00a1-\u00ff]", str(message.get("ip"))) is not None
    ),
    "an address with markup": lambda message: '"><svg/onload=1>@' in message["to"],
    "an address with a comma": lambda message: "," in message["to"],
    "an address with quotes": lambda message: '"' in message["to"] or "'" in message["to"],
    "an address with a plus": lambda message: "+" in message["to"],
    "an address in upper case": lambda message: (
        message["to"].upper() == message["to"] != message["to"].lower() or "EXAMPLE" in message["to"]
    ),
    "an address that is not ASCII": lambda message: not message["to"].isascii(),
    "a long address": lambda message: len(message["to"]) >= 128,
    "uiLocales with markup": lambda message: "<" in str(get_payload(message).get("uiLocales")),
    "another locale": lambda message: get_payload(message).get("locale", "en") != "en",
    "an invitation with a link": lambda message: is_invitation(message) and "link" in get_payload(message),
}


INVITED: dict[str, Callable[[dict[str, Any]], bool]] = {
    "no link": lambda message: "link" not in get_payload(message),
    "nothing at all": lambda message: get_payload(message) == {},
    "an empty link": lambda message: get_payload(message).get("link") == "",
    "an organization that is no object": lambda message: is_wrong_context(message, "organization"),
    "an inviter that is no object": lambda message: is_wrong_context(message, "inviter"),
    "an inviter whose fields are null": lambda message: (
        get_member(message, "payload", "inviter", "id") is not None
        and get_member(message, "payload", "inviter", "name") is None
    ),
    "a null": lambda message: None in get_payload(message).values(),
    "something nested": lambda message: any(
        isinstance(part, (dict, list)) and pointer.count("/") > 3
        for pointer, part in walk(get_payload(message))
    ),
    "an own to": lambda message: "to" in get_payload(message),
    "an own type": lambda message: "type" in get_payload(message),
    "an own ip": lambda message: "ip" in get_payload(message),
    "an own constructor": lambda message: "constructor" in get_payload(message),
    "an empty key": lambda message: "" in get_payload(message),
    "a lone surrogate": lambda message: has_lone_surrogate(join_texts(get_payload(message))),
    "a lone surrogate in a key": lambda message: any(has_lone_surrogate(key) for key in get_payload(message)),
    "a NUL": lambda message: "\0" in join_texts(get_payload(message)),
    "an odd link": lambda message: (
        re.match("javascript:|foo:|//", get_payload(message).get("link", "")) is not None
    ),
    "a code of its own": lambda message: "code" in get_payload(message),
    "a code that is no code": lambda message: (
        not re.fullmatch("[0-9]{6}", get_payload(message).get("code", "000000"))
    ),
}


# The emitted layer has none of these; other layers need not have them.
GUARD: dict[str, Callable[[dict[str, Any]], bool]] = {
    "an empty payload": lambda message: get_payload(message) == {},
    "no code": lambda message: "code" not in get_payload(message),
    "an empty recipient": lambda message: message["to"] == "",
    "a recipient with a line break": lambda message: "\n" in message["to"],
    "a recipient with a NUL": lambda message: "\0" in message["to"],
    "a recipient with a lone surrogate": lambda message: has_lone_surrogate(message["to"]),
    "a recipient that is no address": lambda message: "@" not in message["to"],
    "an unknown member": lambda message: bool(message.keys() - {"to", "type", "payload", "ip"}),
    "a member __proto__": lambda message: "__proto__" in message,
    "a variable __proto__": lambda message: "__proto__" in get_payload(message),
    "an unknown variable": lambda message: "foo" in get_payload(message),
    "a user that is null": lambda message: get_payload(message).get("user", 0) is None,
    "an application that is no object": lambda message: is_wrong_context(message, "application"),
    "an odd link": lambda message: (
        re.match("javascript:|foo:|//", get_payload(message).get("link", "")) is not None
    ),
    "an empty code": lambda message: get_payload(message).get("code") == "",
    "an empty ip": lambda message: message.get("ip") == "",
    "a name with a NUL": lambda message: "\0" in join_names(message),
    "a name with a lone surrogate": lambda message: has_lone_surrogate(join_names(message)),
    "a number beyond all doubles": lambda message: any(
        isinstance(part, int) and abs(part) > 10**300 for _, part in walk(get_payload(message))
    ),
    "a value nested deep": lambda message: any(pointer.count("/0") > 50 for pointer, _ in walk(message)),
}


FEATURES: list[tuple[str, str, tuple[str, ...] | None, dict[str, Callable[[dict[str, Any]], bool]]]] = [
    ("1.35", "emitted", None, COMMON),
    ("1.35", "emitted", ("OrganizationInvitation",), INVITED),
    ("1.25", "emitted", ("OrganizationInvitation",), INVITED),
    ("1.35", "guard", None, {**COMMON, **GUARD}),
    (
        "1.35",
        "documented",
        None,
        {
            "an organization without branding": lambda message: (
                get_member(message, "payload", "organization", "name") is not None
                and get_member(message, "payload", "organization", "branding") is None
            ),
            "a user with an id alone": lambda message: (
                get_member(message, "payload", "user") == {"id": "foo"}
            ),
            "a code that is no code": GUARD["an empty code"],
            "an unknown member": GUARD["an unknown member"],
            "an unknown variable": GUARD["an unknown variable"],
            "a recipient with a line break": GUARD["a recipient with a line break"],
        },
    ),
    (
        "1.22",
        "guard",
        None,
        {
            "the type Test": lambda message: message["type"] == "Test",
            "a text as application": lambda message: is_wrong_context(message, "application"),
            "an ip that is no text": lambda message: not isinstance(message.get("ip", ""), str),
        },
    ),
    (
        "1.25",
        "guard",
        None,
        {
            "uiLocales that are no text": lambda message: (
                not isinstance(get_payload(message).get("uiLocales", ""), str)
            )
        },
    ),
]


SEEDS = range(10)
DRAWS = 100


@cache
def draw_runs(revision: str, layer: str, types: tuple[str, ...] | None) -> list[list[dict[str, Any]]]:
    """Return the draws of ten runs without each first one, which is always the simplest message."""
    strategy = messages(revision, layer, types)
    return [draw_examples(strategy, DRAWS, seed)[1:] for seed in SEEDS]


@pytest.mark.parametrize(
    ("revision", "layer", "types", "features"),
    FEATURES,
    ids=[f"{revision}-{layer}{'-invited' if types else ''}" for revision, layer, types, _ in FEATURES],
)
def test_every_named_feature_is_in_one_of_a_hundred_draws(
    revision: str,
    layer: str,
    types: tuple[str, ...] | None,
    features: dict[str, Callable[[dict[str, Any]], bool]],
) -> None:
    examples = list(chain.from_iterable(draw_runs(revision, layer, types)))
    counts = {name: sum(map(shows, examples)) for name, shows in features.items()}
    assert {name: number for name, number in counts.items() if number * 100 < len(examples)} == {}


# What docs/strategies.md says is often drawn, in its order.
DOCUMENTED: dict[str, Callable[[dict[str, Any]], bool]] = {
    "missing context": lambda message: (
        get_payload(message).keys().isdisjoint(("application", "organization", "user", "inviter"))
    ),
    "a user whose fields are null": lambda message: (
        get_member(message, "payload", "user", "id") is not None
        and get_member(message, "payload", "user", "name") is None
    ),
    "empty branding": COMMON["empty branding"],
    "an invitation without a link": lambda message: is_invitation(message) and INVITED["no link"](message),
    "a name with markup": COMMON["a name with markup"],
    "a name with a quotation mark": COMMON["a name with a quotation mark"],
    "a name with a line break": COMMON["a name with a line break"],
    "a long value": lambda message: any(len(text) >= 128 for text in join_texts(message).split("\t\t")),
    "a code with a leading zero": COMMON["a code with a leading zero"],
    "an odd address": lambda message: re.fullmatch(r"[a-z.]+@[a-z.]+", message["to"]) is None,
}


@pytest.mark.parametrize("layer", ["guard", "emitted"])
def test_every_documented_feature_is_in_nearly_every_run_of_a_hundred(layer: str) -> None:
    runs = draw_runs("1.35", layer, None)
    found = {name: sum(any(map(shows, run)) for run in runs) for name, shows in DOCUMENTED.items()}
    assert {name: number for name, number in found.items() if number < len(runs) - 1} == {}
