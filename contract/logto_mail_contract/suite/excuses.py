"""Excuses: rules that a subject may break, each with a reason."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from .. import catalogue
from ..masking import escape_unprintable

if TYPE_CHECKING:
    from collections.abc import Iterable


class InvalidExcuse(ValueError):
    """An excuse names no rule of the catalogue, or gives no reason."""


def read_excuses(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the reasons by rule, each in one line; of two for one rule the last counts.

    Args:
        pairs: The id of a rule and the reason, as a person wrote them.

    Raises:
        InvalidExcuse: An id is that of no rule, or a reason is empty.
    """
    known = catalogue.rules()
    excuses = {}
    for rule, reason in pairs:
        if rule not in known:
            near = difflib.get_close_matches(rule, known, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise InvalidExcuse(f"There is no rule {rule!r} to excuse.{hint}")
        if not reason.strip():
            raise InvalidExcuse(f"The excuse of {rule} gives no reason")
        excuses[rule] = escape_unprintable(reason.strip())
    return excuses
