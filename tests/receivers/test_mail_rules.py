"""The rules about the mails of all messages: good receivers of several styles, and ones with one mistake."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support.broken_receivers import TOKEN, wsgi
from tests.support.good_receivers import Mailing, serve_mailing
from tests.support.mistaken_receivers import MISTAKEN
from tests.support.runs import has_failed, try_rule, try_rules
from tests.support.templated_receivers import GOOD, MISTAKES, JoinNone, RecipientsOfAHeader, Templated

from logto_mail_contract import catalogue
from logto_mail_contract.receivers.outbox import SmtpSink
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.suite.checks import list_rule_ids

if TYPE_CHECKING:
    from logto_mail_contract.suite.results import Result

# What is drawn finds more or less with each seed, and a busy machine answers a large message late.
LEFT_OUT = (
    "receiver/accept/generated",
    "receiver/accept/large-invitation",
    "receiver/accept/older-revisions",
)
RULES = [
    rule
    for rule in list_rule_ids("receiver")
    if rule.startswith(("receiver/accept/", "receiver/deliver/")) and rule not in LEFT_OUT
]
# What is accepted is mostly the same for all that make their mails with a template.
MAIL_RULES = [rule for rule in RULES if "/deliver/" in rule or rule == "receiver/accept/template-syntax"]
SETTINGS = Settings(examples=10)
# Each lost mail costs the whole wait.
IMPATIENT = Settings(warn_after=1, fail_after=2)
SHORT = 0.01
"""Quiet seconds that suffice for receivers that send before they respond."""


def find_failed(
    receiver: Templated, rules: list[str] = RULES, settings: Settings = SETTINGS
) -> dict[str, Result]:
    """Run rules, and return the failed ones by the last part of their ids."""
    with closing(Receiver.wsgi(wsgi(receiver), authorization=TOKEN)) as subject:
        results = try_rules(rules, subject, settings, lambda: receiver.mails, quiet_seconds=SHORT)
    return {result.rule.id.rpartition("/")[2]: result for result in results if has_failed(result)}


def choose_settings(rules: str) -> Settings:
    """Return settings for a receiver that fails some rules: short waits where it loses mails."""
    return IMPATIENT if "one-mail" in rules else SETTINGS


@pytest.mark.parametrize("make", GOOD, ids=lambda make: make.__name__)
def test_a_good_receiver_fails_no_rule(make: type[Templated]) -> None:
    failed = find_failed(make())
    assert {name: result.findings for name, result in failed.items()} == {}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_receiver_with_one_mistake_fails_exactly_its_rules(name: str) -> None:
    make, rules = MISTAKES[name]
    # Another seed for each: none is found by luck.
    settings = replace(choose_settings(rules), seed=sum(name.encode()) % 5)
    failed = find_failed(make(), MAIL_RULES, settings)
    assert set(failed) == set(rules.split()), {name: result.findings for name, result in failed.items()}


@pytest.mark.parametrize(
    "rule",
    [
        *("accept/template-syntax", "deliver/one-mail", "deliver/no-second-recipient", "deliver/link-intact"),
        *("deliver/odd-link-intact", "deliver/text-intact", "deliver/no-leftovers", "deliver/mail-format"),
        *("deliver/no-script-link", "deliver/no-template-injection"),
    ],
)
def test_at_least_two_mistakes_are_found_by_one_rule_alone(rule: str) -> None:
    assert [rules for _, rules in MISTAKES.values()].count(rule.rpartition("/")[2]) >= 2


@pytest.mark.parametrize("rule", sorted({rule for _, rules in MISTAKES.values() for rule in rules.split()}))
def test_each_rule_finds_its_mistakes_when_it_is_tried_alone(rule: str) -> None:
    [whole] = [one for one in RULES if one.endswith(f"/{rule}")]
    names = [name for name, (_, rules) in MISTAKES.items() if rule in rules.split()]

    def is_found(name: str) -> bool:
        make, rules = MISTAKES[name]
        return bool(find_failed(make(), [whole], choose_settings(rules)))

    # Most of the time of a run is a wait for a mail that does not come.
    with ThreadPoolExecutor(4) as pool:
        assert [name for name, found in zip(names, pool.map(is_found, names), strict=True) if not found] == []


@pytest.mark.parametrize("revision", catalogue.revisions())
def test_a_good_receiver_fails_no_rule_in_any_revision(revision: str) -> None:
    receiver = Templated()
    rules = [rule for rule in RULES if rule.startswith("receiver/deliver/")]
    with closing(Receiver.wsgi(wsgi(receiver), authorization=TOKEN, revision=revision)) as subject:
        results = try_rules(rules, subject, outbox=lambda: receiver.mails, quiet_seconds=SHORT)
    assert not [result.findings for result in results if result.findings]
    assert not [result.rule.id for result in results if result.outcome == "not judged"]


def test_the_finding_of_a_link_shows_both_links_and_what_happened() -> None:
    make, _ = MISTAKES["drops-ports"]
    [finding] = find_failed(make(), ["receiver/deliver/link-intact"])["link-intact"].findings
    assert "its port is missing" in finding.actual
    assert "expected https://app.example.com:8443/Join/" in finding.actual
    assert "and got https://app.example.com/Join/" in finding.actual


def test_the_finding_of_a_lost_mail_shows_its_message() -> None:
    make, _ = MISTAKES["loses-uk-UA"]
    [finding] = find_failed(make(), ["receiver/deliver/one-mail"], IMPATIENT)["one-mail"].findings
    assert '"locale":"uk-UA"' in finding.message


def test_an_invitation_without_a_link_shows_what_stands_for_it() -> None:
    [finding] = find_failed(JoinNone(), ["receiver/deliver/no-leftovers"])["no-leftovers"].findings
    assert finding.actual == "a mail in which the HTML shows None; the plain text shows None"


def test_second_recipients_go_to_the_recipient_domain_alone() -> None:
    receiver = RecipientsOfAHeader()
    settings = Settings(recipient_domain="mail.test")
    assert find_failed(receiver, ["receiver/deliver/no-second-recipient"], settings)
    domains = {recipient.rpartition("@")[2] for mail in receiver.mails for recipient in mail.recipients}
    assert domains == {"mail.test"}


# Over SMTP.


@pytest.mark.parametrize(("make", "failed"), [(Mailing, set()), (MISTAKEN["blank-link"], {"no-leftovers"})])
def test_mails_are_judged_as_they_came_over_smtp(make: type[Mailing], failed: set[str]) -> None:
    rules = [rule for rule in RULES if rule.startswith("receiver/deliver/")]
    with (
        SmtpSink() as sink,
        serve_mailing(make, sink.port) as url,
        closing(Receiver.url(url, authorization=TOKEN)) as receiver,
    ):
        results = try_rules(rules, receiver, Settings(), sink)
    assert {result.rule.id.rpartition("/")[2] for result in results if has_failed(result)} == failed


class QueuedLongLines(Mailing):
    """Accepts first, and sends the whole page on one line then."""

    def send(self, to: str, mail: bytes) -> None:
        try:
            super().send(to, mail.replace(b"\r\n\r\n", b"\r\n\r\n" + b"x" * 2000, 1))
        except Exception:  # noqa: BLE001 - as a background mailer does
            return


def test_the_answer_of_the_sink_stands_in_the_finding() -> None:
    with (
        SmtpSink() as sink,
        serve_mailing(QueuedLongLines, sink.port) as url,
        closing(Receiver.url(url, authorization=TOKEN)) as receiver,
    ):
        result = try_rule("receiver/deliver/one-mail", receiver, IMPATIENT, sink)
    [finding] = result.findings
    assert "; the SMTP sink answered 500 " in finding.actual
