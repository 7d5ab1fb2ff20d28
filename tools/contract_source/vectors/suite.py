"""Collects the vectors of one schema."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..files import Json

Error = tuple[str, str]
"""The keyword that refuses a message, and the JSON pointer to what it refuses."""


def format_slug(name: str) -> str:
    """Return ``name`` in lower case with hyphens: ``uiLocales`` becomes ``ui-locales``."""
    separated = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name)
    return re.sub(r"[^a-z0-9]+", "-", separated.lower()).strip("-")


def format_pointer(steps: tuple[str, ...]) -> str:
    """Return the JSON Pointer of ``steps``."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def put(message: Json, steps: tuple[str, ...], value: Any) -> Json:
    """Return a copy of ``message`` with ``value`` at ``steps``."""
    first, *rest = steps
    return message | {first: put(message.get(first, {}), (*rest,), value) if rest else value}


def drop(message: Json, steps: tuple[str, ...]) -> Json:
    """Return a copy of ``message`` without the member at ``steps``."""
    first, *rest = steps
    if rest:
        return message | {first: drop(message[first], (*rest,))}
    return {key: value for key, value in message.items() if key != first}


@dataclass
class Suite:
    """The vectors of one schema, while they are being collected.

    Attributes:
        group: The description of the group that vectors are added to.
    """

    revision: str
    layer: str
    groups: dict[str, list[Json]] = field(default_factory=dict)
    group: str = ""

    def add(self, name: str, description: str, data: Any, error: Error | None = None) -> None:
        """Add a vector whose message is a JSON value; it is valid when ``error`` is None."""
        self._add(name, description, {"about": "schema"}, {"data": data}, error)

    def add_text(
        self,
        name: str,
        description: str,
        text: str,
        error: Error | None = None,
        *,
        difficulty: str | None = None,
    ) -> None:
        """Add a vector whose message is JSON text, or text that is not JSON.

        Args:
            name: The id of the vector.
            description: What it shows.
            text: The text.
            error: What refuses the message; None if it is valid.
            difficulty: What parsers read differently: surrogate, depth, number, duplicate or syntax. None if
                every parser reads the text as JavaScript does.
        """
        about = {"about": "parser", "difficulty": difficulty} if difficulty else {"about": "schema"}
        self._add(name, description, about, {"text": text}, error)

    def at(self, message: Json, *steps: str) -> Place:
        """Return a place in ``message`` for vectors that differ there."""
        return Place(self, message, steps)

    def build(self) -> list[Json]:
        """Return the file's content."""
        reference = {"$ref": f"urn:logto-mail-contract:schema:{self.revision}:{self.layer}"}
        return [
            {"description": description, "schema": reference, "tests": tests}
            for description, tests in self.groups.items()
        ]

    def _add(self, name: str, description: str, about: Json, message: Json, error: Error | None) -> None:
        expected = {} if error is None else {"keyword": error[0], "pointer": error[1]}
        self.groups.setdefault(self.group, []).append(
            {"id": name, "description": description, **about, "valid": error is None} | message | expected
        )


@dataclass(frozen=True)
class Place:
    """One place in a message; the vectors differ in the value there.

    Attributes:
        message: A valid message.
        steps: The names of the members down to the place.
    """

    suite: Suite
    message: Json
    steps: tuple[str, ...]

    def add(self, name: str, description: str, value: Any, keyword: str | None = None) -> None:
        """Add a vector with ``value`` at the place; it is valid when ``keyword`` is None."""
        # Schemas refuse a surplus member at the object that holds it.
        steps = self.steps[:-1] if keyword == "additionalProperties" else self.steps
        error = None if keyword is None else (keyword, format_pointer(steps))
        self.suite.add(name, description, put(self.message, self.steps, value), error)

    def add_each(
        self, prefix: str, description: str, values: Mapping[str, Any], keyword: str | None = None
    ) -> None:
        """Add a vector for each of ``values``, which are named by what follows ``prefix``."""
        for name, value in values.items():
            self.add(f"{prefix}-{name}", description, value, keyword)

    def add_each_wrong(
        self, prefix: str, description: str, values: Mapping[str, tuple[Any, str | None]]
    ) -> None:
        """Add a vector for each of ``values``, which are pairs of a value and a keyword."""
        for name, (value, keyword) in values.items():
            self.add(f"{prefix}-{name}", description, value, keyword)

    def add_without(self, name: str, description: str, *, required: bool = True) -> None:
        """Add a vector whose message lacks the member."""
        error = ("required", format_pointer(self.steps[:-1])) if required else None
        self.suite.add(name, description, drop(self.message, self.steps), error)
