"""Several messages to one recipient: each has a mail of its own, and none takes that of another."""

from __future__ import annotations

import json
from contextlib import closing
from itertools import count
from typing import Any

import pytest
from tests.support.broken_receivers import TOKEN, Request, wsgi
from tests.support.runs import has_failed, try_rules
from tests.support.templated_receivers import Templated

from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.receivers.requests import RequestMaker
from logto_mail_contract.suite.checks import list_rule_ids

RULES = [
    "receiver/accept/resend",
    "receiver/concurrent/burst",
    *(rule for rule in list_rule_ids("receiver") if rule.startswith("receiver/deliver/")),
]
IMPATIENT = Settings(warn_after=0.9, fail_after=1)


class OneMailEach(Templated):
    """Mails the first message to a recipient, and drops the others as if they were repetitions."""

    def __init__(self) -> None:
        super().__init__()
        self.known: set[str] = set()

    def handle(self, message: Any, request: Request) -> None:
        if message["to"] not in self.known:
            super().handle(message, request)
        self.known.add(message["to"])


class DropsRepetitions(Templated):
    """Drops a message whose body it knows."""

    def __init__(self) -> None:
        super().__init__()
        self.known: set[bytes] = set()

    def handle(self, message: Any, request: Request) -> None:
        if request.body not in self.known:
            super().handle(message, request)
        self.known.add(request.body)


def test_a_message_that_is_repeated_has_a_recipient_code_and_link_of_its_own() -> None:
    with closing(Receiver.wsgi(wsgi(Templated()), authorization=TOKEN)) as subject:
        maker = RequestMaker(subject, Settings(), count(10_000))
        link = "https://app.example.com/join?token=n4c123&org=1"
        case = maker.make_case(maker.make_typical("OrganizationInvitation", link=link, code="314159"))
        again = maker.make_again(case)
    assert case.message is not None
    assert again.message is not None
    assert again.message == json.loads(again.call.body)
    assert again.message["payload"].keys() == {*case.message["payload"]}
    for name in ("to", "code", "link"):
        assert getattr(again, name) not in ("", getattr(case, name))
    assert again.link.startswith("https://app.example.com/join?token=n4c")
    assert again.link.endswith("&org=1")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Templated, set()),
        (OneMailEach, {"one-mail", "resend-is-sent"}),
        (DropsRepetitions, {"resend-is-sent"}),
    ],
    ids=["good", "one-mail-each", "drops-repetitions"],
)
def test_a_dropped_message_fails_the_rules_about_lost_mails_alone(
    make: type[Templated], expected: set[str]
) -> None:
    receiver = make()
    with closing(Receiver.wsgi(wsgi(receiver), authorization=TOKEN)) as subject:
        results = try_rules(RULES, subject, IMPATIENT, lambda: receiver.mails, quiet_seconds=0.01)
    failed = {result.rule.id.rpartition("/")[2]: result for result in results if has_failed(result)}
    assert set(failed) == expected
    if "one-mail" in expected:
        assert " but 1 mail of other messages within" in failed["one-mail"].findings[0].actual
    if "resend-is-sent" in expected:
        assert failed["resend-is-sent"].findings[0].actual.endswith(" for two messages")


@pytest.mark.parametrize(("code", "zeros"), [("012345", 1), ("001234", 2), ("123456", 0)])
def test_a_request_that_is_repeated_has_another_code_of_the_same_form(code: str, zeros: int) -> None:
    again = _repeat(code)
    assert again != code
    assert len(again) - len(again.lstrip("0")) == zeros


@pytest.mark.parametrize("code", ["000000", "000007", "089898", "1"])
def test_a_request_that_is_repeated_keeps_a_code_that_is_like_no_other(code: str) -> None:
    assert _repeat(code) == code


def _repeat(code: str) -> str:
    with closing(Receiver.wsgi(wsgi(Templated()), authorization=TOKEN)) as receiver:
        maker = RequestMaker(receiver, Settings(), count(10_000))
        case = maker.make_case(maker.make_typical("OrganizationInvitation", code=code))
        again = maker.make_again(case)
    assert again.code.encode() in again.call.body
    return again.code
