"""The rules ``receiver/deliver/*`` about failures: what a receiver does when its mail server fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.broken_receivers import TOKEN, Good, wsgi
from tests.support.good_receivers import GOOD, Mailing, serve_mailing
from tests.support.mail_server_receivers import FAILING, DeadQueue, DeadSession, OneSession
from tests.support.runs import has_failed, try_rule, try_rules

from logto_mail_contract.receivers.outbox import SmtpSink
from logto_mail_contract.receivers.receiver import Receiver, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logto_mail_contract.suite.results import Result

RULES = [
    "receiver/deliver/temporary-refusal",
    "receiver/deliver/permanent-refusal",
    "receiver/deliver/cut-connection",
    "receiver/deliver/response-to-failure",
    "receiver/deliver/later-messages",
    "receiver/respond/error-without-internals",
    "receiver/respond/keeps-accepting",
]
SETTINGS = Settings(examples=2, fail_after=2)


@pytest.fixture
def sink() -> Iterator[SmtpSink]:
    with SmtpSink() as running:
        yield running


def run(make: type[Mailing], sink: SmtpSink, settings: Settings = SETTINGS) -> dict[str, Result]:
    """Try the rules of this kind, and return their results by id without ``receiver/``."""
    with serve_mailing(make, sink.port) as url:
        results = try_rules(RULES, Receiver.url(url, authorization=TOKEN), settings, sink)
    return {result.rule.id.removeprefix("receiver/"): result for result in results}


def find_failed(results: dict[str, Result]) -> set[str]:
    return {name for name, result in results.items() if has_failed(result)}


@pytest.mark.parametrize("name", FAILING)
def test_a_receiver_fails_exactly_its_rules(name: str, sink: SmtpSink) -> None:
    make, failed_rules = FAILING[name]
    results = run(make, sink)
    assert find_failed(results) == failed_rules
    assert all(result.cases or not has_failed(result) for result in results.values())


@pytest.mark.parametrize("name", [name for name in GOOD if name not in ("queue", "limited")])
def test_a_good_receiver_passes(name: str, sink: SmtpSink) -> None:
    results = run(GOOD[name], sink)
    assert {name: result.outcome for name, result in results.items()} == dict.fromkeys(results, "passed")


def test_a_receiver_that_keeps_its_connection_to_the_mail_server_passes(sink: SmtpSink) -> None:
    assert find_failed(run(OneSession, sink)) == set()


def test_a_queue_mails_after_a_temporary_refusal_and_hides_a_permanent_one(sink: SmtpSink) -> None:
    results = run(GOOD["queue"], sink)
    hidden = {"deliver/permanent-refusal", "deliver/cut-connection"}
    assert find_failed(results) == hidden
    assert {results[name].outcome for name in hidden} == {"warned"}


def test_a_finding_shows_what_the_mail_server_answered_and_how_to_see_it_again(sink: SmtpSink) -> None:
    finding = run(FAILING["swallows"][0], sink)["deliver/permanent-refusal"].findings[0]
    assert finding.actual.startswith("200 OK after")
    assert finding.actual.endswith("; the SMTP sink answered 550 5.1.1 No such mailbox")
    assert "verify" in finding.reproduce
    assert f"--smtp-sink {sink.port}" in finding.reproduce


def test_a_receiver_that_accepts_nothing_after_a_cut_keeps_accepting_none(sink: SmtpSink) -> None:
    results = run(DeadSession, sink)
    assert find_failed(results) == {"respond/keeps-accepting"}
    assert results["deliver/later-messages"].outcome == "not judged"


def test_a_queue_that_ends_with_the_first_failure_mails_no_later_message(sink: SmtpSink) -> None:
    failed = find_failed(run(DeadQueue, sink))
    assert "deliver/later-messages" in failed
    assert "respond/keeps-accepting" not in failed


def test_an_outbox_that_refuses_nobody_makes_the_rules_not_applicable() -> None:
    receiver = Receiver.wsgi(wsgi(Good()), authorization=TOKEN)
    result = try_rule("receiver/deliver/response-to-failure", receiver, SETTINGS, list)
    receiver.close()
    assert result.outcome == "not applicable"
    assert result.reason == "the outbox refuses no recipient, as SmtpSink does"


def test_a_receiver_that_mails_nothing_is_not_judged(sink: SmtpSink) -> None:
    class MailsNothing(Mailing):
        def send(self, to: str, mail: bytes) -> None:
            """Lose the mail."""

    results = run(MailsNothing, sink, Settings(fail_after=0.5))
    assert results["deliver/permanent-refusal"].outcome == "not judged"
    assert results["deliver/permanent-refusal"].reason == "no mail came; see receiver/deliver/one-mail"
    assert results["deliver/response-to-failure"].outcome == "passed"
