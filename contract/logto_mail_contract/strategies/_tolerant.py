"""The plans of the layers that tolerate unknown members: guard and documented."""

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
from ._plans import Plan, has_any
from ._recipients import draw_any_recipient
from ._texts import FREE, WILD, WILD_LOCALE
from ._values import (
    GUARD_JSON,
    GUARD_KEY,
    LINKS,
    draw_code,
    draw_code_or_none,
    draw_code_text,
    draw_guard_ip,
    draw_ip,
    draw_json,
    draw_link,
)

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn


def _add_unknown_members(draw: DrawFn, on: set[str], message: dict[str, Any], known: frozenset[str]) -> None:
    """Add top-level members that the layer does not know, and tolerates."""
    for feature in ("top", "top.more"):
        if feature in on:
            key = draw(GUARD_KEY) if feature == "top" else WILD.draw(draw)
            if key not in known:
                message[key] = draw_json(draw, GUARD_JSON)


def plan_guard(kind: str, typed: tuple[str, ...], *, strings_only: bool, ip: bool) -> Plan:
    """Plan what the guard accepts: everything but the typed variables is free."""
    features = ["to", "to", "to", "to", "to.any", "to.any", "to.text", "code.text", "link", "link", "link"]
    features += ["locale", "uiLocales", "uiLocales", "extra", "extra", "extra.more"]
    features += ["top", "top", "top.more", "ip", "ip", "ip", "ip.any", "override", "override"]
    if not strings_only:
        features += [*APPLICATION, *ORGANIZATION, *USER, "inviter", "override.user"]
    known = frozenset(("to", "type", "payload", "ip"))

    def any_value(draw: DrawFn) -> Any:
        return WILD.draw(draw) if strings_only else draw_json(draw, GUARD_JSON)

    def build(draw: DrawFn, on: set[str]) -> dict[str, Any]:
        to = draw_any_recipient(draw, on)
        payload: dict[str, Any] = {}
        code = draw_code_or_none(draw)
        if "code.text" in on:
            payload["code"] = draw_code_text(draw)
        elif code is not None:
            payload["code"] = code
        if "link" in on:
            payload["link"] = draw_link(draw)
        if "locale" in on:
            payload["locale"] = WILD_LOCALE.draw(draw)
        if "uiLocales" in on:
            payload["uiLocales"] = WILD_LOCALE.draw(draw) if "uiLocales" in typed else any_value(draw)
        if has_any(on, APPLICATION):
            payload["application"] = draw_application(draw, on, FREE)
        if has_any(on, ORGANIZATION):
            payload["organization"] = draw_organization(draw, on, FREE)
        if has_any(on, USER):
            payload["user"] = draw_person(draw, on, "user", FREE)
        if "inviter" in on:
            # It shares the features of the user. Its own would make every other feature rarer.
            payload["inviter"] = draw_person(draw, on, "user", FREE)
        if "override" in on:
            payload[draw(CONTEXT_KEY)] = any_value(draw)
        if "override.user" in on:
            payload["user"] = any_value(draw)
        if "extra" in on:
            payload[draw(GUARD_KEY)] = any_value(draw)
        if "extra.more" in on:
            key = WILD.draw(draw)
            if key not in typed:
                payload[key] = any_value(draw)
        message: dict[str, Any] = {"to": to, "type": kind, "payload": payload}
        if ip:
            if "ip.any" in on:
                message["ip"] = WILD.draw(draw)
            elif "ip" in on:
                message["ip"] = draw_guard_ip(draw)
        elif "ip" in on:
            message["ip"] = draw_json(draw, GUARD_JSON)
        _add_unknown_members(draw, on, message, known)
        return message

    return Plan(features, build)


def plan_documented(kind: str) -> Plan:
    """Plan what the docs promise: variables that are never null, and unknown ones, which are tolerated."""
    invitation = kind == "OrganizationInvitation"
    account = kind in ("UserPermissionValidation", "BindNewIdentifier", "BindMfa")
    generic = kind == "Generic"
    features = ["to", "to.any", "to.any", "to.text", "code.text", "link", "locale", "uiLocales"]
    features += ["extra", "extra.more"]
    features += ["top", "top.more", "ip", "ip.any"]
    if not generic:
        features += [*ORGANIZATION]
        features += [*INVITER, "inviter.profile.any"] if invitation else APPLICATION
        features += [*USER, "user.profile.any"] if account else ()
    # The variables in the schema of the type. In other types these names are unknown variables.
    held = {"code", "link", "locale", "uiLocales"}
    if invitation:
        held |= {"organization", "inviter"}
    elif not generic:
        held |= {"application", "user" if account else "organization"}
    known = frozenset(("to", "type", "payload", "ip"))

    def person(draw: DrawFn, on: set[str], name: str) -> dict[str, Any]:
        person = {
            key: value for key, value in draw_person(draw, on, name, FREE).items() if value not in (None, {})
        }
        if f"{name}.profile.any" in on:
            person["profile"] = {draw(GUARD_KEY): draw_json(draw, GUARD_JSON)}
        elif f"{name}.profile" in on:
            person.setdefault("profile", {})
        return person

    def build(draw: DrawFn, on: set[str]) -> dict[str, Any]:
        to = draw_any_recipient(draw, on)
        payload: dict[str, Any] = {}
        if "code.text" in on:
            payload["code"] = draw_code_text(draw)
        elif not invitation:
            payload["code"] = draw_code(draw)
        if "locale" in on:
            payload["locale"] = WILD_LOCALE.draw(draw)
        if "uiLocales" in on:
            payload["uiLocales"] = WILD_LOCALE.draw(draw)
        if ("application" in held and not account) or has_any(on, APPLICATION):
            payload["application"] = draw_application(draw, on, FREE)
        if invitation or has_any(on, ORGANIZATION):
            payload["organization"] = draw_organization(draw, on, FREE)
            if "organization.branding" not in on:
                del payload["organization"]["branding"]
        if account:
            payload["user"] = person(draw, on, "user")
        if has_any(on, (*INVITER, "inviter.profile.any")):
            payload["inviter"] = person(draw, on, "inviter")
        if "link" in on:
            payload["link"] = draw_link(draw)
        elif invitation:
            payload["link"] = LINKS[0]
        for feature in ("extra", "extra.more"):
            if feature in on:
                key = draw(GUARD_KEY) if feature == "extra" else WILD.draw(draw)
                if key not in held:
                    payload[key] = draw_json(draw, GUARD_JSON)
        message: dict[str, Any] = {"to": to, "type": kind, "payload": payload}
        if "ip.any" in on:
            message["ip"] = WILD.draw(draw)
        elif "ip" in on:
            message["ip"] = draw_ip(draw)
        _add_unknown_members(draw, on, message, known)
        return message

    return Plan(features, build)
