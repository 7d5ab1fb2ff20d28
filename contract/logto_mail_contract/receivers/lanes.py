"""Cases on their way to a receiver: a queue, and workers that each have a connection."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..judging.responses import is_timeout
from ..suite.results import NotJudged, SubjectLost
from ..wire.outcomes import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..connector.channel import Channel
    from .cases import Case, Exchange
    from .load import Window

HANGS = (
    "the receiver left requests without the end of a response, and each more would cost as long; "
    "see receiver/respond/within-limit and receiver/reject/always-responds"
)


class Sending:
    """The cases of one batch on their way.

    Attributes:
        cases: The cases.
        exchanges: What came of them so far, in the order in which they ended.
        unsent: Why cases were not sent; empty where all were or will be.
        is_cancelled: Whether those that are left will not be sent.
    """

    def __init__(self, cases: Sequence[Case], changed: threading.Condition) -> None:
        self.cases = cases
        self.exchanges: list[Exchange] = []
        self.unsent: list[str] = []
        self.is_cancelled = False
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
        """Note what came of a case; or why others of the batch are not sent.

        Args:
            exchange: What came of it; None where it was not sent.
            reason: Why cases are not sent.
        """
        with self._changed:
            if exchange is not None:
                self.exchanges.append(exchange)
            if reason:
                self.is_cancelled = True
                self.unsent += [reason] if reason not in self.unsent else []
            self._left -= 1
            self._changed.notify_all()

    def abandon(self, reason: str) -> None:
        """Wait for no case any more.

        Args:
            reason: Why, where there is one left.
        """
        with self._changed:
            if self._left > 0:
                self._left = 0
                self.unsent.append(reason)
                self._changed.notify_all()


class Lanes:
    """The connections to a receiver, and the cases that wait for one.

    Args:
        open_channel: Opens a way to the receiver.
        exchange: Sends a case on it, and returns what came of it.
        window: How many cases may be under way at once.

    Attributes:
        changed: Held while anything here is read or changed, and notified then.
        stopped: Why nothing more is sent; empty while something may be.
        active: How many cases are under way.
    """

    def __init__(
        self,
        open_channel: Callable[[], Channel],
        exchange: Callable[[Case, Channel], Exchange],
        window: Window,
    ) -> None:
        # Its lock is one that a thread may take twice: a signal may stop a run in the midst of anything.
        self.changed = threading.Condition()
        self.stopped = ""
        self.active = 0
        self._open_channel = open_channel
        self._exchange = exchange
        self._window = window
        self._queue: deque[tuple[Sending, Case]] = deque()
        self._sendings: list[Sending] = []
        self._channels: list[Channel] = []
        self._occupied: list[Channel] = []
        self._workers = 0
        self._is_held = False
        self._is_interrupted = False
        self._is_closed = False
        self._fault: Exception | None = None

    def submit(self, cases: Sequence[Case]) -> Sending:
        """Send cases in the background, and return them on their way.

        Args:
            cases: The cases.
        """
        sending = Sending(cases, self.changed)
        with self.changed:
            self._sendings.append(sending)
            self._queue.extend((sending, case) for case in cases)
            if self.stopped:
                self._drop(self.stopped)
            self._add_workers()
            self.changed.notify_all()
        return sending

    @contextmanager
    def occupy(self, channel: Channel | None = None) -> Iterator[None]:
        """Count a case that is sent by other means as one that is under way.

        Args:
            channel: The way that it takes, to be aborted when the run is interrupted; None to wait for it.

        Raises:
            NotJudged: The run was interrupted.
        """
        with self.changed:
            self.require_uninterrupted()
            self.active += 1
            if channel is not None:
                self._occupied.append(channel)
        try:
            yield
        finally:
            with self.changed:
                if channel is not None:
                    self._occupied.remove(channel)
                self.active -= 1
                self.changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no case be sent from the queue during a block; those that wait there are sent first."""
        self.drain()
        with self.changed:
            self._is_held = True
            # A receiver that serves one connection at a time is free for another.
            self._close_channels()
        try:
            yield
        finally:
            with self.changed:
                self._is_held = False
                self.changed.notify_all()

    def drain(self) -> None:
        """Wait until nothing is under way or waiting."""
        with self.changed:
            self.changed.wait_for(lambda: self._is_interrupted or not (self.active or self._queue))

    def stop(self, reason: str) -> None:
        """Send nothing more; may be called from any thread, and from a signal handler.

        Args:
            reason: Why, for the rules that are not judged because of it.
        """
        with self.changed:
            self.stopped = self.stopped or reason
            self._drop(self.stopped)
            self.changed.notify_all()

    def interrupt(self, reason: str) -> None:
        """Send nothing more, and wait for nothing that is under way; else as ``stop``.

        Args:
            reason: Why, for the rules that are not judged because of it.
        """
        with self.changed:
            self.stop(reason)
            self._is_interrupted = True
            for sending in self._sendings:
                sending.abandon(reason)
            for channel in self._occupied:
                channel.abort()

    def require_uninterrupted(self) -> None:
        """Go on only if the run was not interrupted.

        Raises:
            NotJudged: It was; the text says why.
        """
        if self._is_interrupted:
            raise NotJudged(self.stopped)

    def raise_fault(self) -> None:
        """Raise what failed in a worker on our own side, once; later rules are not judged because of it."""
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault

    def close(self) -> None:
        """End the workers and close the connections."""
        with self.changed:
            self._is_closed = True
            self._drop("the run has ended")
            self._close_channels()
            self.changed.notify_all()

    # The workers.

    def _add_workers(self) -> None:
        while self._workers < min(len(self._queue), self._window.size):
            self._workers += 1
            # Daemons: a receiver that never responds must not keep the process.
            threading.Thread(target=self._work, name="mail-contract-sender", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self._is_closed or self._may_send())
                if self._is_closed:
                    return
                sending, case = self._queue.popleft()
                if sending.is_cancelled:
                    sending.finish(None)
                    continue
                self.active += 1
                channel = self._channels.pop() if self._channels else None
            self._send(sending, case, channel)

    def _may_send(self) -> bool:
        return bool(self._queue) and not self._is_held and self.active < self._window.size

    def _send(self, sending: Sending, case: Case, channel: Channel | None) -> None:
        exchange: Exchange | None = None
        reason = ""
        try:
            channel = channel or self._open_channel()
            exchange = self._exchange(case, channel)
        except (NotJudged, SubjectLost) as problem:
            reason = str(problem)
        except Exception as problem:  # noqa: BLE001 - a worker that ended would leave a rule waiting for ever
            reason = f"a fault of mail-contract itself: {type(problem).__name__}: {problem}"
            self._fault = problem
            self.stop(reason)
        finally:
            with self.changed:
                self.active -= 1
                if exchange is not None and is_timeout(exchange.outcome):
                    reason = HANGS
                if channel is not None:
                    self._keep(channel, exchange)
                sending.finish(exchange, reason)
                self._add_workers()

    def _keep(self, channel: Channel, exchange: Exchange | None) -> None:
        outcome = exchange and exchange.outcome
        # The body of a refused request may be left unread on its connection: a rule of its own looks at that.
        is_clean = isinstance(outcome, Response) and outcome.status < 400
        is_free = not (self._is_held or self._is_closed) and len(self._channels) < self._window.size
        if is_clean and is_free:
            self._channels.append(channel)
        else:
            channel.close()

    def _close_channels(self) -> None:
        for channel in self._channels:
            channel.close()
        self._channels.clear()

    def _drop(self, reason: str) -> None:
        while self._queue:
            sending, _ = self._queue.popleft()
            sending.finish(None, reason)
