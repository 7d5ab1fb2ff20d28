"""One rule being tried at one subject: gathers what failed, and makes one finding of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from ..findings import Finding
from ..masking import escape_unprintable

if TYPE_CHECKING:
    from ..findings import Rule
    from .results import Signature

C = TypeVar("C")

MAX_SHOWN_MESSAGE_CHARACTERS = 2000
_MAX_SHOWN_FAILURES = 5


class Failure(NamedTuple, Generic[C]):
    """A failed case.

    Attributes:
        case: What was sent.
        actual: The outcome, for a person to read.
    """

    case: C
    actual: str


class Trial(ABC, Generic[C]):
    """The part of a trial that both roles share; a case ``C`` is what was sent.

    Args:
        rule: The rule.

    Attributes:
        rule: The rule.
        cases: How many cases were judged so far.
        failures: The failed cases.
        not_judged: Why cases were not judged.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.cases = 0
        self.failures: list[Failure[C]] = []
        self.not_judged: list[str] = []

    @abstractmethod
    def measure_message(self, case: C) -> tuple[int, ...]:
        """Return the size of the message of a case: the smallest one represents all that failed."""

    @abstractmethod
    def format_message(self, case: C) -> str:
        """Return the message of a case for a person to read."""

    @abstractmethod
    def reproduce(self, case: C) -> str:
        """Return the command that shows a failure again."""

    @abstractmethod
    def mask(self, text: str) -> str:
        """Return a text without what must not be printed."""

    def judge(self, case: C, passed: bool, actual: str) -> None:
        """Count a case, and note it as failed unless it passed.

        Args:
            case: What was sent.
            passed: Whether the outcome is acceptable.
            actual: The outcome.
        """
        self.cases += 1
        if not passed:
            self.failures.append(Failure(case, actual))

    def skip(self, reason: str) -> None:
        """Note why a case is not judged; without any case the rule is not judged."""
        self.not_judged.append(escape_unprintable(self.mask(reason)))

    def signature(self) -> Signature | None:
        """Return by what the cause of the failures is recognized; None where nobody can say."""
        return None

    def findings(self) -> tuple[Finding, ...]:
        """Return the failed cases as one finding, represented by the smallest message."""
        if not self.failures:
            return ()
        case = min((failure.case for failure in self.failures), key=self.measure_message)
        size, message = self.measure_message(case), self.format_message(case)
        actual = list(
            dict.fromkeys(
                failure.actual
                for failure in self.failures
                if self.measure_message(failure.case) == size and self.format_message(failure.case) == message
            )
        )
        if len(actual) > _MAX_SHOWN_FAILURES:
            actual[_MAX_SHOWN_FAILURES:] = [f"and {len(actual) - _MAX_SHOWN_FAILURES} more"]
        rule = self.rule
        return (
            Finding(
                rule=rule.id,
                level=rule.level,
                layer=None,
                pointer="",
                expected=rule.outcomes,
                # It holds what came, for example a recipient as a client of SMTP wrote it.
                actual=escape_unprintable(self.mask("; ".join(actual))),
                requirement=rule.requirement,
                consequence=rule.consequence,
                share=f"{len(self.failures)} of {self.cases} cases" if self.cases > 1 else "",
                message=message,
                reproduce=self.reproduce(case),
            ),
        )
