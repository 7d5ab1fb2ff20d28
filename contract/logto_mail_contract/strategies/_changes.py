"""Collects the changes of one revision and layer that each make one mistake."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ._revisions import read_types

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping


@dataclass(frozen=True, slots=True)
class Change:
    """How to make one mistake.

    Attributes:
        rule: The end of the id of the rule that fails; it begins with ``text/`` for a rule of texts.
        pointer: The JSON pointer of the finding.
        kinds: The template types that can have the mistake.
        edit: Changes a message in place.
        write: Used instead of ``edit``: returns the text, given the text of a message without its last brace.
    """

    rule: str
    pointer: str
    kinds: tuple[str, ...]
    edit: Callable[[dict[str, Any]], None] | None = None
    write: Callable[[str], str] | None = None


WRONG: Mapping[str, Any] = {
    "null": None,
    "boolean": True,
    "number": 0,
    "string": "foo",
    "array": [],
    "object": {},
}
TYPES_BUT: Mapping[str, tuple[str, ...]] = {
    kind: tuple(name for name in WRONG if name not in kind.split("-or-"))
    for kind in ("string", "string-or-null", "object")
}
ALWAYS_WITH_USER = ("UserPermissionValidation", "BindNewIdentifier")
# Valid context variables, in which one member is then changed.
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


def _make_sample(variable: str, layer: str) -> dict[str, Any]:
    sample = _SAMPLES["user" if variable == "inviter" else variable]
    if layer == "documented":
        sample = {key: value for key, value in sample.items() if value is not None}
    # Copy it deeply: the message must own what it holds.
    return cast("dict[str, Any]", json.loads(json.dumps(sample)))


def _put_at(path: tuple[str, ...], value: Any, layer: str) -> Callable[[dict[str, Any]], None]:
    def edit(message: dict[str, Any]) -> None:
        _find_place(message, path, layer)[path[-1]] = json.loads(json.dumps(value))

    return edit


def drop_at(
    path: tuple[str, ...], layer: str, beside: Mapping[str, Any] | None = None
) -> Callable[[dict[str, Any]], None]:
    """Return a change that drops a member; ``beside`` are variables that it puts into the payload first."""

    def edit(message: dict[str, Any]) -> None:
        for variable, value in (beside or {}).items():
            _put_at(("payload", variable), value, layer)(message)
        _find_place(message, path, layer).pop(path[-1], None)

    return edit


def _find_place(message: dict[str, Any], path: tuple[str, ...], layer: str) -> dict[str, Any]:
    """Return the object that holds the last member of a path; valid objects replace missing ones."""
    if layer == "emitted" and path[1:2] == ("application",) and message["type"] in ALWAYS_WITH_USER:
        # Without a user, application would be a mistake of its own.
        message["payload"].setdefault("user", _make_sample("user", layer))
    place = message
    for depth, key in enumerate(path[:-1]):
        if depth == 1:
            # The variable in the message may have any value. Replace it, so that the mistake is the only one.
            place[key] = _make_sample(key, layer)
        place = place.setdefault(key, {})
    return place


def format_slug(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)


class Changes:
    """Collects the changes of one revision and layer by their names."""

    def __init__(self, revision: str, layer: str) -> None:
        self.revision = revision
        self.layer = layer
        self.kinds = read_types(revision, layer)
        self.all: dict[str, Change] = {}

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
            self.all[name] = Change(rule, pointer, chosen, edit, write)

    def add_member(
        self,
        path: tuple[str, ...],
        rule: str,
        types: str,
        *,
        required: bool = False,
        kinds: Collection[str] | None = None,
    ) -> None:
        """Add the absence of a member, if it is required, and each wrong JSON type."""
        words = path[1:] if len(path) > 1 else path
        name = "-".join(format_slug(word) for word in words)
        if required:
            parent = "".join(f"/{key}" for key in path[:-1])
            self.add(f"{name}-missing", rule, parent, kinds=kinds, edit=drop_at(path, self.layer))
        for wrong in TYPES_BUT[types]:
            self.add_value(path, f"{name}-{wrong}", rule, WRONG[wrong], kinds=kinds)

    def add_value(
        self,
        path: tuple[str, ...],
        name: str,
        rule: str,
        value: Any,
        *,
        at: str | None = None,
        kinds: Collection[str] | None = None,
    ) -> None:
        """Add a wrong value of a member; ``at`` is the pointer of the finding, if it is not the member's."""
        pointer = "".join(f"/{key}" for key in path) if at is None else at
        self.add(name, rule, pointer, kinds=kinds, edit=_put_at(path, value, self.layer))

    def add_values(
        self,
        path: tuple[str, ...],
        prefix: str,
        rule: str,
        values: Mapping[str, Any],
        *,
        kinds: Collection[str] | None = None,
    ) -> None:
        """Add wrong values of a member, which are named by what follows ``prefix``."""
        for name, value in values.items():
            self.add_value(path, f"{prefix}-{name}", rule, value, kinds=kinds)
