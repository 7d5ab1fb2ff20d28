"""What the run's own load, or a limit that all messages share, may have caused; no rule is failed by that."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from ..clock import sleep
from ..judging.responses import format_outcome, format_status, is_accepted, is_refused, is_timeout
from ..suite.results import NotJudged
from ..wire.outcomes import NoResponse, Response
from .dispatch import ReceiverGone

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from ..wire.calls import Call
    from ..wire.outcomes import Outcome
    from .cases import Exchange
    from .run import ReceiverRun

Kind = tuple[str, "Hashable"]
"""What requests that failed alike have in common: the name of a group, and what came."""

MAX_PAUSE_SECONDS = 2.0
"""The longest wait for a limit to be lifted."""

_PAUSE_SECONDS = 1.0
_MAX_CONFIRMED = 16
_MAX_CONFIRMED_CUTS = 32
_MAX_CONFIRMED_HANGS = 2
_MAX_CONFIRMED_ALONE = 6
_MAX_CONFIRMED_LIMITS = 3
_CONFIRMING_CLIENTS = 4
_MAX_SENT_IN_PIECES = 3
_MAX_SHOWN_SUSPECTS = 5

MAX_CONTROLS = 2
"""Most ordinary messages of one look."""

MAX_REPEATED = 2 * _MAX_CONFIRMED + _MAX_CONFIRMED_CUTS + _MAX_CONFIRMED_HANGS + 2 * _MAX_CONFIRMED_LIMITS
"""Most requests that one look repeats."""

_LIMITING = (401, 402, 403, 423, 429)
"""How receivers, and what stands before them, turn a client away that has sent too much."""


class Trouble(NamedTuple):
    """That ordinary messages are no longer accepted, or not all of them.

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
        self._limit: Hashable = None

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
        # Where the mail server fails, so does the message: that shows neither load nor a limit.
        fresh = [one for one in dispatcher.ledger[self._looked_at :] if one.case.refusal is None]
        if not all(is_accepted(exchange.outcome) for exchange in fresh) and not dispatcher.lanes.stopped:
            # What came before tells why a receiver is gone: who judges that finds it gone too.
            with dispatcher.lanes.alone(), suppress(ReceiverGone, NotJudged):
                if self._still_accepts(fresh):
                    self._look_for_limit(fresh)
                    self._confirm([one for one in fresh if not _is_limit(one.outcome)])
        if dispatcher.gone and dispatcher.has_accepted and self.trouble is None:
            self._report_gone()
        self._looked_at = len(dispatcher.ledger)

    # Whether ordinary messages are accepted.

    def _report_gone(self) -> None:
        dispatcher = self._run.dispatcher
        last = _find_last_accepted(self._run.dispatcher.ledger)
        after = [one for one in dispatcher.ledger if one.ended >= last.started]
        first = min((one.ended for one in after if not is_accepted(one.outcome)), default=last.ended)
        suspects = [one for one in after if one.started <= first]
        self.trouble = Trouble(
            dispatcher.gone,
            suspects[0].case.call,
            f"{dispatcher.gone}; an ordinary message was accepted before{_format_suspects(suspects)}",
            is_limit=False,
        )
        cut = [one for one in after if isinstance(one.outcome, NoResponse)]
        first_end = min((one.ended for one in cut), default=first)
        at_first = [one for one in cut if one.started <= first_end]
        # Where several were under way nobody can tell which one ended the receiver: the others say nothing.
        innocent = cut if len(at_first) > 1 else [one for one in cut if one not in at_first]
        reason = "the receiver ended while this was under way; see receiver/respond/keeps-accepting"
        self._reasons |= dict.fromkeys(innocent, reason)

    def _still_accepts(self, fresh: Sequence[Exchange]) -> bool:
        """Send an ordinary message, and another if it is refused; withdraw what was refused alike."""
        if not self._run.maker.accepted_types:
            return True
        control = self._send_ordinary()
        if is_accepted(control.outcome):
            return True
        # A receiver may still be busy with what was sent before, and a limit may be one for a second.
        is_lifted = _wait_for_limit(control.outcome) and is_accepted(self._send_ordinary().outcome)
        if is_lifted and not _is_turned_away(control.outcome):
            return True
        last = _find_last_accepted(self._run.dispatcher.ledger)
        self._report_trouble(control, "accepted later" if is_lifted else "accepted before")
        for one in fresh:
            is_alike = _kind(one.outcome) == _kind(control.outcome)
            if is_alike and (is_lifted or one.ended >= last.started):
                self._reasons[one] = self._trouble_reason
        if not is_lifted:
            self._look_for_limit(fresh)
            self._run.dispatcher.lanes.stop(self._trouble_reason)
        return is_lifted

    def _send_ordinary(self) -> Exchange:
        run = self._run
        return run.dispatcher.exchange(run.maker.make_case(run.maker.make_typical()))

    @property
    def _trouble_reason(self) -> str:
        return self.trouble.reason if self.trouble else ""

    def _report_trouble(self, exchange: Exchange, contrast: str) -> None:
        """Note that an ordinary message is refused.

        Args:
            exchange: The exchange of the message.
            contrast: When such a message was accepted, for a person to read.
        """
        outcome, call = exchange.outcome, exchange.case.call
        is_limit = _is_turned_away(outcome)
        number = _find_first_number(self._run.dispatcher.ledger, outcome)
        actual = (
            f"{format_outcome(outcome)}, at request {number} of the run; an ordinary message was {contrast}"
        )
        if not is_limit:
            suspects = _find_suspects(self._run.dispatcher.ledger, exchange)
            actual += _format_suspects(suspects)
            call = suspects[0].case.call if len(suspects) == 1 else call
        rule = "no-shared-limit" if is_limit else "keeps-accepting"
        problem = (
            "no longer accepts ordinary messages" if contrast == "accepted before" else "limits all messages"
        )
        reason = f"the receiver {problem}: {format_status(outcome)}; see receiver/respond/{rule}"
        self._limit = _kind(outcome) if is_limit else None
        self.trouble = self.trouble or Trouble(reason, call, actual, is_limit)

    # Limits that are no longer reached.

    def _look_for_limit(self, fresh: Sequence[Exchange]) -> None:
        """Withdraw what a limit refused that all messages share; one of each recipient is another matter."""
        if not self._is_limit_known:
            self._confirm_limit(
                [
                    one
                    for one in fresh
                    if (_is_limit(one.outcome) or (one.case.mail != "none" and _is_turned_away(one.outcome)))
                    and not self._has_earlier(one)
                ]
            )
        for one in fresh:
            if self._is_limit_known and (_is_limit(one.outcome) or _kind(one.outcome) == self._limit):
                self._reasons[one] = self._trouble_reason
        for one in fresh:
            if is_refused(one.outcome) and not one.earlier and self._is_resend_refused(one):
                self._reasons.setdefault(
                    one,
                    f"{format_status(one.outcome)} to a second message for one recipient; "
                    "see receiver/accept/resend",
                )

    @property
    def _is_limit_known(self) -> bool:
        return self.trouble is not None and self.trouble.is_limit

    def _confirm_limit(self, limited: Sequence[Exchange]) -> None:
        """Repeat some of what was limited, one by one: where one passes, there is a limit for all."""
        run = self._run
        groups = {one.case.group: one for one in limited}
        for first in list(groups.values())[:_MAX_CONFIRMED_LIMITS]:
            again = run.dispatcher.exchange(run.maker.make_again(first.case))
            if _is_turned_away(again.outcome) and _wait_for_limit(again.outcome):
                again = run.dispatcher.exchange(run.maker.make_again(first.case))
            if _kind(again.outcome) != _kind(first.outcome):
                self._report_trouble(first, "accepted later")
                return

    def _has_earlier(self, exchange: Exchange) -> bool:
        """Return whether another message to the same recipient was accepted."""
        return bool(exchange.earlier) or (
            exchange.case.to != ""
            and any(
                one.case.to == exchange.case.to and is_accepted(one.outcome)
                for one in self._run.dispatcher.ledger
            )
        )

    def _is_resend_refused(self, exchange: Exchange) -> bool:
        """Return whether a message was refused as the second of two equal ones was."""
        return any(
            one.earlier and _kind(one.outcome) == _kind(exchange.outcome)
            for one in self._run.dispatcher.ledger
        ) and self._has_earlier(exchange)

    # Load.

    def _confirm(self, fresh: Sequence[Exchange]) -> None:
        """Repeat one of each kind that may be due to load; where it passes, the others say nothing either.

        One message may end the process, which cuts whatever is under way: of what was cut each is repeated.
        """
        kinds: dict[Kind, list[Exchange]] = {}
        lone = {(one.case.group, _kind(one.outcome)) for one in fresh if not one.company}
        for number, one in enumerate(fresh):
            kind = one.case.group, _kind(one.outcome)
            # What happens to a lone request too is not due to load.
            if _may_be_load(one) and kind not in lone:
                key: Kind = (f"{kind[0]} {number}", "cut") if kind[1] == "cut" else kind
                kinds.setdefault(key, []).append(one)
        hangs = [kind for kind, found in kinds.items() if is_timeout(found[0].outcome)]
        cuts = [kind for kind in kinds if kind[1] == "cut"]
        failures = [kind for kind in kinds if kind not in hangs and kind not in cuts]
        chosen = cuts[:_MAX_CONFIRMED_CUTS] + failures[:_MAX_CONFIRMED]
        # Each hang costs a time-out.
        passed = self._repeat(kinds, hangs[:_MAX_CONFIRMED_HANGS], 1 + len(hangs))
        passed |= self._repeat(kinds, chosen, _CONFIRMING_CLIENTS)
        passed |= self._repeat_alone(kinds, [kind for kind in chosen if kind not in passed])
        # Too many to repeat: they are as those of their kind that were.
        for kind in cuts[_MAX_CONFIRMED_CUTS:] + failures[_MAX_CONFIRMED:]:
            alike = next((one for one in passed if one[1] == kind[1]), None)
            if alike is not None:
                passed[kind] = passed[alike]
        is_process_ended = any(kind[1] == "cut" and kind not in passed for kind in kinds)
        for kind, outcome in passed.items():
            for one in kinds[kind]:
                self._reasons[one] = (
                    f"{format_status(one.outcome)} among {one.company + 1} requests at once, and "
                    f"{format_status(outcome)} to the same request later"
                )
                if not (is_process_ended and kind[1] == "cut"):
                    self.strained.append(one)

    def _repeat_alone(self, kinds: dict[Kind, list[Exchange]], chosen: Sequence[Kind]) -> dict[Kind, Outcome]:
        """Repeat one by one what fails among a few others, as long as that shows load."""
        passed: dict[Kind, Outcome] = {}
        for status in dict.fromkeys(kind[1] for kind in chosen):
            alike = [kind for kind in chosen if kind[1] == status]
            if len(chosen) == 1:  # it was alone already
                break
            outcome = None
            for number, kind in enumerate(alike[:_MAX_CONFIRMED_ALONE]):
                if number and outcome is None and status != "cut":
                    break
                found = self._repeat(kinds, [kind], 1)
                outcome = found.get(kind, outcome)
                passed |= found
            if outcome is not None:
                passed |= dict.fromkeys(alike[_MAX_CONFIRMED_ALONE:], outcome)
        return passed

    def _repeat(
        self,
        kinds: dict[Kind, list[Exchange]],
        chosen: Sequence[Kind],
        clients: int,
    ) -> dict[Kind, Outcome]:
        """Repeat the smallest request of each chosen kind, and return what came of those that pass now."""
        run = self._run
        smallest = [min(kinds[kind], key=lambda one: len(one.case.call.body)) for kind in chosen]
        with ThreadPoolExecutor(clients) as pool:
            repeated = pool.map(lambda one: _repeat_one(run, one), smallest)
            return {
                kind: again.outcome
                for kind, again in zip(chosen, repeated, strict=True)
                if _kind(again.outcome) != kind[1]
            }


