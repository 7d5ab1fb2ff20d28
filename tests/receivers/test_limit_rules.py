"""A limit, a run's own load, and one message that breaks a receiver are blamed on no other rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.broken_receivers import TOKEN, Good, Served
from tests.support.limited_receivers import (
    LIMITED,
    STRAINED,
    Killable,
    LimitPerRecipient,
    LimitPerSecond,
    Poisoned,
    Restarting,
    SlowLimitPerRecipient,
    SlowPoisoned,
    SlowUnderLoad,
)
from tests.support.runs import has_failed

from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.receivers.run import ReceiverRun
from logto_mail_contract.suite.checks import list_rule_ids
from logto_mail_contract.suite.engine import Verification

if TYPE_CHECKING:
    from logto_mail_contract.suite.results import Result

RULES = tuple(rule for rule in list_rule_ids("receiver") if not rule.startswith("receiver/deliver/"))
SETTINGS = Settings(examples=5)


def run(receiver: Good, settings: Settings = SETTINGS) -> dict[str, Result]:
    """Verify a receiver, and return the results by id without ``receiver/``."""
    with Served(receiver) as served:
        verified = ReceiverRun(Receiver.url(served.url, authorization=TOKEN), settings)
        planned = verified.plan(RULES).requests
        verification = Verification(verified, RULES)
        results = {result.rule.id.removeprefix("receiver/"): result for result in verification}
        sent = verified.estimate().sent
        verified.close()
    assert sent <= planned
    assert not verification.faults
    assert not verification.lost
    return results


def find_failed(results: dict[str, Result]) -> dict[str, str]:
    return {name: result.findings[0].actual for name, result in results.items() if has_failed(result)}


@pytest.mark.parametrize("name", LIMITED)
def test_a_limit_that_all_messages_share_fails_one_should(name: str) -> None:
    results = run(LIMITED[name]())
    failed = find_failed(results)
    assert failed.keys() == {"respond/no-shared-limit"}, failed
    result = results["respond/no-shared-limit"]
    assert result.outcome == "warned"
    assert "--pace" in result.findings[0].consequence


@pytest.mark.parametrize("make", [LimitPerSecond])
def test_a_pace_below_the_limit_passes(make: type[LimitPerSecond]) -> None:
    class Generous(make):  # type: ignore[valid-type, misc]
        per_second = 150.0

    assert find_failed(run(Generous(), Settings(examples=5, pace=100))) == {}


@pytest.mark.parametrize("make", [LimitPerRecipient, SlowLimitPerRecipient])
def test_a_limit_of_each_recipient_fails_the_rule_about_the_second_message(make: type[Good]) -> None:
    failed = find_failed(run(make()))
    assert failed.keys() == {"accept/resend"}, failed


@pytest.mark.parametrize("name", STRAINED)
def test_load_of_the_run_itself_fails_the_burst_alone(name: str) -> None:
    failed = find_failed(run(STRAINED[name]()))
    assert failed.keys() <= {"concurrent/burst"}, failed


def test_a_receiver_that_slows_under_load_is_not_late() -> None:
    failed = find_failed(run(SlowUnderLoad(), Settings(examples=5, warn_after=0.4, fail_after=6)))
    assert failed.keys() <= {"concurrent/burst"}, failed


@pytest.mark.parametrize("make", [Poisoned, SlowPoisoned])
def test_a_message_that_breaks_the_receiver_is_among_those_named(make: type[Good]) -> None:
    results = run(make())
    failed = find_failed(results)
    assert "respond/keeps-accepting" in failed
    assert failed.keys() <= {"respond/keeps-accepting", "accept/unknown-variable"}, failed
    assert results["respond/keeps-accepting"].outcome == "failed"
    assert "; it may be due to " in failed["respond/keeps-accepting"]


def test_a_process_that_is_started_again_fails_the_rule_of_its_message_alone() -> None:
    """The connections that were cut with it are not due to load."""
    failed = find_failed(run(Restarting()))
    assert failed.keys() == {"accept/unknown-variable"}, failed


def test_a_receiver_that_dies_of_a_message_fails_for_it_and_names_it() -> None:
    receiver = Killable()
    with Served(receiver) as served:
        receiver.on_death = served.stop_listening
        verified = ReceiverRun(Receiver.url(served.url, authorization=TOKEN), SETTINGS, restart_seconds=0.1)
        verification = Verification(verified, RULES)
        results = {result.rule.id.removeprefix("receiver/"): result for result in verification}
        verified.close()
    failed = find_failed(results)
    assert "respond/keeps-accepting" in failed
    assert "unknown variable" in failed["respond/keeps-accepting"]
    assert not verification.lost
