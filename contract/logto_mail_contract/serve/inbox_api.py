"""The inbox of ``serve`` as JSON over HTTP, for tests in any language; an ASGI application.

``schemas/inbox-api.openapi.json`` describes it.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import __version__, catalogue
from ..inbox.matching import Query, check_type, read_types
from ..inbox.store import StoreProblem
from ..judging.javascript_json import NotJson, NotUtf8, TooDeep, parse
from ..masking import format_value
from . import reply_documents
from .api_request import (
    ApiRequest,
    Content,
    Refused,
    parse_cursor,
    parse_parameters,
    respond,
    to_json,
    wait_for_disconnect,
)
from .delivery_documents import name_near, summarize, to_detail
from .endpoint import Stopping
from .event_stream import ApiLimits, EventStreams
from .listing import send_listing
from .origins import FOREIGN_PAGE, is_foreign
from .unread_responses import UnreadResponses
from .worker import MAX_INLINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ..inbox.core import InboxCore
    from ..inbox.recorded import Recorded
    from ..wire.replies import Reply
    from ..wire.requests import Request
    from .api_request import Receive, Scope, Send
    from .endpoint import StandingEndpoint

MAX_MEDIUM_BYTES = 64 * 1024
"""Bytes of a delivery that is not shown in one line with the largest."""

MAX_ARRIVED_BYTES = 2 * 1024 * 1024
"""Bytes of the deliveries that a 404 lists, as they came; it always lists one."""

MAX_REPLIES = 1000
"""How many replies can be scripted at a time."""

MAX_REPLIES_BYTES = 1024 * 1024
"""Bytes of their recipients, header lines and bodies together."""

_OTHER_TYPES = "Any type may be asked for at /api/violations, and with --lenient."
_OPENAPI = "/api/openapi.json"
_TO = ("to", "toCaseInsensitive")
_CHOOSING = (*_TO, "type", "since", "after")
_LISTING = (*_CHOOSING, "limit")


class Route(NamedTuple):
    """A method of a path."""

    handler: Callable[[ApiRequest], Awaitable[Content | None]]
    parameters: tuple[str, ...]


class InboxApi:
    """The ASGI application.

    Args:
        endpoint: Whose inbox it shows.
        limits: Its bounds.

    Attributes:
        routes: The pattern of each path with its methods, and the query parameters of each.
    """

    def __init__(self, endpoint: StandingEndpoint, limits: ApiLimits | None = None) -> None:
        self._endpoint = endpoint
        self._limits = limits or ApiLimits()
        self._turns = asyncio.Lock()
        self._events = EventStreams(endpoint.inbox, self._limits, self._turns)
        bounds = self._limits.max_unread_bytes, self._limits.read_seconds
        # Medium ones and large ones.
        self._unread = (UnreadResponses(*bounds), UnreadResponses(*bounds))
        one, nothing = r"/api/messages/([0-9]{1,15})", ()
        routes: dict[str, dict[str, Route]] = {
            "/healthz": {"GET": Route(self._health, nothing)},
            re.escape(_OPENAPI): {"GET": Route(self._openapi, nothing)},
            "/api/messages": {
                "GET": Route(self._messages, _LISTING),
                "DELETE": Route(self._delete_messages, _TO),
            },
            "/api/messages/latest": {"GET": Route(self._latest, (*_CHOOSING, "wait"))},
            one: {"GET": Route(self._message, nothing)},
            f"{one}/(code|link)": {"GET": Route(self._variable, nothing)},
            f"{one}/raw": {"GET": Route(self._raw, nothing)},
            "/api/violations": {"GET": Route(self._violations, _LISTING)},
            "/api/events": {"GET": Route(self._follow, (*_TO, "type", "after"))},
            "/api/replies": {
                "GET": Route(self._replies, nothing),
                "POST": Route(self._script, nothing),
                "DELETE": Route(self._unscript, _TO),
            },
        }
        self.routes = [(re.compile(pattern), methods) for pattern, methods in routes.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request."""
        try:
            content = await self._respond(scope, receive, send)
        except Refused as refused:
            content = refused.content
        except StoreProblem as problem:
            content = to_json({"error": str(problem)}, 503)
        if content is not None:
            await respond(send, content, head_only=scope["method"] == "HEAD")

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> Content | None:
        path = scope["path"]
        for pattern, methods in self.routes:
            found = pattern.fullmatch(path)
            if found is None:
                continue
            method = "GET" if scope["method"] == "HEAD" else scope["method"]
            if method not in methods:
                allowed = ", ".join(methods).replace("GET", "GET, HEAD")
                refused = to_json({"error": f"{path} allows {allowed}, not {scope['method'][:20]}."}, 405)
                return refused._replace(headers=((b"allow", allowed.encode()),))
            if is_foreign(scope["state"]["request"]):
                return FOREIGN_PAGE
            route = methods[method]
            parameters = parse_parameters(scope["query_string"], route.parameters)
            return await route.handler(ApiRequest(scope, receive, send, parameters, found.groups()))
        raise Refused(404, f"There is nothing at {path[:200]}; {_OPENAPI} lists the paths.")

    # The routes.

    async def _health(self, _: ApiRequest) -> Content:
        endpoint, store = self._endpoint, self._endpoint.store
        state: dict[str, Any] = {"status": "ok"}
        if endpoint.problem is not None:
            state = {"status": "failing", "error": endpoint.problem}
        state |= {
            "version": __version__,
            "revision": endpoint.revision,
            "layer": endpoint.layer,
            "authorization": endpoint.authorization is not None,
            "total": store.total,
            "dropped": store.dropped,
            "last": store.last,
        }
        return to_json(state, 200 if endpoint.problem is None else 503)

    async def _openapi(self, _: ApiRequest) -> Content:
        document = catalogue.load("inbox-api.openapi.json")
        # What can be asked for depends on the inbox.
        parameters = document["components"]["parameters"]
        for name in ("after", "cursor"):
            parameters[name]["schema"]["maximum"] = self._endpoint.store.last
        parameters["wait"]["schema"]["maximum"] = self._limits.max_wait_seconds
        if not self._endpoint.lenient:
            parameters["type"]["schema"]["enum"] = read_types(self._endpoint.revision)
        return to_json(document)

    async def _messages(self, asked: ApiRequest) -> Content | None:
        return await self._listing(asked, await self._check(asked.query()))

    async def _violations(self, asked: ApiRequest) -> Content | None:
        return await self._listing(asked, await self._check(asked.query(invalid=True)))

    async def _take_turn(self) -> None:
        """Wait until no other request looks through the inbox in this turn of the event loop."""
        async with self._turns:
            await asyncio.sleep(0)

    async def _check(self, query: Query) -> Query:
        """Return a query that can have an answer, when it is its turn.

        Raises:
            Refused: Its cursor is beyond the last message, or its type is none of the revision.
        """
        await self._take_turn()
        endpoint, last = self._endpoint, self._endpoint.store.last
        if query.after is not None and query.after > last:
            raise Refused(
                400,
                f"There is no message {query.after} yet: the last is {last}. The cursor may be of another "
                "inbox, for example of before a restart.",
            )
        if query.type is not None and not (query.invalid or endpoint.lenient):
            try:
                check_type(endpoint.revision, query.type, _OTHER_TYPES)
            except ValueError as problem:
                raise Refused(400, str(problem)) from None
        return query

    async def _listing(self, asked: ApiRequest, query: Query) -> Content | None:
        limit = int(asked.number("limit", 100, least=1, most=self._limits.max_listed, whole=True))
        store = self._endpoint.store
        # Nothing is awaited between: a cursor of later would hide what arrived meanwhile.
        ids = store.select_ids(query, limit, newest=query.after is None and query.since is None)
        near = [] if ids else self._endpoint.inbox.find_near(query)
        counts = {"total": store.total, "dropped": store.dropped, "last": store.last, **name_near(near)}
        return await send_listing(asked, store, ids, counts, self._turns)

    async def _delete_messages(self, asked: ApiRequest) -> Content:
        query, inbox = asked.query(), self._endpoint.inbox
        await self._take_turn()
        deleted = inbox.delete(query)
        near = [] if deleted else inbox.find_near(query)
        return to_json({"deleted": deleted, **name_near(near)})

    async def _latest(self, asked: ApiRequest) -> Content | None:
        query = await self._check(asked.query(accepted=True))
        wait = asked.number("wait", 0, least=0, most=self._limits.max_wait_seconds)
        waiting = asyncio.ensure_future(self._endpoint.latest(query, wait))
        leaving = asyncio.ensure_future(wait_for_disconnect(asked.receive))
        try:
            await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                return None
            recorded = waiting.result()
        except Stopping:
            raise Refused(503, "The server stops.") from None
        finally:
            waiting.cancel()
            leaving.cancel()
        if recorded is not None:
            return await self._show(asked, recorded, _to_detail)
        near, recent = _find_what_came(self._endpoint.inbox, query)
        size = sum(map(_size, recent))
        if size <= MAX_INLINE_BYTES:
            raise _nothing_came(query, wait, near, recent)
        # Those that wait hold nothing.
        del recent

        async def refuse() -> Content:
            came = _find_what_came(self._endpoint.inbox, query)
            return (await self._endpoint.worker.run(_nothing_came, query, wait, *came)).content

        await self._unread[size > MAX_MEDIUM_BYTES].send(asked, refuse)
        return None

    async def _show(
        self, asked: ApiRequest, recorded: Recorded, show: Callable[[Recorded], Content]
    ) -> Content | None:
        """Return what shows a delivery, or respond with it if it is large."""
        id, size = recorded.id, _size(recorded)
        if size <= MAX_INLINE_BYTES:
            return show(recorded)
        # Those that wait hold nothing.
        del recorded
        await self._unread[size > MAX_MEDIUM_BYTES].send(
            asked, lambda: self._endpoint.worker.run(show, self._find(id))
        )
        return None

    def _one(self, asked: ApiRequest) -> Recorded:
        return self._find(int(asked.groups[0]))

    def _find(self, id: int) -> Recorded:
        store = self._endpoint.store
        found = store.get(id)
        if found is None:
            raise Refused(
                404,
                f"There is no message {id}: it never arrived, was deleted, or was dropped to make room "
                f"({store.dropped} were; the last is {store.last}).",
            )
        return found

    async def _message(self, asked: ApiRequest) -> Content | None:
        return await self._show(asked, self._one(asked), _to_detail)

    async def _variable(self, asked: ApiRequest) -> Content | None:
        return await self._show(asked, self._one(asked), partial(_to_variable, asked.groups[1]))

    async def _raw(self, asked: ApiRequest) -> Content | None:
        return await self._show(asked, self._one(asked), _to_raw)

    async def _replies(self, _: ApiRequest) -> Content:
        replies = [reply_documents.write(*scripted) for scripted in self._endpoint.scripted()]
        return to_json({"replies": replies, **name_near(self._endpoint.list_near())})

    async def _script(self, asked: ApiRequest) -> Content:
        # A page of another site can post text unasked. For JSON its browser asks first, and is refused.
        if (asked.header(b"content-type") or b"").partition(b";")[0].strip().lower() != b"application/json":
            raise Refused(415, "Script a reply with Content-Type: application/json.")
        request: Request = asked.scope["state"]["request"]
        if request.framing is not None:
            raise Refused(400, f"The body did not come whole: {request.framing}.")
        is_small = len(request.body) <= MAX_INLINE_BYTES
        read = (
            _read_reply(request.body)
            if is_small
            else await self._endpoint.worker.run(_read_reply, request.body)
        )
        if isinstance(read, Refused):
            raise read
        key, reply, times = read
        _require_room(key, reply, self._endpoint.scripted())
        self._endpoint.script(key, reply, times)
        return (await self._replies(asked))._replace(status=201)

    async def _unscript(self, asked: ApiRequest) -> Content:
        deleted, near = self._endpoint.unscript(asked.query())
        return to_json({"deleted": deleted, **name_near(near)})

    async def _follow(self, asked: ApiRequest) -> None:
        query = await self._check(asked.query())
        # A browser reconnects to the same address, so its Last-Event-ID overrides the cursor in the address.
        if (seen := asked.header(b"last-event-id")) is not None:
            query = replace(query, after=parse_cursor("Last-Event-ID", seen.decode("latin-1")))
        await self._events.send(asked, query)


