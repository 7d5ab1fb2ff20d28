"""The violations of an inbox: due until the test ends, unless they are accepted by name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from .. import catalogue
from ..findings import ContractViolation
from .core import MAX_LISTED_DELIVERIES
from .delivery import MailNotReceived

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from ..findings import Finding
    from .delivery import Delivery


CAUGHT = "The test caught this where it was raised. Only expect_violation or lenient accepts a violation."
_NOT_RAISED = "No line of the test raised this: it is reported at the end of the test."


class Violations:
    """The violations in an inbox that no test accepted by name.

    Looking changes nothing: what is due stays due. What the end of the test reported is remembered, since it
    must not be reported twice.

    Args:
        label: What the inbox belongs to, for messages.
        limit: How many deliveries are remembered.
        expectations: The blocks that accept violations now, shared by the inboxes of an endpoint.
    """

    def __init__(self, label: str, limit: int, expectations: list[ExpectedViolation]) -> None:
        self.expectations = expectations
        self._label = label
        self._limit = limit
        # Lines, not deliveries: bodies would stay in memory that the inbox has dropped.
        self._due: list[tuple[str, tuple[Finding, ...]]] = []
        self._reported = 0
        # For each error that was raised and still lives: how many of the due deliveries it reports.
        self._raised: WeakKeyDictionary[ContractViolation, int] = WeakKeyDictionary()
        self._has_raised = False

    def add(self, delivery: Delivery) -> None:
        """Add what a delivery breaks, but for what is accepted now."""
        accepted: set[str] = set()
        for expectation in tuple(self.expectations):
            accepted |= expectation.add(delivery)
        due = tuple(finding for finding in delivery.violations if finding.rule not in accepted)
        if due and len(self._due) < self._limit:
            self._due.append((str(delivery), due))

    def expects(self, rule: str) -> bool:
        """Return whether a block that is open accepts violations of a rule."""
        return any(rule in expectation.rules for expectation in tuple(self.expectations))

    def unreported(self) -> ContractViolation | None:
        """Return as one failure what is due and was not reported; looking changes nothing."""
        unreported = self._due[self._reported :]
        return self._format(unreported) if unreported else None

    def raise_due(self) -> None:
        """Raise what is due, as often as it is called.

        Raises:
            ContractViolation: There are violations that were not accepted by name.
        """
        __tracebackhide__ = True
        if self._due:
            violation = self._format(self._due)
            self._raised[violation] = len(self._due)
            self._has_raised = True
            raise violation

    def note_reported(self, failure: BaseException | None) -> None:
        """Count as reported what a failure reports; in a group, for example of an asyncio.TaskGroup, too."""
        if isinstance(failure, BaseExceptionGroup):
            for part in failure.exceptions:
                self.note_reported(part)
        elif isinstance(failure, ContractViolation):
            self._reported = max(self._reported, self._raised.get(failure, 0))

    def take_unreported(self, failure: BaseException | None) -> ContractViolation | None:
        """Return as one failure what is due and was not reported, and count it as reported.

        Args:
            failure: What ends the test or block by itself, if anything. What it reports is not returned.
        """
        self.note_reported(failure)
        violation = self.unreported()
        self._reported = len(self._due)
        if violation is not None:
            violation.add_note(CAUGHT if self._has_raised else _NOT_RAISED)
        return violation

    def _format(self, due: Sequence[tuple[str, tuple[Finding, ...]]]) -> ContractViolation:
        lines = [f"{self._label} received what breaks the contract:"]
        for delivery, violations in due[:MAX_LISTED_DELIVERIES]:
            lines.append(f"  delivery {delivery}; breaks {', '.join(finding.rule for finding in violations)}")
        if len(due) > MAX_LISTED_DELIVERIES:
            lines.append(f"  … and {len(due) - MAX_LISTED_DELIVERIES} more")
        # Each rule and place once: a sender that errs, errs every time.
        findings: dict[tuple[str, str], Finding] = {}
        for _, violations in due:
            for finding in violations:
                findings.setdefault((finding.rule, finding.pointer), finding)
        rules = ", ".join(f'"{rule}"' for rule in dict.fromkeys(rule for rule, _ in findings))
        return ContractViolation(
            findings.values(),
            "\n".join(lines),
            [
                f"to accept    with mail_endpoint.expect_violation({rules}): …",
                "to silence   @pytest.mark.mail_contract(lenient=True), or lenient=True for this endpoint",
            ],
        )


class ExpectedViolation:
    """The block that ``Inbox.expect_violation`` opens.

    Not made by ``contextlib.contextmanager``: its frames would stand in the traceback of every failure.

    Args:
        expectations: The list that it is in during the block.
        rules: The ids of the rules that deliveries may break.
        arrived: Returns what arrived, in lines, for the failure.

    Attributes:
        rules: The ids of the rules.

    Raises:
        ValueError: No rule is named, or one that no message or request can break.
    """

    def __init__(
        self, expectations: list[ExpectedViolation], rules: Sequence[str], arrived: Callable[[], str]
    ) -> None:
        if not rules:
            raise ValueError('expect_violation needs the id of a rule, for example "message/guard/type"')
        known = [rule.id for rule in catalogue.rules().values() if rule.role in ("message", "sender")]
        for rule in rules:
            if rule not in known:
                nearest = get_close_matches(str(rule), known, 1, cutoff=0.0)[0]
                raise ValueError(
                    f"There is no rule {rule!r} of a message or sender; did you mean {nearest!r}?"
                )
        self._expectations = expectations
        self.rules = frozenset(rules)
        self._arrived = arrived
        self._deliveries: list[Delivery] = []

    def add(self, delivery: Delivery) -> set[str]:
        """List a delivery that breaks expected rules, and return which of them it breaks."""
        broken = {finding.rule for finding in delivery.findings if finding.rule in self.rules}
        if broken:
            self._deliveries.append(delivery)
        return broken

    def __enter__(self) -> list[Delivery]:
        # A new list: what came in an earlier block must not pass for what this one expects.
        self._deliveries = []
        self._expectations.append(self)
        return self._deliveries

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        # The endpoint removes every block when it begins again.
        if is_open := self in self._expectations:
            self._expectations.remove(self)
        if exc_value is None and not self._deliveries:
            problem = f"No delivery broke {' or '.join(sorted(self.rules))} within the block."
            if not is_open:
                problem += (
                    " begin() ended the block: it accepts nothing that came after. Open it after begin()."
                )
            raise MailNotReceived(f"{problem}\n{self._arrived()}")


def report(problems: Sequence[AssertionError], failure: BaseException | None = None) -> None:
    """Raise problems, or add them as notes to the failure that ends a test or block by itself.

    Args:
        problems: What to report, violations for example.
        failure: What ends the test or block, if anything. A skip counts as nothing: its notes are not shown.

    Raises:
        AssertionError: The first one, with the others as notes.
    """
    __tracebackhide__ = True
    if not problems:
        return
    if failure is not None and not is_skip(failure):
        for problem in problems:
            failure.add_note(f"Beside that, {problem}")
        return
    first, *others = problems
    for other in others:
        first.add_note(str(other))
    raise first from None


def is_skip(failure: BaseException) -> bool:
    """Return whether an exception skips a test."""
    # Not at the top: an inbox is used without pytest too, and then pytest need not be loaded.
    import unittest

    import pytest

    return isinstance(failure, (pytest.skip.Exception, unittest.SkipTest))
