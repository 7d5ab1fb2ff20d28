"""The rules about locales, context and callers' values find their receivers, and spare good ones."""

from __future__ import annotations

import datetime
import zoneinfo
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.broken_receivers import TOKEN, Good, Refused, Request, wsgi
from tests.support.runs import has_failed, try_rules

from logto_mail_contract import catalogue
from logto_mail_contract.receivers.receiver import Receiver
from logto_mail_contract.receivers.rules.context import BUILT_IN_LOCALES, LANGUAGE_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

RULES = tuple(
    f"receiver/accept/{name}"
    for name in (
        *("locale-forms", "odd-locales", "ui-locales-forms", "context-forms", "profile-forms"),
        *("invitation-without-link", "caller-values", "language-names"),
    )
)


def find_failed(
    handle: Callable[[dict[str, Any]], object], revision: str | None = None
) -> dict[str, tuple[str, str]]:
    """Return the actual outcome and the message of each rule that fails for a receiver with a way to mail."""

    class Chosen(Good):
        def handle(self, message: Any, request: Request) -> None:  # noqa: ARG002 - the signature of Good
            handle(message)

    receiver = Receiver.wsgi(wsgi(Chosen()), authorization=TOKEN, revision=revision)
    with closing(receiver):
        results = try_rules(RULES, receiver)
    return {
        result.rule.id.removeprefix("receiver/accept/"): (
            result.findings[0].actual,
            result.findings[0].message,
        )
        for result in results
        if has_failed(result)
    }


def take(message: dict[str, Any]) -> None:
    """Take any message."""


def find_people(message: dict[str, Any]) -> list[dict[str, Any]]:
    payload = message["payload"]
    return [payload[name] for name in ("user", "inviter") if isinstance(payload.get(name), dict)]


def find_profiles(message: dict[str, Any]) -> list[dict[str, Any]]:
    profiles = (person.get("profile") for person in find_people(message))
    return [profile for profile in profiles if isinstance(profile, dict)]


# Locales.


def lack(tag: str) -> Callable[[dict[str, Any]], None]:
    def handle(message: dict[str, Any]) -> None:
        if message["payload"].get("locale") == tag:
            raise KeyError(tag)

    return handle


@pytest.mark.parametrize("tag", [*BUILT_IN_LOCALES, "es-419", "cy-GB"])
def test_a_language_without_a_template_is_found(tag: str) -> None:
    failed = find_failed(lack(tag))
    if tag == "en":  # no ordinary message is accepted, so nothing is judged
        assert failed == {}
    else:
        assert failed.keys() == {"locale-forms"}
        assert f'"locale":"{tag}"' in failed["locale-forms"][1]


def refuse_odd_locale(message: dict[str, Any]) -> None:
    if message["payload"].get("locale", "en") in ("", "no such language"):
        raise Refused(400)


def crash_on_odd_locale(message: dict[str, Any]) -> None:
    language, _, _ = message["payload"].get("locale", "en").partition("-")
    {"<b>": None}.get(language, language).upper()


def need_language_of_ui_locales(message: dict[str, Any]) -> None:
    if message["type"] == "SignIn":
        message["payload"].get("uiLocales", "en").split()[0]


# Context.


def need_display_name(message: dict[str, Any]) -> None:
    application = message["payload"].get("application")
    if application:
        application["displayName"]


def render_favicon(message: dict[str, Any]) -> None:
    for name in ("application", "organization"):
        thing = message["payload"].get(name)
        if isinstance(thing, dict) and "favicon" in (thing.get("branding") or {}):
            raise KeyError("favicon")


def need_organization(message: dict[str, Any]) -> None:
    if message["type"] == "SignIn":
        message["payload"]["organization"]


def need_inviter(message: dict[str, Any]) -> None:
    if message["type"] == "OrganizationInvitation" and message["payload"]:
        message["payload"]["inviter"]


# Profiles.


def parse_birthdate(message: dict[str, Any]) -> None:
    for profile in find_profiles(message):
        if "birthdate" in profile:
            datetime.date.fromisoformat(profile["birthdate"])


def load_zone(message: dict[str, Any]) -> None:
    for profile in find_profiles(message):
        if profile.get("zoneinfo") == "Mars/Olympus":
            zoneinfo.ZoneInfo("Mars/Olympus")


def join_address(message: dict[str, Any]) -> None:
    for profile in find_profiles(message):
        if "address" in profile:
            profile["address"]["streetAddress"]


def strip_nickname(message: dict[str, Any]) -> None:
    for profile in find_profiles(message):
        if "nickname" in profile:
            profile["nickname"].encode("ascii")


