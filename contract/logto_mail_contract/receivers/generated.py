"""Expects the same of every drawn message, and looks for the smallest one that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..judging.javascript_json import stringify
from ..judging.responses import format_outcome, is_timeout
from ..suite.search import MAX_SHRINK_SECONDS, find_smallest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hypothesis.strategies import SearchStrategy

    from .cases import Batch, Case, Exchange
    from .trial import Expectation, ReceiverTrial

MAX_SEARCH_REQUESTS = 60
"""Most requests in the search for a smaller message, once one has failed."""


def expect_generated(
    trial: ReceiverTrial,
    batch: Batch,
    messages: SearchStrategy[Any],
    acceptable: Expectation,
    make_case: Callable[[Any], Case],
) -> None:
    """Expect the same of each drawn message; the smallest one that fails is noted as one case.

    Args:
        trial: The trial of the rule.
        batch: The batch of the drawn messages.
        messages: What they were drawn from.
        acceptable: What is acceptable.
        make_case: Makes the case of what was drawn.

    Raises:
        ReceiverGone: The receiver cannot be reached.
    """
    exchanges = trial.send(batch)
    failed = [exchange for exchange in exchanges if not acceptable(exchange.outcome)]
    trial.cases += len(exchanges)
    if not failed:
        return
    smallest = min(failed, key=lambda one: len(one.case.call.body))
    is_flaky = False
    if not is_timeout(smallest.outcome):  # each try would cost as long
        smallest, is_flaky = _search(trial, smallest, messages, acceptable, make_case)
    trial.cases -= 1
    sometimes = "; not every time that this message is sent" if is_flaky else ""
    outcome = smallest.outcome
    trial.judge(smallest.case.call, passed=False, actual=format_outcome(outcome) + sometimes, outcome=outcome)


def _search(
    trial: ReceiverTrial,
    first: Exchange,
    messages: SearchStrategy[Any],
    acceptable: Expectation,
    make_case: Callable[[Any], Case],
) -> tuple[Exchange, bool]:
    """Return the smallest failing exchange found, and whether it failed only sometimes."""
    last = first
    is_found = False
    left = MAX_SEARCH_REQUESTS
    known = stringify(first.case.message and _without_own(first.case.message))

    def fails(drawn: Any) -> bool:
        nonlocal last, is_found, left
        # What comes before the one that failed was sent already.
        if not is_found and stringify(_without_own(make_case(drawn).message or {})) != known:
            return False
        is_found = True
        if left <= 0:
            return False
        left -= 1
        exchange = trial.send_case(make_case(drawn))
        if acceptable(exchange.outcome):
            return False
        last = exchange
        return True

    with trial.run.dispatcher.lanes.alone():
        found = find_smallest(
            messages,
            fails,
            examples=trial.settings.examples,
            seed=trial.settings.seed,
            shrink_seconds=lambda: MAX_SHRINK_SECONDS,
        )
    return last, found is None or (found.is_flaky and left > 0)


def _without_own(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message without what is other each time that it is made."""
    payload = {name: value for name, value in message["payload"].items() if name not in ("code", "link")}
    return {**message, "to": "", "payload": payload}
