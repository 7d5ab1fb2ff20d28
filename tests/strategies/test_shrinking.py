"""Messages and mutations shrink to those that a person would write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.drawing import EVERY_LAYER, find_shortest, get_member, get_payload, is_invitation

from logto_mail_contract import catalogue
from logto_mail_contract.strategies import messages, mutate, mutations

if TYPE_CHECKING:
    from collections.abc import Callable


CODE = {"code": "000000"}


FLOW = {"code": "000000", "locale": "en"}


FOO = {"id": "foo", "name": "Foo"}


ORGANIZATION = {"id": "foo", "name": "Foo", "branding": {}}


EMPTY_USER: dict[str, Any] = {
    "id": "foo",
    "avatar": None,
    "name": None,
    "primaryEmail": None,
    "primaryPhone": None,
    "username": None,
    "profile": {},
}


LINK = "https://example.com"


def make_minimal_payload(revision: str, layer: str, kind: str) -> dict[str, Any]:
    account = kind in ("UserPermissionValidation", "BindNewIdentifier", "BindMfa")
    if layer == "guard":
        return {}
    if layer == "documented":
        if kind == "OrganizationInvitation":
            return {"organization": FOO, "link": LINK}
        if kind == "Generic":
            return CODE
        return {**CODE, "user": {"id": "foo"}} if account else {**CODE, "application": FOO}
    if kind == "OrganizationInvitation":
        return {}
    return CODE if revision == "1.22" or kind == "Generic" else FLOW


def is_of_type(kind: str) -> Callable[[dict[str, Any]], bool]:
    return lambda message: bool(message["type"] == kind)


@EVERY_LAYER
def test_messages_shrink_to_the_shortest_of_their_type(revision: str, layer: str) -> None:
    kinds = catalogue.schema(revision, layer)["properties"]["type"]["enum"]
    for kind in kinds:
        expected = {
            "to": "foo@example.com",
            "type": kind,
            "payload": make_minimal_payload(revision, layer, kind),
        }
        found = find_shortest(messages(revision, layer), is_of_type(kind))
        assert found == expected
        # A mutation without a message changes that one.
        if kind == kinds[0]:
            assert json.loads(mutate("text-cut-off", None, revision, layer).text + "}") == expected


FOUND: list[tuple[str, str, Callable[[dict[str, Any]], bool], dict[str, Any]]] = [
    (
        "emitted",
        "an application",
        lambda message: "application" in get_payload(message),
        {**FLOW, "application": FOO},
    ),
    (
        "emitted",
        "a branded application",
        lambda message: get_member(message, "payload", "application", "branding") is not None,
        {**FLOW, "application": {**FOO, "branding": {}}},
    ),
    (
        "emitted",
        "an application named in markup",
        lambda message: "<" in str(get_member(message, "payload", "application", "name")),
        {**FLOW, "application": {"id": "foo", "name": "<b>"}},
    ),
    (
        "emitted",
        "an organization and no application",
        lambda message: (
            isinstance(get_payload(message).get("organization"), dict)
            and "application" not in get_payload(message)
            and not is_invitation(message)
        ),
        {**FLOW, "organization": ORGANIZATION},
    ),
    (
        "emitted",
        "a user without a name",
        lambda message: (
            "user" in get_payload(message)
            and not is_invitation(message)
            and get_member(message, "payload", "user", "name") is None
        ),
        {**FLOW, "user": EMPTY_USER},
    ),
    (
        "emitted",
        "a user with a name",
        lambda message: isinstance(get_member(message, "payload", "user", "name"), str),
        {**FLOW, "user": {**EMPTY_USER, "name": "Foo"}},
    ),
    (
        "emitted",
        "uiLocales",
        lambda message: "uiLocales" in get_payload(message),
        {**FLOW, "uiLocales": "pt-BR"},
    ),
    (
        "emitted",
        "an own organization",
        lambda message: isinstance(get_payload(message).get("organization"), str),
        {"organization": "mine"},
    ),
    ("guard", "a code", lambda message: str(get_payload(message).get("code")).isdigit(), CODE),
    (
        "guard",
        "an application",
        lambda message: isinstance(get_payload(message).get("application"), dict),
        {"application": FOO},
    ),
    ("guard", "a null user", lambda message: get_payload(message).get("user", 0) is None, {"user": None}),
]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("layer", "shows", "payload"),
    [(layer, shows, payload) for layer, _, shows, payload in FOUND],
    ids=[f"{layer}: {name}" for layer, name, _, _ in FOUND],
)
def test_only_the_members_that_a_failure_needs_are_left(
    layer: str, shows: Callable[[dict[str, Any]], bool], payload: dict[str, Any], seed: int
) -> None:
    found = find_shortest(messages(layer=layer), shows, seed)
    assert found["to"] == "foo@example.com"
    # Shrinking stops if no single step helps. A step or two short of the best is still readable.
    assert len(json.dumps(found["payload"])) <= 1.25 * len(json.dumps(payload)) + 8
    if seed == 0:
        assert found["payload"] == payload


def test_members_outside_the_payload_shrink_too() -> None:
    with_ip = find_shortest(messages(layer="emitted"), lambda message: "ip" in message)
    assert with_ip == {"to": "foo@example.com", "type": "SignIn", "payload": FLOW, "ip": "::1"}
    odd = find_shortest(messages(layer="emitted"), lambda message: message["to"].startswith("<"))
    assert odd == {"to": "<@example.com", "type": "SignIn", "payload": FLOW}
    unknown = find_shortest(messages(), lambda message: len(message) == 4 and "ip" not in message)
    assert unknown == {"to": "foo@example.com", "type": "SignIn", "payload": {}, "foo": None}


def test_mutations_shrink_to_the_shortest_message() -> None:
    mutation = find_shortest(mutations(), lambda mutation: mutation.name == "code-number")
    assert mutation.text == '{"to":"foo@example.com","type":"SignIn","payload":{"code":0}}'