def _find_what_came(inbox: InboxCore, query: Query) -> tuple[list[str], list[Recorded]]:
    near, recent = inbox.find_near(query), inbox.recent(query)
    while len(recent) > 1 and sum(map(_size, recent)) > MAX_ARRIVED_BYTES:
        del recent[0]
    return near, recent


def _size(recorded: Recorded) -> int:
    return len(recorded.head) + len(recorded.findings) + len(recorded.body)


def _require_room(key: Query, reply: Reply, scripted: Sequence[tuple[Query, Reply, int | None]]) -> None:
    if len(scripted) >= MAX_REPLIES:
        raise Refused(409, f"{MAX_REPLIES} replies are scripted already; DELETE /api/replies removes them.")
    others = (reply_documents.measure(other, its_reply) for other, its_reply, _ in scripted)
    size = sum(others, reply_documents.measure(key, reply))
    if size > MAX_REPLIES_BYTES:
        raise Refused(
            409,
            f"The replies would have {size} bytes together, and {MAX_REPLIES_BYTES} are allowed; DELETE "
            "/api/replies removes them.",
        )


def _read_reply(body: bytes) -> tuple[Query, Reply, int | None] | Refused:
    # Not raised: an exception would hold the whole document until the event loop has handled it.
    try:
        document = parse(body)
    except (NotUtf8, NotJson, TooDeep) as problem:
        return Refused(400, f"The body is no JSON: {problem}")
    try:
        return reply_documents.read(document)
    except (ValueError, TypeError) as problem:
        return Refused(400, str(problem))


def _to_detail(recorded: Recorded) -> Content:
    return Content(200, "application/json", to_detail(recorded))


def _to_variable(name: str, recorded: Recorded) -> Content:
    value: str | None = summarize(recorded)[name]
    if value is None:
        raise Refused(404, f"Message {recorded.id} has no {name}.")
    return Content(200, "text/plain; charset=utf-8", value.encode("utf-8", "replace"))


def _to_raw(recorded: Recorded) -> Content:
    attachment = (b"content-disposition", b'attachment; filename="message-%d.json"' % recorded.id)
    return Content(200, "application/octet-stream", recorded.body, (attachment,))


def _nothing_came(query: Query, wait: float, near: list[str], recent: list[Recorded]) -> Refused:
    named = f", but one to {' and '.join(map(format_value, near))} has" if near else ""
    return Refused(
        404,
        f"No {query} has arrived{f' within {wait:g} s' if wait else ''}{named}; arrived lists what did.",
        **name_near(near),
        # One that matches came after the last look.
        arrived=[
            summarize(recorded) | {"mismatch": query.mismatch(recorded) or "it came just now"}
            for recorded in recent
        ],
    )
