"""The receiver's schema and the draft-07 files: what they accept, and that generators can read them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from tests.schemas.contract_files import (
    DATA,
    Schema,
    index,
    load,
    python_errors,
    schema,
    subschemas,
    vectors,
)

RECEIVER: Schema = load("receiver.schema.json")
EXCEPTIONS: dict[str, list[str]] = load("receiver-exceptions.json")["vectors"]
REVISIONS = [entry["id"] for entry in index()["revisions"]]
CONTEXT = ("application", "organization", "user", "inviter")
MESSAGE: Schema = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "031415", "locale": "en"}}
USER_KEYS = ("name", "username", "primaryEmail", "primaryPhone", "avatar")
EXPRESSIBLE = {
    *("$schema", "$defs", "$ref", "title", "type", "description", "examples"),
    *("required", "properties", "additionalProperties"),
}
"""Keywords that generators of types read alike."""
VALIDATOR = Draft202012Validator(RECEIVER)


def refused(revision: str, layer: str) -> dict[str, str]:
    """Return the valid vectors of a layer that the receiver's schema refuses, each with the first place."""
    found = {}
    for vector in vectors(revision, layer):
        if vector.error is None:
            errors = python_errors(VALIDATOR, vector.value)
            if errors:
                found[vector.id] = errors[0][1]
    return found


def change(*steps: str, value: Any) -> Schema:
    """Return a message with another value at a place."""
    message = copy.deepcopy(MESSAGE)
    part = message
    for step in steps[:-1]:
        part = part.setdefault(step, {})
    part[steps[-1]] = value
    return message


def test_the_schema_has_only_what_types_express() -> None:
    """Every object is open, and no keyword is one that generators refuse or read as a closed set."""
    Draft202012Validator.check_schema(RECEIVER)
    for location, part in subschemas(RECEIVER):
        assert set(part) <= EXPRESSIBLE, location
        assert ("additionalProperties" in part) is (part.get("type") == "object"), location
        assert part.get("additionalProperties", True) is True, location


def test_class_names_and_required_members() -> None:
    """Titles are class names, and only what every message has is required."""
    required = {
        part["title"]: part.get("required", []) for _, part in subschemas(RECEIVER) if "title" in part
    }
    assert required == {
        "MailMessage": ["to", "type", "payload"],
        "MailPayload": [],
        "Application": ["id"],
        "Organization": ["id"],
        "User": ["id"],
        "Profile": [],
        "Address": [],
        "Branding": [],
    }
    assert set(RECEIVER["$defs"]) == {"Application", "Organization", "User", "Profile", "Branding"}
    assert all(definition["title"] == name for name, definition in RECEIVER["$defs"].items())


def test_every_known_type_is_an_example() -> None:
    """The type is any string; the known ones are its examples, and each has an example message."""
    types = index()["revisions"][-1]["templateTypes"]
    assert RECEIVER["properties"]["type"]["examples"] == types
    assert [message["type"] for message in RECEIVER["examples"]] == types
    for _, part in subschemas(RECEIVER):
        for example in part.get("examples", []):
            whole = Draft202012Validator({**part, "$defs": RECEIVER["$defs"]})
            assert python_errors(whole, example) == []


@pytest.mark.parametrize("revision", REVISIONS)
def test_only_the_listed_messages_of_core_are_refused(revision: str) -> None:
    """The schema reads all that Logto core sends, except the overrides that the list names."""
    places = refused(revision, "emitted")
    assert list(places) == EXCEPTIONS[revision]
    values = {vector.id: vector.value for vector in vectors(revision, "emitted")}
    for name, place in places.items():
        assert values[name]["type"] == "OrganizationInvitation"
        assert place.removeprefix("/payload/") in (*CONTEXT, "uiLocales")