def treat_address_as_text(message: dict[str, Any]) -> None:
    for profile in find_profiles(message):
        profile.get("address", "").strip()


# Callers' values.


def need_profile(message: dict[str, Any]) -> None:
    for person in find_people(message):
        person.get("profile", {}).get("nickname")


def iterate_branding(message: dict[str, Any]) -> None:
    organization = message["payload"].get("organization")
    if isinstance(organization, dict):
        list(organization.get("branding", {}))


def render(self: object, to: str, type: str, **variables: Any) -> None:
    """Render, as a method that is given the payload as keyword arguments."""


def pass_keywords(message: dict[str, Any]) -> None:
    payload = {name: value for name, value in message["payload"].items() if name not in ("to", "type")}
    render(None, message["to"], message["type"], **payload)


class Variables:
    """An object whose attributes are those of a part of the payload."""

    def __init__(self, members: dict[str, Any]) -> None:
        for name, value in members.items():
            setattr(self, name, value)


def set_attributes(message: dict[str, Any]) -> None:
    for name in ("organization", "inviter"):
        if isinstance(message["payload"].get(name), dict):
            Variables(message["payload"][name])


@pytest.mark.parametrize(
    ("handle", "rule", "part"),
    [
        (refuse_odd_locale, "odd-locales", '"locale":"'),
        (need_language_of_ui_locales, "ui-locales-forms", '"uiLocales":" "'),
        (need_display_name, "context-forms", '"application":{"id":"a1z9g7jcl36qklitq4a3d","name":"Shop"}'),
        (render_favicon, "context-forms", '"favicon"'),
        (need_organization, "context-forms", '"SignIn"'),
        (need_inviter, "context-forms", '"OrganizationInvitation"'),
        (parse_birthdate, "profile-forms", '"birthdate":"'),
        (load_zone, "profile-forms", '"zoneinfo":"Mars/Olympus"'),
        (join_address, "profile-forms", '"address":{'),
        (strip_nickname, "profile-forms", "Söhne"),
        (treat_address_as_text, "profile-forms", '"address":{'),
        (need_profile, "caller-values", '"profile":null'),
        (iterate_branding, "caller-values", '"branding":null'),
        (pass_keywords, "language-names", '"self":"x"'),
        (set_attributes, "language-names", '"__dict__":"x"'),
    ],
)
def test_a_context_rule_finds_its_receivers_and_names_the_value(
    handle: Callable[[dict[str, Any]], None], rule: str, part: str
) -> None:
    failed = find_failed(handle)
    assert failed.keys() == {rule}
    assert part in failed[rule][1]


def test_a_crash_on_a_callers_locale_fails_at_both_levels() -> None:
    """A caller's locale should be accepted, and must not crash."""
    assert find_failed(crash_on_odd_locale).keys() == {"odd-locales", "caller-values"}


@pytest.mark.parametrize("name", LANGUAGE_NAMES)
@pytest.mark.parametrize("place", ["payload", "organization", "inviter"])
def test_each_name_of_a_language_is_tried_in_each_place(name: str, place: str) -> None:
    def stumble(message: dict[str, Any]) -> None:
        payload = message["payload"]
        members = payload if place == "payload" else payload.get(place)
        if isinstance(members, dict) and members.get(name) == "x":
            raise KeyError(name)

    failed = find_failed(stumble)
    assert failed.keys() == {"language-names"}
    assert f'"{name}":"x"' in failed["language-names"][1]


def ignore_odd_locales(message: dict[str, Any]) -> None:
    """Fall back to English, as most receivers do."""
    locale = message["payload"].get("locale") or "en"
    assert {"en": "Your code", "de": "Ihr Code"}.get(locale.partition("-")[0], "Your code")


def refuse_what_only_callers_write(message: dict[str, Any]) -> None:
    """Refuse with a 4xx what is not as Logto core sends it, but for the locale."""
    payload = message["payload"]
    known = {*("code", "link", "locale", "uiLocales", "application", "organization", "user", "inviter")}
    if message["type"] == "OrganizationInvitation":
        for name in ("organization", "inviter"):
            value = payload.get(name)
            if name in payload and not (isinstance(value, dict) and isinstance(value.get("name"), str)):
                raise Refused(400)
        if payload.keys() - known:
            raise Refused(400)


@pytest.mark.parametrize("handle", [take, ignore_odd_locales, refuse_what_only_callers_write])
@pytest.mark.parametrize("revision", catalogue.revisions())
def test_good_receivers_pass(handle: Callable[[dict[str, Any]], None], revision: str) -> None:
    assert find_failed(handle, revision) == {}
