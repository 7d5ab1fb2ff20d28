"""Rules that fail with different statuses fail for different reasons, and each is reported."""

from __future__ import annotations

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


def find_causes(app: Good) -> list[str | None]:
    with closing(Receiver.wsgi(wsgi(app), "/hook", authorization=TOKEN)) as receiver:
        results = try_rules(RULES, receiver)
    assert [result.outcome for result in results] == ["failed", "failed"]
    return [finding.cause for result in results for finding in result.findings]


@pytest.mark.parametrize(("zeros", "unknown"), [(400, 422), (500, 502), (400, 500)])
def test_two_statuses_are_two_causes(zeros: int, unknown: int) -> None:
    assert find_causes(Refusing(zeros, unknown)) == [None, None]


def test_one_status_and_body_are_one_cause() -> None:
    assert find_causes(Refusing(422, 422)) == [None, RULES[0]]
