"""Compares what core fills into a message with the emitted layer: keys, longest texts, languages.

Core is not on npm. The package ``@logto/schemas`` holds the tables that core reads these values from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logto_mail_contract.catalogue import current_revision, schema
from logto_mail_contract.judging.validation import validate

from .changes import CONTEXT, EMITTED, FACTS, VARIABLES, Change, format_message, make_message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_PROBE = 4096


def compare_context(facts: Mapping[str, Any]) -> Iterator[Change]:
    """Yield the differences of keys, longest texts and languages."""
    for name, keys in facts["keys"].items():
        yield from _compare_keys(name, keys)
    for place, text in facts["texts"].items():
        yield from _compare_text(place, text)
    yield from _compare_languages(facts["languages"])


def _make_unreadable(what: str) -> Change:
    return Change(
        f"{what}: @logto/schemas no longer states it",
        "states it in a form that is not known here",
        "rests on it",
        "",
        (FACTS,),
    )


def _list_known_keys(name: str) -> set[str]:
    definitions = schema(current_revision(), "emitted")["$defs"]
    if name != "Address":
        return set(definitions[name]["properties"])
    address = definitions["Profile"]["properties"]["address"]
    return set(
        definitions[address["$ref"].rpartition("/")[2]] if "$ref" in address else address["properties"]
    )


def _make_account_message(**user: Any) -> dict[str, Any]:
    return make_message(
        "UserPermissionValidation", code="031415", locale="en", user={**VARIABLES["user"], **user}
    )


def _compare_keys(name: str, keys: list[str] | None) -> Iterator[Change]:
    if keys is None:
        yield _make_unreadable(f"the keys of {name}")
        return
    known = _list_known_keys(name)
    for key in sorted(known ^ set(keys)):
        value = {key: "https://example.com/x" if name == "Branding" else "x"}
        messages = {
            "Profile": lambda value=value: _make_account_message(profile=value),
            "Address": lambda value=value: _make_account_message(profile={"address": value}),
            "Branding": lambda value=value: make_message(
                "SignIn",
                code="031415",
                locale="en",
                organization={**VARIABLES["organization"], "branding": value},
            ),
        }
        is_new = key in keys
        yield Change(
            f"key {key} of {name} is {'new' if is_new else 'gone'}",
            f"stores {', '.join(keys)}",
            "does not know the key" if is_new else "still knows the key",
            format_message(messages[name]()),
            (CONTEXT,),
        )


def _make_text_message(place: str, text: str | None) -> dict[str, Any]:
    table, _, column = place.partition(".")
    if column in ("primaryEmail", "email", "invitee") and text:
        ending = "@example.com"
        text = text[: -len(ending)] + ending
    if column == "primaryPhone" and text:
        text = "1" * len(text)
    if column == "code" and text:
        text = "0" * len(text)
    code = {"code": "031415"}
    if table == "User":
        return _make_account_message(**{column: text})
    if table == "Passcode":
        message = make_message("Generic", **{**code, **({"code": text} if column == "code" else {})})
        return message if column == "code" else {**make_message("SignIn", **code, locale="en"), "to": text}
    if table == "OrganizationInvitation":
        return {**make_message(table), "to": text}
    if table == "Organization":
        organization = {**VARIABLES["organization"], column: text}
        return make_message("SignIn", **code, locale="en", organization=organization)
    application = {**VARIABLES["application"], column: text}
    return make_message("SignIn", **code, locale="en", application=application)


def _compare_text(place: str, text: dict[str, Any] | None) -> Iterator[Change]:
    if text is None:
        yield _make_unreadable(f"the column {place}")
        return
    values: list[tuple[str | None, bool]] = [("x" * (text["longest"] or MAX_PROBE), True)]
    if text["longest"]:
        values.append(("x" * (text["longest"] + 1), False))
    # Core leaves out what is null elsewhere; a user has every key.
    if place.startswith("User."):
        values.append((None, text["nullable"]))
    for value, is_stored in values:
        message = _make_text_message(place, value)
        if (not validate(message, layer="emitted")) == is_stored:
            continue
        shown = "null" if value is None else f"{len(value)} characters"
        yield Change(
            f"{place} holds {'' if is_stored else 'no '}{shown}",
            f"stores {'null and ' if text['nullable'] else ''}at most {text['longest']} characters",
            f"{'refuses' if is_stored else 'accepts'} {shown}",
            format_message(message),
            (CONTEXT, EMITTED),
        )


def _compare_languages(languages: list[str] | None) -> Iterator[Change]:
    if languages is None:
        yield _make_unreadable("the list of languages")
        return
    for language in languages:
        message = make_message("SignIn", code="031415", locale=language)
        if validate(message, layer="emitted"):
            yield Change(
                f"language {language} is no tag that the contract knows",
                "speaks it",
                "refuses it as locale",
                format_message(message),
                (EMITTED, "contract/logto_mail_contract/strategies/"),
            )
