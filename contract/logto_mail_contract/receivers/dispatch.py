"""Sends cases in every way that rules need, and keeps what came of each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from ..clock import read_monotonic, sleep
from ..connector.posting import deliver
from ..judging.responses import is_accepted, is_refused_for_now, is_timeout
from ..suite.results import NotJudged, SubjectLost
from ..wire.outcomes import NoResponse, Response
from .cases import Exchange
from .lanes import HANGS, Lanes, Sending
from .load import Window
from .reproduce import list_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..connector.channel import Channel
    from ..wire.outcomes import Outcome
    from .cases import Case
    from .receiver import Receiver, Settings

BURST_CLIENTS = 16
"""Connections of a burst."""

MAX_HANGS = 3
"""Requests without a response, one after the other, after which no more are sent."""

_PACE_MARGIN = 1.1
_MAX_LONE_WAITS = 5
_MIN_PATIENCE_SECONDS = 0.2
_SAFE_PART = 0.8

T = TypeVar("T", bound="Outcome | None")


class ReceiverGone(SubjectLost):
    """The receiver cannot be reached, so nothing can be said of it; the text says why."""


class Dispatcher:
    """Sends cases, and keeps all that came of them.

    Args:
        receiver: The receiver.
        settings: How it is tried.
        restart_seconds: Seconds in which a receiver that is gone may come back.

    Attributes:
        ledger: Every exchange so far, in the order in which they ended.
        window: How many requests may be under way at once.
        lanes: The connections, and the cases that wait for one.
        gone: Why the receiver cannot be reached; empty where it can.
        secrets: What must not be printed of an outcome.
    """

    def __init__(self, receiver: Receiver, settings: Settings, *, restart_seconds: float) -> None:
        self.ledger: list[Exchange] = []
        self.window = Window(settings.workers, settings.fail_after)
        self.lanes = Lanes(receiver.target.open, self._exchange, self.window)
        self.gone = ""
        self.secrets = list_secrets(receiver)
        self._target = receiver.target
        self._settings = settings
        self._restart_seconds = restart_seconds
        self._turn = 0.0
        self._hangs = 0
        self._last_hang = 0.0

    @property
    def has_accepted(self) -> bool:
        """Whether the receiver has accepted a message in the run."""
        return any(is_accepted(one.outcome) for one in self.ledger)

    # Sending.

    def send_first(self, cases: Sequence[Case]) -> Sending:
        """Send the first cases of a run, and return them with their outcomes.

        The first is sent alone, the second beside its open connection, and then the others.

        Args:
            cases: An ordinary message of each template type.

        Raises:
            ReceiverGone: The receiver cannot be reached.
        """
        first, *others = cases
        sending = Sending(cases, self.lanes.changed)
        with closing(self._target.open()) as channel:
            exchange = self.exchange(first, channel)
            sending.finish(exchange)
            if is_timeout(exchange.outcome):
                # All at once: if they hang too, that costs one more time-out and not one for each.
                self.window.widen(len(others))
            else:
                beside = self.lanes.submit([others.pop(0)])
                beside.wait(self._choose_patience(exchange.outcome.seconds))
        if not is_timeout(exchange.outcome):
            # If it serves one connection at a time, it could serve the second when the first was closed.
            beside.wait()
            for second in beside.exchanges:
                sending.finish(second)
                if second.outcome.seconds > _MIN_PATIENCE_SECONDS + 1.5 * exchange.outcome.seconds:
                    self.window.restrict(1)
        together = self.lanes.submit(others)
        together.wait()
        if self.gone and not self.has_accepted:
            raise ReceiverGone(self.gone)
        for one in together.exchanges:
            sending.finish(one)
        # Whoever waits for the others would wait for ever.
        sending.abandon(self.lanes.stopped)
        return sending

    def _choose_patience(self, lone_seconds: float) -> float:
        """Return how long a second connection may wait while a first one is open, and have time left then."""
        patience = max(_MAX_LONE_WAITS * lone_seconds, 2 * _MIN_PATIENCE_SECONDS)
        return max(0.0, min(patience, _SAFE_PART * self._settings.fail_after - lone_seconds))

    def send_alone(self, cases: Sequence[Case]) -> Sending:
        """Send cases while no others are under way, and return them, each with its outcome.

        Args:
            cases: The cases.
        """
        sending = Sending(cases, self.lanes.changed)
        clients = max(1, min(self.window.size, len(cases)))
        with self.lanes.alone(), ThreadPoolExecutor(clients) as pool:
            for exchange in pool.map(self._exchange_unless_stopped, cases):
                sending.finish(exchange, "" if exchange else self.lanes.stopped)
        return sending

    def send_burst(self, cases: Sequence[Case]) -> Sending:
        """Send cases over many connections at once, while no others are under way, and return them.

        Each connection stays open until all are done, as those of the connector's pool do.

        Args:
            cases: The cases.
        """

        def send(own: Sequence[Case], channel: Channel) -> None:
            for case in own:
                exchange = self._exchange_unless_stopped(case, channel, is_burst=True)
                sending.finish(exchange, "" if exchange else self.lanes.stopped)
                if exchange is not None and is_timeout(exchange.outcome):
                    break

        sending = Sending(cases, self.lanes.changed)
        with self.lanes.alone(), ExitStack() as stack:
            channels = [stack.enter_context(closing(self._target.open())) for _ in range(BURST_CLIENTS)]
            pool = stack.enter_context(ThreadPoolExecutor(BURST_CLIENTS))
            list(pool.map(send, [cases[number::BURST_CLIENTS] for number in range(BURST_CLIENTS)], channels))
        sending.abandon(HANGS)
        return sending

    def exchange(self, case: Case, channel: Channel | None = None, *, is_burst: bool = False) -> Exchange:
        """Send one case at once, follow redirects as Logto does, and return what came of it.

        Args:
            case: The case.
            channel: The way to the receiver; a new one when None.
            is_burst: Whether the case asks for the company of others.

        Raises:
            NotJudged: The run was interrupted.
            ReceiverGone: The receiver cannot be reached.
        """
        with ExitStack() as stack:
            if channel is None:
                channel = stack.enter_context(closing(self._target.open()))
            stack.enter_context(self.lanes.occupy(channel))
            return self._exchange(case, channel, is_burst=is_burst)

    def exchange_directly(self, case: Case, send: Callable[[], T]) -> T:
        """Return the very outcome of one request, for example a redirect.

        Args:
            case: The case that is sent.
            send: Sends it; it returns None where it could not, because the connection has ended as announced.

        Raises:
            ReceiverGone: The receiver cannot be reached.
        """
        self._wait_for_turn()
        with self.lanes.occupy():
            company = self.lanes.active - 1
            started = read_monotonic()
            outcome = self._retry_unreachable(send)
            company = max(company, self.lanes.active - 1)
        # That a connection has ended says nothing of the request: who sent it judges that.
        if isinstance(outcome, Response):
            self.ledger.append(Exchange(case, outcome, (), started, read_monotonic(), company))
        return outcome

    def _exchange_unless_stopped(
        self, case: Case, channel: Channel | None = None, *, is_burst: bool = False
    ) -> Exchange | None:
        try:
            return None if self.lanes.stopped else self.exchange(case, channel, is_burst=is_burst)
        except ReceiverGone:
            # What came of the others tells why: they are kept, and nothing more is sent.
            return None

    # One case.

    def _exchange(self, case: Case, channel: Channel, *, is_burst: bool = False) -> Exchange:
        outcomes: list[Outcome] = []
        company = 0
        for _ in range(case.repeats):
            self._wait_for_turn()
            company = max(company, self.lanes.active - 1)
            started = read_monotonic()
            outcomes.append(
                self._retry_unreachable(lambda: deliver(channel, case.call, self.window.patience))
            )
            if not is_accepted(outcomes[-1]):
                break
        ended = read_monotonic()
        # What was aborted says nothing of the receiver.
        self.lanes.require_uninterrupted()
        company = 0 if is_burst else max(company, self.lanes.active - 1)
        exchange = Exchange(case, outcomes[-1], tuple(outcomes[:-1]), started, ended, company, is_burst)
        with self.lanes.changed:
            self.ledger.append(exchange)
            if is_accepted(exchange.outcome) and not is_burst and not case.call.cuts:
                self.window.learn(started, ended)
            elif company and is_refused_for_now(exchange.outcome):
                self.window.learn_refusal(started, ended)
            elif is_timeout(exchange.outcome):
                self._note_hang(started, ended)
        return exchange

    def _note_hang(self, started: float, ended: float) -> None:
        # Those that hang at once cost one time-out.
        if started >= self._last_hang:
            self._hangs, self._last_hang = self._hangs + 1, ended
        if self._hangs >= MAX_HANGS:
            self.lanes.stop(HANGS)

    def _wait_for_turn(self) -> None:
        if self._settings.pace is None:
            return
        with self.lanes.changed:
            now = read_monotonic()
            turn = max(now, self._turn)
            # Below the pace: threads wake up late, and those that follow must not come too soon then.
            self._turn = turn + _PACE_MARGIN / self._settings.pace
        sleep(turn - now)

    def _retry_unreachable(self, send: Callable[[], T]) -> T:
        until = read_monotonic() + self._restart_seconds
        while True:
            outcome = send()
            if not (isinstance(outcome, NoResponse) and outcome.kind == "unreachable"):
                return outcome if outcome is None else replace(outcome, secrets=self.secrets)
            if self.gone or read_monotonic() > until:
                self.gone = self.gone or f"the receiver cannot be reached: {outcome.problem}"
                self.lanes.stop(self.gone)
                # What ended it is told by a rule: that it cannot be reached, by the run.
                raise NotJudged(self.gone) if self.has_accepted else ReceiverGone(self.gone)
            sleep(self._restart_seconds / 20)
