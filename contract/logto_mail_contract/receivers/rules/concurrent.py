"""The rules ``receiver/concurrent/*``: many messages at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from ...judging.responses import format_outcome, is_accepted, is_timeout
from ...judging.typical import RECIPIENT, template_types
from ..checks import check

if TYPE_CHECKING:
    from ...connector.channel import Channel
    from ...wire.calls import Call
    from ...wire.outcomes import Outcome
    from ..trial import ReceiverTrial

_CLIENTS = 16
_BURST = 4
"""Messages for each client of a burst."""


@check("receiver/concurrent/burst")
def _burst(trial: ReceiverTrial) -> None:
    types = [type for type in template_types(trial.receiver.revision) if trial.baseline_accepted(type)]
    if not types:
        return
    # Two at a time to one recipient.
    recipients = [trial.requests.make_recipient(RECIPIENT) for _ in range(_CLIENTS * _BURST // 2)]
    calls = [
        trial.requests.make_call(
            {**trial.requests.make_typical(types[number % len(types)]), "to": recipients[number // 2]}
        )
        for number in range(_CLIENTS * _BURST)
    ]
    trial.run.release_channel()

    def client(own: list[Call], channel: Channel) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for call in own:
            outcomes.append(trial.exchange(call, channel))
            if is_timeout(outcomes[-1]):
                break
        return outcomes

    with ExitStack() as stack:
        # Each keeps its connection until all are done, as the connector's pool does.
        channels = [stack.enter_context(closing(trial.receiver.target.open())) for _ in range(_CLIENTS)]
        clients = stack.enter_context(ThreadPoolExecutor(_CLIENTS))
        shares = [calls[number::_CLIENTS] for number in range(_CLIENTS)]
        for own, outcomes in zip(shares, clients.map(client, shares, channels), strict=True):
            for call, outcome in zip(own, outcomes, strict=False):
                actual = f"{format_outcome(outcome)}, among {len(calls)} sent in parallel"
                trial.judge(call, is_accepted(outcome), actual, outcome)
