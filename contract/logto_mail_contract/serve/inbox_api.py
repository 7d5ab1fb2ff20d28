"""The inbox of a standing endpoint as JSON over HTTP, for tests in any language; an ASGI application.

``schemas/inbox-api.openapi.json`` describes it. No web framework: the routes are few, and importing one would
cost half of the time in which the command starts.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

from .. import __version__, catalogue
from ..inbox.core import Deleted
from ..inbox.matching import Query, parse_body
from ..inbox.store import StoreProblem
from ..judging.javascript_json import NotJson, NotUtf8, TooDeep, parse, stringify
from ..judging.message import Message
from ..masking import format_value
from . import reply_documents
from .endpoint import Stopping

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence

    from ..inbox.core import Event
    from ..inbox.recorded import Recorded
    from ..wire.requests import Request
    from .endpoint import StandingEndpoint

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_WAIT_SECONDS = 300.0
"""Seconds for which a request for the latest message is held."""

MAX_REPLIES = 1000
"""How many replies can be scripted at a time."""

_LARGE_BODY_BYTES = 64 * 1024
_RFC_3339 = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?)"
    "(?P<zone>[Zz]|[-+ ][0-9]{2}:[0-9]{2})"
)
_OPENAPI = "/api/openapi.json"
_CHOOSING = ("to", "type", "since", "after")
_LISTING = (*_CHOOSING, "limit")
_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


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


class Content(NamedTuple):
    """The response to a request."""

    status: int
    type: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class _Refused(Exception):
    """A request that gets an error as its response."""

    def __init__(self, status: int, error: str, **members: Any) -> None:
        self.content = _json({"error": error, **members}, status)
        super().__init__(error)


class Route(NamedTuple):
    """A method of a path."""

    handler: Callable[[_Asked], Awaitable[Content | None]]
    parameters: tuple[str, ...]


class InboxApi:
    """The ASGI application.

    Args:
        endpoint: Whose inbox it shows.
        limits: Its bounds.

    Attributes:
        routes: The pattern of each path with its methods, and the parameters that each takes in the query.
    """

    def __init__(self, endpoint: StandingEndpoint, limits: ApiLimits | None = None) -> None:
        self._endpoint = endpoint
        self._limits = limits or ApiLimits()
        one, nothing = r"/api/messages/([0-9]{1,15})", ()
        routes: dict[str, dict[str, Route]] = {
            "/healthz": {"GET": Route(self._health, nothing)},
            re.escape(_OPENAPI): {"GET": Route(self._openapi, nothing)},
            "/api/messages": {
                "GET": Route(self._messages, _LISTING),
                "DELETE": Route(self._delete_messages, ("to",)),
            },
            "/api/messages/latest": {"GET": Route(self._latest, (*_CHOOSING, "wait"))},
            one: {"GET": Route(self._message, nothing)},
            f"{one}/(code|link)": {"GET": Route(self._variable, nothing)},
            f"{one}/raw": {"GET": Route(self._raw, nothing)},
            "/api/violations": {"GET": Route(self._violations, _LISTING)},
            "/api/events": {"GET": Route(self._events, ("to", "type", "after"))},
            "/api/replies": {
                "GET": Route(self._replies, nothing),
                "POST": Route(self._script, nothing),
                "DELETE": Route(self._unscript, ("to",)),
            },
        }
        self.routes = [(re.compile(pattern), methods) for pattern, methods in routes.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request."""
        try:
            content = await self._respond(scope, receive, send)
        except _Refused as refused:
            content = refused.content
        except StoreProblem as problem:
            content = _json({"error": str(problem)}, 503)
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
                refused = _json({"error": f"{path} takes {allowed}, not {scope['method'][:20]}."}, 405)
                return refused._replace(headers=((b"allow", allowed.encode()),))
            route = methods[method]
            parameters = _parameters(scope["query_string"], route.parameters)
            return await route.handler(_Asked(scope, receive, send, parameters, found.groups()))
        raise _Refused(404, f"There is nothing at {path[:200]}; {_OPENAPI} lists the paths.")

    # What the routes do.

    async def _health(self, _: _Asked) -> Content:
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
        return _json(state, 200 if endpoint.problem is None else 503)

    async def _openapi(self, _: _Asked) -> Content:
        return _json(catalogue.load("inbox-api.openapi.json"))

    async def _messages(self, asked: _Asked) -> Content:
        return await self._listing(asked, asked.query())

    async def _violations(self, asked: _Asked) -> Content:
        return await self._listing(asked, asked.query(invalid=True))

    async def _listing(self, asked: _Asked, query: Query) -> Content:
        limit = int(asked.number("limit", 100, least=1, most=self._limits.max_listed, whole=True))
        store = self._endpoint.store
        found = store.select(query, limit, newest=query.after is None and query.since is None)
        return _json(
            {
                "messages": await _summaries(found),
                "total": store.total,
                "dropped": store.dropped,
                "last": store.last,
            }
        )

    async def _delete_messages(self, asked: _Asked) -> Content:
        return _json({"deleted": self._endpoint.inbox.delete(asked.parameters.get("to"))})

    async def _latest(self, asked: _Asked) -> Content | None:
        query = asked.query(accepted=True)
        wait = asked.number("wait", 0, least=0, most=MAX_WAIT_SECONDS)
        waiting = asyncio.ensure_future(self._endpoint.latest(query, wait))
        leaving = asyncio.ensure_future(wait_for_disconnect(asked.receive))
        try:
            await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                return None
            recorded = waiting.result()
        except Stopping:
            raise _Refused(503, "The server stops.") from None
        finally:
            waiting.cancel()
            leaving.cancel()
        if recorded is None:
            raise self._nothing_came(query, wait)
        return Content(200, "application/json", _detail(recorded))

    def _nothing_came(self, query: Query, wait: float) -> _Refused:
        return _Refused(
            404,
            f"No {query} has arrived{f' within {wait:g} s' if wait else ''}; arrived lists what did.",
            # One that matches came after the last look.
            arrived=[
                summary(recorded) | {"mismatch": mismatch or "it came just now"}
                for recorded, mismatch in self._endpoint.inbox.near_misses(query)
            ],
        )

    def _one(self, asked: _Asked) -> Recorded:
        id = int(asked.groups[0])
        found = self._endpoint.store.select(Query(after=id - 1), 1, newest=False)
        if not found or found[0].id != id:
            store = self._endpoint.store
            raise _Refused(
                404,
                f"There is no message {id}: it never arrived, was deleted, or was dropped to make room "
                f"({store.dropped} were; the last is {store.last}).",
            )
        return found[0]

    async def _message(self, asked: _Asked) -> Content:
        return Content(200, "application/json", _detail(self._one(asked)))

    async def _variable(self, asked: _Asked) -> Content:
        recorded, name = self._one(asked), asked.groups[1]
        value = summary(recorded)[name]
        if value is None:
            raise _Refused(404, f"Message {recorded.id} has no {name}.")
        return Content(200, "text/plain; charset=utf-8", value.encode("utf-8", "replace"))

    async def _raw(self, asked: _Asked) -> Content:
        recorded = self._one(asked)
        attachment = (b"content-disposition", b'attachment; filename="message-%d.json"' % recorded.id)
        return Content(200, "application/octet-stream", recorded.body, (attachment,))

    async def _replies(self, _: _Asked) -> Content:
        return _json(
            {"replies": [reply_documents.write(*scripted) for scripted in self._endpoint.scripted()]}
        )

    async def _script(self, asked: _Asked) -> Content:
        # A page of another site can post text unasked. For JSON its browser asks first, and is refused.
        if asked.header(b"content-type").partition(b";")[0].strip().lower() != b"application/json":
            raise _Refused(415, "Script a reply with Content-Type: application/json.")
        request: Request = asked.scope["state"]["request"]
        if request.framing is not None:
            raise _Refused(400, f"The body did not come whole: {request.framing}.")
        try:
            document = parse(request.body)
        except (NotUtf8, NotJson, TooDeep) as problem:
            raise _Refused(400, f"The body is no JSON: {problem}") from None
        try:
            to, reply, times = reply_documents.read(document)
        except (ValueError, TypeError) as problem:
            raise _Refused(400, str(problem)) from None
        if len(self._endpoint.scripted()) >= MAX_REPLIES:
            raise _Refused(
                409, f"{MAX_REPLIES} replies are scripted already; DELETE /api/replies removes them."
            )
        self._endpoint.script(to, reply, times)
        return (await self._replies(asked))._replace(status=201)

    async def _unscript(self, asked: _Asked) -> Content:
        return _json({"deleted": self._endpoint.unscript(asked.parameters.get("to"))})

    async def _events(self, asked: _Asked) -> None:
        store = self._endpoint.store
        # A browser reconnects to the same address, so its Last-Event-ID overrides the cursor in the address.
        query = asked.query()
        if seen := asked.header(b"last-event-id").decode("latin-1"):
            query = replace(query, after=_cursor("Last-Event-ID", seen))
        if query.after is None:
            query = replace(query, after=store.last)
        elif query.after > store.last:
            # The cursor of another inbox, for example of a server before it was restarted.
            query = replace(query, after=0)
        # Now, while a store that fails can still be reported with a status.
        store.select(query, 1, newest=False)
        headers = [(b"content-type", b"text/event-stream"), *_HEADERS]
        await asked.send({"type": "http.response.start", "status": 200, "headers": headers})
        if asked.scope["method"] != "HEAD":
            await asked.send(_part(_event("hello", {"last": store.last}, query.after)))
            leaving = asyncio.ensure_future(wait_for_disconnect(asked.receive))
            try:
                with suppress(StoreProblem):
                    query = await self._send_missed(asked, query, leaving)
                    # Nothing is awaited since the last look at the store: no delivery is missed.
                    await self._send_arrivals(asked, query, leaving)
            finally:
                leaving.cancel()
        await asked.send(_part(b"", more=False))

    async def _send_missed(self, asked: _Asked, query: Query, leaving: asyncio.Future[Any]) -> Query:
        endpoint = self._endpoint
        while not leaving.done() and not endpoint.inbox.stopping:
            missed = endpoint.store.select(query, self._limits.max_listed, newest=False)
            if not missed:
                break
            await asked.send(_part(b"".join(map(_message_event, await _summaries(missed)))))
            query = replace(query, after=missed[-1].id)
        return query

    async def _send_arrivals(self, asked: _Asked, query: Query, leaving: asyncio.Future[Any]) -> None:
        queued: asyncio.Queue[Event] = asyncio.Queue(self._limits.max_queued_events)

        def listen(event: Event) -> None:
            if isinstance(event, Deleted):
                wanted = event.to is None or query.to in (None, event.to)
            else:
                # A store may have a delivery before its event, so it may have been sent as missed.
                wanted = event is None or query.matches(event)
            if wanted:
                with suppress(asyncio.QueueFull):
                    queued.put_nowait(event)

        with self._endpoint.listening(listen):
            # A client so far behind gets what it missed faster over a new connection.
            while not leaving.done() and not queued.full():
                next_event: asyncio.Future[Any] = asyncio.ensure_future(queued.get())
                done, _ = await asyncio.wait(
                    {next_event, leaving},
                    timeout=self._limits.keep_alive_seconds,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                next_event.cancel()
                if next_event not in done:
                    await asked.send(_part(b":\n\n"))
                    continue
                event = next_event.result()
                if event is None:
                    break
                if isinstance(event, Deleted):
                    await asked.send(_part(_event("deleted", {"to": event.to})))
                else:
                    await asked.send(_part(_message_event(summary(event))))


class _Asked(NamedTuple):
    """A request of the API."""

    scope: Scope
    receive: Receive
    send: Send
    parameters: Mapping[str, str]
    groups: tuple[str, ...]

    def header(self, name: bytes) -> bytes:
        lines: list[tuple[bytes, bytes]] = self.scope["headers"]
        return next((value for header, value in lines if header == name), b"")

    def number(self, name: str, default: float, *, least: float, most: float, whole: bool = False) -> float:
        text = self.parameters.get(name)
        if text is None:
            return default
        # float() accepts more: 1_0, nan, digits of any script.
        form = "[0-9]{1,9}" if whole else r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
        if not re.fullmatch(form, text) or not least <= float(text) <= most:
            kind = "a whole number" if whole else "a number"
            raise _Refused(400, f"{name} is {kind} from {least:g} to {most:g}; it was {format_value(text)}.")
        return float(text)

    def query(self, *, invalid: bool = False, accepted: bool = False) -> Query:
        return Query(
            to=self.parameters.get("to"),
            type=self.parameters.get("type"),
            since=_parse_time(self.parameters.get("since")),
            after=_cursor("after", self.parameters.get("after")),
            invalid=invalid,
            accepted=accepted,
        )


def summary(recorded: Recorded) -> dict[str, Any]:
    """Return the members of a delivery that a list shows."""
    document = parse_body(recorded.body)
    message = Message(document if isinstance(document, dict) else {})
    return {
        "id": recorded.id,
        "time": _format_time(recorded.arrived),
        "to": recorded.to,
        "type": recorded.type,
        "code": message.code,
        "link": message.link,
        "locale": message.locale,
        "status": recorded.status,
        "response": recorded.response,
        "valid": recorded.valid,
        "findings": json.loads(recorded.findings or "[]"),
    }


def _detail(recorded: Recorded) -> bytes:
    members = summary(recorded) | {
        "method": recorded.method,
        "target": recorded.target,
        "headers": recorded.headers,
        "body": recorded.body.decode("utf-8", "replace"),
        "bodyBase64": base64.b64encode(recorded.body).decode(),
    }
    # Not json.dumps: for 1e999 it writes Infinity, which is no JSON, where JavaScript writes null.
    message = stringify(parse_body(recorded.body))
    return json.dumps(members)[:-1].encode() + b', "message": ' + message + b"}"


def _cursor(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,15}", text):
        raise _Refused(400, f"{name} is the id of a message; it was {format_value(text)}.")
    return int(text)


def _parse_time(text: str | None) -> float | None:
    if text is None:
        return None
    if found := _RFC_3339.fullmatch(text):
        # In a query, a plus that was not escaped is a space.
        zone = found["zone"].upper().replace(" ", "+")
        with suppress(ValueError):
            return datetime.fromisoformat(f"{found['date']}T{found['time']}{zone}").timestamp()
    raise _Refused(
        400, f"since is a time as in RFC 3339, for example 2026-01-31T12:00:00Z; it was {format_value(text)}."
    )


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _parameters(query: bytes, allowed: tuple[str, ...]) -> dict[str, str]:
    try:
        pairs = parse_qsl(query.decode(), keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError:
        raise _Refused(400, "The query is no UTF-8 text with at most 20 parameters.") from None
    parameters = dict(pairs)
    for name in parameters:
        if name not in allowed:
            known = ", ".join(allowed) or "none"
            raise _Refused(400, f"There is no parameter {format_value(name)} here; there is: {known}.")
    if len(parameters) < len(pairs):
        raise _Refused(400, "The query has a parameter twice.")
    return parameters


def _json(document: Any, status: int = 200) -> Content:
    return Content(status, "application/json", json.dumps(document).encode())


def _event(name: str, document: Any, id: int | None = None) -> bytes:
    number = "" if id is None else f"id: {id}\n"
    return f"{number}event: {name}\ndata: {json.dumps(document)}\n\n".encode()


def _message_event(summary: dict[str, Any]) -> bytes:
    return _event("message", summary, summary["id"])


async def _summaries(found: Sequence[Recorded]) -> list[dict[str, Any]]:
    summaries = []
    for recorded in found:
        summaries.append(summary(recorded))
        if len(recorded.body) > _LARGE_BODY_BYTES:
            # A thousand of the largest take a minute to parse: let the loop serve others meanwhile.
            await asyncio.sleep(0)
    return summaries


def _part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def wait_for_disconnect(receive: Receive) -> None:
    """Wait until the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def respond(send: Send, content: Content, *, head_only: bool = False) -> None:
    """Send a response.

    Args:
        send: The ASGI callable that sends.
        content: The response.
        head_only: Whether the body is left out.
    """
    headers = [
        (b"content-type", content.type.encode()),
        (b"content-length", b"%d" % len(content.body)),
        *_HEADERS,
        *content.headers,
    ]
    await send({"type": "http.response.start", "status": content.status, "headers": headers})
    await send(_part(b"" if head_only else content.body, more=False))
