"""The plans of the emitted layer: the flows of Logto core, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._context import (
    APPLICATION,
    CONTEXT_KEY,
    INVITER,
    ORGANIZATION,
    USER,
    draw_application,
    draw_organization,
    draw_person,
)
from ._plans import PLAIN, Plan, has_any
from ._recipients import CODE_RECIPIENTS, INVITATION_RECIPIENTS, TEST_RECIPIENTS, draw_recipient
from ._texts import LOCALE, STORED, TEST_LOCALE, UI_LOCALES, WILD, WILD_LOCALE
from ._values import JSON, KEY, draw_code, draw_free_code, draw_ip, draw_json, draw_link

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn


def plan_code_flow(kind: str, contexts: tuple[tuple[str, ...], ...], *, ui_locales: bool, ip: bool) -> Plan:
    """Plan the messages of a flow in which a visitor or a user asks for a code."""
    # Keep the same order for every type, so that a message can shrink to one of a simpler type.
    features = [
        "to",
        "to",
        "to",
        "locale",
        "uiLocales" if ui_locales else "locale",
        *(["ip", "ip"] if ip else ["locale", "locale"]),
    ]
    features += [feature for context in contexts for feature in context]
    both = USER in contexts and ORGANIZATION in contexts

    def build(draw: DrawFn, on: set[str]) -> dict[str, Any]:
        to = draw_recipient(draw, on, CODE_RECIPIENTS)
        payload: dict[str, Any] = {
            "code": draw_code(draw),
            "locale": draw(LOCALE) if "locale" in on else "en",
        }
        if "uiLocales" in on:
            payload["uiLocales"] = UI_LOCALES.draw(draw)
        # Two flows send such a type. The account's flow has a user, but no organization and no ip.
        account = both and has_any(on, USER)
        # One failed look-up drops both, so application never comes alone in the types of the account.
        if has_any(on, APPLICATION) and (ORGANIZATION in contexts or has_any(on, USER)):
            payload["application"] = draw_application(draw, on, STORED)
        if not account and has_any(on, ORGANIZATION):
            payload["organization"] = draw_organization(draw, on, STORED)
        if has_any(on, USER):
            payload["user"] = draw_person(draw, on, "user", STORED)
        message: dict[str, Any] = {"to": to, "type": kind, "payload": payload}
        if not account and "ip" in on:
            message["ip"] = draw_ip(draw)
        return message

    return Plan(features, build)


def plan_bare_code(kind: str) -> Plan:
    """Plan the code messages of the first revision, whose payload is the code and nothing else."""

    def build(draw: DrawFn, on: set[str]) -> dict[str, Any]:
        test = kind == "Generic" and "test" in on
        to = draw_recipient(draw, on, TEST_RECIPIENTS if test else CODE_RECIPIENTS)
        return {"to": to, "type": kind, "payload": {"code": "000000" if test else draw_code(draw)}}

    return Plan(("to", "plain", *PLAIN, "test"), build)


def plan_generic(*, ui_locales: bool, ip: bool) -> Plan:
    """Plan the three flows of Generic: the Management API, the Console's profile page, the connector test."""
    features = ["to", "profile page", "locale", *(["uiLocales"] if ui_locales else ()), "test", "test.locale"]
    features += [*(["ip", "ip"] if ip else ()), *PLAIN]

    def build(draw: DrawFn, on: set[str]) -> dict[str, Any]:
        test = "test" in on or "test.locale" in on
        to = draw_recipient(draw, on, TEST_RECIPIENTS if test else CODE_RECIPIENTS)
        payload: dict[str, Any] = {"code": "000000" if test else draw_code(draw)}
        if test:
            if "test.locale" in on:
                payload["locale"] = TEST_LOCALE.draw(draw)
        elif has_any(on, ("profile page", "locale", "uiLocales")):
            payload["locale"] = draw(LOCALE) if "locale" in on else "en"
            if "uiLocales" in on:
                payload["uiLocales"] = UI_LOCALES.draw(draw)
        message: dict[str, Any] = {"to": to, "type": "Generic", "payload": payload}
        if "ip" in on:
            message["ip"] = draw_ip(draw)
        return message

    return Plan(features, build)


def plan_invitation(typed: tuple[str, ...], *, context: bool, ip: bool) -> Plan:
    """Plan invitations: Logto's context, and the caller's own members, which replace it."""
    features = [
        "link",
        "to",
        "code",
        "locale",
        *(["uiLocales"] if "uiLocales" in typed else ()),
        *("own", "own"),
        *("own.more", "own.more"),
    ]
    features += [*ORGANIZATION, *INVITER, "override"] if context else ()
    features += ["ip", "ip"] if ip else ()

    def build(draw: DrawFn, on: set[str]) -> dict[str, Any]:
        to = draw_recipient(draw, on, INVITATION_RECIPIENTS)
        payload: dict[str, Any] = {}
        if has_any(on, ORGANIZATION):
            payload["organization"] = draw_organization(draw, on, STORED)
        if has_any(on, INVITER):
            payload["inviter"] = draw_person(draw, on, "inviter", STORED)
        if "override" in on:
            payload[draw(CONTEXT_KEY)] = draw_json(draw, JSON)
        if "code" in on:
            payload["code"] = draw_free_code(draw)
        if "link" in on:
            payload["link"] = draw_link(draw)
        if "locale" in on:
            payload["locale"] = WILD_LOCALE.draw(draw)
        if "uiLocales" in on:
            payload["uiLocales"] = WILD_LOCALE.draw(draw)
        if "own" in on or "own.more" in on:
            payload[draw(KEY)] = draw_json(draw, JSON) if context else WILD.draw(draw)
        if "own.more" in on:
            key = WILD.draw(draw)
            if key != "__proto__" and key not in typed:
                payload[key] = draw_json(draw, JSON) if context else WILD.draw(draw)
        message: dict[str, Any] = {"to": to, "type": "OrganizationInvitation", "payload": payload}
        if "ip" in on:
            message["ip"] = draw_ip(draw)
        return message

    return Plan(features, build)