@pytest.mark.parametrize("revision", REVISIONS)
def test_of_guard_only_other_context_is_refused(revision: str) -> None:
    """What the guard accepts is refused only for a context object, or a member that was not typed yet."""
    later = {"1.35": set[str](), "1.32": {"/ip"}}.get(revision, {"/ip", "/payload/uiLocales"})
    places = set(refused(revision, "guard").values())
    assert places <= {f"/payload/{name}" for name in CONTEXT} | later


@pytest.mark.parametrize(
    "message",
    [
        change("type", value="MagicLink"),
        change("other", value=[None]),
        change("payload", "risk", value={"level": 3}),
        change("payload", "organization", value={"id": "x", "region": None}),
        change("payload", "user", value={"id": "x", **dict.fromkeys(USER_KEYS)}),
        change("payload", "user", value={"id": "x", "profile": {"pronouns": 1, "address": {"floor": 2}}}),
        change("payload", "application", value={"id": "x", "branding": {"color": None}}),
        change("payload", value={}),
    ],
)
def test_messages_of_later_releases_are_read(message: Schema) -> None:
    """An unknown type, variable or member is read."""
    assert python_errors(VALIDATOR, message) == []


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (change("to", value=None), ("type", "/to")),
        (change("type", value=1), ("type", "/type")),
        (change("payload", value=[]), ("type", "/payload")),
        (change("payload", "code", value=31415), ("type", "/payload/code")),
        (change("payload", "user", value={"name": "Foo"}), ("required", "/payload/user")),
        (change("payload", "user", value={"id": None}), ("type", "/payload/user/id")),
        (change("payload", "inviter", value="Foo"), ("type", "/payload/inviter")),
        (
            change("payload", "organization", value={"id": "x", "name": None}),
            ("type", "/payload/organization/name"),
        ),
        (change("ip", value=None), ("type", "/ip")),
        ({"type": "SignIn", "payload": {}}, ("required", "")),
    ],
)
def test_what_types_cannot_hold_is_refused(message: Schema, error: tuple[str, str]) -> None:
    """A value of another type than Logto sends is refused at its place."""
    assert python_errors(VALIDATOR, message) == [error]


def test_recorded_bodies_are_read_but_for_the_override() -> None:
    """A real Logto's bodies are read, except the invitation that the list names."""
    lines = (DATA / "recorded-bodies-v1.42.0.ndjson").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    unread = [entry["flow"] for entry in entries if not VALIDATOR.is_valid(json.loads(entry["body"]))]
    assert unread == ["invite override organization/inviter/code"]


@pytest.mark.parametrize("name", ["receiver", "send-message-data", "emitted"])
def test_the_draft_07_files_are_the_same_schemas(name: str) -> None:
    """The file is the current schema in draft-07: no ``$id``, and ``definitions`` instead of ``$defs``."""
    newer = load(f"{name}.schema.json")
    older = load(f"draft-07/{name}.schema.json")
    Draft7Validator.check_schema(older)
    text = json.dumps({key: value for key, value in newer.items() if key not in ("$id", "$schema")})
    expected = text.replace('"$defs":', '"definitions":').replace("#/$defs/", "#/definitions/")
    assert older == {"$schema": "http://json-schema.org/draft-07/schema#", **json.loads(expected)}
    # Draft-07 ignores what stands beside a reference.
    assert all(set(part) <= {"$ref", "description"} for _, part in subschemas(newer) if "$ref" in part)
    assert set(newer) & {"prefixItems", "unevaluatedProperties", "dependentRequired"} == set()


@pytest.mark.parametrize(("name", "layer"), [("send-message-data", "guard"), ("emitted", "emitted")])
def test_the_draft_07_files_agree_with_the_vectors(name: str, layer: str) -> None:
    """Each vector that is about the schema has its verdict in draft-07 too."""
    validator = Draft7Validator(load(f"draft-07/{name}.schema.json"))
    revision = index()["current"]
    wrong = [
        vector.id
        for vector in vectors(revision, layer)
        if not vector.difficulty and validator.is_valid(vector.value) is not (vector.error is None)
    ]
    assert wrong == []
    assert schema(revision, layer)["$schema"].endswith("2020-12/schema")
