"""Bodies that real Logto releases posted, with one value changed: no core sends it, or one may."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from logto_mail_contract import catalogue, validate

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parents[1] / "schemas" / "data" / "recorded-bodies-of-releases.ndjson"
DROPPED = object()

SIGN_IN = ("SignIn", "Register", "ForgotPassword", "MfaVerification")
ACCOUNT = ("UserPermissionValidation", "BindNewIdentifier", "BindMfa")
FLOWS = (*SIGN_IN, *ACCOUNT)
INVITATION = ("OrganizationInvitation",)
ANY = (*FLOWS, *INVITATION, "Generic")


class Body(NamedTuple):
    """A recorded body."""

    revision: str
    flow: str
    message: dict[str, Any]


@cache
def read_bodies() -> tuple[Body, ...]:
    """Return the recorded bodies; do not change them."""
    entries = map(json.loads, DATA.read_text(encoding="utf-8").splitlines())
    return tuple(
        Body(catalogue.resolve_revision(entry["release"]), entry["flow"], json.loads(entry["body"]))
        for entry in entries
    )


def change_bodies(types: tuple[str, ...], pointer: str, value: object) -> Iterator[tuple[Body, str]]:
    """Yield a body of each revision and type that has the place, and its text with another value there."""
    seen = set()
    *parents, last = pointer.split("/")[1:]
    for body in read_bodies():
        kind = (body.revision, body.message["type"])
        changed = copy.deepcopy(body.message)
        place: Any = changed
        for key in parents:
            place = place.get(key) if isinstance(place, dict) else None
        if kind in seen or kind[1] not in types or not isinstance(place, dict):
            continue
        if value is not DROPPED:
            place[last] = value
        elif place.pop(last, None) is None:
            continue
        seen.add(kind)
        yield body, json.dumps(changed)


REFUSED: list[tuple[tuple[str, ...], str, object, str]] = [
    *(
        (FLOWS, "/payload/locale", tag, "locale")
        for tag in ("", "not a language", "FR", "tlh", "pt_BR", "en\n")
    ),
    (FLOWS, "/payload/locale", "fr-CA,fr;q=0.9", "locale"),
    (FLOWS, "/payload/locale", "zh-Hans-CN", "locale"),
    *(
        (FLOWS, f"/payload/{variable}/name", name, variable)
        for variable in ("application", "organization")
        for name in ("", "a\0b", "a\ud800b")
    ),
    *(
        (FLOWS, f"/payload/{variable}/id", identifier, variable)
        for variable in ("application", "organization", "user")
        for identifier in (
            "",
            " ",
            "a b",
            "a.b",
            "a/b",
            "ab\n",
            "\u00e4",
            "<b>",
            "http://a.b",
            "\0",
            "\udfff",
        )
    ),
    *(
        (FLOWS, f"/payload/{variable}/branding/{key}", url, variable)
        for variable in ("application", "organization")
        for key in ("logoUrl", "darkFavicon")
        for url in (
            "",
            "logo.png",
            "/a.png",
            "//a.b/c",
            "not a url",
            "https://",
            "http://a b/c",
            "https://[::1",
            "http://a:99999/",
            "http://%/",
            "http://1.2.3.256/",
            "foo://[",
            "a:\0",
            "a:\ud800",
        )
    ),
    *(
        (FLOWS, f"/payload/user/{key}", text, "user")
        for key in ("avatar", "name", "primaryEmail", "username", "primaryPhone")
        for text in ("@\0", "@\ud800")
    ),
    *((FLOWS, f"/payload/user/{key}", "", "user") for key in ("name", "avatar", "primaryEmail")),
    (FLOWS, "/payload/user/primaryEmail", "example.com", "user"),
    (FLOWS, "/payload/user/profile/nickName", "Foo", "user"),
    (FLOWS, "/payload/user/profile/nickname", "a\0", "user"),
    (FLOWS, "/payload/user/profile/address", {"zip": "1"}, "user"),
    (FLOWS, "/payload/user/profile/address", {"region": "\udc00"}, "user"),
    (FLOWS, "/payload/application/branding", DROPPED, "application"),
    (("UserPermissionValidation", "BindNewIdentifier"), "/payload/user", DROPPED, "user"),
    (("Generic",), "/payload/locale", "", "locale"),
    (FLOWS, "/payload/uiLocales", "", "ui-locales"),
    *((FLOWS, "/to", f"a{character}b@example.com", "to") for character in "\0\ud800 \u2028"),
    *(
        (INVITATION, "/to", address, "to")
        for address in (
            *("Foo <foo@example.com>", "<foo@example.com>", '"><img@example.com', "a..b@example.com"),
            *(
                "foo@b\u00fccher.example",
                "f\u00f6@example.com",
                "a@example.com,b@example.com",
                "a\0@example.com",
            ),
            *(".a@example.com", "a.@example.com", "a@example", "a@exa_mple.com", "\ud800@example.com"),
        )
    ),
]
ACCEPTED: list[tuple[tuple[str, ...], str, object]] = [
    *((FLOWS, "/payload/locale", tag) for tag in ("en", "es-MX", "es-419", "zh-HK", "cx-PH")),
    *(
        (FLOWS, f"/payload/{variable}/id", identifier)
        for variable in ("application", "organization", "user")
        for identifier in ("a", "0", "demo-app", "FOO_bar-12", "-_-", "__proto__")
    ),
    (FLOWS, "/payload/application/id", "account-center"),
    (FLOWS, "/payload/application/id", "a" * 21),
    *((FLOWS, f"/payload/{variable}/name", "<b>\n\u202e\U0001d4b3") for variable in ("application", "user")),
    *(
        (FLOWS, f"/payload/{variable}/branding", branding)
        for variable in ("application", "organization")
        for branding in (
            {},
            {"logoUrl": "javascript:alert(1)"},
            {"favicon": 'https://x.io/"><img src=x>', "darkFavicon": " https://b\u00fccher.example/ "},
            {"logoUrl": "localhost:3000/a.png", "darkLogoUrl": "data:,"},
            {"logoUrl": "http://[::1]:65535/%zz", "favicon": "foo://a%b", "darkFavicon": "http://1.2.3.255/"},
            # Parsers of different ages disagree about these.
            {"logoUrl": "https://xn--a/", "favicon": "https://\u0378.a", "darkLogoUrl": "https://%CD%B8.a"},
        )
    ),
    (FLOWS, "/payload/application/displayName", DROPPED),
    (FLOWS, "/payload/application", DROPPED),
    (SIGN_IN, "/payload/organization", DROPPED),
    *((FLOWS, f"/payload/user/{key}", None) for key in ("name", "avatar", "primaryEmail", "primaryPhone")),
    (FLOWS, "/payload/user/primaryEmail", "FOO@localhost"),
    (FLOWS, "/payload/user/profile", {"website": "", "address": {}, "nickname": "\u0001\ufffd"}),
    (("Generic",), "/to", "a\0b@example.com"),
    (FLOWS, "/to", '"><svg/onload=1>@x.y'),
    (ANY, "/ip", DROPPED),
    *(
        (INVITATION, "/to", address)
        for address in ("'o+x@example.com", "a@xn--bcher-kva.example", "A_-@B-.CO")
    ),
    *(
        (INVITATION, f"/payload/{key}", text)
        for key in ("code", "link", "locale")
        for text in ("", "\0 \ud800")
    ),
]
CONTEXT_OF_INVITATIONS: list[tuple[tuple[str, ...], str, object]] = [
    (INVITATION, f"/payload/{variable}", value)
    for variable in ("organization", "inviter", "application", "user")
    for value in (None, "mine", {"id": ""}, {"id": "a b", "name": "\0", "branding": {"logoUrl": "x"}}, [1])
]


def find_rules(text: str, revision: str) -> list[str]:
    """Return the rules that a text fails in the emitted layer of a revision."""
    return [finding.rule for finding in validate(text, revision, "emitted")]


@pytest.mark.parametrize(("types", "pointer", "value", "rule"), REFUSED)
def test_a_value_that_no_core_sends_fails_its_rule_alone(
    types: tuple[str, ...], pointer: str, value: object, rule: str
) -> None:
    judged = 0
    for body, text in change_bodies(types, pointer, value):
        if rule == "ui-locales" and body.revision < "1.32":
            continue
        if body.revision == "1.22" and pointer != "/to":
            continue
        if (body.revision, body.message["type"]) == ("1.31", "BindNewIdentifier") and value is DROPPED:
            continue  # In this release the sign-in experience sends the type without user.
        assert find_rules(text, body.revision) == [f"message/emitted/{rule}"], (body.revision, body.flow)
        judged += 1
    assert judged > 0


@pytest.mark.parametrize(("types", "pointer", "value"), ACCEPTED + CONTEXT_OF_INVITATIONS)
def test_a_value_that_a_core_may_send_is_valid(types: tuple[str, ...], pointer: str, value: object) -> None:
    judged = 0
    for body, text in change_bodies(types, pointer, value):
        if body.revision == "1.22" and pointer.startswith("/payload") and pointer != "/payload/link":
            continue
        assert find_rules(text, body.revision) == [], (body.revision, body.flow)
        judged += 1
    assert judged > 0


def test_application_may_come_without_user_where_the_sign_in_experience_sends_the_type() -> None:
    """The exceptions: BindNewIdentifier in 1.31 and BindMfa."""
    both = {
        (body.revision, body.message["type"])
        for types in (("BindNewIdentifier",), ("BindMfa",))
        for body, text in change_bodies(types, "/payload/user", DROPPED)
        if find_rules(text, body.revision) == []
    }
    assert both == {("1.31", "BindNewIdentifier"), ("1.35", "BindMfa")}


def test_ui_locales_never_come_without_locale_in_generic() -> None:
    for body, text in change_bodies(("Generic",), "/payload/uiLocales", "de"):
        message = json.loads(text)
        message["payload"].pop("locale", None)
        if body.revision == "1.35":
            assert find_rules(json.dumps(message), "1.35") == ["message/emitted/locale"]
            message["payload"]["locale"] = "x"
            assert find_rules(json.dumps(message), "1.35") == []
            message["payload"]["uiLocales"] = ""
            assert find_rules(json.dumps(message), "1.35") == ["message/emitted/ui-locales"]
