"""Vectors that several layers have: whole messages, types, texts that are not JSON, recorded bodies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .suite import format_slug
from .values import ALL_TYPES, NO_OBJECTS, NO_STRINGS, REVISIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..files import Json
    from .suite import Suite

DATA = Path(__file__).resolve().parents[3] / "tests/schemas/data"
RECORDED = DATA / "recorded-bodies-v1.42.0.ndjson"
RECORDED_OF_RELEASES = DATA / "recorded-bodies-of-releases.ndjson"

NO_JSON = {
    "empty": "",
    "white-space": " \n",
    "truncated": '{"to":"a@b.c","type":"SignIn"',
    "nan": '{"to":"a@b.c","type":"SignIn","payload":{"x":NaN}}',
    "infinity": '{"to":"a@b.c","type":"SignIn","payload":{"x":Infinity}}',
    "minus-infinity": '{"to":"a@b.c","type":"SignIn","payload":{"x":-Infinity}}',
    "single-quotes": "{'to':'a@b.c'}",
    "byte-order-mark": '\ufeff{"to":"a@b.c","type":"SignIn","payload":{}}',
    "comment": '/**/{"to":"a@b.c","type":"SignIn","payload":{}}',
    "trailing-comma": '{"to":"a@b.c","type":"SignIn","payload":{},}',
    "leading-zero": '{"to":"a@b.c","type":"SignIn","payload":{"x":01}}',
    "plus-sign": '{"to":"a@b.c","type":"SignIn","payload":{"x":+1}}',
    "bare-point": '{"to":"a@b.c","type":"SignIn","payload":{"x":1.}}',
    "raw-newline": '{"to":"a@b.c\n","type":"SignIn","payload":{}}',
    "raw-nul": '{"to":"a@b.c\u0000","type":"SignIn","payload":{}}',
    "vertical-tab": '\u000b{"to":"a@b.c","type":"SignIn","payload":{}}',
    "no-break-space": '\u00a0{"to":"a@b.c","type":"SignIn","payload":{}}',
    "bad-escape": '{"to":"a\\x40b.c","type":"SignIn","payload":{}}',
    "trailing-text": '{"to":"a@b.c","type":"SignIn","payload":{}}x',
    "two-documents": '{"to":"a@b.c","type":"SignIn","payload":{}}{"to":"a@b.c","type":"SignIn","payload":{}}',
    "form": "to=a%40b.c&type=SignIn",
    "python-literal": '{"to":"a@b.c","type":"SignIn","payload":{"x":None}}',
}


def add_roots(suite: Suite, message: Json) -> None:
    """Add what is no object at all, and each of the three required members missing."""
    suite.group = "The message as a whole"
    wrong: dict[str, Any] = {
        "array": [],
        "array-of-messages": [message],
        "null": None,
        "string": "SignIn",
        "number": 1,
        "boolean": True,
    }
    for name, value in wrong.items():
        suite.add(f"root-{name}", f"The message is an object, not {name}.", value, ("type", ""))
    for member in ("to", "type", "payload"):
        suite.at(message, member).add_without(f"missing-{member}", f"{member} is required.")


def add_extra_members(suite: Suite, message: Json, description: str, keyword: str | None = None) -> None:
    """Add an unknown top-level member of each JSON type."""
    suite.at(message, "extra").add_each("extra-member", description, NO_STRINGS | {"string": "x"}, keyword)


def add_wrong_payloads(suite: Suite, message: Json, prefix: str = "payload") -> None:
    """Add a payload of each JSON type that is no object."""
    suite.at(message, "payload").add_each(prefix, "payload is an object.", NO_OBJECTS, "type")


def add_wrong_types(suite: Suite, message: Json, known: Iterable[str]) -> None:
    """Add values of ``type`` that no revision knows and names of other revisions."""
    suite.group = "The template type"
    place = suite.at(message, "type")
    for name in ALL_TYPES:
        if name not in known:
            slug = format_slug(name)
            place.add(
                f"type-{slug}-unknown", f"{name} is not a type of this layer and revision.", name, "enum"
            )
    wrong: dict[str, Any] = {
        "upper-case": "SIGNIN",
        "lower-case": "signIn",
        "other-spelling": "BindMFA",
        "leading-space": " SignIn",
        "trailing-space": "SignIn ",
        "trailing-newline": "SignIn\n",
        "empty": "",
        "constructor": "constructor",
        "to-string": "toString",
        "proto": "__proto__",
        "future": "MagicLink",
        "null": None,
        "number": 0,
        "boolean": True,
        "array": ["SignIn"],
        "object": {},
    }
    place.add_each("type", "type is one of the names, exactly.", wrong, "enum")
    suite.add(
        "type-unknown-decides",
        "With an unknown type nothing else about the payload is judged by type: one error.",
        {"to": "foo@example.com", "type": "MagicLink", "payload": {"token": "x"}},
        ("enum", "/type"),
    )
    suite.add(
        "type-missing-decides",
        "Without a type nothing is judged by type: one error.",
        {"to": "foo@example.com", "payload": {"x": "y"}},
        ("required", ""),
    )


def add_broken_texts(suite: Suite, names: Sequence[str]) -> None:
    """Add texts that are not JSON."""
    suite.group = "Text that is not JSON"
    for name in names:
        description = "JSON.parse refuses this text."
        suite.add_text(f"syntax-{name}", description, NO_JSON[name], ("syntax", ""), difficulty="syntax")


def add_recorded(suite: Suite) -> None:
    """Add the request bodies that a real Logto v1.42.0 posted."""
    suite.group = "Bodies that Logto v1.42.0 posted, recipients as recorded"
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        slug = format_slug(entry["flow"])
        suite.add(f"recorded-{slug}", f"Recorded: {entry['flow']}.", json.loads(entry["body"]))


def add_recorded_of_releases(suite: Suite) -> None:
    """Add the request bodies that real Logto releases of the revision posted."""
    suite.group = "Bodies that real Logto releases of this revision posted, as recorded"
    for line in RECORDED_OF_RELEASES.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if _find_revision(entry["release"]) == suite.revision:
            name = format_slug(f"{entry['release']} {entry['flow']}")
            suite.add(f"recorded-{name}", f"Recorded: {entry['flow']}.", json.loads(entry["body"]))


def _find_revision(release: str) -> str:
    """Return the revision of a release: each is named after its first one."""
    number = release.removeprefix("v").split(".")[1]
    return max(name for name in REVISIONS if int(name.split(".")[1]) <= int(number))
