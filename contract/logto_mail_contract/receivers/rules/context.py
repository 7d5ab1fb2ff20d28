"""The rules ``receiver/accept/*`` about locales, context, and what callers of the invitation API write.

What Logto core sends is accepted; what only a caller can write crashes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...judging.responses import is_accepted, is_no_crash
from ...judging.typical import application, organization, template_types, user, without
from ..cases import batch
from ..checks import check, expect_each
from ..requests import INVITATION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..cases import Case
    from ..requests import RequestMaker
    from ..trial import ReceiverTrial

BUILT_IN_LOCALES = (
    *("ar", "cs", "de", "en", "es", "es-MX", "fa-IR", "fr", "it", "ja", "ko", "pl-PL", "pt-BR", "pt-PT"),
    *("ru", "th", "tr-TR", "uk-UA", "zh-CN", "zh-HK", "zh-TW"),
)
"""Logto ``packages/toolkit/language-kit`` and ``packages/phrases`` of the newest known release."""

_CUSTOM_LOCALES = ("en-GB", "es-419", "fr-CA", "nb-NO", "sr-RS", "he-IL", "cy-GB")
"""Tags that a tenant can add: two letters, and a region of two letters or three digits."""

_ODD_LOCALES = (
    *("", " ", "no such language", "<b>", "fr-CA,fr;q=0.9", "zh-Hant-TW", "x-klingon", "en_US", "../en"),
)

LANGUAGE_NAMES = (
    # Python
    *("self", "cls", "args", "kwargs", "__class__", "__init__", "__dict__", "format"),
    # JavaScript
    *("this", "constructor", "prototype", "toString", "valueOf", "hasOwnProperty", "length", "then"),
    # Several others
    *("class", "get", "items", "keys", "default"),
)
"""Names that a language or a template engine gives a meaning of its own."""


@batch()
def locale_forms(maker: RequestMaker) -> Iterator[Case]:
    """Messages in each built-in language and in others; revision 1.22 has no locale."""
    if not maker.knows("1.25"):
        return
    types = [type for type in template_types(maker.revision) if type not in ("Generic", INVITATION)]
    for number, form in enumerate((*BUILT_IN_LOCALES, *_CUSTOM_LOCALES)):
        yield maker.make_case(maker.make_typical(types[number % len(types)], locale=form))
    for form in ("fa-IR", "zh-TW"):
        yield maker.make_case(maker.make_typical(INVITATION, locale=form))
    yield maker.make_case(without(maker.make_typical(INVITATION), "locale"))


expect_each("receiver/accept/locale-forms", locale_forms, is_accepted)


@batch()
def _odd_locales(maker: RequestMaker) -> Iterator[Case]:
    for form in _ODD_LOCALES:
        yield maker.make_case(maker.make_typical(INVITATION, locale=form))


expect_each("receiver/accept/odd-locales", _odd_locales, is_accepted)


@batch()
def _ui_locales_forms(maker: RequestMaker) -> Iterator[Case]:
    for form in (
        "de",
        "fr-CA fr en",
        "pt-BR <script> de",
        "<img src=x onerror=alert(1)> " + "z" * 200,
        "é\u202e🙂",
        " ",
        "*",
        "no such language",
        "de-DE,de;q=0.9",
        "zh-Hant-TW x-klingon i-enochian",
        "en_US.UTF-8",
        "../../etc/passwd",
        "__proto__",
        "{{code}} ${code} %s",
    ):
        yield maker.make_case(maker.make_typical("SignIn", uiLocales=form))


expect_each("receiver/accept/ui-locales-forms", _ui_locales_forms, is_accepted)

# Context that Logto core sends.


@batch()
def _context_forms(maker: RequestMaker) -> Iterator[Case]:
    logo = "https://example.com/logo.png"
    for member in ("darkLogoUrl", "favicon", "darkFavicon"):
        branding = {"logoUrl": logo, member: logo}
        yield maker.make_case(
            maker.make_typical(
                "SignIn",
                application=application(branding=branding),
                organization=organization(branding=branding),
            )
        )
        bare = {"branding": {member: logo}}
        yield maker.make_case(
            maker.make_typical("SignIn", application=application(**bare), organization=organization(**bare))
        )
    # Applications that Logto has built in.
    for id, name in (("demo-app", "Live Preview"), ("account-center", "Account Center")):
        yield maker.make_case(maker.make_typical("SignIn", application=application(id=id, name=name)))
    bare = {name: value for name, value in application().items() if name in ("id", "name")}
    yield maker.make_case(maker.make_typical("SignIn", application=bare))
    yield maker.make_case(without(maker.make_typical("SignIn"), "organization"))
    for type in ("UserPermissionValidation", "BindNewIdentifier"):
        yield maker.make_case(without(maker.make_typical(type), "application"))
    yield maker.make_case(without(maker.make_typical(INVITATION), "inviter"))


expect_each("receiver/accept/context-forms", _context_forms, is_accepted)


@batch()
def _profile_forms(maker: RequestMaker) -> Iterator[Case]:
    address = {
        "formatted": "1 Foo Street\nBar",
        "streetAddress": "1 Foo Street",
        "locality": "Bar",
        "region": "Baz",
        "postalCode": "00000",
        "country": "DE",
    }
    whole = {
        "familyName": "Bar",
        "givenName": "Foo",
        "middleName": "Baz",
        "nickname": "Foo",
        "preferredUsername": "foo",
        "profile": "https://example.com/foo",
        "website": "https://example.com/",
        "gender": "other",
        "birthdate": "1990-01-31",
        "zoneinfo": "Europe/Berlin",
        "locale": "de-DE",
        "address": address,
    }
    changes: tuple[dict[str, Any], ...] = (
        {},
        {"birthdate": "no date"},
        {"birthdate": "0000-00-00"},
        {"birthdate": ""},
        {"zoneinfo": "Mars/Olympus"},
        {"locale": "no language"},
        {"website": "no URL <b>\"'{{code}}"},
        {"gender": "🙂"},
        {"nickname": "O'Foo & <b>Söhne</b> 🙂"},
        {"givenName": "", "familyName": ""},
        {"address": {}},
        {"address": {"country": "DE"}},
        {"address": {"formatted": "1 Foo Street\r\nBar"}},
    )
    for change in changes:
        person = user(profile={**whole, **change})
        yield maker.make_case(maker.make_typical("UserPermissionValidation", user=person))
    yield maker.make_case(maker.make_typical(INVITATION, inviter=user(profile=whole)))
    yield maker.make_case(maker.make_typical(INVITATION, inviter=user(profile={"nickname": "Foo"})))


expect_each("receiver/accept/profile-forms", _profile_forms, is_accepted)

# What callers of the invitation API write.


@batch()
def _invitation_without_link(maker: RequestMaker) -> Iterator[Case]:
    yield maker.make_case(without(maker.make_typical(INVITATION), "link"))
    yield maker.make_case({"to": maker.make_recipient(), "type": INVITATION, "payload": {}})


expect_each("receiver/accept/invitation-without-link", _invitation_without_link, is_no_crash)


@batch()
def _caller_values(maker: RequestMaker) -> Iterator[Case]:
    changes: tuple[dict[str, Any], ...] = (
        {"organization": "mine"},
        {"organization": {}},
        {"organization": {"name": None}},
        {"organization": {"name": "Acme", "branding": None}},
        {"organization": [organization()]},
        {"inviter": {"name": "boss"}},
        {"inviter": {}},
        {"inviter": "boss"},
        {"inviter": {**user(), "profile": None}},
        {"organization": None, "inviter": 1},
        {"code": "1", "nested": {"a": [1, None, True]}},
        {"uiLocales": ""},
        {"to": "z", "type": "SignIn", "ip": "9.9.9.9", "constructor": "c", "": 1},
        # Database columns reject these: half a character, and NUL.
        {"note": "\ud800"},
        {"note": "\0"},
    )
    for changed in changes:
        message = maker.make_typical(INVITATION)
        message["payload"].update(changed)
        yield maker.make_case(message)


@check("receiver/accept/caller-values", batches=(_caller_values, _odd_locales))
def _survives_caller_values(trial: ReceiverTrial) -> None:
    trial.expect_each(_caller_values, is_no_crash)
    trial.expect_each(_odd_locales, is_no_crash)


@batch()
def _language_names(maker: RequestMaker) -> Iterator[Case]:
    for name in LANGUAGE_NAMES:
        message = maker.make_typical(
            INVITATION, organization=organization(**{name: "x"}), inviter=user(**{name: "x"})
        )
        message["payload"][name] = "x"
        yield maker.make_case(message)


expect_each("receiver/accept/language-names", _language_names, is_no_crash)
