"""The stream of events of the inbox API: what a client missed, then what arrives, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..inbox.core import Deleted
from ..inbox.matching import Query
from ..inbox.store import StoreProblem
from .api_request import HEADERS, PIECE_BYTES, body_part, send_body, wait_for_disconnect
from .delivery_documents import name_near, summarize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..inbox.core import Event, InboxCore
    from ..inbox.store import Store
    from .api_request import ApiRequest


_MAX_EVENTS_A_TURN = 100


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """The bounds of the API that a test sets lower.

    Attributes:
        max_wait_seconds: For how long a request for the latest message is held.
        max_listed: How many deliveries one response lists.
        max_queued_events: How many events wait for a slow client; at that number its stream ends.
        keep_alive_seconds: Seconds without an event after which a stream sends a comment.
        max_unread_bytes: Beyond how many bytes of large details that clients have still to read a new one
            waits for room; those of more than 64 KB count apart from smaller ones.
        read_seconds: For how long a client may read one of them before it can be disconnected for room.
    """

    max_wait_seconds: float = 300.0
    max_listed: int = 1000
    max_queued_events: int = 1000
    keep_alive_seconds: float = 15.0
    max_unread_bytes: int = 64 * 1024 * 1024
    read_seconds: float = 1.0


class EventStreams:
    """The streams of an inbox.

    Args:
        inbox: The inbox.
        limits: The bounds of the API.
        turns: Held while events are made, so that many streams make one part in a turn of the event loop.
    """

    def __init__(self, inbox: InboxCore, limits: ApiLimits, turns: asyncio.Lock) -> None:
        self._inbox = inbox
        self._turns = turns
        self._limits = limits
        # The last event that was made: streams send the same one at about the same time.
        self._made: tuple[int, bytes] = (0, b"")

    async def send(self, asked: ApiRequest, query: Query) -> None:
        """Respond with the events from a query's cursor on, until the client leaves or the inbox stops.

        Every event from there on is sent, in order. Where that is not possible, the stream ends: what it
        would send next was dropped to make room, or too much waits for the client.

        Args:
            asked: The request.
            query: Which deliveries are wanted.

        Raises:
            StoreProblem: The store cannot be read, and nothing was sent yet.
        """
        store = self._inbox.store
        if query.after is None:
            query = replace(query, after=store.last)
        elif query.after > store.last:
            # The cursor of another inbox, for example of a server before it was restarted.
            query = replace(query, after=0)
        # Read and listen in one turn: nothing may come between.
        backlog = Backlog(store, query, self._limits.max_queued_events)
        ever = replace(query, after=None)
        is_exact = query.to is None or bool(store.select_ids(ever, 1, newest=True))
        near = [] if is_exact else self._inbox.find_near(ever)
        hello = _to_event("hello", {"last": store.last, **name_near(near)}, query.after)
        with self._inbox.listening(backlog.add):
            headers = [(b"content-type", b"text/event-stream"), *HEADERS]
            await asked.send({"type": "http.response.start", "status": 200, "headers": headers})
            if asked.scope["method"] != "HEAD":
                await asked.send(body_part(hello))
                leaving = asyncio.ensure_future(wait_for_disconnect(asked.receive))
                try:
                    with suppress(StoreProblem):
                        await self._follow(asked, backlog, leaving)
                finally:
                    leaving.cancel()
        await asked.send(body_part(b"", more=False))

    async def _follow(self, asked: ApiRequest, backlog: Backlog, leaving: asyncio.Future[Any]) -> None:
        while not (leaving.done() or backlog.is_over):
            async with self._turns:
                part = self._take_part(backlog)
                await asyncio.sleep(0)
            if part is None:
                return
            if part:
                await send_body(asked.send, part, more=True)
                continue
            changed = asyncio.ensure_future(backlog.changed.wait())
            done, _ = await asyncio.wait(
                {changed, leaving},
                timeout=self._limits.keep_alive_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            changed.cancel()
            if not done:
                await asked.send(body_part(b":\n\n"))

    def _take_part(self, backlog: Backlog) -> bytes | None:
        """Return events that wait, empty when there are none; None when one of them is lost."""
        events: list[bytes] = []
        size = 0
        for _ in range(_MAX_EVENTS_A_TURN):
            if size > PIECE_BYTES or (next_one := backlog.take()) is None:
                break
            if isinstance(next_one, Gone):
                events.append(_to_event("deleted", {"to": next_one.to}))
            elif isinstance(next_one, Near):
                events.append(_to_event("near", {"to": next_one.to}))
            elif next_one == self._made[0]:
                events.append(self._made[1])
            elif (recorded := self._inbox.store.get(next_one)) is not None:
                self._made = (next_one, _to_message_event(summarize(recorded)))
                events.append(self._made[1])
                # A store may have to read the body too.
                size += len(recorded.body)
            elif backlog.may_be_dropped:
                return None
            size += len(events[-1]) if events else 0
        return b"".join(events)


@dataclass(frozen=True, slots=True)
class Gone:
    """The deliveries to a recipient that a stream is about were deleted, or all when ``to`` is None."""

    to: str | None


@dataclass(frozen=True, slots=True)
class Near:
    """A delivery to another way to write the recipient that a stream is about."""

    to: str | None


class Backlog:
    """The ids, deletions and near deliveries that a stream has still to send.

    Ids only, and few: a client that reads slowly must not keep deliveries in memory that the store has
    dropped, and many such clients must not keep a list of the whole inbox each.

    Args:
        store: The store.
        query: What the stream sends; it has a cursor.
        most: How many events that happen meanwhile may wait.

    Attributes:
        changed: Set when something waits, or when the stream is over.
        is_over: Whether the stream must end: the inbox stops, too much waits, or something was lost.
    """

    def __init__(self, store: Store, query: Query, most: int) -> None:
        self.changed = asyncio.Event()
        self.changed.set()
        self.is_over = False
        self._store = store
        self._query = query
        self._near = replace(query, near=True)
        self._most = most
        # What came before the stream began: ids up to a cursor are taken or wait here, those up to the last
        # one are still to be read.
        self._missed: deque[int] = deque()
        self._cursor = query.after or 0
        self._last = next(iter(store.select_ids(query, 1, newest=True)), 0)
        self._came: deque[int | Deleted | Near] = deque()
        # Of the deletion whose turn it is. One deletion can have thousands of recipients, for every stream.
        self._gone: Iterator[str] = iter(())
        # How many were dropped before the first of those that wait came.
        self._dropped = store.dropped

    @property
    def may_be_dropped(self) -> bool:
        """Whether one that waited and is gone may have been dropped; else it was deleted."""
        return self._store.dropped != self._dropped

    def add(self, event: Event) -> None:
        """Add an event, if the stream sends it."""
        if event is None:
            self.is_over = True
        elif isinstance(event, Deleted):
            if self._query.has_exact_recipient and not _is_deleted(self._query.to, event):
                return
            self._came.append(event)
        # A store may have a delivery before its event.
        elif event.id > self._last and self._query.matches(event):
            self._came.append(event.id)
        elif self._query.to is not None and self._near.matches(event):
            self._came.append(Near(event.to))
        else:
            return
        # A client so far behind gets what it missed faster over a new connection.
        self.is_over = self.is_over or len(self._came) > self._most
        self.changed.set()

    def take(self) -> int | Gone | Near | None:
        """Return what is sent next, and forget it; None when nothing waits."""
        if not self._missed and self._cursor < self._last:
            self._read_missed()
        if self._missed:
            return self._missed.popleft()
        if self.is_over:
            return None
        if (to := next(self._gone, None)) is not None:
            return Gone(to)
        while self._came:
            next_one = self._came.popleft()
            if not isinstance(next_one, Deleted):
                return next_one
            if next_one.recipients is None:
                return Gone(None)
            self._gone = filter(self._query.wants_recipient, next_one.recipients)
            if (to := next(self._gone, None)) is not None:
                return Gone(to)
        self._dropped = self._store.dropped
        self.changed.clear()
        return None

    def _read_missed(self) -> None:
        if self.may_be_dropped and self._find_oldest() > self._cursor + 1:
            self.is_over = True
            return
        wanted = replace(self._query, after=self._cursor)
        ids = self._store.select_ids(wanted, _MAX_EVENTS_A_TURN, newest=False)
        self._missed.extend(id for id in ids if id <= self._last)
        self._cursor = self._missed[-1] if self._missed else self._last

    def _find_oldest(self) -> int:
        """Return the lowest id that is stored; when there is none, that of the next delivery."""
        return next(iter(self._store.select_ids(Query(), 1, newest=False)), self._store.last + 1)


def _is_deleted(to: str | None, event: Deleted) -> bool:
    return to is None or event.recipients is None or to in event.recipients


def _to_event(name: str, document: Any, id: int | None = None) -> bytes:
    number = "" if id is None else f"id: {id}\n"
    return f"{number}event: {name}\ndata: {json.dumps(document)}\n\n".encode()


def _to_message_event(summary: dict[str, Any]) -> bytes:
    return _to_event("message", summary, summary["id"])
