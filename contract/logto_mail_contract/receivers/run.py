"""One run of rules at one receiver, and what it learns of the receiver."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from ..judging.responses import format_outcome, format_status, is_accepted
from ..suite.causes import Causes
from ..wire.outcomes import NoResponse, Response
from .outbox import Mail
from .receiver import Settings
from .rules import CHECKS
from .trial import ReceiverTrial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..connector.channel import Channel
    from ..findings import Rule
    from ..suite.checks import Checks
    from ..wire.calls import Call
    from ..wire.outcomes import Outcome
    from .receiver import Receiver

Outbox = Callable[[], Iterable[Mail]]
"""Returns the mails that the receiver has sent so far, oldest first."""

RESTART_SECONDS = 2.0
"""Seconds in which a receiver that is gone may come back: something may be starting it again."""

QUIET_SECONDS = 0.2
"""Seconds without a mail after which the run expects no other."""


@dataclass(slots=True)
class Exhaustion:
    """That the receiver refuses ordinary messages, of which it accepted some before.

    Attributes:
        reason: What happened, for the rules that are not judged because of it.
        call: The message that showed it.
        actual: The outcome of that message.
        is_reported: Whether a rule has reported it.
    """

    reason: str
    call: Call
    actual: str
    is_reported: bool = False


class Plan(NamedTuple):
    """At most how much a run will send, and to whom."""

    requests: int
    recipients: int
    domains: tuple[str, ...]


class Estimate(NamedTuple):
    """How far a run is."""

    sent: int
    planned: int
    seconds_left: float | None


class ReceiverRun:
    """One run of rules at one receiver.

    Args:
        receiver: The receiver.
        settings: How it is tried; the defaults when None.
        outbox: Returns the mails that the receiver sent; the *deliver* rules need it.
        restart_seconds: Seconds in which a receiver that is gone may come back.
        quiet_seconds: Seconds without a mail after which the run expects no other.

    Attributes:
        receiver: The receiver.
        settings: How it is tried.
        outbox: Returns the mails that the receiver sent; None without one.
        baselines: The outcome of an ordinary message, by template type and revision.
        exhaustion: Set when the receiver no longer accepts anything.
        numbers: Makes recipients unique, other ones in each run: a receiver may limit mails to one recipient.
        rounds: Messages that several rules of one kind look at, so that they are sent once.
        mails_missing: Whether the receiver has sent no mail at all when it was last waited for.
        causes: The causes of the failures so far.
        diagnosis: What is wrong with the receiver as a whole, in one line; empty while nothing is known.
    """

    def __init__(
        self,
        receiver: Receiver,
        settings: Settings | None = None,
        outbox: Outbox | None = None,
        *,
        restart_seconds: float = RESTART_SECONDS,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        self.receiver = receiver
        self.settings = settings or Settings()
        self.outbox = outbox
        self.restart_seconds = restart_seconds
        self.quiet_seconds = quiet_seconds
        self.baselines: dict[tuple[str, str], Outcome] = {}
        self.exhaustion: Exhaustion | None = None
        self.numbers = count(10_000 + secrets.randbelow(80_000))
        self.rounds: dict[Any, Any] = {}
        self.mails_missing = False
        self.causes = Causes()
        self.diagnosis = ""
        self.sent = 0
        self._planned = 0
        self._channel: Channel | None = None

    def plan(self, rules: Sequence[str]) -> Plan:
        from .rehearsal import rehearse

        requests, recipients = rehearse(self, rules)
        self._planned = requests
        domains = {recipient.rpartition("@")[2].lower() for recipient in recipients}
        return Plan(requests, len(recipients), tuple(sorted(domains)))

    def estimate(self) -> Estimate:
        return Estimate(self.sent, self._planned, None)

    def interrupt(self, reason: str) -> None:
        """Do nothing: what waits, waits."""

    @property
    def checks(self) -> Checks[ReceiverTrial]:
        return CHECKS

    @property
    def revision(self) -> str:
        return self.receiver.revision

    @property
    def strict(self) -> bool:
        return self.settings.strict

    @property
    def channel(self) -> Channel:
        """The channel that rules without parallel requests share."""
        if self._channel is None:
            self._channel = self.receiver.target.open()
        return self._channel

    def release_channel(self) -> None:
        """Close the shared channel: a receiver that serves one connection at a time is free for another."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def close(self) -> None:
        """Close the shared channel; the receiver itself stays open."""
        self.release_channel()

    def start(self, rule: Rule) -> ReceiverTrial:
        return ReceiverTrial(rule, self)

    def missing(self, need: str) -> str:
        receiver = self.receiver
        if need == "wire" and not receiver.target.on_wire:
            return "the receiver runs in this process, so nothing goes over a wire"
        if need == "authorization" and not receiver.authorization:
            return "the receiver is given no authorization"
        if need == "outbox" and self.outbox is None:
            return "the test gives no outbox with the mails that the receiver sends"
        return ""

    def finish(self, trial: ReceiverTrial) -> None:
        """Withdraw failures that an ordinary message, accepted before, meets by now too.

        A receiver that is exhausted refuses whatever comes, and that says nothing of what a rule is about.

        Raises:
            ReceiverGone: The receiver cannot be reached.
            NotJudged: It is exhausted, and another rule reports that.
            EndOfRule: It is exhausted, and this rule reports that.
        """
        accepted = [key for key, outcome in self.baselines.items() if is_accepted(outcome)]
        if not accepted or not any(map(_is_refusal, trial.outcomes)):
            return
        type, revision = accepted[0]
        call = trial.requests.make_call(trial.requests.make_typical(type, revision), revision=revision)
        outcome = trial.exchange(call)
        kind = _kind(outcome)
        if is_accepted(outcome) or kind not in map(_kind, trial.outcomes):
            return
        self.baselines |= dict.fromkeys(accepted, outcome)
        actual = format_outcome(outcome)
        self.exhaustion = Exhaustion(
            f"the receiver no longer accepts ordinary messages: {format_status(outcome)}",
            call,
            f"{actual}; such an ordinary message was accepted before. It may be a limit that all messages "
            "share, or the effect of one of them. Rules that need an ordinary message are no longer judged",
        )
        trial.withdraw(lambda came: _kind(came) == kind)
        trial.require_not_exhausted()


def _is_refusal(outcome: Outcome | None) -> bool:
    return isinstance(outcome, NoResponse) or (isinstance(outcome, Response) and outcome.status >= 400)


def _kind(outcome: Outcome | None) -> object:
    return outcome.status if isinstance(outcome, Response) else outcome.kind if outcome else None
