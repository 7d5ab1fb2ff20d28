"""Messages with one mistake: every mistake has a name, a rule that it breaks, and a place."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from hypothesis import strategies as st

from .. import catalogue
from ..judging.javascript_json import stringify
from ._messages import (
    BRANDING_KEYS,
    choose_names,
    kinds_of,
    knows_ip,
    messages_of,
    resolve,
    shortest,
    typed_variables,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from hypothesis.strategies import DrawFn, SearchStrategy


@dataclass(frozen=True, slots=True)
class Mutation:
    """A message that was valid, and the one change that made it invalid.

    Attributes:
        name: The change, a stable slug such as ``code-number``.
        text: The JSON text, or what was one: what to post as the body.
        message: The value of the text; None where the text is not JSON, is no object, has duplicate keys, or
            is nested too deep.
        rule: The id of the one rule that ``validate`` says is broken.
        pointer: The JSON pointer of the place, ``""`` for the message as a whole.
    """

    name: str
    text: str
    message: dict[str, Any] | None
    rule: str
    pointer: str


@dataclass(frozen=True, slots=True)
class _Change:
    """How to make one mistake.

    Attributes:
        rule: The last part of the rule's id; with ``text/`` before it, a rule of texts.
        pointer: Where the finding stands.
        edit: Changes a message in place.
        write: Makes the text in place of ``edit``, of the text of a message without its last brace.
        kinds: The template types that it can be made with.
    """

    rule: str
    pointer: str
    kinds: tuple[str, ...]
    edit: Callable[[dict[str, Any]], None] | None = None
    write: Callable[[str], str] | None = None


_WRONG: Mapping[str, Any] = {
    "null": None,
    "boolean": True,
    "number": 0,
    "string": "foo",
    "array": [],
    "object": {},
}
_TYPES_BUT: Mapping[str, tuple[str, ...]] = {
    kind: tuple(name for name in _WRONG if name not in kind.split("-or-"))
    for kind in ("string", "string-or-null", "object")
}

# What a context variable is like before it is broken.
_SAMPLES: Mapping[str, dict[str, Any]] = {
    "application": {"id": "foo", "name": "Foo", "branding": {}, "displayName": "Foo"},
    "organization": {"id": "foo", "name": "Foo", "branding": {}},
    "user": {
        "id": "foo",
        "avatar": None,
        "name": None,
        "primaryEmail": None,
        "primaryPhone": None,
        "username": None,
        "profile": {},
    },
}


def _sample(variable: str, layer: str) -> dict[str, Any]:
    sample = _SAMPLES["user" if variable == "inviter" else variable]
    if layer == "documented":
        sample = {key: value for key, value in sample.items() if value is not None}
    # Brought along as text, for what is inside must be the message's own.
    return cast("dict[str, Any]", json.loads(json.dumps(sample)))


def _at(path: tuple[str, ...], value: Any, layer: str) -> Callable[[dict[str, Any]], None]:
    def edit(message: dict[str, Any]) -> None:
        _place(message, path, layer)[path[-1]] = json.loads(json.dumps(value))

    return edit


def _without(path: tuple[str, ...], layer: str) -> Callable[[dict[str, Any]], None]:
    def edit(message: dict[str, Any]) -> None:
        _place(message, path, layer).pop(path[-1], None)

    return edit


def _place(message: dict[str, Any], path: tuple[str, ...], layer: str) -> dict[str, Any]:
    """Return the object that holds the end of a path, with valid objects where the message has none."""
    place = message
    for depth, key in enumerate(path[:-1]):
        if depth == 1:
            # A variable of the message may be odd in a way that the change would not cure: begin anew.
            place[key] = _sample(key, layer)
        place = place.setdefault(key, {})
    return place


def _slug(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)


class _Changes:
    """Collects the changes of one revision and layer by their names."""

    def __init__(self, revision: str, layer: str) -> None:
        self.revision = revision
        self.layer = layer
        self.kinds = kinds_of(revision, layer)
        self.all: dict[str, _Change] = {}

    def add(
        self,
        name: str,
        rule: str,
        pointer: str,
        *,
        kinds: Collection[str] | None = None,
        edit: Callable[[dict[str, Any]], None] | None = None,
        write: Callable[[str], str] | None = None,
    ) -> None:
        chosen = self.kinds if kinds is None else tuple(kind for kind in self.kinds if kind in kinds)
        if chosen:
            self.all[name] = _Change(rule, pointer, chosen, edit, write)

    def member(
        self,
        path: tuple[str, ...],
        rule: str,
        types: str,
        *,
        required: bool = False,
        kinds: Collection[str] | None = None,
    ) -> None:
        """Add what breaks a member by its absence or its JSON type."""
        words = path[1:] if len(path) > 1 else path
        name = "-".join(_slug(word) for word in words)
        if required:
            parent = "".join(f"/{key}" for key in path[:-1])
            self.add(f"{name}-missing", rule, parent, kinds=kinds, edit=_without(path, self.layer))
        for wrong in _TYPES_BUT[types]:
            self.value(path, f"{name}-{wrong}", rule, _WRONG[wrong], kinds=kinds)

    def value(
        self,
        path: tuple[str, ...],
        name: str,
        rule: str,
        value: Any,
        *,
        at: str | None = None,
        kinds: Collection[str] | None = None,
    ) -> None:
        """Add what breaks a member by its value; ``at`` where the finding stands elsewhere."""
        pointer = "".join(f"/{key}" for key in path) if at is None else at
        self.add(name, rule, pointer, kinds=kinds, edit=_at(path, value, self.layer))


def _always(text: str) -> Callable[[str], str]:
    return lambda _: text


def _with_end(end: str) -> Callable[[str], str]:
    return lambda text: text + end


_BROKEN_TEXTS: Mapping[str, tuple[str, Callable[[str], str]]] = {
    # The text that comes in lacks its last brace.
    "text-empty": ("text/json", _always("")),
    "text-form": ("text/json", _always("to=foo%40example.com&type=SignIn")),
    "text-cut-off": ("text/json", _with_end("")),
    "text-twice": ("text/json", lambda text: f"{text}}}{text}}}"),
    "text-byte-order-mark": ("text/json", lambda text: f"\ufeff{text}}}"),
    "text-trailing-comma": ("text/json", _with_end(",}")),
    "text-comment": ("text/json", _with_end("/**/}")),
    "text-single-quotes": ("text/json", _with_end(",'foo':0}")),
    "text-bare-key": ("text/json", _with_end(",foo:0}")),
    "text-not-a-number": ("text/json", _with_end(',"foo":NaN}')),
    "text-infinity": ("text/json", _with_end(',"foo":-Infinity}')),
    "text-leading-zero": ("text/json", _with_end(',"foo":01}')),
    "text-raw-line-break": ("text/json", _with_end(',"foo":"\n"}')),
    "text-bad-escape": ("text/json", _with_end(',"foo":"\\x41"}')),
    "text-deep": ("text/depth", _with_end(f',"foo":{"[" * 600}{"]" * 600}}}')),
}


@cache
def _changes(revision: str, layer: str) -> Mapping[str, _Change]:
    changes = _Changes(revision, layer)
    for name, (rule, write) in _BROKEN_TEXTS.items():
        changes.add(name, rule, "", write=write)
    for wrong in _TYPES_BUT["object"]:
        changes.add(f"message-{wrong}", "object", "", write=_always(json.dumps(_WRONG[wrong])))
    changes.add("message-in-array", "object", "", write=lambda text: f"[{text}}}]")
    for member in ("to", "type", "payload"):
        write = _with_end(f',"{member}":null}}')
        changes.add(f"{member}-twice-last-null", member, f"/{member}", write=write)
    changes.add("to-twice-escaped", "to", "/to", write=_with_end(',"\\u0074o":0}'))
    changes.member(("to",), "to", "string", required=True)
    changes.member(("payload",), "payload", "object", required=True)
    _add_types(changes)
    if layer == "guard":
        _add_guard(changes)
    elif layer == "emitted":
        _add_emitted(changes)
    else:
        _add_documented(changes)
    return changes.all


def _add_types(changes: _Changes) -> None:
    changes.add("type-missing", "type", "", edit=_without(("type",), changes.layer))
    values = {wrong: _WRONG[wrong] for wrong in _TYPES_BUT["string"]}
    values |= {"unknown": "NewTemplate", "empty": "", "wrong-case": "signIn", "space": "SignIn "}
    known = {kind for revision in catalogue.revisions() for kind in kinds_of(revision, "guard")}
    # The names of other revisions are the mistakes that are most likely made.
    values |= {f"of-another-revision-{_slug(kind).strip('-')}": kind for kind in known - set(changes.kinds)}
    for name, value in sorted(values.items()):
        changes.value(("type",), f"type-{name}", "type", value)


def _add_guard(changes: _Changes) -> None:
    for variable in typed_variables(changes.revision):
        changes.member(("payload", variable), _slug(variable), "string")
    if changes.revision == catalogue.revisions()[0]:
        for variable in ("foo", "application", "user", "constructor"):
            changes.member(("payload", variable), "values", "string")
        # A variable that a later revision gives a rule of its own.
        changes.member(("payload", "locale"), "locale", "string")
        changes.member(("payload", "uiLocales"), "ui-locales", "string")
    if knows_ip(changes.revision):
        changes.member(("ip",), "ip", "string")


_INVITATION = "OrganizationInvitation"


def _add_emitted(changes: _Changes) -> None:
    revision = changes.revision
    first = revision == catalogue.revisions()[0]
    typed = typed_variables(revision)
    code_flows = tuple(kind for kind in changes.kinds if kind != _INVITATION)
    addresses = {
        "empty": "",
        "without-at": "example.com",
        "without-dot": "foo@example",
        "without-name": "@a.test",
    }
    addresses |= {"without-host": "foo@.com", "ending-in-dot": "foo@example.", "phone-number": "15550001"}
    addresses |= {
        "space": "foo @example.com",
        "line-break": "foo@example.com\n",
        "no-break-space": "f\u00a0o@a.test",
    }
    addresses |= {
        "header": "foo@example.com\r\nBcc: bar@example.org",
        "line-separator": "foo@example.com\u2028",
    }
    for name, value in addresses.items():
        changes.value(("to",), f"to-{name}", "to", value)
    capped = [kind for kind in code_flows if kind != "Generic"]
    changes.value(("to",), "to-too-long", "to", f"{'x' * 117}@example.com", kinds=capped)
    changes.value(("to",), "to-too-long-invitation", "to", f"{'x' * 245}@example.com", kinds=(_INVITATION,))
    changes.value(("foo",), "unknown-member", "object", None, at="")

    code = ("payload", "code")
    changes.member(code, "code", "string", required=True, kinds=code_flows)
    codes = {"short": "12345", "long": "1234567", "empty": "", "letters": "12345a", "space": " 12345"}
    codes |= {
        "line-break": "123456\n",
        "sign": "-12345",
        "hyphen": "123-456",
        "other-digits": "\uff11\uff12\uff13\uff14\uff15\uff16",
    }
    for name, value in codes.items():
        changes.value(code, f"code-{name}", "code", value, kinds=code_flows)
    unknown = {"unknown-variable": "foo", "link-in-code-flow": "link", "inviter-in-code-flow": "inviter"}
    for name, variable in unknown.items():
        changes.value(("payload", variable), name, "values", "foo", at="/payload", kinds=code_flows)
    changes.value(
        ("payload", "__proto__"), "variable-proto", "values", "foo", at="/payload", kinds=(_INVITATION,)
    )
    for variable in typed:
        if variable != "code":
            changes_of = (_INVITATION,) if variable == "link" or first else None
            changes.member(("payload", variable), _slug(variable), "string", kinds=changes_of)
    for wrong in _TYPES_BUT["string"]:
        name = f"invitation-code-{wrong}"
        changes.value(code, name, "code", _WRONG[wrong], kinds=(_INVITATION,))
    if first:
        changes.member(("payload", "foo"), "values", "string", kinds=(_INVITATION,))
        changes.value(
            ("payload", "locale"), "locale-too-early", "values", "en", at="/payload", kinds=code_flows
        )
    else:
        _add_emitted_context(changes)
    if "uiLocales" not in typed:
        changes.value(
            ("payload", "uiLocales"), "ui-locales-too-early", "values", "en", at="/payload", kinds=code_flows
        )
    if not knows_ip(revision):
        changes.value(("ip",), "ip-too-early", "object", "::1", at="")
        return
    account = ("UserPermissionValidation", "BindNewIdentifier")
    elsewhere = tuple(kind for kind in changes.kinds if kind not in account)
    changes.member(("ip",), "ip", "string", kinds=elsewhere)
    changes.value(("ip",), "ip-empty", "ip", "", kinds=elsewhere)
    changes.value(("ip",), "ip-in-account-flow", "ip", "::1", kinds=account)


def _add_emitted_context(changes: _Changes) -> None:
    visitor = ("SignIn", "Register", "ForgotPassword", "MfaVerification")
    account = ["UserPermissionValidation", "BindNewIdentifier", "BindMfa"]
    both = ["BindMfa"] if "BindMfa" in changes.kinds else []
    both += ["BindNewIdentifier"] if changes.revision == "1.31" else []
    flows = (*visitor, *account)
    locale = ("payload", "locale")
    parent = "/payload"
    changes.add("locale-missing", "locale", parent, kinds=flows, edit=_without(locale, changes.layer))
    changes.value(locale, "locale-empty", "locale", "", kinds=flows)
    long = {"id": 22, "name": 257, "displayName": 257}
    _add_object(changes, "application", flows, ("id", "name"), ("displayName",), long)
    changes.value(
        ("payload", "application", "displayName"),
        "application-display-name-empty",
        "application",
        "",
        kinds=flows,
    )
    long = {"id": 22, "name": 129}
    _add_object(changes, "organization", (*visitor, *both), ("id", "name", "branding"), (), long)
    for variable, kinds in (("application", flows), ("organization", (*visitor, *both))):
        _add_branding(changes, variable, kinds)
        changes.value(
            ("payload", variable, "branding", "foo"),
            f"{variable}-branding-unknown-member",
            variable,
            "foo",
            at=f"/payload/{variable}/branding",
            kinds=kinds,
        )
    limits = {"id": 13, "avatar": 2049, "name": 129, "primaryEmail": 129}
    required = ("id", "avatar", "name", "primaryEmail", "primaryPhone", "username", "profile")
    _add_object(changes, "user", account, required, (), limits)
    odd = {
        "primaryPhone": {"plus": "+15550001", "empty": "", "too-long": "1" * 129},
        "username": {"digit-first": "1foo", "hyphen": "foo-bar", "empty": "", "too-long": "x" * 129},
    }
    for key, values in odd.items():
        for name, value in values.items():
            changes.value(("payload", "user", key), f"user-{_slug(key)}-{name}", "user", value, kinds=account)
    for key in ("nickname", "website"):
        changes.member(("payload", "user", "profile", key), "user", "string", kinds=account)
    changes.member(("payload", "user", "profile", "address"), "user", "object", kinds=account)
    changes.member(("payload", "user", "profile", "address", "country"), "user", "string", kinds=account)
    for kinds, variable in ((visitor, "user"), (("Generic",), "application"), (("Generic",), "user")):
        changes.value(
            ("payload", variable),
            f"{variable}-in-{'generic' if kinds == ('Generic',) else 'visitor-flow'}",
            "values",
            {},
            at=parent,
            kinds=kinds,
        )
    alone = [kind for kind in account if kind not in both]
    changes.value(
        ("payload", "organization"), "organization-in-account-flow", "values", {}, at=parent, kinds=alone
    )


def _add_object(
    changes: _Changes,
    variable: str,
    kinds: Collection[str],
    required: tuple[str, ...],
    optional: tuple[str, ...],
    too_long: Mapping[str, int],
) -> None:
    """Add what breaks a context variable that is closed: its members, their limits, and one more member."""
    changes.member(("payload", variable), variable, "object", kinds=kinds)
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
        changes.member(("payload", variable, key), variable, types, required=key in required, kinds=kinds)
    for key, length in too_long.items():
        name = f"{variable}-{_slug(key)}-too-long"
        changes.value(("payload", variable, key), name, variable, "x" * length, kinds=kinds)
    changes.value(
        ("payload", variable, "foo"),
        f"{variable}-unknown-member",
        variable,
        "foo",
        at=f"/payload/{variable}",
        kinds=kinds,
    )


def _add_branding(changes: _Changes, variable: str, kinds: Collection[str]) -> None:
    changes.member(("payload", variable, "branding"), variable, "object", kinds=kinds)
    for key in BRANDING_KEYS:
        changes.member(("payload", variable, "branding", key), variable, "string", kinds=kinds)


def _add_documented(changes: _Changes) -> None:
    visitor = ("SignIn", "Register", "ForgotPassword", "MfaVerification")
    account = ("UserPermissionValidation", "BindNewIdentifier", "BindMfa")
    invited = (_INVITATION,)
    code_flows = tuple(kind for kind in changes.kinds if kind != _INVITATION)
    changes.member(("ip",), "ip", "string")
    changes.member(("payload", "code"), "code", "string", required=True, kinds=code_flows)
    changes.member(("payload", "link"), "link", "string", required=True, kinds=invited)
    for variable in ("locale", "uiLocales"):
        changes.member(("payload", variable), _slug(variable), "string")
    holders = {
        "application": (*visitor, *account),
        "organization": (*visitor, _INVITATION),
        "user": account,
        "inviter": invited,
    }
    promised = {"application": visitor, "organization": invited, "user": account}
    for variable, kinds in holders.items():
        changes.member(("payload", variable), variable, "object", kinds=kinds)
        if variable in promised:
            edit = _without(("payload", variable), changes.layer)
            changes.add(f"{variable}-missing", variable, "/payload", kinds=promised[variable], edit=edit)
        person = variable in ("user", "inviter")
        changes.member(("payload", variable, "id"), variable, "string", required=True, kinds=kinds)
        changes.member(("payload", variable, "name"), variable, "string", required=not person, kinds=kinds)
        if person:
            for key in ("username", "primaryEmail", "primaryPhone", "avatar"):
                changes.member(("payload", variable, key), variable, "string", kinds=kinds)
            changes.member(("payload", variable, "profile"), variable, "object", kinds=kinds)
        else:
            _add_branding(changes, variable, kinds)
        if variable == "application":
            changes.member(("payload", variable, "displayName"), variable, "string", kinds=kinds)


def mutation_names(
    revision: str | None = None, layer: str = "guard", types: Iterable[str] | None = None
) -> tuple[str, ...]:
    """Return the name of every mutation that a revision and layer have, in a stable order.

    Args:
        revision: A contract revision or a Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``.
        types: Only those that can be made with one of these template types.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
        ValueError: As for ``messages``.
        TypeError: One text in place of several.
    """
    resolved, kinds = resolve(revision, layer, types)
    changes = _changes(resolved, layer)
    return tuple(name for name, change in changes.items() if not set(kinds).isdisjoint(change.kinds))


def mutate(
    name: str,
    message: Mapping[str, Any] | None = None,
    revision: str | None = None,
    layer: str = "guard",
) -> Mutation:
    """Make one named mistake in a message.

    Args:
        name: One of ``mutation_names``.
        message: A message that is valid in the layer, which stays as it is; when None, the shortest one of
            the first template type that the mistake can be made with.
        revision: A contract revision or a Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
        ValueError: There is no mutation of that name, or it cannot be made with the message's template type.
    """
    resolved, _ = resolve(revision, layer)
    change = _changes(resolved, layer).get(name)
    if change is None:
        raise ValueError(
            f"Revision {resolved}, layer {layer}, has no mutation {name!r}; mutation_names tells them all"
        )
    if message is None:
        message = shortest(resolved, layer, change.kinds[0])
    elif message.get("type") not in change.kinds:
        raise ValueError(f"The mutation {name!r} is made with the template types {', '.join(change.kinds)}")
    return _mutated(name, change, message, layer)


def _mutated(name: str, change: _Change, message: Mapping[str, Any], layer: str) -> Mutation:
    rule = f"message/{change.rule if '/' in change.rule else f'{layer}/{change.rule}'}"
    text = stringify(dict(message)).decode()
    if change.write is not None:
        return Mutation(name, change.write(text[:-1]), None, rule, change.pointer)
    copy = json.loads(text)
    if change.edit is not None:
        change.edit(copy)
    return Mutation(name, stringify(copy).decode(), copy, rule, change.pointer)


def mutations(
    revision: str | None = None,
    layer: str = "guard",
    types: Iterable[str] | None = None,
    names: Iterable[str] | None = None,
) -> SearchStrategy[Mutation]:
    """Draw messages with one mistake, which ``validate`` tells in one finding.

    A receiver that holds its messages to the layer refuses them all.

    Args:
        revision: A contract revision or a Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``.
        types: Template types to draw from; all of the layer when None.
        names: Mutations to draw from, some of ``mutation_names``; all of them when None.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
        ValueError: A template type or a mutation that there is not, a mutation that none of the types has, or
            nothing left to draw from.
        TypeError: One text in place of several.
    """
    resolved, kinds = resolve(revision, layer, types)
    chosen = choose_names(names, mutation_names(resolved, layer, kinds), "mutation")
    changes = _changes(resolved, layer)
    sources = {
        name: messages_of(resolved, layer, tuple(kind for kind in kinds if kind in changes[name].kinds))
        for name in chosen
    }
    return _drawn_mutation(_Sources(resolved, layer, st.sampled_from(chosen), sources))


@dataclass(frozen=True, slots=True)
class _Sources:
    """The mutations to choose from, and the messages that each of them is made with."""

    revision: str
    layer: str
    names: SearchStrategy[str] = field(repr=False)
    messages: Mapping[str, SearchStrategy[dict[str, Any]]] = field(repr=False)


@st.composite
def _drawn_mutation(draw: DrawFn, sources: _Sources) -> Mutation:
    name = draw(sources.names)
    change = _changes(sources.revision, sources.layer)[name]
    return _mutated(name, change, draw(sources.messages[name]), sources.layer)
