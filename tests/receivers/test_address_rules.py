"""The rules ``receiver/accept/*`` about recipients: which addresses a receiver must take."""

# An overriding method keeps the parameters of the original.
# ruff: noqa: ARG002
from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.broken_receivers import TOKEN, Good, Refused, Request, wsgi
from tests.support.runs import has_failed, try_rules

from logto_mail_contract.receivers.receiver import Receiver, Settings

if TYPE_CHECKING:
    from logto_mail_contract.suite.results import Result

ORDINARY = "receiver/accept/ordinary-addresses"
RARE = "receiver/accept/rare-addresses"
ODD = "receiver/accept/odd-addresses"


class Picky(Good):
    """Refuses each recipient that a pattern does not match whole."""

    pattern = ".*"
    refused = 422

    def handle(self, message: Any, request: Request) -> None:
        if not re.fullmatch(self.pattern, message["to"]):
            raise Refused(self.refused, "no address")


def run(picky: Picky, settings: Settings | None = None) -> dict[str, Result]:
    receiver = Receiver.wsgi(wsgi(picky), "/hook", authorization=TOKEN)
    results = try_rules([ORDINARY, RARE, ODD], receiver, settings)
    receiver.close()
    return {result.rule.id: result for result in results}


def make_picky(pattern: str, refused: int = 422) -> Picky:
    picky = Picky()
    picky.pattern, picky.refused = pattern, refused
    return picky


@pytest.mark.parametrize(
    "pattern",
    [
        r"[^.@]+@.*",
        r"[^-@]+@.*",
        r"[^_@]+@.*",
        r"[^'@]+@.*",
        r"[^+@]+@.*",
        r"[^A-Z]+",
        r"[A-Za-z].*",
        r"[^@]{2,}@.*",
        r"[^@]{1,63}@.*",
        r".{1,99}",
        r".{1,127}",
        r".*\.[a-z]{2,4}",
        r".*@[^.]+\.[^.]+",
        r"[^@]+@[^0-9]*",
        r"[^@]+@[^-]*",
        r"[^@]+@.*\.(com|net|org)",
    ],
)
def test_an_ordinary_address_that_is_refused_fails_a_must(pattern: str) -> None:
    results = run(make_picky(pattern))
    assert results[ORDINARY].outcome == "failed"
    assert results[ODD].outcome == "passed"


@pytest.mark.parametrize("mark", "!#$%&*/=?^`{|}~")
def test_a_rarer_atom_that_is_refused_fails_a_should(mark: str) -> None:
    results = run(make_picky(rf"[^{re.escape(mark)}]+"))
    assert {rule for rule, result in results.items() if has_failed(result)} == {RARE}
    assert results[RARE].outcome == "warned"


@pytest.mark.parametrize("pattern", [r"[\x00-\x7f]+@.*", r".*@[\x00-\x7f]+"])
def test_an_international_address_that_is_refused_fails_a_should(pattern: str) -> None:
    results = run(make_picky(pattern))
    assert {rule for rule, result in results.items() if has_failed(result)} == {RARE}


@pytest.mark.parametrize(("status", "outcome"), [(502, "passed"), (503, "passed"), (500, "failed")])
def test_a_gateway_error_for_an_odd_address_is_no_crash(status: int, outcome: str) -> None:
    results = run(make_picky(r"[A-Za-z0-9.@'_+-]+", status))
    assert results[ORDINARY].outcome == "passed"
    assert results[RARE].outcome == "warned"
    assert results[ODD].outcome == outcome


def test_every_recipient_is_in_the_given_domain() -> None:
    domains = set()

    class Recording(Picky):
        def handle(self, message: Any, request: Request) -> None:
            domains.add(message["to"].rpartition("@")[2])

    results = run(Recording(), Settings(recipient_domain="corp.test"))
    assert domains == {"corp.test"}
    assert {result.outcome for result in results.values()} == {"passed"}
