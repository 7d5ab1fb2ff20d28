"""One run of rules at one receiver, and what it learns of the receiver."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from itertools import count
from typing import TYPE_CHECKING

from .. import catalogue
from ..judging.responses import format_outcome, is_accepted, is_timeout
from ..suite.causes import Causes
from ..suite.engine import explain_not_applicable
from ..suite.results import NotJudged
from ..wire.outcomes import Response
from .diagnosis import diagnose
from .dispatch import Dispatcher
from .doubts import Doubts
from .mailbox import Mailbox
from .outbox import Mail
from .planning import estimate, list_batches, make_plan
from .receiver import Settings
from .requests import RequestMaker
from .rules import CHECKS
from .rules.ordinary import ordinary
from .trial import ReceiverTrial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..findings import Rule
    from ..suite.checks import Checks
    from .cases import Batch, Exchange
    from .lanes import Sending
    from .planning import Estimate, Plan
    from .receiver import Receiver
    from .rules.connection import ConnectionPair

Outbox = Callable[[], Iterable[Mail]]
"""Returns the mails that the receiver has sent so far, oldest first."""

RESTART_SECONDS = 2.0
"""Seconds in which a receiver that is gone may come back: something may be starting it again."""

QUIET_SECONDS = 0.2
"""Seconds without a mail after which the run expects no other."""


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
        dispatcher: Sends the cases, and keeps what came of them.
        doubts: What the run's own load or a shared limit may have caused.
        causes: The causes of the failures so far.
        connection_pairs: What came on connections that were looked at; None before that.
        interrupted: Why the run ends early; empty while it does not.
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
        self.dispatcher = Dispatcher(receiver, self.settings, restart_seconds=restart_seconds)
        self.doubts = Doubts(self)
        self.causes = Causes()
        self.connection_pairs: list[ConnectionPair] | None = None
        self.interrupted = ""
        self._quiet_seconds = quiet_seconds
        self._mailbox: Mailbox | None = None
        # Runs must not meet, since a receiver or a sink may remember recipients. Never six digits: no codes.
        self._numbers = count(10_000_000 + secrets.randbelow(80_000_000))
        self._maker: RequestMaker | None = None
        self._baselines: dict[str, Exchange] = {}
        self._sendings: dict[Batch, tuple[Sending, set[str]]] = {}
        self._undrawn: list[Batch] = []
        self._plan: Plan | None = None
        self.outbox = outbox

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
    def outbox(self) -> Outbox | None:
        """Returns the mails that the receiver sent; None without one."""
        return None if self._mailbox is None else self._mailbox.outbox

    @outbox.setter
    def outbox(self, outbox: Outbox | None) -> None:
        if outbox is None:
            self._mailbox = None
        elif self._mailbox is None:
            self._mailbox = Mailbox(outbox, self._quiet_seconds)
        else:
            self._mailbox.outbox = outbox

    @property
    def mailbox(self) -> Mailbox:
        """The mails of the run."""
        assert self._mailbox is not None, "the rule is registered as one that needs an outbox"
        return self._mailbox

    @property
    def maker(self) -> RequestMaker:
        """Makes the cases; it knows which template types are accepted."""
        assert self._maker is not None, "cases are made once the ordinary messages were sent"
        return self._maker

    @property
    def diagnosis(self) -> str:
        """What is wrong with the whole receiver, and what to check, in one line; empty where nothing is."""
        return diagnose(self.receiver, self._baselines.values(), self.dispatcher.ledger)

    # The engine's side.

    def prepare(self, rules: Sequence[str]) -> None:
        """Begin to send the cases of rules in the background, before they are tried.

        Args:
            rules: The ids of the rules.

        Raises:
            NotJudged: The run was interrupted.
            ReceiverGone: The receiver cannot be reached.
        """
        if self._plan is None:
            self.plan(rules)
        self.send_ordinary()
        batches = list_batches(self._list_applicable(rules))
        for chosen in (one for one in batches if one.way == "shared"):
            self._find_sending(chosen)
        self._undrawn = [chosen for chosen in batches if chosen.way == "drawn"]

    def start(self, rule: Rule) -> ReceiverTrial:
        self._fetch_mails()
        return ReceiverTrial(rule, self)

    def missing(self, need: str) -> str:
        return _explain_missing(self.receiver, self.outbox, need)

    def interrupt(self, reason: str) -> None:
        """Send nothing more, and end every wait; may be called from any thread.

        Args:
            reason: Why, for the rules that are not judged because of it.
        """
        self.interrupted = reason
        self.dispatcher.lanes.interrupt(reason)

    def close(self) -> None:
        """Close the connections; the receiver itself stays open."""
        self.dispatcher.lanes.close()

    # How much there is to do.

    def plan(self, rules: Sequence[str]) -> Plan:
        """Return what the run will send, at most, if every ordinary message is accepted.

        Args:
            rules: The ids of the rules.
        """
        self._plan = make_plan(
            self._list_applicable(rules),
            self.receiver,
            self.settings,
            can_refuse=not self.missing("refusals"),
        )
        return self._plan

    def estimate(self) -> Estimate:
        """Return how far the run is."""
        return estimate(self._plan, self.dispatcher, self.settings)

    def _list_applicable(self, rules: Sequence[str]) -> list[str]:
        entries = catalogue.rules()
        return [rule for rule in rules if not explain_not_applicable(self, entries[rule], CHECKS[rule].needs)]

    # Sending, for trials.

    def send_ordinary(self) -> None:
        """Send an ordinary message of each template type, once in a run, and learn from the responses.

        Raises:
            ReceiverGone: The receiver cannot be reached.
        """
        if self._maker is not None:
            return
        refuse = getattr(self.outbox, "refuse", None)
        maker = RequestMaker(self.receiver, self.settings, self._numbers, refuse=refuse)
        cases = ordinary.make_cases(maker)
        sending = self.dispatcher.send_first(cases)
        self._sendings[ordinary] = sending, set()
        self._baselines = {one.case.type: one for one in sending.exchanges}
        maker.accepted_types = tuple(
            case.type
            for case in cases
            if case.type in self._baselines and is_accepted(self._baselines[case.type].outcome)
        )
        self._maker = maker

    def send(self, chosen: Batch, rule: str) -> Sending:
        """Return the cases of a batch, once each has its outcome or will not be sent.

        A batch is sent once in a run, and again where one rule is tried again.

        Args:
            chosen: The batch.
            rule: The id of the rule that asks.

        Raises:
            ReceiverGone: The receiver cannot be reached.
        """
        self.send_ordinary()
        sending, rules = self._find_sending(chosen)
        if rule in rules:
            del self._sendings[chosen]
            sending, rules = self._find_sending(chosen)
        rules.add(rule)
        if not sending.wait(0):
            # Drawing takes long: while a rule waits, and after those that need not wait.
            while self._undrawn:
                self._find_sending(self._undrawn.pop())
        sending.wait()
        self.dispatcher.lanes.raise_fault()
        self._fetch_mails()
        return sending

    def _fetch_mails(self) -> None:
        # Often: an outbox of pytest may be cleared after each test.
        if self._mailbox is not None:
            self._mailbox.fetch()

    @property
    def ordinary_status(self) -> int:
        """The status that an ordinary message gets; 0 where none is accepted."""
        outcome = self._baselines[self.maker.base_type].outcome
        return outcome.status if isinstance(outcome, Response) else 0

    def explain_refusal(self, type: str) -> str:
        """Return why a case says nothing whose type is not accepted, for a person to read."""
        exchange = self._baselines.get(type)
        came = f": {format_outcome(exchange.outcome)}" if exchange else ""
        return f"an ordinary message of type {type} is not accepted either{came}"

    def require_running(self) -> None:
        """Go on only if more may be sent.

        Raises:
            NotJudged: Nothing more is sent; the text says why.
        """
        if self.dispatcher.lanes.stopped:
            raise NotJudged(self.dispatcher.lanes.stopped)

    def _find_sending(self, chosen: Batch) -> tuple[Sending, set[str]]:
        if chosen not in self._sendings:
            cases = chosen.make_cases(self.maker)
            is_hanging = any(is_timeout(exchange.outcome) for exchange in self._baselines.values())
            accepted = [
                case
                for case in cases
                if chosen is ordinary
                or case.type in self.maker.accepted_types
                or not (case.type or is_hanging)
            ]
            submit = {
                "alone": self.dispatcher.send_alone,
                "burst": self.dispatcher.send_burst,
            }.get(chosen.way, self.dispatcher.lanes.submit)
            sending = submit(accepted)
            for type in dict.fromkeys(case.type for case in cases if case not in accepted):
                sending.unsent.append(self.explain_refusal(type))
            self._sendings[chosen] = sending, set()
        return self._sendings[chosen]


def _explain_missing(receiver: Receiver, outbox: Outbox | None, need: str) -> str:
    if need == "wire" and not receiver.target.on_wire:
        return "the receiver runs in this process, so nothing goes over a wire"
    if need == "authorization" and not receiver.authorization:
        return "the receiver is given no authorization"
    if need == "outbox" and outbox is None:
        return receiver.no_mails
    if need == "refusals" and not hasattr(outbox, "refuse"):
        return "the outbox refuses no recipient, as SmtpSink does"
    return ""
