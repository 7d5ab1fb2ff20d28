"""Plausible messages, as a person wants to see them: usual ones first, then every set of variables."""

from __future__ import annotations

from itertools import chain, combinations, zip_longest
from random import Random
from typing import TYPE_CHECKING, Any

from .typical import application, organization, typical, user
from .validation import validator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_VARIABLES = ("code", "link", "locale", "uiLocales", "application", "organization", "user", "inviter")
_PEOPLE = ("Ann Lee", "Bo Chen", "Carla Díaz", "Dmitri Sokolov", "Emeka Obi", "Fatima Khan")
_APPLICATIONS = ("Shop", "Wiki", "Billing", "Field Notes")
_COMPANIES = ("Acme", "Globex", "Initech", "Umbrella")
_LOCALES = ("en", "de", "fr-FR", "pt-BR", "zh-CN", "ja-JP")
_CODES = 1_000_000


def generate_plausible(
    types: Sequence[str], revision: str, layer: str, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield plausible messages without end; the same arguments give the same messages.

    Usual ones come first, one a type. No type and set of variables comes twice while one has not come.

    Args:
        types: Template types of the layer.
        revision: A contract revision.
        layer: ``guard``, ``emitted`` or ``documented``.
        seed: What the values are drawn from.
    """
    random = Random(seed)  # noqa: S311 - no secret
    every = {type: _list_sets(type, revision, layer) for type in types}
    while True:
        order = [
            # Behind the usual set those that Logto may send, and then what only the layer allows.
            sorted(
                sets,
                key=lambda names: (names != sets[0], not names <= sets[0] | {"uiLocales"}, random.random()),
            )
            for sets in every.values()
        ]
        for row in zip_longest(*order):
            for type, names in zip(types, row, strict=True):
                if names is not None:
                    yield _make_message(type, revision, names, random)


def _list_sets(type: str, revision: str, layer: str) -> list[frozenset[str]]:
    """Return the sets of variables that a layer allows in a type, the usual one first."""
    usual = frozenset(typical(type, revision)["payload"])
    random = Random(0)  # noqa: S311 - no secret
    sizes = (combinations(_VARIABLES, size) for size in range(len(_VARIABLES) + 1))
    allowed = [
        names
        for names in map(frozenset, chain.from_iterable(sizes))
        if validator(revision, layer).accepts(_make_message(type, revision, names, random))
    ]
    return sorted(allowed, key=lambda names: len(names ^ usual))


def _make_message(type: str, revision: str, names: frozenset[str], random: Random) -> dict[str, Any]:
    recipient, inviter = random.sample(_PEOPLE, 2)
    company = random.choice(_COMPANIES)
    shop = random.choice(_APPLICATIONS)
    to = _make_address(recipient)
    locale = random.choice(_LOCALES)
    values = {
        "code": f"{random.randrange(_CODES):06d}",
        "link": f"https://app.example.com/join?token={random.randbytes(8).hex()}",
        "locale": locale,
        "uiLocales": f"{locale} en" if locale != "en" else "en",
        "application": application(name=shop, displayName=f"{company} {shop}"),
        "organization": organization(name=company),
        "user": _make_person(recipient),
        "inviter": _make_person(inviter),
    }
    message = {"to": to, "type": type, "payload": {key: values[key] for key in _VARIABLES if key in names}}
    usual = typical(type, revision)
    return {**message, "ip": usual["ip"]} if "ip" in usual else message


def _make_address(name: str) -> str:
    return f"{name.partition(' ')[0].lower()}@example.com"


def _make_person(name: str) -> dict[str, Any]:
    given, _, family = name.partition(" ")
    return user(
        name=name,
        primaryEmail=_make_address(name),
        username=given.lower(),
        profile={"givenName": given, "familyName": family},
    )
