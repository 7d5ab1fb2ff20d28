"""The context variables: application, organization, user and inviter."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Collection

    from hypothesis.strategies import DrawFn, SearchStrategy

    from ._texts import Texts


_URLS = (
    "http://a.test",
    "https://example.com/a.png",
    "javascript:alert(1)",
    'https://example.com/"><img src=x>',
    "data:image/svg+xml,<svg onload=alert(1)>",
    "https://example.com/?a=1&b='",
    "foo:bar",
    "https://bücher.example/ä.png",
)
_PHONES = ("15550001", "0", "4915550001", "00155500001", "1" * 128)
_USERNAMES = ("foo", "_", "Foo_1", "__proto__", "constructor", "null", "x" * 128)
_EMAILS = (
    "foo@example.com",
    "FOO+tag@example.org",
    "'foo'@example.net",
    '"><svg/onload=1>@foo.test',
    f"{'x' * 116}@example.com",
)
_APPLICATION_IDS = ("foo", "demo-app", "account-center", "a1z9g7jcl36qklitq4a3d", "FOO_1")
_ORGANIZATION_IDS = ("foo", "uavz4qsvncw7", "__proto__", "-")
_USER_IDS = ("foo", "w13v2u89sxbs", "FOO_1-", "0")
BRANDING_KEYS = ("logoUrl", "favicon", "darkLogoUrl", "darkFavicon")
_PROFILE_KEYS = (
    *("nickname", "website", "familyName", "givenName", "middleName", "preferredUsername", "profile"),
    *("gender", "birthdate", "zoneinfo", "locale"),
    *("formatted", "country", "streetAddress", "locality", "region", "postalCode"),
)
_ADDRESS_KEYS = frozenset(_PROFILE_KEYS[-6:])
_URL = st.sampled_from(_URLS)
_PHONE = st.sampled_from(_PHONES)
_USERNAME = st.sampled_from(_USERNAMES)
_EMAIL = st.sampled_from(_EMAILS)
_APPLICATION_ID = st.sampled_from(_APPLICATION_IDS)
_ORGANIZATION_ID = st.sampled_from(_ORGANIZATION_IDS)
_USER_ID = st.sampled_from(_USER_IDS)
_BRANDING_KEY_SETS = st.sampled_from(
    [keys for size in range(5) for keys in itertools.combinations(BRANDING_KEYS, size)]
)
# None means any URL under any key.
_BRANDING: SearchStrategy[dict[str, Any] | None] = st.sampled_from(
    (
        {},
        *({"logoUrl": url} for url in _URLS),
        *({key: _URLS[0]} for key in BRANDING_KEYS[1:]),
        *(dict.fromkeys(BRANDING_KEYS, url) for url in _URLS[:4]),
        {},
        *({"logoUrl": "javascript:alert(1)"},) * 4,
        *(None,) * 5,
    )
)
_PROFILE_KEY_SETS = st.sampled_from(
    ((), *((key,) for key in _PROFILE_KEYS), *(("nickname", "country"),) * 6, _PROFILE_KEYS, None, None)
)
_FEATURES = st.binary(max_size=8)
# The first feature of a context variable makes it appear with plain values. Each other feature also gives it
# one value of interest. The plain feature is listed again behind the name: shrinking goes down the list, and
# reaches it even if the name does not matter for the failure.
APPLICATION = (
    *("application", "application.name", "application.name", "application", "application.branding"),
    *("application.displayName", "application.id"),
)
ORGANIZATION = (
    "organization",
    "organization.name",
    "organization.name",
    "organization",
    "organization.branding",
    "organization.id",
)
USER = (
    *(
        "user",
        "user.name",
        "user.name",
        "user",
        "user.username",
        "user.primaryEmail",
        "user.primaryPhone",
        "user.avatar",
    ),
    *("user.profile", "user.id"),
)
INVITER = tuple(feature.replace("user", "inviter", 1) for feature in USER)
CONTEXT_KEY = st.sampled_from(("organization", "inviter", "application", "user"))


def _draw_branding(draw: DrawFn) -> dict[str, Any]:
    branding = draw(_BRANDING)
    if branding is None:
        return {key: draw(_URL) for key in draw(_BRANDING_KEY_SETS)}
    return dict(branding)


def draw_application(draw: DrawFn, on: set[str], texts: Texts) -> dict[str, Any]:
    application: dict[str, Any] = {
        "id": draw(_APPLICATION_ID) if "application.id" in on else "foo",
        "name": texts.application_name.draw(draw) if "application.name" in on else "Foo",
    }
    if "application.branding" in on:
        application["branding"] = _draw_branding(draw)
    if "application.displayName" in on:
        # Both come from the application's own sign-in experience.
        application.setdefault("branding", {})
        application["displayName"] = texts.display_name.draw(draw)
    return application


def draw_organization(draw: DrawFn, on: set[str], texts: Texts) -> dict[str, Any]:
    return {
        "id": draw(_ORGANIZATION_ID) if "organization.id" in on else "foo",
        "name": texts.organization_name.draw(draw) if "organization.name" in on else "Foo",
        "branding": _draw_branding(draw) if "organization.branding" in on else {},
    }


def _draw_profile(draw: DrawFn, texts: Texts) -> dict[str, Any]:
    profile: dict[str, Any] = {}
    chosen: Collection[str] | None = draw(_PROFILE_KEY_SETS)
    if chosen is None:
        chosen = {_PROFILE_KEYS[number * len(_PROFILE_KEYS) >> 8] for number in draw(_FEATURES)}
    for key in _PROFILE_KEYS:
        if key in chosen:
            place = profile.setdefault("address", {}) if key in _ADDRESS_KEYS else profile
            place[key] = texts.free.draw(draw)
    return profile


def draw_person(draw: DrawFn, on: set[str], name: str, texts: Texts) -> dict[str, Any]:
    return {
        "id": draw(_USER_ID) if f"{name}.id" in on else "foo",
        "avatar": _draw_avatar(draw, texts) if f"{name}.avatar" in on else None,
        "name": texts.user_name.draw(draw) if f"{name}.name" in on else None,
        "primaryEmail": draw(_EMAIL) if f"{name}.primaryEmail" in on else None,
        "primaryPhone": draw(_PHONE) if f"{name}.primaryPhone" in on else None,
        "username": draw(_USERNAME) if f"{name}.username" in on else None,
        "profile": _draw_profile(draw, texts) if f"{name}.profile" in on else {},
    }


def _draw_avatar(draw: DrawFn, texts: Texts) -> str:
    url = draw(_URL)
    return url if url != _URLS[-1] else texts.avatar.draw(draw)
