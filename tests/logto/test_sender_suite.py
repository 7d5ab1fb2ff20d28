"""The real ``@logto/connector-http-email`` keeps every rule for senders."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.logto.node import FOLDER, require_packages

from logto_mail_contract.catalogue import revisions
from logto_mail_contract.senders.sender import Desk, Sender, SenderSettings, sender_rules, try_sender_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = ["node", str(FOLDER / "connector.mjs")]
GENERATED = 2500


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """The endpoint that the connector is given."""
    with Desk() as desk:
        yield desk


@pytest.fixture(scope="module")
def connector_as_sender() -> Iterator[Sender]:
    """The connector, which answers jobs for as long as the tests of this module run."""
    require_packages()
    sender = Sender.command(COMMAND)
    yield sender
    sender.close()


def test_the_connector_keeps_every_rule(connector_as_sender: Sender, desk: Desk) -> None:
    """It does so with thousands of generated messages, which all rules on requests and bodies look at."""
    settings = SenderSettings(examples=GENERATED, slow=1.0, strict=True)
    # One test for all: the messages are sent once, and not once more in every process of a parallel run.
    results = {rule: try_sender_rule(rule, connector_as_sender, settings, desk) for rule in sender_rules()}
    assert {rule: result.findings for rule, result in results.items() if result.outcome != "kept"} == {}
    assert [rule for rule, result in results.items() if result.cases > GENERATED] == [
        "sender/request/method",
        "sender/request/content-type",
        "sender/request/no-authorization",
        "sender/request/framing",
        *(rule for rule in sender_rules() if rule.startswith("sender/body/")),
    ]


@pytest.mark.parametrize("seed", range(10))
def test_no_false_alarm(seed: int, connector_as_sender: Sender, desk: Desk) -> None:
    """It keeps the rules on generated messages whatever the seed, in any revision."""
    connector_as_sender.memory.clear()
    settings = SenderSettings(examples=25, seed=seed, settle=0.02)
    sender = Sender(connector_as_sender.driver, revisions()[seed % len(revisions())], COMMAND)
    results = [
        try_sender_rule(rule, sender, settings, desk)
        for rule in sender_rules()
        if rule.startswith(("sender/request/", "sender/body/"))
    ]
    assert [result.findings for result in results if result.outcome == "broken"] == []
    assert [result.rule.id for result in results if result.outcome == "not applicable"] == (
        [] if sender.revision == "1.35" else ["sender/body/ip"]
    )


def test_a_slow_answer_is_really_waited_for(connector_as_sender: Sender, desk: Desk) -> None:
    """The rule on late answers is kept because the connector waits, not because nothing was late."""
    start = time.monotonic()
    settings = SenderSettings(slow=0.5)
    assert try_sender_rule("sender/answer/slow", connector_as_sender, settings, desk).outcome == "kept"
    assert time.monotonic() - start > 0.5
