"""The vectors of the emitted layer: each code type, and the parts that all types share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .context import add_context
from .flows import ACCOUNT, FLOWS, make_full, make_minimal
from .invitations import add_invitations
from .ips import add_ips
from .recipients import (
    NO_WHITE_SPACE,
    ODD_RECIPIENTS,
    WHITE_SPACE,
    WRONG_RECIPIENTS,
    add_lengths,
    add_wrong_recipients,
)
from .shared import (
    add_broken_texts,
    add_extra_members,
    add_recorded,
    add_recorded_of_releases,
    add_roots,
    add_wrong_payloads,
    add_wrong_types,
)
from .suite import Suite, format_slug, put
from .values import CONTEXT, CURRENT, NO_OBJECTS, NO_STRINGS, STRINGS_ONLY

if TYPE_CHECKING:
    from ..files import Json
    from .flows import Flow

WRONG_CODES: dict[str, tuple[Any, str]] = {
    "five-digits": ("12345", "pattern"),
    "seven-digits": ("1234567", "maxLength"),
    "five-digits-newline": ("12345\n", "pattern"),
    "six-digits-newline": ("123456\n", "maxLength"),
    "empty": ("", "pattern"),
    "letters": ("abcdef", "pattern"),
    "many-letters": ("abcdefgh", "maxLength"),
    "leading-space": (" 12345", "pattern"),
    "sign": ("-12345", "pattern"),
    "other-digits": ("\u0661\u0662\u0663\u0664\u0665\u0666", "pattern"),
    "wide-digits": ("\uff11\uff12\uff13\uff14\uff15\uff16", "pattern"),
    "number": (123456, "type"),
    "null": (None, "type"),
    "array": (["123456"], "type"),
    "boolean": (True, "type"),
    "object": ({}, "type"),
}

LOCALES = {"two-letters": "az", "region": "az-AZ", "area": "es-419", "area-2": "en-095"}
WRONG_LOCALES: dict[str, tuple[Any, str]] = {
    "one-character": ("x", "pattern"),
    "three-letters": ("tlh", "pattern"),
    "capitals": ("FR", "pattern"),
    "small-region": ("pt-br", "pattern"),
    "short-region": ("pt-B", "pattern"),
    "long-region": ("pt-BRA", "pattern"),
    "short-area": ("es-41", "pattern"),
    "long-area": ("es-4190", "pattern"),
    "script": ("zh-Hans-CN", "pattern"),
    "hyphen": ("pt-", "pattern"),
    "no-hyphen": ("ptBR", "pattern"),
    "area-without-hyphen": ("es419", "pattern"),
    "prefix": ("x-pt-BR", "pattern"),
    "sentence": ("not a language", "not"),
    "list": ("fr-CA,fr;q=0.9", "not"),
    "underscore": ("pt_BR", "not"),
    "newline": ("en\n", "not"),
    "region-newline": ("en-US\n", "not"),
    "other-digits": ("es-\u0664\u0661\u0669", "not"),
    "between": ("[`", "not"),
    "dot": ("a.", "not"),
}


def build_emitted(revision: str) -> Suite:
    """Return the vectors of the emitted layer."""
    suite = Suite(revision, "emitted")
    flows = FLOWS[revision]
    message = make_minimal("SignIn", flows["SignIn"])
    add_roots(suite, message)
    add_extra_members(suite, message, "The connector writes no other member.", "additionalProperties")
    _add_recipients(suite, message, "to")
    suite.at(message, "to").add("to-nul", "PostgreSQL stores no NUL.", "a\0b@example.com", "not")
    generic = make_minimal("Generic", flows["Generic"])
    _add_recipients(suite, generic, "test-to")
    nul = suite.at(generic, "to")
    nul.add("test-to-nul", "A connector test is not stored.", "a\0b@example.com")
    add_wrong_types(suite, message, (*flows, "OrganizationInvitation"))
    suite.add(
        "type-missing-decides-payload",
        "Without a type the payload is not judged: one error.",
        {"to": "foo@example.com", "payload": []},
        ("required", ""),
    )
    suite.group = "The code"
    code = suite.at(message, "payload", "code")
    code.add_each_wrong("code", "The code is six ASCII digits, as a string.", WRONG_CODES)
    for name, flow in flows.items():
        _add_code_type(suite, name, flow)
    if revision != STRINGS_ONLY:
        add_context(suite, flows)
    add_invitations(suite)
    _add_texts(suite)
    add_broken_texts(suite, ("empty", "nan", "byte-order-mark", "two-documents"))
    if revision == CURRENT:
        add_recorded(suite)
    add_recorded_of_releases(suite)
    return suite


def _add_recipients(suite: Suite, message: Json, prefix: str) -> None:
    suite.group = "The recipient"
    to = suite.at(message, "to")
    to.add_each_wrong(prefix, "to is an address without white space.", WRONG_RECIPIENTS)
    to.add_each(prefix, "Logto's check lets this through.", ODD_RECIPIENTS)
    to.add_each(
        f"{prefix}-white-space",
        "White space to JavaScript, so no part of an address.",
        {f"{point:04x}": f"a{chr(point)}b@example.com" for point in WHITE_SPACE},
        "not",
    )
    to.add_each(
        f"{prefix}-no-white-space",
        "No white space to JavaScript, whatever other languages say.",
        {f"{point:04x}": f"a{chr(point)}b@example.com" for point in NO_WHITE_SPACE},
    )


def _add_code_type(suite: Suite, name: str, flow: Flow) -> None:
    """Add the vectors of one template type that carries a code."""
    suite.group = f"Messages of type {name}"
    prefix = format_slug(name)
    message = make_minimal(name, flow)
    suite.add(f"{prefix}-minimal", "Only what always comes.", message)
    suite.add(f"{prefix}-full", "All that may come.", make_full(name, flow))
    code = suite.at(message, "payload", "code")
    code.add(f"{prefix}-code-zeros", "The code of a connector test.", "000000")
    code.add_without(f"{prefix}-without-code", "The code always comes.")
    wrong = {case: WRONG_CODES[case] for case in ("five-digits", "seven-digits", "number")}
    code.add_each_wrong(f"{prefix}-code", "The code is six digits, as a string.", wrong)
    add_wrong_payloads(suite, message, f"{prefix}-payload")
    _add_text_variables(suite, prefix, message, flow)
    _add_context_variables(suite, prefix, message, flow)
    for variable in ("inviter", "x", "ip", ""):
        suite.at(message, "payload", variable).add(
            f"{prefix}-{variable or 'empty-name'}-surplus",
            "No other variable comes with a code.",
            "x",
            "additionalProperties",
        )
    add_wrong_recipients(suite, message, f"{prefix}-to", "to is an address without white space.")
    add_lengths(suite, message, prefix, longest=flow.longest or 1000, bounded=flow.longest is not None)
    add_ips(suite, message, prefix, allowed=flow.ip)
    if flow.locale == "always":
        locale = suite.at(message, "payload", "locale")
        locale.add_each(f"{prefix}-locale", "Logto knows a language of this form.", LOCALES)
        locale.add_each_wrong(f"{prefix}-locale", "No language of Logto's has this form.", WRONG_LOCALES)


def _add_text_variables(suite: Suite, prefix: str, message: Json, flow: Flow) -> None:
    """Add the variables that are strings: where they may come, where they must, where they never do."""
    comes = {"locale": flow.locale, "uiLocales": "maybe" if flow.ui_locales else "never", "link": "never"}
    for variable, when in comes.items():
        place = suite.at(message, "payload", variable)
        title = f"{prefix}-{format_slug(variable)}"
        if (variable, when, flow.locale) == ("uiLocales", "maybe", "maybe"):
            description = "uiLocales never comes without locale."
            alone = put(message, ("payload", variable), "de")
            suite.add(f"{title}-alone", description, alone, ("required", "/payload"))
            place = suite.at(put(message, ("payload", "locale"), "de"), "payload", variable)
        if when == "never":
            description = f"{variable} never comes with this type."
            place.add(f"{title}-surplus", description, "en", "additionalProperties")
            continue
        always = when == "always"
        place.add(f"{title}-string", f"{variable} may come.", "de")
        wrong = {case: NO_STRINGS[case] for case in ("number", "null")}
        place.add_each(title, f"{variable} is a string.", wrong, "type")
        if always:
            place.add_without(f"{title}-missing", f"{variable} always comes.")
        description = f"{variable} is left out rather than empty."
        place.add(f"{title}-empty", description, "", "pattern" if always else "minLength")
        if not always:
            place.add(f"{title}-one-character", f"{variable} is any text here.", "<")


def _add_context_variables(suite: Suite, prefix: str, message: Json, flow: Flow) -> None:
    """Add the variables that are objects: where they may come and where they never do."""
    for variable, value in CONTEXT.items():
        place = suite.at(message, "payload", variable)
        title = f"{prefix}-{variable}"
        if variable not in flow.context:
            description = f"{variable} never comes with this type."
            place.add(f"{title}-surplus", description, value, "additionalProperties")
            continue
        if variable == "application" and flow.context == ACCOUNT:
            description = "One failed look-up drops both, so application never comes without user."
            alone = put(message, ("payload", variable), value)
            suite.add(f"{title}-without-user", description, alone, ("required", "/payload"))
            with_user = put(message, ("payload", "user"), CONTEXT["user"])
            place = suite.at(with_user, "payload", variable)
        place.add(f"{title}-alone", f"{variable} may come.", value)
        wrong = {case: NO_OBJECTS[case] for case in ("null", "string")}
        place.add_each(title, f"{variable} is an object where it comes.", wrong, "type")


def _add_texts(suite: Suite) -> None:
    suite.group = "Messages that depend on how JSON text is read"
    if FLOWS[suite.revision]["SignIn"].ui_locales:
        suite.add_text(
            "surrogate-in-ui-locales",
            "A lone surrogate arrives as an escape.",
            '{"to":"a@b.c","type":"SignIn","payload":{"code":"123456","locale":"en","uiLocales":"\\ud800"}}',
            difficulty="surrogate",
        )
    suite.add_text(
        "surrogate-in-code",
        "A lone surrogate is no digit.",
        '{"to":"a@b.c","type":"Generic","payload":{"code":"12345\\ud800"}}',
        ("pattern", "/payload/code"),
        difficulty="surrogate",
    )
    suite.add_text(
        "proto-beside-code",
        "No variable named __proto__ beside a code.",
        '{"to":"a@b.c","type":"Generic","payload":{"code":"123456","__proto__":"x"}}',
        ("additionalProperties", "/payload"),
    )
    suite.add_text(
        "proto-extra-member",
        "No member named __proto__.",
        '{"to":"a@b.c","type":"Generic","payload":{"code":"123456"},"__proto__":{}}',
        ("additionalProperties", ""),
    )
    suite.add_text(
        "duplicate-code-good-then-bad",
        "The last of duplicate keys counts.",
        '{"to":"a@b.c","type":"Generic","payload":{"code":"123456","code":"1"}}',
        ("pattern", "/payload/code"),
        difficulty="duplicate",
    )
