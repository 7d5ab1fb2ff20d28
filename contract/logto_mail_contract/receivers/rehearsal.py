"""Counts what a run will send, by trying the rules at a receiver that accepts everything."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from ..suite.engine import run_rule
from ..wire.outcomes import Response
from .receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..wire.calls import Call
    from ..wire.outcomes import Outcome
    from .run import ReceiverRun


def rehearse(rehearsed: ReceiverRun, rules: Sequence[str]) -> tuple[int, set[str]]:
    """Return about how many requests a run will send, and the recipients in them.

    Args:
        rehearsed: The run; nothing is sent to its receiver.
        rules: The ids of the rules.
    """
    receiver = rehearsed.receiver
    target = _AcceptingTarget(receiver)
    # Nothing is waited for: there is nothing to come.
    hasty = replace(rehearsed.settings, warn_after=0.01, fail_after=0.01)
    outbox = None if rehearsed.outbox is None else list
    run = type(rehearsed)(Receiver(target, receiver.authorization, receiver.revision), hasty, outbox)
    for rule in rules:
        run_rule(run, rule)
    recipients = set()
    for call in target.calls:
        try:
            message = json.loads(call.body)
        except (ValueError, RecursionError):
            continue
        if isinstance(message, dict) and isinstance(message.get("to"), str):
            recipients.add(message["to"])
    return len(target.calls), recipients


class _AcceptingTarget:
    """A target, and the channel to it, that accepts whatever is sent."""

    on_wire = True

    def __init__(self, receiver: Receiver) -> None:
        self.scheme = receiver.target.scheme
        self.host = receiver.target.host
        self.path = receiver.target.path
        self.calls: list[Call] = []

    def open(self) -> _AcceptingTarget:
        return self

    def exchange(self, call: Call, timeout: float) -> Outcome:  # noqa: ARG002 - it responds at once
        self.calls.append(call)
        return Response(200, (), b"", 0.0)

    def late_bytes(self, seconds: float) -> tuple[str, ...]:  # noqa: ARG002 - there are none
        return ()

    def exchange_again(self, call: Call, timeout: float) -> Outcome | None:
        return self.exchange(call, timeout)

    def close(self) -> None:
        """Nothing is open."""
