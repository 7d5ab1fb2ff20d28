"""Orders results by what a failure costs the users of a Logto."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..suite.causes import LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..suite.results import Result

_COSTS = (
    # A mail is lost or double, or nobody can sign in.
    {"accept", "deliver", "concurrent", "request", "body", "answer"},
    # Somebody else can send mails, or gets a credential.
    {"auth", "redirect"},
)
"""The groups of rules by their cost, the highest first; every other group costs less."""


def order_by_cost(results: Iterable[Result]) -> list[Result]:
    """Return results ordered by level, and within it by what a failure costs; of equal ones none moves."""

    def rank(result: Result) -> tuple[int, int]:
        group = result.rule.id.split("/")[1]
        cost = next((number for number, groups in enumerate(_COSTS) if group in groups), len(_COSTS))
        return LEVELS.index(result.rule.level), cost

    return sorted(results, key=rank)
