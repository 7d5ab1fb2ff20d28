"""By what the cause of failures is recognized."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from logto_mail_contract import catalogue
from logto_mail_contract.judging.typical import (
    application,
    minimal,
    organization,
    template_types,
    typical,
    user,
    without,
)
from logto_mail_contract.receivers.signatures import list_oddities, make_signature

if TYPE_CHECKING:
    from logto_mail_contract.suite.results import Signature

CURRENT = catalogue.current_revision()


def signature(
    text: str, *failed: dict[str, Any], group: str = "accept", accepted: tuple[dict[str, Any], ...] = ()
) -> Signature:
    return make_signature(group, "500", text, failed, accepted, CURRENT, "example.com")


def oddities(message: dict[str, Any], revision: str = CURRENT) -> set[tuple[str, str]]:
    return set(list_oddities(message, revision, "example.com"))


@pytest.mark.parametrize("revision", catalogue.revisions())
def test_an_ordinary_message_differs_from_a_sign_in_alone(revision: str) -> None:
    for type in template_types(revision):
        message = typical(type, revision, to="foo10042@example.com")
        if "code" in message["payload"]:
            message["payload"]["code"] = "987654"
        if "link" in message["payload"]:
            message["payload"]["link"] = message["payload"]["link"].replace("n4c1x", "n4c987654")
        found = oddities(message, revision)
        assert {kind for _, kind in found} <= {"added", "missing", "unknown"}
        sign_in = typical("SignIn", revision)
        is_like = message.keys() == sign_in.keys() and message["payload"].keys() == sign_in["payload"].keys()
        assert (found == {("type", "unknown")}) == is_like


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (typical("SignIn", application=application(name=None)), {("payload.application.name", "null")}),
        (typical("SignIn", application=application(name=1)), {("payload.application.name", "type")}),
        (typical("SignIn", application="Shop"), {("payload.application", "type")}),
        (
            typical("SignIn", application=application(name="<Zoë>")),
            {("payload.application.name", "not ASCII"), ("payload.application.name", "markup")},
        ),
        (typical("SignIn", application=application(name=" ")), {("payload.application.name", "blank")}),
        (typical("SignIn", application=application(name="n" * 256)), {("payload.application.name", "long")}),
        (typical("SignIn", application=application(name="a\nb")), {("payload.application.name", "control")}),
        (typical("SignIn", application=application(name="{x}")), {("payload.application.name", "template")}),
        (typical("SignIn", application=application(name="Bar")), {("payload.application.name", "other")}),
        (typical("SignIn", application=application(new=1)), {("payload.application.*", "added")}),
        (typical("SignIn", newVariable="x"), {("payload.*", "added")}),
        (typical("SignIn", uiLocales="de"), {("payload.uiLocales", "added")}),
        (typical("SignIn", code="042137"), {("payload.code", "odd")}),
        (typical("SignIn") | {"newMember": 1}, {("*", "added")}),
        (typical("SignIn") | {"type": "NewTemplate"}, {("type", "unknown")}),
        (typical("SignIn", to="foo+bar@example.com"), {("to", "+")}),
        (typical("SignIn", to="foo@sub.example.com"), {("to", "domain")}),
        (typical("SignIn", to="FOO@example.com"), {("to", "upper case")}),
        (typical("SignIn", to="é'@example.com"), {("to", "not ASCII"), ("to", "'")}),
        (typical("SignIn", to="0@example.com"), {("to", "other")}),
        (typical("OrganizationInvitation", link=""), {("payload.link", "blank")}),
        (without(typical("OrganizationInvitation"), "link"), {("payload.link", "missing")}),
    ],
)
def test_what_is_odd_in_a_message_is_listed(message: dict[str, Any], expected: set[tuple[str, str]]) -> None:
    if expected != {("payload.code", "odd")} and "code" in message["payload"]:
        message["payload"]["code"] = "987654"
    assert oddities(message) == expected


def test_a_minimal_message_lacks_its_context() -> None:
    assert {("payload.organization", "missing"), ("payload.inviter", "missing")} <= oddities(
        minimal("OrganizationInvitation")
    )


NULL = typical("BindNewIdentifier", user=user(name=None), code="987654")
FLASK = """<!doctype html><html lang=en><title>500 Internal Server Error</title><h1>Internal Server Error</h1>
<p>The server encountered an internal error and was unable to complete your request. Either the server is
overloaded or there is an error in the application.</p>"""
ASP = json.dumps(
    {
        "type": "https://tools.ietf.org/html/rfc9110#section-15.6.1",
        "title": "An error occurred while processing your request.",
        "status": 500,
        "traceId": "00-8a1f0c9a52d7e14c399e7f0b1d2c3a4f-5e00",
    }
)
LONG = typical("BindNewIdentifier", user=user(name="n" * 128), code="987654")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Internal Server Error",
        '{"statusCode":500,"error":"Internal Server Error"}',
        '{"status":500,"error":"Internal Server Error","to":"foo@example.com","id":"9f2cA1-77Zq"}',
        FLASK,
        '{"timestamp":"2026-11-26T07:10:15Z","status":500,"error":"Internal Server Error","path":"/hook"}',
        "We're sorry, but something went wrong (500). If you are the application owner check the logs.",
        "Failed to send email",
        "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center>",
        ASP,
    ],
)
def test_a_response_that_says_nothing_tells_causes_apart_by_the_messages(text: str) -> None:
    assert not signature(text, NULL).is_like(signature(text, LONG))
    assert signature(text, NULL).is_like(signature(text, LONG, NULL))


def test_what_is_odd_in_accepted_messages_too_is_no_cause() -> None:
    both = typical("BindNewIdentifier", user=user(name=None, avatar=None), code="987654")
    other = typical("BindNewIdentifier", user=user(name="n" * 128, avatar=None), code="987654")
    assert signature("", both).is_like(signature("", other))
    accepted = (typical("BindNewIdentifier", user=user(avatar=None), code="987654"),)
    assert not signature("", both, accepted=accepted).is_like(signature("", other, accepted=accepted))
    assert signature("", both, accepted=accepted).is_like(signature("", NULL, accepted=accepted))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (typical("SignIn", application=application(name="Zoë")), typical("SignIn", to="é@example.com")),
        (
            typical("SignIn", application=application(name=None)),
            typical("OrganizationInvitation", organization=organization(name=None)),
        ),
        # An ordinary one has no application.
        (typical("Generic", code="987654"), without(typical("SignIn", code="987654"), "application")),
    ],
    ids=["text beyond ASCII", "a name that is null", "no application"],
)
def test_one_mistake_in_several_places_is_one_cause(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert signature("", first).is_like(signature("", second))


def test_a_response_that_says_what_is_wrong_is_enough() -> None:
    text = '{"error":"cannot read property name of user %d"}'
    assert signature(text % 1, NULL).is_like(signature(text % 2, LONG))


@pytest.mark.parametrize(
    "text",
    ['{"error":"no name","id":"%s"}', "no name (request %s)", "no name: foo%s@example.com"],
)
def test_what_differs_from_response_to_response_makes_no_other_cause(text: str) -> None:
    ids = "1f0c9a52-7d1e-4c39-9e7f-0b1d2c3a4f5e", "Root-1-67a2Bc9"
    first, second = (signature(text % id, NULL) for id in ids)
    assert first.is_like(second)


@pytest.mark.parametrize(
    "text", ["KeyError: '%s'", '{"error":"cannot read properties of null (reading \'%s\')"}']
)
def test_the_name_of_a_member_says_what_is_wrong(text: str) -> None:
    assert not signature(text % "name", NULL).is_like(signature(text % "link", NULL))
    assert signature(text % "Zoe", NULL).is_like(signature(text % "Eve", NULL))


def test_only_messages_that_should_be_accepted_tell_causes_apart() -> None:
    assert signature("", NULL, group="reject").is_like(signature("", LONG, group="reject"))
