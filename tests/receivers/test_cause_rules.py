"""Rules that fail with different statuses fail for different reasons, and each is reported."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import pytest
from tests.support.broken_receivers import TOKEN, Good, Refused, Request, wsgi
from tests.support.runs import try_rules

from logto_mail_contract.receivers.receiver import Receiver

RULES = ("receiver/accept/unknown-member", "receiver/accept/leading-zeros")


class Refusing(Good):
    """Refuses codes with leading zeros with one status, and unknown members with another."""

    def __init__(self, zeros: int, unknown: int) -> None:
        self.zeros, self.unknown = zeros, unknown

    def handle(self, message: Any, request: Request) -> None:
        super().handle(message, request)
        if str(message["payload"].get("code", "1")).startswith("0"):
            raise Refused(self.zeros, "")
        if message.keys() - {"to", "type", "payload", "ip"}:
            raise Refused(self.unknown, "")


class Explaining(Refusing):
    """Says in JSON what is wrong."""

    def __init__(self, zeros: str, unknown: str) -> None:
        super().__init__(400, 400)
        self.texts = {"zeros": zeros, "unknown": unknown}

    def handle(self, message: Any, request: Request) -> None:
        try:
            super().handle(message, request)
        except Refused:
            kind = "zeros" if str(message["payload"].get("code", "1")).startswith("0") else "unknown"
            text = self.texts[kind].format(message["to"])
            raise Refused(400, json.dumps({"error": text})) from None


def find_causes(app: Good) -> list[str | None]:
    with closing(Receiver.wsgi(wsgi(app), "/hook", authorization=TOKEN)) as receiver:
        results = try_rules(RULES, receiver)
    assert [(result.outcome, result.reason) for result in results] == [("failed", ""), ("failed", "")]
    return [finding.cause for result in results for finding in result.findings]


@pytest.mark.parametrize(("zeros", "unknown"), [(400, 422), (400, 500)])
def test_two_statuses_are_two_causes(zeros: int, unknown: int) -> None:
    assert find_causes(Refusing(zeros, unknown)) == [None, None]


def test_two_texts_in_json_are_two_causes() -> None:
    assert find_causes(Explaining("the code is no number", "a member is not known")) == [None, None]


@pytest.mark.parametrize("text", ['near "{}": syntax error', "cannot read {}", "cannot read '{}'"])
def test_one_text_in_json_with_another_value_is_one_cause(text: str) -> None:
    assert find_causes(Explaining(text, text)) == [None, RULES[0]]


def test_one_status_for_messages_that_are_odd_in_other_ways_is_no_one_cause() -> None:
    assert find_causes(Refusing(422, 422)) == [None, None]


def test_two_crashes_with_a_bare_500_are_two_causes() -> None:
    class CrashesTwice(Good):
        def handle(self, message: Any, request: Request) -> None:
            super().handle(message, request)
            text = json.dumps(message["payload"])
            if '"name": null' in text or "%s" in text:
                raise RuntimeError

    rules = "receiver/accept/null-user", "receiver/accept/template-syntax"
    with closing(Receiver.wsgi(wsgi(CrashesTwice()), "/hook", authorization=TOKEN)) as receiver:
        results = try_rules(rules, receiver)
    assert [finding.cause for result in results for finding in result.findings] == [None, None]
