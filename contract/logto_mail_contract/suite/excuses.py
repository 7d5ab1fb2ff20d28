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


def read_excuse_lines(lines: Iterable[str], source: str) -> dict[str, str]:
    """Return the reasons by rule from lines ``ID: reason``.

    Args:
        lines: The lines; blank ones and those that start with ``#`` are left out.
        source: The name of their file, for the text of an error.

    Raises:
        InvalidExcuse: A line names no rule, or gives no reason.
    """
    excuses: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        rule, _, reason = line.partition(":")
        try:
            excuses |= read_excuses([(rule.strip(), reason)])
        except InvalidExcuse as problem:
            raise InvalidExcuse(f"{source}, line {number}: {problem}") from None
    return excuses
