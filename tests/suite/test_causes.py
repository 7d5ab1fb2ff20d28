"""Causes: which failed rules stand under which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from logto_mail_contract import catalogue
from logto_mail_contract.findings import ContractViolation, Finding
from logto_mail_contract.suite.causes import Causes, attribute_causes
from logto_mail_contract.suite.items import conclude
from logto_mail_contract.suite.results import Result, Signature

if TYPE_CHECKING:
    from logto_mail_contract.suite.results import Outcome

CRASH = Signature("500")
TWIN_SHOULD = "receiver/accept/unknown-type"
TWIN_MUST = "receiver/accept/unknown-type-is-no-crash"


def make_result(rule: str, signature: Signature | None = CRASH, outcome: Outcome = "failed") -> Result:
    entry = catalogue.rules()[rule]
    found = (Finding(rule, entry.level, None, "", ("any 2xx",), "500", "It takes it.", "Lost."),)
    return Result(
        entry, outcome, found if outcome in ("failed", "warned", "excused") else (), "", 1, 0.1, signature
    )


def causes(*results: Result) -> dict[str, str | None]:
    return {
        result.rule.id: result.findings[0].cause for result in attribute_causes(results) if result.findings
    }


def test_equal_signatures_have_one_cause_and_others_their_own() -> None:
    assert causes(
        make_result("receiver/accept/sign-in"),
        make_result("receiver/accept/register"),
        make_result("receiver/accept/bind-mfa", Signature("400")),
        make_result("receiver/accept/minimal"),
        make_result("receiver/accept/unicode", Signature("500", frozenset(["to"]))),
    ) == {
        "receiver/accept/sign-in": None,
        "receiver/accept/register": "receiver/accept/sign-in",
        "receiver/accept/bind-mfa": None,
        "receiver/accept/minimal": "receiver/accept/sign-in",
        "receiver/accept/unicode": None,
    }


def test_requests_that_differ_alike_have_one_cause_and_others_their_own() -> None:
    def crash(*oddities: str) -> Signature:
        return Signature("500", frozenset(oddities))

    assert causes(
        make_result("receiver/accept/minimal", crash()),
        make_result("receiver/accept/null-user", crash("null name", "null avatar")),
        make_result("receiver/accept/unicode", crash("name in Cyrillic")),
        make_result("receiver/accept/long-values", crash("null name", "long name")),
    ) == {
        "receiver/accept/minimal": None,
        "receiver/accept/null-user": None,
        "receiver/accept/unicode": None,
        "receiver/accept/long-values": "receiver/accept/null-user",
    }


def test_unknown_signatures_are_no_common_cause() -> None:
    assert causes(
        make_result("receiver/accept/sign-in", None), make_result("receiver/accept/register", None)
    ) == {"receiver/accept/sign-in": None, "receiver/accept/register": None}


def test_a_must_is_more_telling_than_an_earlier_should() -> None:
    assert causes(make_result(TWIN_SHOULD, outcome="warned"), make_result(TWIN_MUST)) == {
        TWIN_SHOULD: TWIN_MUST,
        TWIN_MUST: None,
    }


def test_of_one_level_the_first_in_the_catalogue_is_most_telling() -> None:
    assert causes(make_result("receiver/accept/bind-mfa"), make_result("receiver/accept/sign-in")) == {
        "receiver/accept/bind-mfa": "receiver/accept/sign-in",
        "receiver/accept/sign-in": None,
    }


def test_an_excused_rule_hides_no_other() -> None:
    excused = make_result("receiver/accept/sign-in", outcome="excused")
    assert causes(excused, make_result("receiver/accept/register")) == {
        "receiver/accept/sign-in": None,
        "receiver/accept/register": None,
    }


def test_results_keep_their_order() -> None:
    rules = [TWIN_SHOULD, "receiver/accept/sign-in", TWIN_MUST]
    assert [result.rule.id for result in attribute_causes(map(make_result, rules))] == rules


def test_results_as_they_come_name_the_first_unless_they_are_more_telling() -> None:
    run = Causes()
    came = [
        run.attribute(result).findings[0].cause
        for result in (
            make_result(TWIN_SHOULD, outcome="warned"),
            make_result("receiver/reject/broken-to", outcome="warned"),
            make_result(TWIN_MUST),
            make_result("receiver/reject/broken-type", outcome="warned"),
            make_result(TWIN_MUST),  # tried again
        )
    ]
    assert came == [None, TWIN_SHOULD, None, TWIN_MUST, None]


def test_in_pytest_a_failure_and_an_expected_failure_name_the_rule_with_their_cause() -> None:
    run = Causes()
    with pytest.raises(ContractViolation) as first:
        conclude(run.attribute(make_result("receiver/accept/sign-in")))
    assert "cause" not in str(first.value)
    with pytest.raises(ContractViolation) as second:
        conclude(run.attribute(make_result("receiver/accept/register")))
    assert "\n  cause     the same as in receiver/accept/sign-in\n" in str(second.value)
    with pytest.raises(pytest.xfail.Exception, match=r"\(the same cause as in receiver/accept/sign-in\)"):
        conclude(run.attribute(make_result(TWIN_SHOULD, outcome="warned")))