def _wait_for_limit(outcome: Outcome) -> bool:
    """Wait as long as a response asks for, and return whether that is short enough to wait for."""
    if not _is_turned_away(outcome):
        return True
    assert isinstance(outcome, Response)
    after = next(iter(outcome.values("retry-after")), "")
    seconds = float(after) if after.isdecimal() else _PAUSE_SECONDS
    if seconds > MAX_PAUSE_SECONDS:
        return False
    sleep(max(seconds, _PAUSE_SECONDS))
    return True


def _find_last_accepted(ledger: Sequence[Exchange]) -> Exchange:
    return max((one for one in ledger if is_accepted(one.outcome)), key=lambda one: one.started)


def _find_suspects(ledger: Sequence[Exchange], refused: Exchange) -> list[Exchange]:
    """Return what was under way from the last accepted message to the first refused as this one was."""
    last = _find_last_accepted(ledger)
    alike = [
        one for one in ledger if one.started >= last.started and _kind(one.outcome) == _kind(refused.outcome)
    ]
    first = min((one.ended for one in alike), default=refused.ended)
    return [one for one in ledger if one.ended >= last.started and one.started < first and one is not refused]


def _format_suspects(suspects: Sequence[Exchange]) -> str:
    """Return which requests may have broken the receiver, after a semicolon; empty where none is known."""
    if not suspects:
        return ""
    groups = [one.case.group.strip("_").replace("_", " ") or "ordinary" for one in suspects]
    if len(suspects) > _MAX_SHOWN_SUSPECTS:
        kinds = ", ".join(dict.fromkeys(groups))
        return f"; it may be due to one of {len(suspects)} requests that were under way: {kinds}"
    named = [f"{group} to {one.case.to or 'nobody'}" for group, one in zip(groups, suspects, strict=True)]
    return f"; it may be due to {' or '.join(named)}"


