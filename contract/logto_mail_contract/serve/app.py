"""The endpoint of ``serve`` as an ASGI application: deliveries, the inbox API, and the inbox page."""

from __future__ import annotations

import json
import math
import re
import traceback
from contextlib import suppress
from importlib.resources import files
from typing import TYPE_CHECKING

from ..inbox.store import StoreProblem
from ..judging.requests import response_headers
from .api_request import Content, respond, wait_for_disconnect
from .exchange import split_target
from .inbox_api import InboxApi
from .origins import FOREIGN_PAGE, is_foreign
from .reply_wire import StandingWire
from .worker import MAX_INLINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..judging.requests import Verdict
    from ..wire.replies import Reply
    from ..wire.requests import Request
    from .api_request import Receive, Scope, Send
    from .endpoint import StandingEndpoint
    from .event_stream import ApiLimits
    from .writer import ResponseWriter

_FULL_REPORT_SECONDS = 60.0
_READING = ("GET", "HEAD", "OPTIONS")

_PAGE = {
    "/": ("inbox.html", "text/html; charset=utf-8"),
    "/inbox.css": ("inbox.css", "text/css; charset=utf-8"),
    "/inbox.js": ("inbox.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_PAGE_HEADERS = (
    (
        b"content-security-policy",
        b"; ".join(
            [
                *(b"default-src 'none'", b"script-src 'self'", b"style-src 'self'", b"img-src 'self'"),
                *(b"connect-src 'self'", b"base-uri 'none'", b"form-action 'none'"),
                b"frame-ancestors 'none'",
            ]
        ),
    ),
    (b"referrer-policy", b"no-referrer"),
)
_NO_PAGE = Content(
    404, "text/plain; charset=utf-8", b"This path accepts POST from Logto; the inbox is at /\n"
)
NOT_RECORDED = (
    b'{"accepted":false,"reason":"The delivery could not be recorded; see the log of mail-contract serve"}'
)
OWN_FAULT = Content(500, "application/json", b'{"error": "A fault of mail-contract; see its log."}')
# Names that the public DNS does not register: no site of a stranger can have one.
_OWN_NAME = re.compile(
    r"[a-z0-9_-]+|[0-9.]+|\[[0-9a-f:.]+\]|(?:[a-z0-9_.-]+\.)?(?:localhost|local|internal|test|example|invalid|home\.arpa)",
    re.IGNORECASE,
)


class StandingApp:
    """The ASGI application; it runs on ``StandingServer`` alone, which adds to the scope what ASGI hides.

    Args:
        endpoint: Judges and records.
        guard_host: Whether the inbox is refused to requests for a public host name. To an endpoint that
            listens on loopback alone, only a page of a stranger comes so, whose name leads here (DNS
            rebinding).
        api_limits: The bounds of the inbox API.
    """

    def __init__(
        self, endpoint: StandingEndpoint, *, guard_host: bool, api_limits: ApiLimits | None = None
    ) -> None:
        self._endpoint = endpoint
        self._guard_host = guard_host
        self._next_full_report = -math.inf
        self._api = InboxApi(endpoint, api_limits)
        folder = files(__package__) / "page"
        self._page = {
            path: Content(200, type, folder.joinpath(name).read_bytes(), _PAGE_HEADERS)
            for path, (name, type) in _PAGE.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request.

        A fault of our own is reported, and ends that request alone.

        Args:
            scope: Its state holds the whole ``request`` and the ``writer`` of the connection.
            receive: Returns when the client has left.
            send: Called with the parts of the response.
        """
        try:
            await self._handle(scope, receive, send)
        except Exception:  # noqa: BLE001 - the last line of defence: the inbox must not be lost
            self.report_fault()
            with suppress(RuntimeError):  # the response has begun
                await respond(send, OWN_FAULT)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, request = scope["path"], scope["state"]["request"]
        is_api = _is_api(path)
        if not is_api and is_foreign(request, is_page=scope["method"] == "GET" and path in self._page):
            await respond(send, FOREIGN_PAGE)
        elif not is_api and scope["method"] not in _READING:
            await self._deliver(scope, receive, send)
        elif self._guard_host and path != "/healthz" and not _is_own(scope["headers"]):
            await respond(send, _FOREIGN_NAME)
        elif request.framing is not None:
            problem = json.dumps({"error": f"The request did not come whole: {request.framing}."})
            await respond(send, Content(400, "application/json", problem.encode()))
        elif is_api:
            await self._api(scope, receive, send)
        else:
            await respond(send, self._page.get(path, _NO_PAGE), head_only=scope["method"] == "HEAD")

    async def _deliver(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            verdict, reply = await self._endpoint.deliver(scope["state"]["request"])
        except StoreProblem:
            await respond(send, Content(503, "application/json", NOT_RECORDED))
            return
        if reply is not None:
            await self._perform(reply, scope["state"]["writer"], receive)
        else:
            headers = response_headers(verdict.status)
            type = headers.pop("Content-Type")
            extra = tuple((name.lower().encode(), value.encode()) for name, value in headers.items())
            await respond(send, Content(verdict.status, type, verdict.response_body, extra))

    async def _perform(self, reply: Reply, writer: ResponseWriter, receive: Receive) -> None:
        wire = StandingWire(writer)
        wire.start(reply)
        with self._endpoint.listening(lambda event: wire.release() if event is None else None):
            await wait_for_disconnect(receive)
        wire.release()

    # Called by the server.

    def records_refused(self, request: Request) -> bool:
        """Return whether a refused request counts as a delivery: any one that does not go to the API."""
        return not _is_api(split_target(request.target)[0]) and not is_foreign(request)

    def records_at_once(self, request: Request) -> bool:
        """Return whether ``record`` fits a request: it is a small delivery, and no scripted reply awaits it.

        A target that is not plain may be one of the API: such a request goes through the application.
        """
        target = request.target
        return (
            not self._endpoint.has_script
            and request.method not in _READING
            and target[:1] == "/"
            and not target.startswith(("/api", "/healthz"))
            and "%" not in target
            and len(request.body) <= MAX_INLINE_BYTES
            and not is_foreign(request)
        )

    def record(
        self, request: Request, on_recorded: Callable[[Verdict | StoreProblem, Reply | None], None]
    ) -> None:
        """Judge a request and record it, as ``StandingEndpoint.record`` does."""
        self._endpoint.record(request, on_recorded)

    def flush(self) -> None:
        """Have recorded now what waits to be recorded."""
        self._endpoint.store.flush()

    def report_unmatched(self, problem: str) -> None:
        """Report bytes on a connection that are no request."""
        self._endpoint.log.problem(f"a connection was ended: {problem}")

    def report_full(self, connections: int, why: str, now: float) -> None:
        """Report that a client was turned away at a limit of all clients; once in a minute.

        Args:
            connections: How many are open.
            why: Which limit, and what to do.
            now: The time of the event loop.
        """
        if now >= self._next_full_report:
            self._next_full_report = now + _FULL_REPORT_SECONDS
            self._endpoint.log.problem(
                f"clients are turned away: {connections} connections are open, and {why}"
            )

    def report_fault(self) -> None:
        """Report the exception that is being handled, which is a fault of our own."""
        self._endpoint.log.problem(f"a fault of mail-contract, please report it: {traceback.format_exc()}")

    def stop(self) -> None:
        """Release everyone who waits."""
        self._endpoint.stop()

    def close(self) -> None:
        """Drop the work that has not begun."""
        self._endpoint.worker.close()


def _is_api(path: str) -> bool:
    return path.startswith("/api/") or path in ("/api", "/healthz")


_FOREIGN_NAME = Content(
    403,
    "application/json",
    b'{"error": "The inbox is not shown under a public host name while the server listens on loopback alone: '
    b'open it as http://127.0.0.1 or http://localhost."}',
)


def _is_own(headers: list[tuple[bytes, bytes]]) -> bool:
    host = next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
    return _OWN_NAME.fullmatch(re.sub(r":[0-9]*$", "", host)) is not None
