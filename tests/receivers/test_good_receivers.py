"""Whole runs at good receivers of every style: no rule may be failed by one, and none left unjudged."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from tests.support.broken_receivers import TOKEN
from tests.support.good_receivers import GOOD, serve_mailing

from logto_mail_contract.receivers.outbox import SmtpSink
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.receivers.run import ReceiverRun
from logto_mail_contract.suite.checks import list_rule_ids
from logto_mail_contract.suite.engine import Verification

if TYPE_CHECKING:
    from logto_mail_contract.receivers.cases import Exchange

RULES = list_rule_ids("receiver")
MAX_SEQUENTIAL_LATENCIES = 15
DELAYS = {"serial": 0.01, "one-connection": 0.01}
"""Seconds for a response; 0.1 where it is not named: a serial receiver makes all requests wait."""

SETTINGS = {"limited": Settings(examples=10, pace=45)}
WARNED: dict[str, set[str]] = {
    # Nobody learns that the mail server refused the mail later.
    "queue": {"receiver/deliver/permanent-refusal", "receiver/deliver/cut-connection"},
    "hidden": {"receiver/auth/says-unauthorized"},
    "closes-after-errors": {"receiver/respond/keep-alive-after-error"},
    # It looks at no type: bodies that Logto cannot send are a 500, and some that are no messages a 200.
    "flask": {
        "receiver/reject/not-an-object-is-no-crash",
        "receiver/reject/broken-to-is-no-crash",
        "receiver/reject/broken-type",
        "receiver/reject/broken-payload-is-no-crash",
        "receiver/reject/deep-nesting-is-no-crash",
    },
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_receiver_fails_no_must_and_only_known_shoulds(name: str) -> None:
    settings = SETTINGS.get(name, Settings(examples=10))
    with (
        SmtpSink() as sink,
        serve_mailing(GOOD[name], sink.port, DELAYS.get(name, 0.1)) as url,
        closing(Receiver.url(url, authorization=TOKEN)) as receiver,
        closing(ReceiverRun(receiver, settings, sink)) as run,
    ):
        verification = Verification(run, RULES)
        results = list(verification)
    assert not verification.faults
    found = {result.rule.id: str(result.findings[0]) for result in results if result.findings}
    assert found.keys() == WARNED.get(name, set()), found
    assert {result.rule.id for result in results if result.outcome == "failed"} == set()
    left = {result.rule.id: result.reason for result in results if result.outcome == "not judged"}
    assert left == {}


def was_alone(exchange: Exchange, ledger: list[Exchange]) -> bool:
    """Return whether no other request was under way during the whole of this one."""
    return not any(
        other is not exchange and other.started < exchange.ended and other.ended > exchange.started
        for other in ledger
    )


def test_few_requests_of_a_whole_run_wait_for_the_one_before() -> None:
    with (
        SmtpSink() as sink,
        serve_mailing(GOOD["delayed"], sink.port, 0.1) as url,
        closing(Receiver.url(url, authorization=TOKEN)) as receiver,
        closing(ReceiverRun(receiver, Settings(examples=10), sink)) as run,
    ):
        list(Verification(run, RULES))
        ledger = list(run.dispatcher.ledger)
    assert len(ledger) > 20 * MAX_SEQUENTIAL_LATENCIES
    assert 0 < sum(was_alone(one, ledger) for one in ledger) <= MAX_SEQUENTIAL_LATENCIES
