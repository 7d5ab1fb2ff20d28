"""Which deliveries are wanted, and why another one is not."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from difflib import SequenceMatcher, get_close_matches
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from .. import catalogue
from ..judging.javascript_json import NotJson, NotUtf8, TooDeep, parse
from ..masking import format_value, format_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .recorded import Recorded

_MAX_COMPARED_CHARACTERS = 200
_MAX_ADDRESS_CHARACTERS = 500
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
        ignore_case: Whether the letter case of the recipient is ignored.
        blank_is_plus: Whether a blank in ``to`` stands for a plus too, as in the query of a URL.
        near: Whether those are wanted instead whose recipient is another way to write ``to``.
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

    @property
    def has_exact_recipient(self) -> bool:
        """Whether no recipient but ``to`` itself is wanted."""
        return not (self.near or self.ignore_case or (self.blank_is_plus and " " in (self.to or "")))

    def matches(self, recorded: tuple[Any, ...]) -> bool:
        """Return whether a delivery is wanted.

        Args:
            recorded: A Recorded, or a tuple that begins and ends with the same members.
        """
        id, arrived, status, valid, to, type = recorded[:6]
        return bool(
            (self.to is None or (to == self.to and not self.near) or self._wants_variant(to))
            and (self.type is None or type == self.type)
            and (self.since is None or arrived >= self.since)
            and (self.after is None or id > self.after)
            and (not valid or not self.invalid)
            and (status == 200 or not self.accepted)
            # Last: only this has to parse the body.
            and (self.payload is None or _payload_mismatch(parse_body(recorded[-1]), self.payload) is None)
        )

    def wants_recipient(self, to: str | None) -> bool:
        """Return whether deliveries to a recipient are wanted, as far as that is known of it."""
        return self.to is None or (to == self.to and not self.near) or self._wants_variant(to)

    def _wants_variant(self, to: str | None) -> bool:
        if self.to is None or to is None:
            return False
        if self.near:
            return is_near(self.to, to) and not replace(self, near=False).wants_recipient(to)
        if self.has_exact_recipient:
            return False
        wanted, came = (self.to.casefold(), to.casefold()) if self.ignore_case else (self.to, to)
        return wanted == came or (
            self.blank_is_plus
            and len(wanted) == len(came)
            and all(a == b or (a, b) == (" ", "+") for a, b in zip(wanted, came, strict=True))
        )

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


def is_near(one: str, other: str) -> bool:
    """Return whether two texts are ways to write one address.

    They differ at most in letter case, outer blanks, a name before ``<…>``, escapes of a URL or forms of
    Unicode.
    Similar addresses are not near: tests that run at the same time number their recipients.
    """
    # Not max: a full inbox has many others.
    fits = len(one) <= _MAX_ADDRESS_CHARACTERS and len(other) <= _MAX_ADDRESS_CHARACTERS
    return fits and _simplify_once(one) == _simplify(other)


def _simplify(address: str) -> str:
    text = address.strip()
    if not text.isascii() or "%" in text or "<" in text:  # seldom, and slow
        text = unicodedata.normalize("NFKC", unquote(text)).strip()
        if found := _BRACKETED.fullmatch(text):
            text = found[1].strip()
        text = unicodedata.normalize("NFKC", text.casefold())
    # A plus that a URL did not escape is a blank.
    return text.lower().replace(" ", "+")


# What is asked for is compared with each recipient of a full inbox.
_simplify_once = lru_cache(maxsize=64)(_simplify)


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
