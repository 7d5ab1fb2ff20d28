"""The real ``@logto/connector-http-email`` passes every rule for senders."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.logto.node import FOLDER, require_packages

from logto_mail_contract.catalogue import revisions
from logto_mail_contract.senders.destination import Destination
from logto_mail_contract.senders.run import SenderRun
from logto_mail_contract.senders.sender import Sender, SenderSettings
from logto_mail_contract.suite.checks import list_rule_ids
from logto_mail_contract.suite.engine import run_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = ["node", str(FOLDER / "connector.mjs")]
GENERATED = 2500
RULES = list_rule_ids("sender")


@pytest.fixture(scope="module")
def destination() -> Iterator[Destination]:
    """The endpoint that the connector is given."""
    with Destination() as destination:
        yield destination


@pytest.fixture(scope="module")
def connector_as_sender() -> Iterator[Sender]:
    """The connector, in one process for all tests of this module."""
    require_packages()
    sender = Sender.command(COMMAND)
    yield sender
    sender.close()


def test_the_connector_passes_every_rule(connector_as_sender: Sender, destination: Destination) -> None:
    """All rules on requests and bodies judge thousands of generated messages."""
    settings = SenderSettings(examples=GENERATED, slow=1.0, strict=True)
    # One test for all rules: otherwise each process of a parallel run sends all messages again.
    run = SenderRun(connector_as_sender, destination, settings)
    results = {rule: run_rule(run, rule) for rule in RULES}
    assert {rule: result.findings for rule, result in results.items() if result.outcome != "passed"} == {}
    assert {rule for rule in RULES if results[rule].cases > GENERATED} == {
        *(f"sender/request/{name}" for name in ("arrives", "method", "target", "host", "framing")),
        *(f"sender/request/{name}" for name in ("content-type", "content-encoding", "no-authorization")),
        *(rule for rule in RULES if rule.startswith("sender/body/")),
        "sender/answer/success",
        "sender/answer/no-retry",
    }


@pytest.mark.parametrize("seed", range(10))
def test_generated_messages_cause_no_false_alarm(
    seed: int, connector_as_sender: Sender, destination: Destination
) -> None:
    """The connector passes the rules on generated messages with any seed, in any revision."""
    settings = SenderSettings(examples=25, seed=seed, settle=0.02)
    sender = Sender(connector_as_sender.driver, revisions()[seed % len(revisions())], COMMAND)
    run = SenderRun(sender, destination, settings)
    results = [run_rule(run, rule) for rule in RULES if rule.startswith(("sender/request/", "sender/body/"))]
    assert [result.findings for result in results if result.findings] == []
    assert [result.rule.id for result in results if result.outcome == "not applicable"] == (
        [] if sender.revision == "1.35" else ["sender/body/ip"]
    )


def test_the_connector_waits_for_a_slow_response(
    connector_as_sender: Sender, destination: Destination
) -> None:
    """The rule on late responses passes because the connector waits, not because no response was late."""
    start = time.monotonic()
    run = SenderRun(connector_as_sender, destination, SenderSettings(slow=0.5))
    assert run_rule(run, "sender/answer/slow").outcome == "passed"
    assert time.monotonic() - start > 0.5
