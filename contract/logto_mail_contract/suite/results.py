"""Results of rules, and the exceptions that end one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable

    from ..findings import Finding, Rule

Outcome = Literal[
    "passed", "failed", "warned", "excused", "excuse not needed", "not judged", "not applicable"
]
"""The closed list of outcomes; ``docs/glossary.md`` defines each."""


class NotApplicable(Exception):
    """The rule has no object here; the text says why."""


class NotJudged(Exception):
    """Something else failed first, so the rule cannot be judged; the text says what."""


class EndOfRule(Exception):
    """More cases would cost as much time as the one that failed, and show nothing new."""


class SubjectLost(Exception):
    """The subject under test can no longer be reached or driven; the text says why."""


class OwnFault(Exception):
    """A message of ours is not what it claims to be: a fault of this project, never of the subject."""


class Breakdown(NamedTuple):
    """What kept a rule from its result: a fault of ours, or the loss of the subject.

    Attributes:
        rule: The id of the rule; empty where it was none.
        problem: What happened.
    """

    rule: str
    problem: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.problem}" if self.rule else self.problem


class Signature(NamedTuple):
    """By what failures of several rules are recognized as of one cause.

    Attributes:
        came: What came, and to what kind of request.
        oddities: In what the requests differ from ordinary ones; empty where they do not, or nobody can say.
    """

    came: Hashable
    oddities: frozenset[Hashable] = frozenset()

    def is_like(self, other: Signature) -> bool:
        """Return whether both speak of one cause: the same came to requests that differ alike."""
        if self.came != other.came:
            return False
        return self.oddities == other.oddities or not self.oddities.isdisjoint(other.oddities)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one rule.

    Attributes:
        rule: The rule.
        outcome: One of the closed list.
        findings: What failed; empty unless the outcome is failed, warned or excused.
        reason: Why the rule was not judged or not applicable, or the excuse; empty otherwise.
        cases: How many cases were judged.
        seconds: How long it took.
        signature: By what its cause is recognized; None where nothing failed, or nobody can say.
    """

    rule: Rule
    outcome: Outcome
    findings: tuple[Finding, ...]
    reason: str
    cases: int
    seconds: float
    signature: Signature | None = None

    @property
    def fails_run(self) -> bool:
        """Whether the whole run fails because of this rule."""
        return self.outcome in ("failed", "excuse not needed")
