"""Folds findings: rules that failed for the same reason stand under the most telling one of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .. import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..findings import Rule
    from .results import Result, Signature

LEVELS = ("MUST", "SHOULD", "INFO")
"""The levels of rules, the most telling first."""


class Causes:
    """The rules that failed so far in a run, by cause.

    Two rules failed for the same reason if their signatures are alike: the same came to requests of one kind.
    An excused rule takes no part, since it is not reported.
    """

    def __init__(self) -> None:
        self._first: dict[Signature, Rule] = {}

    def attribute(self, result: Result) -> Result:
        """Return a result whose findings name the rule that failed first for the same reason, if any did.

        Args:
            result: The result; a rule that is more telling than the first takes its place.
        """
        if result.signature is None or result.outcome not in ("failed", "warned"):
            return result
        signature = next(filter(result.signature.is_like, self._first), result.signature)
        first = self._first.get(signature, result.rule)
        if _rank(result.rule) <= _rank(first):
            self._first[signature] = first = result.rule
        cause = None if first.id == result.rule.id else first.id
        return replace(result, findings=tuple(replace(finding, cause=cause) for finding in result.findings))


def attribute_causes(results: Iterable[Result]) -> list[Result]:
    """Return results whose findings name the most telling rule with the same cause.

    A MUST is more telling than a SHOULD; of one level the first in the catalogue is.

    Args:
        results: The results of a run so far; their order is preserved.
    """
    causes = Causes()
    attributed = list(results)
    for index in sorted(range(len(attributed)), key=lambda index: _rank(attributed[index].rule)):
        attributed[index] = causes.attribute(attributed[index])
    return attributed


def _rank(rule: Rule) -> tuple[int, int]:
    return LEVELS.index(rule.level), list(catalogue.rules()).index(rule.id)
