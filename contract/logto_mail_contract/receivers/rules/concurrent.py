"""The rules ``receiver/concurrent/*``: many messages at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...judging.responses import format_outcome, is_accepted
from ..cases import batch
from ..checks import check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..cases import Case
    from ..requests import RequestMaker
    from ..trial import ReceiverTrial

_MESSAGES = 32


@batch("burst")
def burst(maker: RequestMaker) -> Iterator[Case]:
    """Messages of all accepted types, two to each recipient."""
    for number in range(_MESSAGES):
        if not number % 2:  # two at once to one recipient
            to = maker.make_recipient()
        type = maker.accepted_types[number % len(maker.accepted_types)] if maker.accepted_types else None
        yield maker.make_case({**maker.make_typical(type), "to": to})


@check("receiver/concurrent/burst", batches=(burst,))
def _accepts_burst(trial: ReceiverTrial) -> None:
    trial.require_accepted()
    for exchange in trial.send(burst):
        actual = f"{format_outcome(exchange.outcome)}, among {_MESSAGES} sent in parallel"
        trial.judge(exchange.case.call, is_accepted(exchange.outcome), actual, exchange.outcome)
    for exchange in trial.run.doubts.strained:
        actual = f"{format_outcome(exchange.outcome)} among {exchange.company + 1} requests at once"
        trial.judge(exchange.case.call, passed=False, actual=actual, outcome=exchange.outcome)
    trial.require_reachable()
