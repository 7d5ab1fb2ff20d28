"""The stream of events of the inbox API: what a client missed, then what arrives, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..inbox.core import Deleted
from ..inbox.store import StoreProblem
from .api_request import HEADERS, body_part, parse_cursor, wait_for_disconnect
from .delivery_documents import summarize, summarize_all

if TYPE_CHECKING:
    from ..inbox.core import Event, InboxCore
    from ..inbox.matching import Query
    from .api_request import ApiRequest


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """The bounds of the API that a test sets lower.

    Attributes:
        max_listed: How many deliveries one response lists.
        max_queued_events: How many events wait for a slow client; at that number its stream ends.
        keep_alive_seconds: Seconds without an event after which a stream sends a comment.
    """

    max_listed: int = 1000
    max_queued_events: int = 1000
    keep_alive_seconds: float = 15.0


async def send_events(asked: ApiRequest, inbox: InboxCore, limits: ApiLimits) -> None:
    """Respond with the events from the request's cursor on, until the client leaves or the inbox stops.

    Raises:
        StoreProblem: The store cannot be read, and nothing was sent yet.
        Refused: A parameter has a value that it cannot have.
    """
    store = inbox.store
    # A browser reconnects to the same address, so its Last-Event-ID overrides the cursor in the address.
    query = asked.query()
    if seen := asked.header(b"last-event-id").decode("latin-1"):
        query = replace(query, after=parse_cursor("Last-Event-ID", seen))
    if query.after is None:
        query = replace(query, after=store.last)
    elif query.after > store.last:
        # The cursor of another inbox, for example of a server before it was restarted.
        query = replace(query, after=0)
    # Now, while a store that fails can still be reported with a status.
    store.select(query, 1, newest=False)
    headers = [(b"content-type", b"text/event-stream"), *HEADERS]
    await asked.send({"type": "http.response.start", "status": 200, "headers": headers})
    if asked.scope["method"] != "HEAD":
        await asked.send(body_part(_to_event("hello", {"last": store.last}, query.after)))
        leaving = asyncio.ensure_future(wait_for_disconnect(asked.receive))
        try:
            with suppress(StoreProblem):
                query = await _send_missed(asked, inbox, query, leaving, limits.max_listed)
                # Nothing is awaited since the last look at the store: no delivery is missed.
                await _send_arrivals(asked, inbox, query, leaving, limits)
        finally:
            leaving.cancel()
    await asked.send(body_part(b"", more=False))


async def _send_missed(
    asked: ApiRequest, inbox: InboxCore, query: Query, leaving: asyncio.Future[Any], at_once: int
) -> Query:
    while not leaving.done() and not inbox.stopping:
        missed = inbox.select(query, at_once, newest=False)
        if not missed:
            break
        await asked.send(body_part(b"".join(map(_to_message_event, await summarize_all(missed)))))
        query = replace(query, after=missed[-1].id)
    return query


async def _send_arrivals(
    asked: ApiRequest, inbox: InboxCore, query: Query, leaving: asyncio.Future[Any], limits: ApiLimits
) -> None:
    queued: asyncio.Queue[Event] = asyncio.Queue(limits.max_queued_events)

    def listen(event: Event) -> None:
        if isinstance(event, Deleted):
            wanted = event.to is None or query.to in (None, event.to)
        else:
            # A store may have a delivery before its event, so it may have been sent as missed.
            wanted = event is None or query.matches(event)
        if wanted:
            with suppress(asyncio.QueueFull):
                queued.put_nowait(event)

    with inbox.listening(listen):
        # A client so far behind gets what it missed faster over a new connection.
        while not leaving.done() and not queued.full():
            next_event: asyncio.Future[Any] = asyncio.ensure_future(queued.get())
            done, _ = await asyncio.wait(
                {next_event, leaving},
                timeout=limits.keep_alive_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            next_event.cancel()
            if next_event not in done:
                await asked.send(body_part(b":\n\n"))
                continue
            event = next_event.result()
            if event is None:
                break
            if isinstance(event, Deleted):
                await asked.send(body_part(_to_event("deleted", {"to": event.to})))
            else:
                await asked.send(body_part(_to_message_event(summarize(event))))


def _to_event(name: str, document: Any, id: int | None = None) -> bytes:
    number = "" if id is None else f"id: {id}\n"
    return f"{number}event: {name}\ndata: {json.dumps(document)}\n\n".encode()


def _to_message_event(summary: dict[str, Any]) -> bytes:
    return _to_event("message", summary, summary["id"])
