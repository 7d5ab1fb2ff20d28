"""What generated code made of messages: refused, read with or without loss."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tests.schemas.contract_files import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.receiver_messages import Message

CONTEXT = ("application", "organization", "user", "inviter")
RECEIVER = load("receiver.schema.json")
_ABSENT = object()


class Loss(StrEnum):
    """A difference between a message and what the code writes of it."""

    NAMED = "members of the schema left out"
    UNNAMED = "members without a name in the schema left out"
    NULL = "`null` of a member of the schema left out"
    ADDED = "absent members written as `null`"
    CHANGED = "values changed"


@dataclass(frozen=True)
class Reading:
    """What the code made of one message: ``refused`` says why, or ``context`` and ``encoded`` are there."""

    message: Message
    refused: str | None = None
    context: dict[str, Any] | None = None
    encoded: str = "null"

    @classmethod
    def of(cls, message: Message, line: str) -> Reading:
        """Return what a reader wrote about a message; see ``readers/read.mjs``."""
        return cls(message, **json.loads(line))

    @property
    def has_lost_context(self) -> bool:
        """Whether the code or the verification variables do not come out as they came in."""
        given = self.message.value["payload"]
        expected: dict[str, Any] = {"code": given.get("code")}
        for name in CONTEXT:
            part = given.get(name)
            expected[name] = (
                {key: part.get(key) for key in ("id", "name")} if isinstance(part, dict) else part
            )
        written = json.loads(self.encoded).get("payload", {})
        return _without_none(self.context) != _without_none(expected) or any(
            name in given and name not in written for name in CONTEXT
        )

    @property
    def losses(self) -> set[Loss]:
        return set(_differences(self.message.value, json.loads(self.encoded), RECEIVER))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    return value


def _differences(given: Any, written: Any, schema: dict[str, Any]) -> Iterator[Loss]:
    while "$ref" in schema:
        schema = RECEIVER["$defs"][schema["$ref"].rpartition("/")[2]]
    if not isinstance(given, dict) or not isinstance(written, dict):
        # As text, since 1 == 1.0 == True in Python.
        if json.dumps(given, sort_keys=True) != json.dumps(written, sort_keys=True):
            yield Loss.CHANGED
        return
    named = schema.get("properties", {})
    for key in given.keys() | written.keys():
        before, after = given.get(key, _ABSENT), written.get(key, _ABSENT)
        if after is _ABSENT:
            yield Loss.UNNAMED if key not in named else Loss.NULL if before is None else Loss.NAMED
        elif before is _ABSENT:
            yield Loss.ADDED if after is None else Loss.CHANGED
        else:
            yield from _differences(before, after, named.get(key, {}))


@dataclass(frozen=True)
class Result:
    """What the code of one generator made of the messages; ``broken`` says why it does not compile."""

    readings: list[Reading]
    broken: str | None = None

    @property
    def read(self) -> list[Reading]:
        return [reading for reading in self.readings if reading.refused is None]

    @property
    def wrongly_refused(self) -> list[str]:
        """What the code refuses without being allowed to."""
        return [
            f"{reading.message.label}: {reading.refused}"
            for reading in self.readings
            if reading.refused is not None and not reading.message.may_be_refused
        ]

    @property
    def context_lost(self) -> list[str]:
        """Messages whose context does not come out, except those that the code need not read at all."""
        return [
            reading.message.label
            for reading in self.read
            if reading.has_lost_context and not reading.message.may_be_refused
        ]

    @property
    def losses(self) -> Counter[Loss]:
        """How many messages lose what."""
        return Counter(loss for reading in self.read for loss in reading.losses)
