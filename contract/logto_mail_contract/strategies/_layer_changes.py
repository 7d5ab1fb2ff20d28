"""The mistakes that a message of each layer can have."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from .. import catalogue
from ._changes import TYPES_BUT, WRONG, Change, Changes, drop_at, format_slug
from ._context import BRANDING_KEYS
from ._revisions import has_ip, read_typed_variables, read_types
from ._text_changes import BROKEN_TEXTS, append, write_always

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@cache
def collect_changes(revision: str, layer: str) -> Mapping[str, Change]:
    changes = Changes(revision, layer)
    for name, (rule, write) in BROKEN_TEXTS.items():
        changes.add(name, rule, "", write=write)
    for wrong in TYPES_BUT["object"]:
        changes.add(f"message-{wrong}", "object", "", write=write_always(json.dumps(WRONG[wrong])))
    changes.add("message-in-array", "object", "", write=lambda text: f"[{text}}}]")
    for member in ("to", "type", "payload"):
        write = append(f',"{member}":null}}')
        changes.add(f"{member}-twice-last-null", member, f"/{member}", write=write)
    changes.add("to-twice-escaped", "to", "/to", write=append(',"\\u0074o":0}'))
    changes.add_member(("to",), "to", "string", required=True)
    changes.add_member(("payload",), "payload", "object", required=True)
    _add_type_changes(changes)
    if layer == "guard":
        _add_guard_changes(changes)
    elif layer == "emitted":
        _add_emitted_changes(changes)
    else:
        _add_documented_changes(changes)
    return changes.all


def _add_type_changes(changes: Changes) -> None:
    changes.add("type-missing", "type", "", edit=drop_at(("type",), changes.layer))
    values = {wrong: WRONG[wrong] for wrong in TYPES_BUT["string"]}
    values |= {"unknown": "NewTemplate", "empty": "", "wrong-case": "signIn", "space": "SignIn "}
    known = {kind for revision in catalogue.revisions() for kind in read_types(revision, "guard")}
    # The template types of other revisions are the most likely mistakes.
    values |= {
        f"of-another-revision-{format_slug(kind).strip('-')}": kind for kind in known - set(changes.kinds)
    }
    for name, value in sorted(values.items()):
        changes.add_value(("type",), f"type-{name}", "type", value)


def _add_guard_changes(changes: Changes) -> None:
    for variable in read_typed_variables(changes.revision):
        changes.add_member(("payload", variable), format_slug(variable), "string")
    if changes.revision == catalogue.revisions()[0]:
        for variable in ("foo", "application", "user", "constructor"):
            changes.add_member(("payload", variable), "values", "string")
        # Later revisions have a rule for each of these variables.
        changes.add_member(("payload", "locale"), "locale", "string")
        changes.add_member(("payload", "uiLocales"), "ui-locales", "string")
    if has_ip(changes.revision):
        changes.add_member(("ip",), "ip", "string")


_INVITATION = "OrganizationInvitation"
_WRONG_ADDRESSES = {
    "empty": "",
    "without-at": "example.com",
    "without-dot": "foo@example",
    "without-name": "@a.test",
    "without-host": "foo@.com",
    "ending-in-dot": "foo@example.",
    "phone-number": "15550001",
    "space": "foo @example.com",
    "line-break": "foo@example.com\n",
    "no-break-space": "f\u00a0o@a.test",
    "header": "foo@example.com\r\nBcc: bar@example.org",
    "line-separator": "foo@example.com\u2028",
}
_WRONG_CODE_ADDRESSES = {"nul": "f\0o@example.com", "surrogate": "f\ud800o@example.com"}
_WRONG_INVITED = {
    "display-name": "Foo<foo@example.com>",
    "markup": '"><svg/onload=1>@example.com',
    "list": "foo@example.com,bar@example.org",
    "two-dots": "foo..bar@example.com",
    "leading-dot": ".foo@example.com",
    "accent": "f\u00f6\u00f6@example.com",
    "accent-in-domain": "foo@b\u00fccher.example",
}
_WRONG_LOCALES = {
    "empty": "",
    "three-letters": "tlh",
    "upper-case": "FR",
    "lower-case-region": "pt-br",
    "script": "zh-Hans-CN",
    "underscore": "pt_BR",
    "sentence": "not a language",
    "list": "fr-CA,fr;q=0.9",
    "line-break": "en\n",
}
_WRONG_IDS = {
    "empty": "",
    "blank": "foo bar",
    "punctuation": "foo.bar",
    "url": "https://a.b",
    "line-break": "foo\n",
    "surrogate": "\ud800",
}
_WRONG_URLS = {
    "empty": "",
    "path": "/logo.png",
    "no-scheme": "www.example.com/logo.png",
    "sentence": "not a url",
    "no-host": "https://",
    "blank-in-host": "https://exa mple.com/logo.png",
    "port": "https://example.com:http/",
    "nul": "https://example.com/\0",
    "surrogate": "https://example.com/\ud800",
}
# What PostgreSQL does not store.
_NOT_STORED = {"nul": "foo\0@", "surrogate": "foo\ud800@"}
_WRONG_CODES = {
    "short": "12345",
    "long": "1234567",
    "empty": "",
    "letters": "12345a",
    "space": " 12345",
    "line-break": "123456\n",
    "sign": "-12345",
    "hyphen": "123-456",
    "other-digits": "\uff11\uff12\uff13\uff14\uff15\uff16",
}


def _add_emitted_changes(changes: Changes) -> None:
    first = changes.revision == catalogue.revisions()[0]
    code_flows = tuple(kind for kind in changes.kinds if kind != _INVITATION)
    capped = tuple(kind for kind in code_flows if kind != "Generic")
    for name, value in _WRONG_ADDRESSES.items():
        changes.add_value(("to",), f"to-{name}", "to", value)
    for name, length, kinds in (
        ("to-too-long", 117, capped),
        ("to-too-long-invitation", 245, (_INVITATION,)),
    ):
        changes.add_value(("to",), name, "to", f"{'x' * length}@example.com", kinds=kinds)
    changes.add_values(("to",), "to", "to", _WRONG_CODE_ADDRESSES, kinds=capped)
    changes.add_values(("to",), "to-invitation", "to", _WRONG_INVITED, kinds=(_INVITATION,))
    changes.add_value(("foo",), "unknown-member", "object", None, at="")
    _add_code_changes(changes, code_flows)
    _add_variable_changes(changes, code_flows, strings_only=first)
    if not first:
        _add_context_changes(changes)
    if "uiLocales" not in read_typed_variables(changes.revision):
        _add_surplus(changes, "ui-locales-too-early", "uiLocales", "en", code_flows)
    if not has_ip(changes.revision):
        changes.add_value(("ip",), "ip-too-early", "object", "::1", at="")
        return
    account = ("UserPermissionValidation", "BindNewIdentifier")
    elsewhere = tuple(kind for kind in changes.kinds if kind not in account)
    changes.add_member(("ip",), "ip", "string", kinds=elsewhere)
    changes.add_value(("ip",), "ip-empty", "ip", "", kinds=elsewhere)
    changes.add_value(("ip",), "ip-in-account-flow", "ip", "::1", kinds=account)


def _add_code_changes(changes: Changes, code_flows: tuple[str, ...]) -> None:
    code = ("payload", "code")
    changes.add_member(code, "code", "string", required=True, kinds=code_flows)
    for name, value in _WRONG_CODES.items():
        changes.add_value(code, f"code-{name}", "code", value, kinds=code_flows)


def _add_variable_changes(changes: Changes, code_flows: tuple[str, ...], *, strings_only: bool) -> None:
    """Add unknown variables, and wrong JSON types of the variables that the guard names."""
    unknown = {"unknown-variable": "foo", "link-in-code-flow": "link", "inviter-in-code-flow": "inviter"}
    for name, variable in unknown.items():
        _add_surplus(changes, name, variable, "foo", code_flows)
    _add_surplus(changes, "variable-proto", "__proto__", "foo", (_INVITATION,))
    for variable in read_typed_variables(changes.revision):
        if variable != "code":
            kinds = (_INVITATION,) if variable == "link" or strings_only else None
            changes.add_member(("payload", variable), format_slug(variable), "string", kinds=kinds)
    for wrong in TYPES_BUT["string"]:
        name = f"invitation-code-{wrong}"
        changes.add_value(("payload", "code"), name, "code", WRONG[wrong], kinds=(_INVITATION,))
    if strings_only:
        changes.add_member(("payload", "foo"), "values", "string", kinds=(_INVITATION,))
        _add_surplus(changes, "locale-too-early", "locale", "en", code_flows)


def _add_surplus(changes: Changes, name: str, variable: str, value: Any, kinds: Collection[str]) -> None:
    """Add a variable that never comes with these template types."""
    changes.add_value(("payload", variable), name, "values", value, at="/payload", kinds=kinds)


def _add_context_changes(changes: Changes) -> None:
    visitor = ("SignIn", "Register", "ForgotPassword", "MfaVerification")
    account = ["UserPermissionValidation", "BindNewIdentifier", "BindMfa"]
    both = ["BindMfa"] if "BindMfa" in changes.kinds else []
    both += ["BindNewIdentifier"] if changes.revision == "1.31" else []
    flows = (*visitor, *account)
    _add_language_changes(changes, flows)
    long = {"id": 22, "name": 257, "displayName": 257}
    _add_object_changes(changes, "application", flows, ("id", "name"), ("displayName",), long)
    for key in ("name", "displayName"):
        empty = {"empty": ""} | _NOT_STORED
        _add_member_values(changes, ("application", key), empty, flows)
    row = ("payload", "application", "branding")
    changes.add(
        "application-display-name-without-branding",
        "application",
        "/payload/application",
        kinds=flows,
        edit=drop_at(row, changes.layer),
    )
    alone = [kind for kind in ("UserPermissionValidation", "BindNewIdentifier") if kind not in both]
    changes.add(
        "application-without-user",
        "user",
        "/payload",
        kinds=alone,
        edit=drop_at(("payload", "user"), changes.layer, {"application": {"id": "foo", "name": "Foo"}}),
    )
    long = {"id": 22, "name": 129}
    _add_object_changes(changes, "organization", (*visitor, *both), ("id", "name", "branding"), (), long)
    _add_member_values(changes, ("organization", "name"), {"empty": ""} | _NOT_STORED, (*visitor, *both))
    for variable, kinds in (("application", flows), ("organization", (*visitor, *both))):
        _add_branding_changes(changes, variable, kinds)
        _add_member_values(changes, (variable, "id"), _WRONG_IDS, kinds)
        _add_member_values(changes, (variable, "branding", "logoUrl"), _WRONG_URLS, kinds)
        changes.add_value(
            ("payload", variable, "branding", "foo"),
            f"{variable}-branding-unknown-member",
            variable,
            "foo",
            at=f"/payload/{variable}/branding",
            kinds=kinds,
        )
    limits = {"id": 13, "avatar": 2049, "name": 129}
    required = ("id", "avatar", "name", "primaryEmail", "primaryPhone", "username", "profile")
    _add_object_changes(changes, "user", account, required, (), limits)
    odd = {
        "id": _WRONG_IDS,
        "name": {"empty": ""} | _NOT_STORED,
        "avatar": {"empty": ""} | _NOT_STORED,
        "primaryEmail": {"empty": "", "without-at": "example.com", "too-long": "@" * 129} | _NOT_STORED,
        "primaryPhone": {"plus": "+15550001", "empty": "", "too-long": "1" * 129},
        "username": {"digit-first": "1foo", "hyphen": "foo-bar", "empty": "", "too-long": "x" * 129},
    }
    for key, values in odd.items():
        _add_member_values(changes, ("user", key), values, account)
    _add_member_values(changes, ("user", "profile", "nickname"), _NOT_STORED, account)
    _add_member_values(changes, ("user", "profile", "address", "country"), _NOT_STORED, account)
    for path in (("payload", "user", "profile"), ("payload", "user", "profile", "address")):
        name = f"{'-'.join(path[1:])}-unknown-member"
        changes.add_value((*path, "foo"), name, "user", "foo", at="/" + "/".join(path), kinds=account)
    for key in ("nickname", "website"):
        changes.add_member(("payload", "user", "profile", key), "user", "string", kinds=account)
    changes.add_member(("payload", "user", "profile", "address"), "user", "object", kinds=account)
    changes.add_member(("payload", "user", "profile", "address", "country"), "user", "string", kinds=account)
    _add_surplus(changes, "user-in-visitor-flow", "user", {}, visitor)
    _add_surplus(changes, "application-in-generic", "application", {}, ("Generic",))
    _add_surplus(changes, "user-in-generic", "user", {}, ("Generic",))
    _add_surplus(changes, "organization-in-account-flow", "organization", {}, alone)


def _add_language_changes(changes: Changes, flows: Collection[str]) -> None:
    locale = ("payload", "locale")
    parent = "/payload"
    changes.add("locale-missing", "locale", parent, kinds=flows, edit=drop_at(locale, changes.layer))
    changes.add_values(locale, "locale", "locale", _WRONG_LOCALES, kinds=flows)
    changes.add_value(locale, "locale-empty-in-generic", "locale", "", kinds=("Generic",))
    if "uiLocales" in read_typed_variables(changes.revision):
        kinds = (*flows, "Generic")
        changes.add_value(("payload", "uiLocales"), "ui-locales-empty", "ui-locales", "", kinds=flows)
        without = drop_at(locale, changes.layer, {"uiLocales": "de"})
        changes.add("ui-locales-without-locale", "locale", parent, kinds=kinds, edit=without)


def _add_member_values(
    changes: Changes, path: tuple[str, ...], values: Mapping[str, Any], kinds: Collection[str]
) -> None:
    """Add wrong values of a member of a context variable, whose path begins with the variable."""
    name = "-".join(format_slug(key) for key in path)
    changes.add_values(("payload", *path), name, path[0], values, kinds=kinds)


def _add_object_changes(
    changes: Changes,
    variable: str,
    kinds: Collection[str],
    required: tuple[str, ...],
    optional: tuple[str, ...],
    too_long: Mapping[str, int],
) -> None:
    """Add mistakes in a closed context variable: its members, their limits, and an unknown member."""
    changes.add_member(("payload", variable), variable, "object", kinds=kinds)
    nullable = (
        "avatar",
        "primaryEmail",
        "primaryPhone",
        "username",
        *(["name"] if variable == "user" else ()),
    )
    for key in (*required, *optional):
        types = (
            "object" if key in ("branding", "profile") else "string-or-null" if key in nullable else "string"
        )
        changes.add_member(("payload", variable, key), variable, types, required=key in required, kinds=kinds)
    for key, length in too_long.items():
        name = f"{variable}-{format_slug(key)}-too-long"
        changes.add_value(("payload", variable, key), name, variable, "x" * length, kinds=kinds)
    changes.add_value(
        ("payload", variable, "foo"),
        f"{variable}-unknown-member",
        variable,
        "foo",
        at=f"/payload/{variable}",
        kinds=kinds,
    )


def _add_branding_changes(changes: Changes, variable: str, kinds: Collection[str]) -> None:
    changes.add_member(("payload", variable, "branding"), variable, "object", kinds=kinds)
    for key in BRANDING_KEYS:
        changes.add_member(("payload", variable, "branding", key), variable, "string", kinds=kinds)


def _add_documented_changes(changes: Changes) -> None:
    visitor = ("SignIn", "Register", "ForgotPassword", "MfaVerification")
    account = ("UserPermissionValidation", "BindNewIdentifier", "BindMfa")
    invited = (_INVITATION,)
    code_flows = tuple(kind for kind in changes.kinds if kind != _INVITATION)
    changes.add_member(("ip",), "ip", "string")
    changes.add_member(("payload", "code"), "code", "string", required=True, kinds=code_flows)
    changes.add_member(("payload", "link"), "link", "string", required=True, kinds=invited)
    for variable in ("locale", "uiLocales"):
        changes.add_member(("payload", variable), format_slug(variable), "string")
    holders = {
        "application": (*visitor, *account),
        "organization": (*visitor, _INVITATION),
        "user": account,
        "inviter": invited,
    }
    promised = {"application": visitor, "organization": invited, "user": account}
    for variable, kinds in holders.items():
        changes.add_member(("payload", variable), variable, "object", kinds=kinds)
        if variable in promised:
            edit = drop_at(("payload", variable), changes.layer)
            changes.add(f"{variable}-missing", variable, "/payload", kinds=promised[variable], edit=edit)
        person = variable in ("user", "inviter")
        changes.add_member(("payload", variable, "id"), variable, "string", required=True, kinds=kinds)
        changes.add_member(
            ("payload", variable, "name"), variable, "string", required=not person, kinds=kinds
        )
        if person:
            for key in ("username", "primaryEmail", "primaryPhone", "avatar"):
                changes.add_member(("payload", variable, key), variable, "string", kinds=kinds)
            changes.add_member(("payload", variable, "profile"), variable, "object", kinds=kinds)
        else:
            _add_branding_changes(changes, variable, kinds)
        if variable == "application":
            changes.add_member(("payload", variable, "displayName"), variable, "string", kinds=kinds)
