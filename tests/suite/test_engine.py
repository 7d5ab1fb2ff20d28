"""The run engine: outcomes, excuses, and what ends a run. Each test defines the check to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.support.string_runs import INFO, LATER, MUST, SHOULD, StringRun, StringTrial

from logto_mail_contract import catalogue
from logto_mail_contract.suite.checks import Checks, UnknownRule, list_rule_ids, select_rules
from logto_mail_contract.suite.engine import Verification, run_rule
from logto_mail_contract.suite.excuses import InvalidExcuse, read_excuses
from logto_mail_contract.suite.results import (
    EndOfRule,
    NotApplicable,
    NotJudged,
    OwnFault,
    Signature,
    SubjectLost,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from logto_mail_contract.suite.results import Result


def passes(trial: StringTrial) -> None:
    trial.judge("good", passed=True, actual="")


def fails(trial: StringTrial) -> None:
    trial.judge("much longer", passed=False, actual="500 with s3cret")
    trial.judge("fine", passed=True, actual="")
    trial.judge("short", passed=False, actual="501")


def skips(trial: StringTrial) -> None:
    trial.skip("an ordinary message with s3cret fails too")


def test_a_rule_that_passes() -> None:
    result = run_rule(StringRun(passes), MUST)
    assert (result.outcome, result.findings, result.reason, result.cases) == ("passed", (), "", 1)
    assert not result.fails_run


def test_a_failed_rule_is_represented_by_its_smallest_message_without_secrets() -> None:
    result = run_rule(StringRun(fails), MUST)
    assert (result.outcome, result.cases, result.fails_run) == ("failed", 3, True)
    (finding,) = result.findings
    assert (finding.rule, finding.level, finding.share) == (MUST, "MUST", "2 of 3 cases")
    assert (finding.actual, finding.message, finding.reproduce) == ("501", "<short>", "send short")
    rule = catalogue.rules()[MUST]
    assert (finding.requirement, finding.consequence, finding.expected) == (
        rule.requirement,
        rule.consequence,
        rule.outcomes,
    )


def test_failures_of_the_same_message_are_reported_together() -> None:
    def check(trial: StringTrial) -> None:
        for number in range(8):
            trial.judge("same", passed=False, actual=f"{number} s3cret")
        trial.judge("sane", passed=False, actual="of another message")

    (finding,) = run_rule(StringRun(check), MUST).findings
    assert finding.actual == "; ".join([*(f"{number} (masked)" for number in range(5)), "and 3 more"])


@pytest.mark.parametrize(
    ("rule", "strict", "outcome"),
    [
        (MUST, False, "failed"),
        (MUST, True, "failed"),
        (SHOULD, False, "warned"),
        (SHOULD, True, "failed"),
        (INFO, False, "warned"),
        (INFO, True, "warned"),
    ],
)
def test_the_level_decides_whether_a_failed_rule_fails_the_run(rule: str, strict: bool, outcome: str) -> None:
    result = run_rule(StringRun(fails, strict=strict), rule)
    assert result.outcome == outcome
    assert result.fails_run == (outcome == "failed")
    assert result.findings


@pytest.mark.parametrize(
    ("check", "outcome", "reason", "fails_run"),
    [
        (fails, "excused", "known", False),
        (passes, "excuse not needed", "known", True),
        (
            skips,
            "not judged",
            "an ordinary message with (masked) fails too; its excuse was not needed: known",
            False,
        ),
    ],
)
def test_an_excuse_changes_the_outcome(
    check: Callable[[StringTrial], None], outcome: str, reason: str, fails_run: bool
) -> None:
    result = run_rule(StringRun(check), MUST, "known")
    assert (result.outcome, result.reason, result.fails_run) == (outcome, reason, fails_run)


def raises(
    error: Exception, *, after: Callable[[StringTrial], None] | None = None
) -> Callable[[StringTrial], None]:
    def check(trial: StringTrial) -> None:
        if after is not None:
            after(trial)
        raise error

    return check


@pytest.mark.parametrize(
    ("check", "outcome", "reason"),
    [
        (raises(NotApplicable("no object")), "not applicable", "no object"),
        (raises(NotJudged("see another")), "not judged", "see another"),
        # A case that passed does not decide the rule.
        (raises(NotJudged("see another"), after=passes), "not judged", "see another"),
        (raises(NotJudged("see another"), after=fails), "failed", ""),
        (raises(EndOfRule(), after=fails), "failed", ""),
        (raises(EndOfRule(), after=passes), "passed", ""),
        (raises(SubjectLost("gone"), after=fails), "failed", ""),
    ],
)
def test_an_exception_ends_a_rule_with_its_outcome(
    check: Callable[[StringTrial], None], outcome: str, reason: str
) -> None:
    result = run_rule(StringRun(check), MUST)
    assert (result.outcome, result.reason) == (outcome, reason)


def test_a_missing_need_or_an_older_revision_is_not_applicable() -> None:
    result = run_rule(StringRun(fails, needs=("wire", "outbox")), MUST)
    assert (result.outcome, result.reason, result.cases) == ("not applicable", "there is no outbox", 0)
    result = run_rule(StringRun(fails, revision="1.31"), LATER)
    assert result.outcome == "not applicable"
    assert result.reason == "the messages are of revision 1.31, and the rule is of 1.32"
    assert run_rule(StringRun(fails, revision="1.32"), LATER).outcome == "failed"


def test_a_check_without_cases_is_an_own_fault() -> None:
    with pytest.raises(OwnFault, match="receiver/accept/sign-in judged no case"):
        run_rule(StringRun(lambda trial: None), MUST)  # noqa: ARG005 - the check is empty


def test_a_lost_subject_is_raised() -> None:
    with pytest.raises(SubjectLost, match="gone"):
        run_rule(StringRun(raises(SubjectLost("gone"), after=passes)), MUST)


def outcomes(verification: Verification[StringTrial]) -> list[str]:
    return [result.outcome for result in verification]


def test_results_are_yielded_one_by_one() -> None:
    checked: list[str] = []

    def check(trial: StringTrial) -> None:
        checked.append(trial.rule.id)
        passes(trial)

    verification = Verification(StringRun(check), [MUST, SHOULD])
    results = iter(verification)
    assert next(results).rule.id == MUST
    assert checked == [MUST]
    assert [result.rule.id for result in verification.results] == [MUST]
    assert next(results).rule.id == SHOULD
    assert verification.passed


def test_an_own_fault_does_not_end_the_run() -> None:
    def check(trial: StringTrial) -> None:
        if trial.rule.id == MUST:
            raise ZeroDivisionError("ours")
        passes(trial)

    verification = Verification(StringRun(check), [MUST, SHOULD])
    assert outcomes(verification) == ["passed"]
    assert verification.faults == [(MUST, "ZeroDivisionError: ours")]
    assert str(verification.faults[0]) == f"{MUST}: ZeroDivisionError: ours"
    assert not verification.passed


def test_a_lost_subject_ends_the_run() -> None:
    def check(trial: StringTrial) -> None:
        if trial.rule.id == SHOULD:
            raise SubjectLost("gone")
        passes(trial)

    verification = Verification(StringRun(check), [MUST, SHOULD, LATER])
    assert outcomes(verification) == ["passed", "not judged", "not judged"]
    assert verification.lost == (SHOULD, "gone")
    assert verification.ended == "the receiver was lost"
    assert not verification.passed


def test_an_ended_run_judges_no_other_rule() -> None:
    """The rule that was under way is not judged, and every rule after it has a result."""
    run = StringRun(passes)

    def check(trial: StringTrial) -> None:
        passes(trial)
        if trial.rule.id == SHOULD:
            verification.end("time is over")
            verification.end("too late to count")
            run.require_not_interrupted()

    run.check = check
    verification = Verification(run, [MUST, SHOULD, LATER])
    assert outcomes(verification) == ["passed", "not judged", "not judged"]
    assert [result.reason for result in verification.results] == ["", "time is over", "time is over"]
    assert run.interrupted == ["time is over"]
    assert verification.ended == "time is over"
    assert not verification.passed


def test_a_failure_before_the_end_of_the_run_is_reported() -> None:
    def check(trial: StringTrial) -> None:
        fails(trial)
        verification.end("time is over")
        run.require_not_interrupted()

    run = StringRun(check)
    verification = Verification(run, [MUST, LATER])
    assert outcomes(verification) == ["failed", "not judged"]


def test_a_subject_that_seems_lost_after_the_end_is_not_lost() -> None:
    """An interrupt may close a connection, or end a process."""

    def check(trial: StringTrial) -> None:  # noqa: ARG001 - what is tried makes no difference
        verification.end("time is over")
        raise SubjectLost("closed")

    verification = Verification(StringRun(check), [MUST, LATER])
    assert outcomes(verification) == ["not judged", "not judged"]
    assert verification.lost is None


def test_only_an_unjudged_must_without_an_excuse_counts_as_unjudged() -> None:
    verification = Verification(StringRun(skips), [MUST, SHOULD, LATER], {LATER: "known"})
    assert outcomes(verification) == ["not judged"] * 3
    assert [result.rule.id for result in verification.unjudged] == [MUST]
    assert not verification.passed
    excused = Verification(StringRun(skips), [SHOULD, LATER], {LATER: "known"})
    assert outcomes(excused) == ["not judged"] * 2
    assert excused.passed
    applicable = Verification(StringRun(passes, needs=("outbox",)), [MUST])
    assert outcomes(applicable) == ["not applicable"]
    assert applicable.unjudged == ()


def test_a_failed_rule_has_a_signature_and_a_later_one_with_the_same_names_it() -> None:
    crash = Signature(("500", "POST"))

    def check(trial: StringTrial) -> None:
        trial.came = crash
        (passes if trial.rule.id == SHOULD else fails)(trial)

    verification = Verification(StringRun(check), [MUST, SHOULD, LATER])
    assert outcomes(verification) == ["failed", "passed", "failed"]
    assert [result.signature for result in verification.results] == [crash, None, crash]
    causes = [[finding.cause for finding in result.findings] for result in verification.results]
    assert causes == [[None], [], [MUST]]


def test_excuses_apply_to_their_rules() -> None:
    verification = Verification(StringRun(fails), [MUST, LATER], {MUST: "known"})
    assert outcomes(verification) == ["excused", "failed"]
    assert not verification.passed


def test_an_interrupt_preserves_earlier_results() -> None:
    def check(trial: StringTrial) -> None:
        if trial.rule.id == SHOULD:
            raise KeyboardInterrupt
        passes(trial)

    verification = Verification(StringRun(check), [MUST, SHOULD])
    with pytest.raises(KeyboardInterrupt):
        list(verification)
    assert len(verification.results) == 1
    assert not verification.passed


# Selecting and excusing rules.


def test_rules_are_selected_by_globs() -> None:
    assert select_rules("receiver", None, []) == list_rule_ids("receiver")
    assert select_rules("receiver", ["*/bind-mfa", MUST], []) == (MUST, LATER)
    assert select_rules("sender", ["sender/body/*"], ["*/json"]) == tuple(
        rule
        for rule in list_rule_ids("sender")
        if rule.startswith("sender/body/") and rule != "sender/body/json"
    )
    with pytest.raises(UnknownRule, match="no rule for senders matches 'receiver/"):
        select_rules("sender", [MUST], [])
    with pytest.raises(UnknownRule, match="no rule for receivers matches 'nothing'"):
        select_rules("receiver", None, ["nothing"])


def test_excuses_are_parsed() -> None:
    assert read_excuses([(MUST, " one "), (LATER, "two\nlines"), (MUST, "three")]) == {
        MUST: "three",
        LATER: r"two\nlines",
    }
    with pytest.raises(InvalidExcuse, match=r"no rule 'receiver/accept/sign-on' to excuse\. Did you mean"):
        read_excuses([("receiver/accept/sign-on", "x")])
    with pytest.raises(InvalidExcuse, match="gives no reason"):
        read_excuses([(MUST, " \n")])


@pytest.mark.parametrize("role", ["receiver", "sender"])
def test_every_rule_has_a_check(role: str) -> None:
    from logto_mail_contract.receivers.rules import CHECKS as RECEIVERS
    from logto_mail_contract.senders.rules import CHECKS as SENDERS

    checks: Checks[Any] = RECEIVERS if role == "receiver" else SENDERS
    assert set(checks) == set(list_rule_ids(role))


def test_a_result_is_immutable() -> None:
    first: Result = run_rule(StringRun(passes), MUST)
    with pytest.raises(AttributeError):
        first.outcome = "failed"  # type: ignore[misc] # the test sets a frozen field
