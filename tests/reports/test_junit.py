"""JUnit XML: the results of any run make a document that CI systems can read."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from logto_mail_contract import catalogue
from logto_mail_contract.findings import Finding
from logto_mail_contract.reports.junit import format_junit_report
from logto_mail_contract.suite.results import Breakdown, Outcome, Result, Signature

RULE = "receiver/accept/sign-in"


def result(outcome: Outcome, *, actual: str = "500", reason: str = "") -> Result:
    rule = catalogue.rules()[RULE]
    findings: tuple[Finding, ...] = ()
    if outcome in ("failed", "warned", "excused"):
        findings = (Finding(RULE, "MUST", None, "", ("any 2xx",), actual, "It takes it.", "Lost."),)
    return Result(rule, outcome, findings, reason, 1, 0.25)


def report(
    *results: Result,
    faults: tuple[Breakdown, ...] = (),
    lost: Breakdown | None = None,
    role: str = "receiver",
) -> ElementTree.Element:
    verification: Any = SimpleNamespace(results=results, faults=list(faults), lost=lost, role=role)
    return ElementTree.fromstring(format_junit_report(verification, 1.5))


@pytest.mark.parametrize(
    ("outcome", "reason", "element", "message"),
    [
        ("passed", "", None, ""),
        ("failed", "", "failure", "500"),
        ("excuse not needed", "old", "failure", f"passed, so --excuse {RULE}=… is not needed: old"),
        ("warned", "", "skipped", "warned: 500"),
        ("excused", "known", "skipped", "excused: known"),
        ("not judged", "see another", "skipped", "not judged: see another"),
        ("not applicable", "no wire", "skipped", "not applicable: no wire"),
    ],
)
def test_each_outcome_has_its_element(
    outcome: Outcome, reason: str, element: str | None, message: str
) -> None:
    root = report(result(outcome, reason=reason))
    (case,) = root.iter("testcase")
    assert (case.get("classname"), case.get("name"), case.get("time")) == ("receiver.accept", RULE, "0.250")
    assert [child.tag for child in case] == ([element] if element else [])
    if element is not None:
        assert case[0].get("message") == message
        assert case[0].text


def test_a_failure_says_how_to_excuse_it_on_the_command_line() -> None:
    cases = list(report(result("failed"), result("excuse not needed", reason="old")).iter("failure"))
    texts = [case.text or "" for case in cases]
    assert texts[0].endswith(f"\n  excuse    --excuse {RULE}=REASON")
    assert texts[1].endswith(f"\n  remove    --excuse {RULE}=…, or its line in a file of --excuses")


def test_the_suite_counts_its_outcomes() -> None:
    root = report(
        result("passed"),
        result("failed"),
        result("warned"),
        faults=(Breakdown("a/b", "KeyError: 'x'"),),
        lost=Breakdown("c/d", "gone"),
    )
    (suite,) = root.iter("testsuite")
    counts = {name: suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped", "time")}
    assert counts == {
        "name": "mail-contract verify",
        "tests": "5",
        "failures": "1",
        "errors": "2",
        "skipped": "1",
        "time": "1.500",
    }
    errors = [case for case in root.iter("testcase") if case.find("error") is not None]
    assert [case.get("name") for case in errors] == ["a/b", "c/d"]


def test_the_rule_of_an_error_is_not_read_from_its_text() -> None:
    root = report(faults=(Breakdown("", "OSError: receiver/accept/sign-in: gone"),))
    (case,) = root.iter("testcase")
    assert case.get("name") == "mail-contract"
    assert case[0].get("message") == "OSError: receiver/accept/sign-in: gone"


def test_the_rule_in_which_the_subject_was_lost_is_one_error() -> None:
    root = report(result("not judged", reason="the receiver was lost"), lost=Breakdown(RULE, "gone"))
    (case,) = root.iter("testcase")
    assert [child.tag for child in case] == ["error"]
    (suite,) = root.iter("testsuite")
    assert (suite.get("tests"), suite.get("errors"), suite.get("skipped")) == ("1", "1", "0")


def test_a_failure_with_the_cause_of_another_names_it_and_still_fails() -> None:
    first = replace(result("failed"), signature=Signature("500"))
    rule = catalogue.rules()["receiver/accept/bind-mfa"]
    second = replace(first, rule=rule, findings=(replace(first.findings[0], rule=rule.id),))
    root = report(first, second)
    failures = [failure.text or "" for failure in root.iter("failure")]
    assert [f"the same as in {RULE}" in text for text in failures] == [False, True]


def test_the_suite_of_a_sender_is_named_after_its_command() -> None:
    (suite,) = report(role="sender").iter("testsuite")
    assert suite.get("name") == "mail-contract verify-sender"


def test_characters_invalid_in_xml_are_escaped() -> None:
    hostile = "\0\x08\x1b[31m \ud800 \ufffe <b>&]]> \"' é 🙂\n\t"
    root = report(result("failed", actual=hostile), result("not judged", reason=hostile))
    text = "".join(root.itertext())
    assert "#x00#x08#x1B[31m #xD800 #xFFFE <b>&]]> \"' é 🙂" in text
