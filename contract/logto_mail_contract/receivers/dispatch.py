"""Sends cases over several connections, as many at once as the receiver works on in parallel."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, TypeVar

from ..connector.posting import deliver
from ..judging.responses import is_accepted, is_timeout
from ..suite.results import SubjectLost
from ..wire.outcomes import NoResponse, Response
from .cases import Exchange
from .load import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..connector.channel import Channel, Target
    from ..wire.calls import Call
    from ..wire.outcomes import Outcome
    from .cases import Case
    from .receiver import Settings

BURST_CLIENTS = 16
"""Connections of a burst."""

_MAX_LONE_WAITS = 5
_MIN_PATIENCE_SECONDS = 0.2

MAX_HANGS = 3.0
"""Requests without a response, one after the other, after which no more are sent."""

HANGS = (
    "the receiver left requests without the end of a response, and each more would cost as long; "
    "see receiver/respond/within-limit"
)


T = TypeVar("T", bound="Outcome | None")


class ReceiverGone(SubjectLost):
    """The receiver cannot be reached, so nothing can be said of it; the text says why."""


class Sending:
    """The cases of one batch on their way.

    Attributes:
        cases: The cases.
        exchanges: What came of them so far, in the order in which they ended.
        unsent: Why cases were not sent; empty where all were or will be.
    """

    def __init__(self, cases: Sequence[Case], changed: threading.Condition) -> None:
        self.cases = cases
        self.exchanges: list[Exchange] = []
        self.unsent: list[str] = []
        self._left = len(cases)
        self._changed = changed

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until each case has its outcome or will not be sent, and return whether that is so.

        Args:
            seconds: How long to wait; without end when None.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self._left <= 0, seconds)

    def finish(self, exchange: Exchange | None, reason: str = "") -> None:
        """Note what came of a case; without an exchange, why it was not sent. Needs the lock."""
        if exchange is not None:
            self.exchanges.append(exchange)
        if reason and reason not in self.unsent:
            self.unsent.append(reason)
        self._left -= 1

    def abandon(self, reason: str) -> None:
        """Wait for no case any more. Needs the lock."""
        if self._left > 0:
            self._left = 0
            self.unsent.append(reason)


class Dispatcher:
    """Sends cases, and keeps all that came of them.

    Args:
        target: The receiver.
        settings: How it is tried.
        restart_seconds: Seconds in which a receiver that is gone may come back.

    Attributes:
        ledger: Every exchange so far, in the order in which they ended.
        window: How many requests may be under way at once.
        stopped: Why nothing more is sent; empty while something may be.
        gone: Why the receiver cannot be reached; empty where it can.
    """

    def __init__(self, target: Target, settings: Settings, *, restart_seconds: float) -> None:
        self.ledger: list[Exchange] = []
        self.window = Window(settings.workers, settings.fail_after)
        self.stopped = ""
        self.gone = ""
        self._target = target
        self._settings = settings
        self._restart_seconds = restart_seconds
        self._changed = threading.Condition()
        self._queue: deque[tuple[Sending, Case]] = deque()
        self._sendings: list[Sending] = []
        self._interrupted = False
        self._channels: list[Channel] = []
        self._workers = 0
        self._active = 0
        self._held = 0
        self._closed = False
        self._turn = 0.0
        self._hangs = 0.0

    # Sending.

    def submit(self, cases: Sequence[Case]) -> Sending:
        """Send cases in the background, and return them on their way."""
        sending = Sending(cases, self._changed)
        with self._changed:
            self._sendings.append(sending)
            self._queue.extend((sending, case) for case in cases)
            if self.stopped:
                self._drop(self.stopped)
            self._add_workers()
            self._changed.notify_all()
        return sending

    def send_first(self, cases: Sequence[Case]) -> Sending:
        """Send the first cases of a run, and return them with their outcomes.

        The first is sent alone, the second beside its open connection, and then the others.

        Args:
            cases: An ordinary message of each template type.

        Raises:
            ReceiverGone: The receiver cannot be reached.
        """
        first, second, *others = cases
        sending = Sending(cases, self._changed)
        with closing(self._target.open()) as channel:
            exchanges = [self.exchange(first, channel)]
            lone = exchanges[0].outcome
            if is_timeout(lone):
                # All at once: if they hang too, that costs one more time-out and not one for each.
                others.insert(0, second)
                self.window.widen(len(others))
            else:
                beside = self.submit([second])
                if not beside.wait(_MAX_LONE_WAITS * max(lone.seconds, _MIN_PATIENCE_SECONDS)):
                    # It serves one connection at a time, and the first one is still open.
                    self.window.restrict(1)
        if not is_timeout(lone):
            beside.wait()
            exchanges += beside.exchanges
        together = self.submit(others)
        together.wait()
        if self.gone:
            raise ReceiverGone(self.gone)
        with self._changed:
            for exchange in exchanges + together.exchanges:
                sending.finish(exchange)
        return sending

    def send_alone(self, cases: Sequence[Case]) -> Sending:
        """Send cases while no others are under way, and return them, each with its outcome.

        Raises:
            ReceiverGone: The receiver cannot be reached.
        """
        with self.alone():
            sending = Sending(cases, self._changed)
            with ThreadPoolExecutor(max(1, min(self.window.size, len(cases)))) as clients:
                for exchange in clients.map(self._exchange_unless_stopped, cases):
                    with self._changed:
                        sending.finish(exchange, "" if exchange else self.stopped)
        return sending

    def send_burst(self, cases: Sequence[Case]) -> Sending:
        """Send cases over many connections at once, while no others are under way, and return them.

        Each connection stays open until all are done, as those of the connector's pool do.

        Raises:
            ReceiverGone: The receiver cannot be reached.
        """

        def send(own: Sequence[Case], channel: Channel) -> None:
            for case in own:
                exchange = None if self.stopped else self._exchange(case, channel, is_burst=True)
                with self._changed:
                    sending.finish(exchange, "" if exchange else self.stopped)
                if exchange is not None and is_timeout(exchange.outcome):
                    break

        sending = Sending(cases, self._changed)
        with self.alone(), ExitStack() as stack:
            channels = [stack.enter_context(closing(self._target.open())) for _ in range(BURST_CLIENTS)]
            clients = stack.enter_context(ThreadPoolExecutor(BURST_CLIENTS))
            shares = [cases[number::BURST_CLIENTS] for number in range(BURST_CLIENTS)]
            list(clients.map(send, shares, channels))
        sending.abandon(HANGS)
        return sending

    def _exchange_unless_stopped(self, case: Case) -> Exchange | None:
        return None if self.stopped else self.exchange(case)

    def exchange(self, case: Case, channel: Channel | None = None) -> Exchange:
        """Send one case at once, follow redirects as Logto does, and return what came of it.

        Args:
            case: The case.
            channel: The way to the receiver; a new one when None.

        Raises:
            ReceiverGone: The receiver cannot be reached.
        """
        with self._changed:
            self._active += 1
        try:
            return self._exchange(case, channel)
        finally:
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    def exchange_directly(self, case: Case, send: Callable[[], T]) -> T:
        """Return the very outcome of one request, for example a redirect.

        Args:
            case: The case that is sent.
            send: Sends it; it returns None where it could not, because the connection has ended as announced.

        Raises:
            ReceiverGone: The receiver cannot be reached.
        """
        self._wait_for_turn()
        started = time.monotonic()
        outcome = self._retry_unreachable(send)
        if outcome is not None:
            with self._changed:
                self.ledger.append(Exchange(case, outcome, (), started, time.monotonic(), 0))
        return outcome

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no case be sent by others during a block; those that wait are sent first."""
        self.drain()
        with self._changed:
            self._held += 1
            # A receiver that serves one connection at a time is free for another.
            self._close_channels()
        try:
            yield
        finally:
            with self._changed:
                self._held -= 1
                self._changed.notify_all()

    def drain(self) -> None:
        """Wait until nothing is under way or waiting."""
        with self._changed:
            self._changed.wait_for(lambda: self._interrupted or not (self._active or self._queue))

    def stop(self, reason: str) -> None:
        """Send nothing more; may be called from any thread.

        Args:
            reason: Why, for the rules that are not judged because of it.
        """
        with self._changed:
            self.stopped = self.stopped or reason
            self._drop(self.stopped)
            self._changed.notify_all()

    def interrupt(self, reason: str) -> None:
        """Send nothing more, and wait for nothing that is under way; may be called from any thread.

        Args:
            reason: Why, for the rules that are not judged because of it.
        """
        with self._changed:
            self.stop(reason)
            self._interrupted = True
            for sending in self._sendings:
                sending.abandon(reason)
            self._changed.notify_all()

    def close(self) -> None:
        """End the workers and close the connections."""
        with self._changed:
            self._closed = True
            self._drop("the run has ended")
            self._close_channels()
            self._changed.notify_all()

    # The workers.

    def _add_workers(self) -> None:
        while self._workers < min(len(self._queue), self.window.size):
            self._workers += 1
            # Daemons: a receiver that never responds must not keep the process.
            threading.Thread(target=self._work, name="mail-contract-sender", daemon=True).start()

    def _may_send(self) -> bool:
        return bool(self._queue) and not self._held and self._active < self.window.size

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._closed or self._may_send()):
                    self._changed.wait()
                if self._closed:
                    return
                sending, case = self._queue.popleft()
                if sending.unsent:
                    sending.finish(None)
                    self._changed.notify_all()
                    continue
                self._active += 1
                channel = self._channels.pop() if self._channels else None
            self._send(sending, case, channel)

    def _send(self, sending: Sending, case: Case, channel: Channel | None) -> None:
        exchange: Exchange | None = None
        reason = ""
        try:
            channel = channel or self._target.open()
            exchange = self._exchange(case, channel)
        except ReceiverGone as problem:
            reason = str(problem)
        except Exception as problem:  # noqa: BLE001 - a worker that ended would leave a rule waiting for ever
            reason = f"a fault of mail-contract itself: {type(problem).__name__}: {problem}"
            self.stop(reason)
        finally:
            with self._changed:
                self._active -= 1
                if exchange is not None and is_timeout(exchange.outcome):
                    # Each other case of the batch would cost as long.
                    reason = HANGS
                sending.finish(exchange, reason)
                if channel is not None:
                    self._keep_channel(channel, exchange)
                self._add_workers()
                self._changed.notify_all()

    def _keep_channel(self, channel: Channel, exchange: Exchange | None) -> None:
        outcome = exchange and exchange.outcome
        # The body of a refused request may be left unread on its connection: a rule of its own looks at that.
        is_clean = isinstance(outcome, Response) and outcome.status < 400
        if is_clean and not self._held and not self._closed and len(self._channels) < self.window.size:
            self._channels.append(channel)
        else:
            channel.close()

    def _close_channels(self) -> None:
        for channel in self._channels:
            channel.close()
        self._channels.clear()

    def _drop(self, reason: str) -> None:
        for sending, _ in self._queue:
            sending.finish(None, reason)
        self._queue.clear()

    # One case.

    def _exchange(self, case: Case, channel: Channel | None, *, is_burst: bool = False) -> Exchange:
        own = self._target.open() if channel is None else None
        outcomes: list[Outcome] = []
        company = 0
        try:
            for _ in range(case.repeats):
                self._wait_for_turn()
                company = max(company, self._active - 1)
                started = time.monotonic()
                outcomes.append(self._retry_unreachable(lambda: self._deliver(own or channel, case.call)))
                if not is_accepted(outcomes[-1]):
                    break
        finally:
            if own is not None:
                own.close()
        ended = time.monotonic()
        with self._changed:
            company = 0 if is_burst else max(company, self._active - 1)
            exchange = Exchange(case, outcomes[-1], tuple(outcomes[:-1]), started, ended, company)
            self.ledger.append(exchange)
            if is_accepted(exchange.outcome) and not is_burst:
                self.window.learn(started, ended)
            elif is_timeout(exchange.outcome):
                self._hangs += 1 / max(1, self._active)
                if self._hangs >= MAX_HANGS:
                    self.stop(HANGS)
        return exchange

    def _deliver(self, channel: Channel | None, call: Call) -> Outcome:
        assert channel is not None
        return deliver(channel, call, self._settings.fail_after)

    def _wait_for_turn(self) -> None:
        if self._settings.pace is None:
            return
        with self._changed:
            now = time.monotonic()
            turn = max(now, self._turn)
            self._turn = turn + 1 / self._settings.pace
        time.sleep(turn - now)

    def _retry_unreachable(self, send: Callable[[], T]) -> T:
        until = time.monotonic() + self._restart_seconds
        while True:
            outcome = send()
            if not (isinstance(outcome, NoResponse) and outcome.kind == "unreachable"):
                return outcome
            if self.gone or time.monotonic() > until:
                self.gone = self.gone or f"the receiver cannot be reached: {outcome.problem}"
                self.stop(self.gone)
                raise ReceiverGone(self.gone)
            time.sleep(self._restart_seconds / 20)
