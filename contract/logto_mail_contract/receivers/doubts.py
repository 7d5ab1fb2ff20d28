"""What the run's own load, or a limit that all messages share, may have caused; no rule is failed by that."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from ..judging.responses import format_outcome, format_status, is_accepted, is_timeout
from ..wire.outcomes import NoResponse, Response
from .dispatch import ReceiverGone

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from ..wire.calls import Call
    from ..wire.outcomes import Outcome
    from .cases import Exchange
    from .run import ReceiverRun

_MAX_CONFIRMED = 16
_MAX_CONFIRMED_HANGS = 2
_CONFIRMING_CLIENTS = 4
_TOO_MANY_REQUESTS = 429


class Trouble(NamedTuple):
    """That ordinary messages are no longer accepted.

    Attributes:
        reason: What happened, for the rules that are not judged because of it.
        call: A message that showed it.
        actual: What came, for a person to read.
        is_limit: Whether the receiver says that it limits how many messages it accepts.
    """

    reason: str
    call: Call
    actual: str
    is_limit: bool


class Doubts:
    """The exchanges of a run that say nothing of the rule that they were made for.

    Args:
        run: The run.

    Attributes:
        trouble: Set once ordinary messages are no longer accepted, or a limit is seen.
        strained: Exchanges that failed among others, and passed when they were repeated.
    """

    def __init__(self, run: ReceiverRun) -> None:
        self.trouble: Trouble | None = None
        self.strained: list[Exchange] = []
        self._run = run
        self._looked_at = 0
        self._reasons: dict[Exchange, str] = {}
        self._confirmed: set[Hashable] = set()

    def explain(self, exchange: Exchange) -> str:
        """Return why an exchange says nothing of its rule; empty where it says something."""
        return self._reasons.get(exchange, "")

    def look(self) -> None:
        """Look at what came since the last time: repeat what may be due to load, and look for a limit.

        It waits until nothing is under way, and sends little.
        """
        dispatcher = self._run.dispatcher
        if self._looked_at == len(dispatcher.ledger):
            return
        dispatcher.lanes.drain()
        fresh = dispatcher.ledger[self._looked_at :]
        if not all(is_accepted(exchange.outcome) for exchange in fresh) and not dispatcher.lanes.stopped:
            # What came before tells why a receiver is gone: who judges that finds it gone too.
            with dispatcher.lanes.alone(), suppress(ReceiverGone):
                if self._still_accepts(fresh):
                    self._confirm(fresh)
        self._looked_at = len(dispatcher.ledger)

    def _still_accepts(self, fresh: Sequence[Exchange]) -> bool:
        """Send an ordinary message; where it is refused, withdraw what was refused alike by then."""
        run = self._run
        if not run.maker.accepted_types:
            return True
        control = run.dispatcher.exchange(run.maker.make_case(run.maker.make_typical()))
        if is_accepted(control.outcome):
            return True
        ledger = run.dispatcher.ledger
        last = max((one.started for one in ledger if is_accepted(one.outcome)), default=0.0)
        self._report_trouble(control, "; an ordinary message was accepted before")
        for exchange in fresh:
            if _kind(exchange.outcome) == _kind(control.outcome) and exchange.ended >= last:
                self._reasons[exchange] = self._trouble_reason
        run.dispatcher.lanes.stop(self._trouble_reason)
        return False

    @property
    def _trouble_reason(self) -> str:
        return self.trouble.reason if self.trouble else ""

    def _report_trouble(self, exchange: Exchange, more: str) -> None:
        outcome = exchange.outcome
        is_limit = isinstance(outcome, Response) and (
            outcome.status == _TOO_MANY_REQUESTS or bool(outcome.values("retry-after"))
        )
        self.trouble = Trouble(
            f"the receiver no longer accepts ordinary messages: {format_status(outcome)}"
            + (
                "; see receiver/respond/no-shared-limit"
                if is_limit
                else "; see receiver/respond/keeps-accepting"
            ),
            exchange.case.call,
            f"{format_outcome(outcome)}, at request {len(self._run.dispatcher.ledger)} of the run{more}",
            is_limit,
        )

    def _confirm(self, fresh: Sequence[Exchange]) -> None:
        """Repeat one of each kind that may be due to load; where it passes, the others say nothing either."""
        kinds: dict[Hashable, list[Exchange]] = {}
        for exchange in fresh:
            if _may_be_load(exchange):
                kinds.setdefault((exchange.case.group, _kind(exchange.outcome)), []).append(exchange)
        alone = {_kind(one.outcome) for one in fresh if not one.company}
        hangs = [kind for kind, found in kinds.items() if is_timeout(found[0].outcome)]
        # What happens to a lone request too is not due to load; and each hang costs a time-out.
        for kind in hangs[_MAX_CONFIRMED_HANGS:] + [kind for kind in kinds if kind[1] in alone]:  # type: ignore[index]
            kinds.pop(kind, None)
        chosen = [min(found, key=lambda one: len(one.case.call.body)) for found in kinds.values()][
            :_MAX_CONFIRMED
        ]
        run = self._run
        with ThreadPoolExecutor(_CONFIRMING_CLIENTS) as clients:
            repeated = clients.map(
                run.dispatcher.exchange, [run.maker.make_again(one.case) for one in chosen]
            )
            for first, again in zip(chosen, repeated, strict=True):
                if _kind(again.outcome) == _kind(first.outcome):
                    continue
                if _is_limit(first.outcome):
                    self._report_trouble(first, "; the same request was accepted later")
                reason = self._trouble_reason or (
                    f"{format_status(first.outcome)} among {first.company + 1} requests at once, and "
                    f"{format_status(again.outcome)} to the same request later"
                )
                for exchange in kinds[first.case.group, _kind(first.outcome)]:
                    self._reasons[exchange] = reason
                    self.strained.append(exchange)


def _may_be_load(exchange: Exchange) -> bool:
    outcome = exchange.outcome
    if _is_limit(outcome):
        return True
    # A repetition of what was sent in pieces may arrive in one, and then says nothing.
    is_repeatable = exchange.company > 0 and not exchange.case.call.cuts
    return is_repeatable and (isinstance(outcome, NoResponse) or outcome.status >= 500)


def _is_limit(outcome: Outcome) -> bool:
    return isinstance(outcome, Response) and (
        outcome.status == _TOO_MANY_REQUESTS
        or (outcome.status == 503 and bool(outcome.values("retry-after")))
    )


def _kind(outcome: Outcome) -> Hashable:
    return outcome.status if isinstance(outcome, Response) else outcome.kind
