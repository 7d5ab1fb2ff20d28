"""The rules ``receiver/deliver/*``: receivers that pass them, and for each rule some that fail it."""

# Receivers are named after what they do. An overriding method keeps the parameters of the original.
# ruff: noqa: ARG002, D101

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.mail_server_receivers import FAILING
from tests.support.runs import has_failed, try_rule, try_rules
from tests.support.small_receivers import (
    AUTHORIZATION,
    GOOD,
    MISTAKES,
    ClosedTypes,
    CodeInSubject,
    DropsRepetitions,
    PlainText,
    Queued,
    Refused,
    SendsNothing,
    SlowWorker,
    Small,
)
from tests.support.templated_receivers import MISTAKES as TEMPLATED

from logto_mail_contract import catalogue
from logto_mail_contract.receivers.outbox import Mail
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.receivers.rules import CHECKS
from logto_mail_contract.receivers.run import QUIET_SECONDS, ReceiverRun
from logto_mail_contract.suite.checks import list_rule_ids
from logto_mail_contract.suite.engine import run_rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logto_mail_contract.suite.results import Result

# A list of mails refuses no recipient, as the rules about mail servers that fail need it.
RULES = [
    rule
    for rule in list_rule_ids("receiver")
    if rule.startswith("receiver/deliver/") and "refusals" not in CHECKS[rule].needs
]
# For receivers that lose mails: each lost mail costs the whole wait.
IMPATIENT = Settings(warn_after=0.5, fail_after=1, workers=1)


SHORT = 0.01
"""Quiet seconds that suffice for receivers that send before they respond, as most here do."""


def run_all_rules(
    app: Small, settings: Settings | None = None, quiet_seconds: float = QUIET_SECONDS
) -> dict[str, Result]:
    """Run every rule; return the results by the last part of the rule id."""
    receiver = Receiver.wsgi(app, authorization=AUTHORIZATION)
    with closing(receiver):
        results = try_rules(RULES, receiver, settings, lambda: app.mails, quiet_seconds=quiet_seconds)
    return {result.rule.id.rpartition("/")[2]: result for result in results}


def find_failed(results: Mapping[str, Result]) -> set[str]:
    return {name for name, result in results.items() if has_failed(result)}


@pytest.mark.parametrize("app", GOOD, ids=lambda app: app.__name__)
def test_a_correct_receiver_passes_every_rule(app: type[Small]) -> None:
    results = run_all_rules(app(), quiet_seconds=SHORT)
    assert {name: result.findings for name, result in results.items() if result.findings} == {}
    judged = {name for name, result in results.items() if result.outcome == "passed"}
    missing = {PlainText: {"markup-escaped", "no-script-link"}, ClosedTypes: {"unknown-type-carries-code"}}
    missing[CodeInSubject] = missing[PlainText]
    assert set(results) - judged == missing.get(app, set())


