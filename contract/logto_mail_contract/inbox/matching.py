"""Which deliveries are wanted, and why another one is not."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from difflib import SequenceMatcher, get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from .. import catalogue
from ..judging.javascript_json import NotJson, NotUtf8, TooDeep, parse
from ..masking import format_value, format_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .recorded import Recorded

_MAX_COMPARED_CHARACTERS = 200
MAX_ADDRESS_CHARACTERS = 320
"""Characters of a recipient whose other ways to write are looked for: RFC 5321 allows no longer address.

A longer one is compared exactly. A full inbox has many recipients, and a stranger may choose them.
"""

_BRACKETED = re.compile(r"[^<>]*<([^<>]*)>")


@dataclass(frozen=True, slots=True)
class Query:
    """Which deliveries are wanted. A member that is None or False excludes none.

    Attributes:
        to: The recipient, compared exactly but for what the next members allow.
        type: The template type, compared exactly.
        payload: Variables that the payload must have; objects in it may have more members.
        since: The earliest arrival, in seconds since 1970.
        after: A cursor: only deliveries with a higher id are wanted.
        invalid: Whether only those are wanted that break a rule of level MUST.
        accepted: Whether only those are wanted that the judgement accepts.
        ignore_case: Whether the letter case of the recipient is ignored. It counts in one that is longer than
            ``MAX_ADDRESS_CHARACTERS``.
        blank_is_plus: Whether a blank in ``to`` stands for a plus too, as in the query of a URL. Not so in
            one that is longer.
        near: Whether those are wanted instead whose recipient is another way to write ``to``.
        near_key: What ``to_near_key`` returns for ``to`` where ``near`` is True; else None.
    """

    to: str | None = None
    type: str | None = None
    payload: Mapping[str, Any] | None = None
    since: float | None = None
    after: int | None = None
    invalid: bool = False
    accepted: bool = False
    ignore_case: bool = False
    blank_is_plus: bool = False
    near: bool = False
    # Made once: a full inbox has many recipients to compare with.
    near_key: str | None = field(init=False, repr=False, compare=False)
    _variants: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        near_key, variants = None, None
        if self.to is not None and len(self.to) <= MAX_ADDRESS_CHARACTERS:
            near_key = to_near_key(self.to) if self.near else None
            wanted = self.to.casefold() if self.ignore_case else self.to
            blank = "[ +]" if self.blank_is_plus else " "
            if self.ignore_case or (self.blank_is_plus and " " in wanted):
                variants = re.compile(blank.join(map(re.escape, wanted.split(" "))))
        object.__setattr__(self, "near_key", near_key)
        object.__setattr__(self, "_variants", variants)

    @property
    def has_exact_recipient(self) -> bool:
        """Whether no recipient but ``to`` itself is wanted."""
        return not self.near and self._variants is None

    def matches(self, recorded: tuple[Any, ...]) -> bool:
        """Return whether a delivery is wanted.

        Args:
            recorded: A Recorded, or a tuple that begins and ends with the same members.
        """
        id, arrived, status, valid, to, type, near_key = recorded[:7]
        return bool(
            (self._wants_near(to, near_key) if self.near else self.wants_recipient(to))
            and (self.type is None or type == self.type)
            and (self.since is None or arrived >= self.since)
            and (self.after is None or id > self.after)
            and (not valid or not self.invalid)
            and (status == 200 or not self.accepted)
            # Last: only this has to parse the body.
            and (self.payload is None or _payload_mismatch(parse_body(recorded[-1]), self.payload) is None)
        )

    def wants_recipient(self, to: str | None) -> bool:
        """Return whether deliveries to a recipient are wanted, where ``near`` is False."""
        return (
            self.to is None
            or to == self.to
            or (
                self._variants is not None
                and to is not None
                and len(to) <= MAX_ADDRESS_CHARACTERS
                and self._variants.fullmatch(to.casefold() if self.ignore_case else to) is not None
            )
        )

    def _wants_near(self, to: str | None, near_key: str | None) -> bool:
        return near_key is not None and near_key == self.near_key and not self.wants_recipient(to)

    def mismatch(self, recorded: Recorded) -> str | None:
        """Return why a delivery is not the wanted one, None where nothing in it speaks against that."""
        if self.accepted and recorded.status != 200:
            return f"it was refused with {recorded.status}"
        if (difference := self._find_difference(recorded)) is not None:
            return difference
        if self.after is not None and recorded.id <= self.after:
            return f"it is not after delivery {self.after}"
        return None

    def _find_difference(self, recorded: Recorded) -> str | None:
        if self.to is None and self.type is None and self.payload is None:
            return None
        message = parse_body(recorded.body)
        if not isinstance(message, dict):
            return "it is no message"
        differences = [
            f"its {name} is {format_value(message.get(name))}"
            for name, is_wanted in (
                ("to", self.wants_recipient(recorded.to)),
                ("type", self.type in (None, recorded.type)),
            )
            if not is_wanted
        ]
        if not differences and self.payload is not None:
            return _payload_mismatch(message, self.payload)
        return " and ".join(differences) or None

    def closeness(self, recorded: Recorded) -> float:
        """Return how much of what is wanted a delivery has; the nearest miss has the most."""
        near = float(self.after is None or recorded.id > self.after)
        for wanted, came in ((self.to, recorded.to), (self.type, recorded.type)):
            if wanted is not None and came is not None:
                near += _similarity(wanted, came)
        if self.payload:
            message = parse_body(recorded.body)
            near += sum(
                _payload_mismatch(message, {name: value}) is None for name, value in self.payload.items()
            ) / len(self.payload)
        return near

    def __str__(self) -> str:
        parts = [
            f"{name} {format_value(value)}"
            for name, value in (("to", self.to), ("type", self.type))
            if value is not None
        ]
        if self.payload is not None:
            parts += [
                f"payload {name} {format_variable(name, value, whole=True)}"
                for name, value in self.payload.items()
            ]
        return f"message with {' and '.join(parts)}" if parts else "message"


def to_near_key(address: str) -> str | None:
    """Return a text that is the same for all ways to write one address; None where it is too long for one.

    They differ at most in letter case, outer blanks, a name before ``<…>``, escapes of a URL or forms of
    Unicode.
    Similar addresses are not near: tests that run at the same time number their recipients.
    """
    if len(address) > MAX_ADDRESS_CHARACTERS:
        return None
    text = address.strip()
    if not text.isascii() or "%" in text or "<" in text:  # seldom, and slow
        text = unicodedata.normalize("NFKC", unquote(text)).strip()
        if found := _BRACKETED.fullmatch(text):
            text = found[1].strip()
        text = unicodedata.normalize("NFKC", text.casefold())
    # A plus that a URL did not escape is a blank.
    key = text.lower().replace(" ", "+")
    if key == address:
        return address
    # One character can stand for eighteen.
    return key if len(key) <= MAX_ADDRESS_CHARACTERS else None


def check_type(revision: str, type: str, advice: str) -> None:
    """Check that a contract revision has a template type.

    Args:
        revision: The contract revision.
        type: The template type.
        advice: Where another type can be asked for.

    Raises:
        ValueError: It does not; the message has the nearest name.
    """
    known = read_types(revision)
    if type not in known:
        plain = {_strip_spelling(name): name for name in known}
        # A stranger may ask for one of any length.
        shown = str(type)[:_MAX_COMPARED_CHARACTERS]
        nearest = plain[get_close_matches(_strip_spelling(shown), plain, 1, cutoff=0.0)[0]]
        raise ValueError(
            f"Revision {revision} has no template type {shown!r}; did you mean {nearest!r}? "
            f"Its types: {', '.join(known)}. {advice}"
        )


@cache
def read_types(revision: str) -> tuple[str, ...]:
    """Return the template types of a contract revision."""
    return tuple(catalogue.schema(revision, "guard")["properties"]["type"]["enum"])


def _strip_spelling(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def _similarity(one: str, other: str) -> float:
    return SequenceMatcher(
        None, one[:_MAX_COMPARED_CHARACTERS], other[:_MAX_COMPARED_CHARACTERS]
    ).quick_ratio() + (one == other)


def parse_body(body: bytes) -> Any:
    """Return the JSON value of a body, None also where it is not JSON."""
    try:
        return parse(body)
    except (NotUtf8, NotJson, TooDeep):
        return None


def _payload_mismatch(message: Any, wanted: Mapping[str, Any]) -> str | None:
    if not isinstance(message, dict):
        return "it is no message"
    return _difference(message.get("payload"), wanted, "payload")


def _difference(actual: Any, wanted: Any, place: str) -> str | None:
    if isinstance(wanted, dict) and isinstance(actual, dict):
        for name, value in wanted.items():
            if name not in actual:
                return f"its {place} has no {name}"
            difference = _difference(actual[name], value, f"{place}.{name}")
            if difference:
                return difference
        return None
    if isinstance(wanted, list) and isinstance(actual, list) and len(wanted) == len(actual):
        differences = (
            _difference(one, other, f"{place}[{number}]")
            for number, (one, other) in enumerate(zip(actual, wanted, strict=True))
        )
        return next(filter(None, differences), None)
    # In JSON true is no number, though in Python it equals 1.
    if isinstance(actual, bool) == isinstance(wanted, bool) and actual == wanted:
        return None
    return f"its {place} is {format_variable(place.removeprefix('payload.'), actual)}"