def _find_first_number(ledger: Sequence[Exchange], outcome: Outcome) -> int:
    """Return at which request of the run the first response of a kind came."""
    return [_kind(exchange.outcome) for exchange in ledger].index(_kind(outcome)) + 1


def _repeat_one(run: ReceiverRun, exchange: Exchange) -> Exchange:
    """Send the request of an exchange again; some times if it was in pieces, since they may arrive in one."""
    for _ in range(_MAX_SENT_IN_PIECES if exchange.case.call.cuts else 1):
        again = run.dispatcher.exchange(run.maker.make_again(exchange.case))
        if _kind(again.outcome) == _kind(exchange.outcome):
            break
    return again


def _may_be_load(exchange: Exchange) -> bool:
    outcome = exchange.outcome
    return exchange.company > 0 and (isinstance(outcome, NoResponse) or outcome.status >= 500)


def _is_limit(outcome: Outcome) -> bool:
    """Return whether a response says that there were too many requests."""
    return isinstance(outcome, Response) and (
        outcome.status == 429 or (outcome.status == 503 and bool(outcome.values("retry-after")))
    )


def _is_turned_away(outcome: Outcome) -> bool:
    """Return whether a response to an ordinary message, accepted before, shows a limit."""
    return isinstance(outcome, Response) and (
        outcome.status in _LIMITING or bool(outcome.values("retry-after"))
    )


def _kind(outcome: Outcome) -> Hashable:
    return outcome.status if isinstance(outcome, Response) else outcome.kind
