"""The functions that try rules, registered by the id of their rule."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from .. import catalogue
from ..program import read_program_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")


class UnknownRule(ValueError):
    """A rule was asked for that the catalogue does not hold."""


class Check(NamedTuple, Generic[T]):
    """How one rule is tried.

    Attributes:
        function: Sends, and notes the outcomes in the trial.
        needs: What the subject must have so that the rule is applicable.
    """

    function: Callable[[T], None]
    needs: tuple[str, ...]


class Checks(Generic[T]):
    """The checks of one role.

    Args:
        role: ``receiver`` or ``sender``.
    """

    def __init__(self, role: str) -> None:
        self.role = role
        self._checks: dict[str, Check[T]] = {}

    def register(self, rule: str, *needs: str) -> Callable[[Callable[[T], None]], Callable[[T], None]]:
        """Return a decorator that registers the function that tries a rule.

        Args:
            rule: The rule's id.
            needs: What the subject must have so that the rule is applicable.
        """

        def add(function: Callable[[T], None]) -> Callable[[T], None]:
            self._checks[rule] = Check(function, needs)
            return function

        return add

    def __getitem__(self, rule: str) -> Check[T]:
        return self._checks[rule]

    def __iter__(self) -> Iterator[str]:
        return iter(self._checks)


def list_rule_ids(role: str) -> tuple[str, ...]:
    """Return the ids of the rules of a role, in the order of the catalogue.

    Args:
        role: ``receiver`` or ``sender``.
    """
    return tuple(rule.id for rule in catalogue.rules().values() if rule.role == role)


def select_rules(role: str, wanted: Sequence[str] | None, excluded: Sequence[str]) -> tuple[str, ...]:
    """Return the rules of a role that globs choose, in the order of the catalogue.

    Args:
        role: ``receiver`` or ``sender``.
        wanted: Globs of ids; every rule of the role when None.
        excluded: Globs of ids to leave out.

    Raises:
        UnknownRule: A glob matches no rule of the role.
    """
    known = list_rule_ids(role)
    for glob in [*(wanted or []), *excluded]:
        if not fnmatch.filter(known, glob):
            raise UnknownRule(
                f"no rule for {role}s matches {glob!r}; `{read_program_name()} rules` lists them"
            )

    def is_chosen(rule: str) -> bool:
        return wanted is None or any(fnmatch.fnmatchcase(rule, glob) for glob in wanted)

    return tuple(
        rule
        for rule in known
        if is_chosen(rule) and not any(fnmatch.fnmatchcase(rule, glob) for glob in excluded)
    )
