"""The core of every inbox: records, finds, notifies and waits; for threads and for event loops."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..clock import read_monotonic
from .matching import Query
from .recorded import Recorded, record_request
from .waiting import LoopSignal, SetAlarm, ThreadSignal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..judging.requests import Verdict
    from ..wire.requests import Request
    from .store import Store, StoreProblem


MAX_LISTED_DELIVERIES = 10
"""How many deliveries a message lists."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """The deliveries to some recipients were deleted, or all of them when ``recipients`` is None."""

    recipients: frozenset[str] | None


Event = Recorded | Deleted | None
"""A delivery that was recorded, a deletion, or None: the inbox stops."""

Check = Callable[[Recorded | None], None]
"""Called with what a wait has found so far; raises what ends the wait."""


class InboxCore:
    """Deliveries in a store, listeners to what happens to them, and waiting for them.

    Args:
        store: Keeps the deliveries.
        clock: Returns monotonic seconds, for the deadlines of waits.

    Attributes:
        store: Keeps the deliveries.
        clock: Returns monotonic seconds.
        lock: Held by every call; hold it to make several calls one step.
        stopping: Whether the inbox stops, so that waits should end.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = read_monotonic) -> None:
        self.store = store
        self.lock = threading.RLock()
        self.stopping = False
        self.clock = clock
        self._last = store.last
        self._listeners: set[Callable[[Event], None]] = set()

    @property
    def listener_count(self) -> int:
        """How many listen now; a wait is one of them."""
        return len(self._listeners)

    def record(
        self,
        request: Request,
        verdict: Verdict,
        message: object,
        response: str,
        arrived: float,
        on_recorded: Callable[[Recorded | StoreProblem], None],
    ) -> None:
        """Record a request, then notify the listeners.

        Args:
            request: The request as it came.
            verdict: The result of judging it.
            message: The body's JSON value; None where there is none.
            response: How it is responded to, for a person to read.
            arrived: When it had come in whole, in seconds since 1970.
            on_recorded: Called before the listeners with the delivery, or with the problem when it cannot be
                stored. The calls are in the order of the requests.
        """

        def on_stored(problem: StoreProblem | None) -> None:
            on_recorded(recorded if problem is None else problem)
            if problem is None:
                self._notify(recorded)

        with self.lock:
            self._last += 1
            recorded = record_request(self._last, arrived, request, verdict, message, response)
            self.store.add(recorded, on_stored)

    def select(self, query: Query, limit: int, *, newest: bool) -> list[Recorded]:
        """Return the wanted deliveries, oldest first, as ``Store.select`` does."""
        with self.lock:
            return self.store.select(query, limit, newest=newest)

    def near_misses(self, query: Query) -> list[tuple[Recorded, str]]:
        """Return the last deliveries after the query's cursor and time, each with why it is not wanted.

        At most ten, oldest first. The reason is empty where nothing in a delivery speaks against it.
        """
        return [(recorded, query.mismatch(recorded) or "") for recorded in self.recent(query)]

    def recent(self, query: Query) -> list[Recorded]:
        """Return the last deliveries after the query's cursor and time, oldest first; at most ten."""
        within = Query(after=query.after, since=query.since)
        return self.select(within, MAX_LISTED_DELIVERIES, newest=True)

    def find_near(self, query: Query) -> list[str]:
        """Return the recipients that are other ways to write the wanted one, and that deliveries came to.

        At most ten; none where the query names no recipient.
        """
        if query.to is None:
            return []
        with self.lock:
            return self.store.recipients(replace(query, near=True))[:MAX_LISTED_DELIVERIES]

    def delete(self, query: Query) -> int:
        """Delete the deliveries to the wanted recipient, all where none is named; then notify the listeners.

        Args:
            query: Has no member but what says which recipient is wanted.
        """
        with self.lock:
            recipients = None
            if query.to is not None:
                exact = query.has_exact_recipient
                recipients = frozenset([query.to] if exact else self.store.recipients(query))
            deleted = self.store.delete(recipients)
            self._notify(Deleted(recipients))
            return deleted

    def stop(self) -> None:
        """Notify the listeners that the inbox stops; those that come later are notified at once."""
        with self.lock:
            self.stopping = True
            self._notify(None)

    @contextmanager
    def listening(self, listener: Callable[[Event], None]) -> Iterator[None]:
        """Have a listener called with each event during a block, in the thread where it happens."""
        with self.lock:
            self._listeners.add(listener)
            if self.stopping:
                listener(None)
        try:
            yield
        finally:
            with self.lock:
                self._listeners.discard(listener)

    def _notify(self, event: Event) -> None:
        if self._listeners:
            for listener in tuple(self._listeners):
                listener(event)

    # Waiting.

    def wait(self, query: Query, timeout: float, check: Check, *, newest: bool = False) -> Recorded | None:
        """Return a wanted delivery, waiting until one arrives; None when none does in time.

        Args:
            query: Which deliveries are wanted.
            timeout: Seconds to wait.
            check: Called with the result of each look; what it raises ends the wait.
            newest: Whether the newest is wanted where there are several, not the oldest.

        Raises:
            StoreProblem: The store cannot be read.
        """
        __tracebackhide__ = True
        search, signal = _Search(self, query, timeout, check, newest=newest), ThreadSignal()
        with self.listening(_wakes(query, signal)):
            while (found := search.look()) is None and (seconds := search.remaining()) > 0:
                signal.wait(seconds)
        return found

    async def wait_async(
        self,
        query: Query,
        timeout: float,
        check: Check,
        *,
        newest: bool = False,
        set_alarm: SetAlarm | None = None,
    ) -> Recorded | None:
        """Do what ``wait`` does without blocking the running event loop, of asyncio or trio.

        Args:
            query: As for ``wait``.
            timeout: As for ``wait``.
            check: As for ``wait``.
            newest: As for ``wait``.
            set_alarm: As for ``LoopSignal``.

        Raises:
            StoreProblem: The store cannot be read.
            RuntimeError: Another event loop runs, or none.
        """
        __tracebackhide__ = True
        search, signal = _Search(self, query, timeout, check, newest=newest), LoopSignal(set_alarm)
        with self.listening(_wakes(query, signal)):
            while (found := search.look()) is None and (seconds := search.remaining()) > 0:
                await signal.wait(seconds)
        return found


class _Search:
    """The steps that a blocking and an async wait share: look, then ask how long to wait."""

    def __init__(self, core: InboxCore, query: Query, timeout: float, check: Check, *, newest: bool) -> None:
        self._core = core
        self._query = query
        self._check = check
        self._newest = newest
        self._deadline = core.clock() + timeout

    def look(self) -> Recorded | None:
        """Return a wanted delivery that was not there at the last look; None when there is none."""
        __tracebackhide__ = True
        with self._core.lock:
            found = self._core.store.select(self._query, 1, newest=self._newest)
            self._check(found[0] if found else None)
            # A long inbox with a long payload to compare: look at each delivery once.
            last = max(self._core.store.last, self._query.after or 0)
            self._query = replace(self._query, after=last)
        return found[0] if found else None

    def remaining(self) -> float:
        """Return the seconds until the wait is over, 0 or less when it is."""
        return self._deadline - self._core.clock()


def _wakes(query: Query, signal: ThreadSignal | LoopSignal) -> Callable[[Event], None]:
    # Without the payload: the thread that records must not parse for those who wait.
    query = replace(query, payload=None)

    def listen(event: Event) -> None:
        # An invalid delivery may end the wait, whatever is waited for.
        if event is None or (isinstance(event, Recorded) and (not event.valid or query.matches(event))):
            signal.set()

    return listen