@pytest.mark.parametrize(("app", "rules"), MISTAKES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_receiver_with_one_mistake_fails_exactly_its_rules(app: type[Small], rules: str) -> None:
    results = run_all_rules(app(), IMPATIENT, QUIET_SECONDS if issubclass(app, Queued) else SHORT)
    assert find_failed(results) == set(rules.split()), {
        name: results[name].findings for name in find_failed(results)
    }
    for name in find_failed(results):
        [finding] = results[name].findings
        assert finding.actual


def test_every_rule_has_a_receiver_that_fails_it() -> None:
    own = {
        rules.split()[0]
        for rules in (*(rules for _, rules in MISTAKES), *(rules for _, rules in TEMPLATED.values()))
    }
    own |= {
        rule.removeprefix("deliver/") for _, rules in FAILING.values() if len(rules) == 1 for rule in rules
    }
    deliver = {
        rule.removeprefix("receiver/deliver/") for rule in list_rule_ids("receiver") if "/deliver/" in rule
    }
    assert deliver <= own


@pytest.mark.parametrize("revision", catalogue.revisions())
def test_a_correct_receiver_passes_in_every_revision(revision: str) -> None:
    app = Small()
    with closing(Receiver.wsgi(app, authorization=AUTHORIZATION, revision=revision)) as receiver:
        results = try_rules(RULES, receiver, outbox=lambda: app.mails, quiet_seconds=SHORT)
    assert not [result.findings for result in results if result.findings]
    passed = {result.rule.id.rpartition("/")[2] for result in results if result.outcome == "passed"}
    assert {rule.rpartition("/")[2] for rule in RULES} - passed == (
        {"no-header-injection", "no-template-injection"} if revision == "1.22" else set()
    )


# Waiting for mails, and rules that are not judged.


class NeverInTime(Queued):
    delay = 0.6


def one_mail(app: Small, settings: Settings) -> Result:
    with closing(Receiver.wsgi(app, authorization=AUTHORIZATION)) as receiver:
        return try_rule("receiver/deliver/one-mail", receiver, settings, lambda: app.mails)


def test_a_late_mail_passes_within_the_limit_and_fails_after_it() -> None:
    assert one_mail(NeverInTime(), Settings(fail_after=5)).outcome == "passed"
    result = one_mail(NeverInTime(), Settings(fail_after=0.1))
    [finding] = result.findings
    assert re.fullmatch(
        r"204 No Content after \d+ ms, and no mail to foo\d+@example.com within 0.1 s", finding.actual
    )


def test_a_receiver_without_mails_costs_the_full_wait_only_once() -> None:
    app = SendsNothing()
    settings = Settings(warn_after=0.02, fail_after=1)
    with closing(Receiver.wsgi(app, authorization=AUTHORIZATION)) as receiver:
        results = try_rules(RULES, receiver, settings, lambda: app.mails, quiet_seconds=SHORT)
    seconds = [result.seconds for result in results]
    assert seconds[0] > 1
    assert sum(seconds[1:]) < 5


def test_rules_that_look_at_the_same_mails_wait_for_them_once() -> None:
    class Late(Queued):
        delay = 0.3

    app = Late()
    with (
        closing(Receiver.wsgi(app, authorization=AUTHORIZATION)) as receiver,
        closing(ReceiverRun(receiver, outbox=app.mails.copy)) as run,
    ):
        waited = run_rule(run, "receiver/deliver/code-intact")
        count = len(app.mails)
        shared = run_rule(run, "receiver/deliver/code-in-one-piece")
        assert (waited.outcome, shared.outcome) == ("passed", "passed")
        assert waited.seconds > 0.3 > 0.1 > shared.seconds
        assert len(app.mails) == count
        # A repeated rule sends new messages and waits for their mails.
        assert run_rule(run, "receiver/deliver/code-in-one-piece").seconds > 0.3
        assert len(app.mails) > count


def test_an_outbox_may_be_another_one_for_each_rule() -> None:
    """As the fixtures of pytest are, which empty it after each test."""
    app = Small()
    with (
        closing(Receiver.wsgi(app, authorization=AUTHORIZATION)) as receiver,
        closing(ReceiverRun(receiver)) as run,
    ):
        for rule in RULES:
            app.mails.clear()
            run.outbox = app.mails.copy
            assert run_rule(run, rule).outcome == "passed"


def test_mails_to_unknown_recipients_are_ignored() -> None:
    app = Small()
    app.mails += [Mail("", ("foo@example.com",), b"Subject: 042137\r\n\r\n")] * 3
    assert find_failed(run_all_rules(app, quiet_seconds=SHORT)) == set()


def test_an_outbox_may_be_cleared_between_rules_and_return_new_mail_objects() -> None:
    app = Small()
    app.mails += [Mail("", ("foo@example.com",), b"")] * 1000

    def outbox() -> list[Mail]:
        return [Mail(mail.sender, mail.recipients, mail.content) for mail in app.mails]

    with (
        closing(Receiver.wsgi(app, authorization=AUTHORIZATION)) as receiver,
        closing(ReceiverRun(receiver, outbox=outbox, quiet_seconds=SHORT)) as run,
    ):
        for rule in RULES:
            assert run_rule(run, rule).outcome == "passed"
            app.mails.clear()


def test_mails_go_only_to_the_recipient_domain() -> None:
    app = Small()
    results = run_all_rules(app, Settings(recipient_domain="mail.test"), SHORT)
    assert {result.outcome for result in results.values()} == {"passed"}
    # One of the addresses ends with an angle bracket, after a display name.
    assert {
        recipient.rstrip(">").rpartition("@")[2] for mail in app.mails for recipient in mail.recipients
    } == {"mail.test"}


class RefusesEverything(Small):
    def handle(self, message: dict[str, Any]) -> None:
        raise Refused("503 Service Unavailable")


class AcceptsEverything(Small):
    def respond(self, environ: dict[str, Any]) -> None:
        try:
            super().respond(environ)
        except Refused:
            return


class FailsAfterSending(Small):
    def handle(self, message: dict[str, Any]) -> None:
        super().handle(message)
        raise Refused("500 Internal Server Error")


class RefusesRepetitions(DropsRepetitions):
    def post(self, message: dict[str, Any]) -> None:
        before = len(self.mails)
        super().post(message)
        if len(self.mails) == before:
            raise Refused("409 Conflict")


def test_refused_messages_leave_deliver_rules_not_judged() -> None:
    results = run_all_rules(RefusesEverything(), quiet_seconds=SHORT)
    assert {name for name, result in results.items() if result.outcome == "passed"} == set()
    assert find_failed(results) == set()
    assert results["one-mail"].outcome == "not judged"
    assert results["one-mail"].reason == ("the receiver accepted none of the messages; see receiver/accept/*")
    refusing = run_all_rules(RefusesRepetitions(), quiet_seconds=SHORT)["resend-is-sent"]
    assert refusing.outcome == "not judged"
    assert refusing.reason.endswith("see receiver/accept/resend")


def test_a_mail_sent_despite_an_error_response_fails_none_for_refused() -> None:
    assert find_failed(run_all_rules(FailsAfterSending(), quiet_seconds=SHORT)) == {"none-for-refused"}
    result = run_all_rules(AcceptsEverything(), quiet_seconds=SHORT)["none-for-refused"]
    assert result.outcome == "not judged"
    assert result.reason == "the receiver refused none of the requests meant to be refused"


def test_without_an_outbox_no_rule_is_applicable() -> None:
    with closing(Receiver.wsgi(Small(), authorization=AUTHORIZATION)) as receiver:
        results = try_rules(RULES, receiver)
    assert {result.outcome for result in results} == {"not applicable"}
    assert {result.cases for result in results} == {0}


@pytest.mark.parametrize("seed", range(3))
def test_runs_with_other_codes_and_recipients_fail_no_rule(seed: int) -> None:
    assert find_failed(run_all_rules(Small(), Settings(seed=seed), SHORT)) == set()


def test_a_queue_that_the_run_made_long_loses_no_mail() -> None:
    """Its mails need longer than the wait for one, all together."""
    app = SlowWorker()
    with closing(Receiver.wsgi(app, authorization=AUTHORIZATION)) as receiver:
        settings = Settings(warn_after=0.3, fail_after=0.6)
        (result,) = try_rules(["receiver/deliver/one-mail"], receiver, settings, lambda: app.mails)
    assert (result.outcome, result.findings) == ("passed", ())
