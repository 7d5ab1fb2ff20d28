"""The register of the rules for receivers; ``receivers.rules`` fills it by importing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..suite.checks import Checks

if TYPE_CHECKING:
    from collections.abc import Callable

    from .cases import Batch
    from .trial import Expectation, ReceiverTrial

CHECKS: Checks[ReceiverTrial] = Checks("receiver")
"""Needs are ``wire``, ``authorization``, ``outbox``, and ``refusals``: an outbox that refuses when asked."""


class Declared(NamedTuple):
    """What a rule sends.

    Attributes:
        batches: The batches whose exchanges it judges.
        requests: How many requests it sends besides, at most.
    """

    batches: tuple[Batch, ...]
    requests: int


DECLARED: dict[str, Declared] = {}
"""What each rule sends, by its id."""


def list_senders(rule: str, group: str) -> list[str]:
    """Return the rules to try so that a rule sees the cases of a group: itself, and else one that sends them.

    Args:
        rule: The rule's id.
        group: The name of a batch; empty for cases of no batch.
    """
    senders = [other for other in DECLARED if any(one.name == group for one in DECLARED[other].batches)]
    # Every run sends ordinary messages.
    is_sent = group == "ordinary" or rule in senders
    return [rule] if is_sent or not senders else [rule, senders[0]]


def sends_drawn(rule: str) -> bool:
    """Return whether a rule sends messages that are drawn."""
    return any(one.way == "drawn" for one in DECLARED[rule].batches)


def is_drawn(group: str) -> bool:
    """Return whether the messages of a group, the name of a batch, are drawn."""
    return any(
        one.name == group and one.way == "drawn" for declared in DECLARED.values() for one in declared.batches
    )


def check(
    rule: str, *needs: str, batches: tuple[Batch, ...] = (), requests: int = 0
) -> Callable[[Callable[[ReceiverTrial], None]], Callable[[ReceiverTrial], None]]:
    """Return a decorator that registers the function that judges a rule.

    Args:
        rule: The rule's id.
        needs: What the receiver must have so that the rule is applicable.
        batches: The batches whose exchanges it judges.
        requests: How many requests the function sends besides, at most.
    """
    DECLARED[rule] = Declared(batches, requests)
    return CHECKS.register(rule, *needs)


def expect_each(rule: str, batch: Batch, acceptable: Expectation, *needs: str) -> None:
    """Register a rule that expects the same of each case of one batch.

    Args:
        rule: The rule's id.
        batch: The batch.
        acceptable: What is acceptable.
        needs: What the receiver must have so that the rule is applicable.
    """
    check(rule, *needs, batches=(batch,))(lambda trial: trial.expect_each(batch, acceptable))
