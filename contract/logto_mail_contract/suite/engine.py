"""Runs rules at a subject under test, and yields their results as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from .. import catalogue
from ..clock import read_monotonic
from .results import Breakdown, EndOfRule, NotApplicable, NotJudged, OwnFault, Result, SubjectLost

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..findings import Rule
    from .causes import Causes
    from .checks import Checks
    from .results import Outcome
    from .trial import Trial

T = TypeVar("T", bound="Trial[Any]")


class Run(Protocol[T]):
    """One run at one subject, with all that it learns of it.

    Attributes:
        checks: How the rules are tried.
        revision: The contract revision whose messages are sent.
        strict: Whether a failed SHOULD counts as failed.
        causes: The causes of the failures so far.
        diagnosis: What is wrong with the subject as a whole, in one line; empty while nothing is known.
    """

    @property
    def checks(self) -> Checks[T]: ...

    @property
    def revision(self) -> str: ...

    @property
    def strict(self) -> bool: ...

    @property
    def causes(self) -> Causes: ...

    @property
    def diagnosis(self) -> str: ...

    def start(self, rule: Rule) -> T:
        """Return the trial of a rule."""

    def missing(self, need: str) -> str:
        """Return why the subject lacks what a rule needs; empty when it does not."""

    def prepare(self, rules: Sequence[str]) -> None:
        """Begin with what rules need that are tried one after the other.

        Raises:
            NotJudged: The run was interrupted meanwhile.
            SubjectLost: The subject cannot be reached or driven.
        """

    def interrupt(self, reason: str) -> None:
        """End every wait: what waits raises ``NotJudged(reason)``. May be called in any thread."""


class Verification(Generic[T]):
    """The rules of a run, one after the other; iterating runs them.

    A subject that is lost ends it, and so does ``end``: what has no result by then is not judged. A fault of
    ours does not end it: the next rule is tried.

    Args:
        run: The run.
        rules: The ids of the rules.
        excuses: Reasons by rule, for what the subject may break.

    Attributes:
        role: ``receiver`` or ``sender``.
        results: The results so far.
        faults: What went wrong on our own side.
        lost: Why the subject was lost; None when it was not.
        ended: Why the run ended before its last rule; empty when it did not.
    """

    def __init__(self, run: Run[T], rules: Sequence[str], excuses: Mapping[str, str] | None = None) -> None:
        self.role = run.checks.role
        self.results: list[Result] = []
        self.faults: list[Breakdown] = []
        self.lost: Breakdown | None = None
        self.ended = ""
        self._run = run
        self._rules = rules
        self._excuses = excuses or {}

    def __iter__(self) -> Iterator[Result]:
        try:
            self._run.prepare(self._rules)
        except SubjectLost as problem:
            self.lose("", str(problem))
        except NotJudged as problem:
            self.end(str(problem))
        for rule in self._rules:
            try:
                result = self._judge(rule)
            except Exception as problem:  # noqa: BLE001 - a fault in one rule says nothing of the others
                self.faults.append(Breakdown(rule, f"{type(problem).__name__}: {problem}"))
                continue
            self.results.append(result)
            yield result

    def _judge(self, rule: str) -> Result:
        if not self.ended:
            try:
                return run_rule(self._run, rule, self._excuses.get(rule))
            except SubjectLost as problem:
                self.lose(rule, str(problem))
        return Result(catalogue.rules()[rule], "not judged", (), self.ended, 0, 0.0)

    def end(self, reason: str) -> None:
        """End the run: what has no result yet is not judged. May be called in any thread.

        Args:
            reason: Why; of several the first counts.
        """
        if not self.ended:
            self.ended = reason
            self._run.interrupt(reason)

    def lose(self, rule: str, problem: str) -> None:
        """End the run because the subject is lost; what ended already stays as it is.

        Args:
            rule: The id of the rule that was tried; empty when none was.
            problem: How it was lost.
        """
        if not self.ended:
            self.lost = Breakdown(rule, problem)
            self.ended = f"the {self.role} was lost"

    @property
    def diagnosis(self) -> str:
        """What is wrong with the subject as a whole, in one line; empty where nothing is known."""
        return self._run.diagnosis

    @property
    def unjudged(self) -> tuple[Result, ...]:
        """The results of each MUST that was not judged, except where it is excused."""
        return tuple(
            result
            for result in self.results
            if result.outcome == "not judged"
            and result.rule.level == "MUST"
            and result.rule.id not in self._excuses
        )

    @property
    def passed(self) -> bool:
        """Whether no rule fails the run, and every MUST that is applicable was judged."""
        is_complete = len(self.results) == len(self._rules) and not self.unjudged
        return is_complete and not any(result.fails_run for result in self.results)


def run_rule(run: Run[T], rule: str, excuse: str | None = None) -> Result:
    """Try one rule and return its result.

    Args:
        run: The run.
        rule: The rule's id.
        excuse: Why the subject may break it; None when it may not.

    Raises:
        KeyError: There is no such rule for this role.
        OwnFault: A message of ours was not what it should be.
        SubjectLost: The subject cannot be reached or driven.
    """
    entry, check = catalogue.rules()[rule], run.checks[rule]
    trial = run.start(entry)
    start = read_monotonic()
    outcome: Outcome = "passed"
    reason = ""
    try:
        _require(run, entry, check.needs)
        check.function(trial)
        if not trial.cases:
            if not trial.not_judged:
                raise OwnFault(f"{rule} judged no case")
            outcome, reason = "not judged", trial.not_judged[0]
    except NotApplicable as problem:
        outcome, reason = "not applicable", str(problem)
    except NotJudged as problem:
        outcome, reason = "not judged", str(problem)
    except EndOfRule:
        pass
    except SubjectLost:
        # An earlier case of this rule may have ended the subject: report that; the next rule finds it lost.
        if not trial.failures:
            raise
    seconds = read_monotonic() - start
    findings = trial.findings()
    if findings:
        outcome, reason = "failed", ""
        if excuse is not None:
            outcome, reason = "excused", excuse
        elif not (entry.level == "MUST" or (run.strict and entry.level == "SHOULD")):
            outcome = "warned"
    elif excuse is not None and outcome == "passed":
        outcome, reason = "excuse not needed", excuse
    elif excuse is not None:
        reason += f"; its excuse was not needed: {excuse}"
    signature = trial.signature() if findings else None
    return run.causes.attribute(Result(entry, outcome, findings, reason, trial.cases, seconds, signature))


def explain_not_applicable(run: Run[T], rule: Rule, needs: Sequence[str]) -> str:
    """Return why a rule has no object in a run; empty where it has one.

    Args:
        run: The run.
        rule: The rule.
        needs: What its check needs.
    """
    revisions = catalogue.revisions()
    if revisions.index(rule.since) > revisions.index(run.revision):
        return f"the messages are of revision {run.revision}, and the rule is of {rule.since}"
    return next(filter(None, map(run.missing, needs)), "")


def _require(run: Run[T], rule: Rule, needs: Sequence[str]) -> None:
    if problem := explain_not_applicable(run, rule, needs):
        raise NotApplicable(problem)
