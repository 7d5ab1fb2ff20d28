"""Results as text: what is folded, in which order, and the last line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.string_runs import LATER, MUST, SHOULD, StringRun, StringTrial

from logto_mail_contract import catalogue
from logto_mail_contract.reports.ordering import order_by_cost
from logto_mail_contract.reports.text import format_line, format_text_report
from logto_mail_contract.suite.checks import list_rule_ids
from logto_mail_contract.suite.engine import Verification
from logto_mail_contract.suite.results import NotJudged, Result, Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ACCEPT = [rule for rule in list_rule_ids("receiver") if rule.startswith("receiver/accept/")][:9]


def run(
    check: Callable[[StringTrial], None],
    rules: Sequence[str],
    excuses: dict[str, str] | None = None,
    *,
    diagnosis: str = "",
) -> Verification[StringTrial]:
    verification = Verification(StringRun(check, diagnosis=diagnosis), rules, excuses)
    list(verification)
    return verification


def fails(trial: StringTrial) -> None:
    trial.came = Signature("500")
    trial.judge(trial.rule.id, passed=False, actual=f"500 from {trial.rule.id}")


def passes(trial: StringTrial) -> None:
    trial.judge("good", passed=True, actual="")


def skips(trial: StringTrial) -> None:  # noqa: ARG001 - what is tried makes no difference
    raise NotJudged("a limit")


def list_blocks(text: str) -> list[str]:
    """Return the rules whose findings are printed in full."""
    known = catalogue.rules()
    return [line.split()[0] for line in text.splitlines() if line.strip() and line.split("  ")[0] in known]


def test_rules_with_one_cause_stand_under_the_first() -> None:
    verification = run(fails, ACCEPT)
    text = format_text_report(verification, 1.0)
    assert list_blocks(text) == ACCEPT[:1]
    assert f"  and 8 more rules, for the same reason: {ACCEPT[1]}, {ACCEPT[2]}," in text
    assert ACCEPT[6] not in text
    assert text.rstrip().endswith("9 rules: 9 failed. 9 cases in 1.0 s.")
    verbose = format_text_report(verification, 1.0, verbose=True)
    assert list_blocks(verbose) == ACCEPT
    assert "more rules, for" not in verbose


def test_one_rule_with_the_cause_of_another_is_named_in_the_singular() -> None:
    text = format_text_report(run(fails, ACCEPT[:2]), 1.0)
    assert f"  and 1 more rule, for the same reason: {ACCEPT[1]}\n" in text


def test_rules_with_causes_of_their_own_are_printed_each() -> None:
    def check(trial: StringTrial) -> None:
        fails(trial)
        trial.came = Signature(trial.rule.id)

    text = format_text_report(run(check, ACCEPT), 1.0)
    assert list_blocks(text) == ACCEPT
    assert "for the same reason" not in text


def test_the_lines_name_what_came_or_the_rule_with_the_same_cause() -> None:
    first, second = map(format_line, run(fails, ACCEPT[:2]).results)
    assert first.splitlines()[1] == f"{'':20}500 from {ACCEPT[0]}"
    assert second.splitlines()[1] == f"{'':20}the same cause as in {ACCEPT[0]}"
    (line,) = map(format_line, run(passes, [MUST]).results)
    assert line.count("\n") == 1


def test_a_long_outcome_is_cut_in_the_lines_and_whole_in_the_report() -> None:
    def check(trial: StringTrial) -> None:
        trial.judge("a", passed=False, actual="500 " + "word " * 60 + "end")

    verification = run(check, [MUST])
    (line,) = map(format_line, verification.results)
    assert max(map(len, line.splitlines())) <= 110
    assert "end" not in line
    assert "word end" in format_text_report(verification, 1.0)


def test_an_excused_finding_is_not_printed_with_the_failures() -> None:
    text = format_text_report(run(fails, [MUST, LATER], {MUST: "known"}), 1.0)
    assert list_blocks(text) == [LATER]


def test_failures_are_ordered_by_what_they_cost() -> None:
    rules = [
        "receiver/respond/promptly",
        "receiver/reject/not-json",
        "receiver/accept/unknown-type",
        "receiver/auth/doubled-authorization",
        "receiver/deliver/code-in-one-piece",
        "receiver/respond/framing",
        "receiver/auth/wrong-authorization",
        "receiver/deliver/one-mail",
        "receiver/accept/sign-in",
    ]
    results = [Result(catalogue.rules()[rule], "failed", (), "", 1, 0.0) for rule in rules]
    assert [result.rule.id for result in order_by_cost(results)] == [
        "receiver/deliver/one-mail",
        "receiver/accept/sign-in",
        "receiver/auth/wrong-authorization",
        "receiver/respond/framing",
        "receiver/accept/unknown-type",
        "receiver/deliver/code-in-one-piece",
        "receiver/auth/doubled-authorization",
        "receiver/respond/promptly",
        "receiver/reject/not-json",
    ]


def test_a_diagnosis_comes_first() -> None:
    advice = "Every message got 404: check the path of the URL."
    assert format_text_report(run(fails, [MUST], diagnosis=advice), 1.0).startswith(
        f"\n{advice}\n\n{MUST}  MUST\n"
    )


def check_should(trial: StringTrial) -> None:
    (fails if trial.rule.level == "SHOULD" else passes)(trial)


@pytest.mark.parametrize(
    ("check", "rules", "last"),
    [
        (passes, [MUST, SHOULD], "2 rules: 2 passed. 2 cases in 1.0 s."),
        (check_should, [MUST, SHOULD], "passed, 1 warning"),
        (check_should, [MUST, SHOULD, "receiver/reject/not-json"], "passed, 2 warnings"),
        (fails, [MUST, SHOULD], "2 rules: 1 failed, 1 warned. 2 cases in 1.0 s."),
        (skips, [MUST, SHOULD], "not passed: 1 rule of level MUST was not judged"),
        (skips, [MUST, LATER, SHOULD], "not passed: 2 rules of level MUST were not judged"),
        (skips, [SHOULD], "1 rule: 1 not judged. 0 cases in 1.0 s."),
    ],
)
def test_the_last_line_says_whether_the_run_passed_where_the_count_would_mislead(
    check: Callable[[StringTrial], None], rules: list[str], last: str
) -> None:
    assert format_text_report(run(check, rules), 1.0).splitlines()[-1] == last


def test_an_early_end_is_reported_with_the_number_of_rules_left() -> None:
    def check(trial: StringTrial) -> None:
        passes(trial)
        verification.end("interrupted")

    verification = Verification(StringRun(check), [MUST, LATER, SHOULD])
    list(verification)
    text = format_text_report(verification, 1.0)
    assert "\nThe run ended early: interrupted. Because of that, 2 rules were not judged.\n" in text
    assert text.endswith("\nnot passed: 1 rule of level MUST was not judged\n")
