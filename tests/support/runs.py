"""Run rules against a receiver."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from logto_mail_contract.receivers.run import ReceiverRun
from logto_mail_contract.suite.engine import run_rule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logto_mail_contract.receivers.receiver import Receiver, Settings
    from logto_mail_contract.receivers.run import Outbox
    from logto_mail_contract.suite.results import Result


def try_rules(
    rules: Iterable[str],
    receiver: Receiver,
    settings: Settings | None = None,
    outbox: Outbox | None = None,
    **limits: Any,
) -> list[Result]:
    """Try rules in one run."""
    with closing(ReceiverRun(receiver, settings, outbox, **limits)) as run:
        return [run_rule(run, rule) for rule in rules]


def try_rule(
    rule: str,
    receiver: Receiver,
    settings: Settings | None = None,
    outbox: Outbox | None = None,
    **limits: Any,
) -> Result:
    """Try one rule in a run of its own."""
    return try_rules([rule], receiver, settings, outbox, **limits)[0]


def has_failed(result: Result) -> bool:
    """Return whether the result is a violation of the rule, MUST or SHOULD."""
    return result.outcome in ("failed", "warned")
