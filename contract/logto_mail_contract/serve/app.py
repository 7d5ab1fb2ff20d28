"""The standing endpoint as an ASGI application: deliveries, the inbox API, and the inbox page."""

from __future__ import annotations

import re
import traceback
from contextlib import suppress
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ..inbox.store import StoreProblem
from .api_request import Content, respond, wait_for_disconnect
from .inbox_api import InboxApi
from .reply_wire import StandingWire

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..judging.requests import Verdict
    from ..wire.replies import Reply
    from ..wire.requests import Request
    from .api_request import Receive, Scope, Send
    from .endpoint import StandingEndpoint
    from .event_stream import ApiLimits

READING = ("GET", "HEAD", "OPTIONS")
"""The methods of those who read the inbox; a request of any other is a delivery, but for the API."""

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
_NO_PAGE = Content(404, "text/plain; charset=utf-8", b"This path takes POST from Logto; the inbox is at /\n")
NOT_KEPT = b'{"accepted":false,"reason":"The delivery could not be kept; see the log of mail-contract serve"}'
_OWN_FAULT = Content(500, "application/json", b'{"error": "A fault of mail-contract; its log tells more."}')
# What nobody can register in the public DNS, so that no site of a stranger can have such a name.
_OWN_NAME = re.compile(
    r"[a-z0-9_-]+|[0-9.]+|\[[0-9a-f:.]+\]|(?:[a-z0-9_.-]+\.)?(?:localhost|local|internal|test|example|invalid|home\.arpa)",
    re.IGNORECASE,
)


class StandingApp:
    """The ASGI application; it runs on the server of ``standing_server`` alone, which adds what ASGI hides.

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
        self._api = InboxApi(endpoint, api_limits)
        folder = files(__package__) / "page"
        self._page = {
            path: Content(200, type, folder.joinpath(name).read_bytes(), _PAGE_HEADERS)
            for path, (name, type) in _PAGE.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; the server has put a delivery into its state, whole.

        A fault of our own is told, and ends that request alone.
        """
        try:
            await self._answer(scope, receive, send)
        except Exception:  # noqa: BLE001 - the last line of defence: the inbox must not be lost
            self.fault()
            with suppress(RuntimeError):  # the answer has begun
                await respond(send, _OWN_FAULT)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        api = path.startswith("/api/") or path in ("/api", "/healthz")
        if not api and scope["method"] not in READING:
            await self._deliver(scope, receive, send)
        elif self._guard_host and path != "/healthz" and not _is_own(scope["headers"]):
            await respond(send, _FOREIGN)
        elif api:
            await self._api(scope, receive, send)
        else:
            await respond(send, self._page.get(path, _NO_PAGE), head_only=scope["method"] == "HEAD")

    async def _deliver(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            verdict, reply = await self._endpoint.deliver(scope["state"]["request"])
        except StoreProblem:
            await respond(send, Content(503, "application/json", NOT_KEPT))
            return
        if reply is not None:
            await self._perform(reply, scope["state"]["transport"], receive)
        else:
            headers = tuple((name.lower().encode(), value.encode()) for name, value in further(verdict))
            await respond(send, Content(verdict.status, "application/json", verdict.response_body, headers))

    async def _perform(self, reply: Reply, transport: Any, receive: Receive) -> None:
        wire = StandingWire(transport)
        wire.start(reply)
        with self._endpoint.listening(lambda event: wire.let_go() if event is None else None):
            await wait_for_disconnect(receive)
        wire.let_go()

    # What the server calls.

    def takes_at_once(self) -> bool:
        """Return whether ``take`` can take a request: none is to be answered by script."""
        return not self._endpoint.has_script

    def take(self, request: Request, taken: Callable[[Verdict | StoreProblem, Reply | None], None]) -> None:
        """Judge a request and record it, as ``StandingEndpoint.record`` does."""
        self._endpoint.record(request, taken)

    def flush(self) -> None:
        """Have recorded now what waits to be recorded."""
        self._endpoint.store.flush()

    def stray(self, problem: str) -> None:
        """Tell of what came on a connection and is no request."""
        self._endpoint.log.problem(f"a connection was ended: {problem}")

    def fault(self) -> None:
        """Tell of the exception that is being handled, which is a fault of our own."""
        self._endpoint.log.problem(f"a fault of mail-contract, please report it: {traceback.format_exc()}")

    def stop(self) -> None:
        """Let go of everyone who waits."""
        self._endpoint.stop()


def further(verdict: Verdict) -> list[tuple[str, str]]:
    """Return the header lines that an answer has for its status."""
    return {405: [("Allow", "POST")], 401: [("WWW-Authenticate", "Custom")]}.get(verdict.status, [])


_FOREIGN = Content(
    403,
    "application/json",
    b'{"error": "The inbox is not shown under a public host name while the server listens on loopback alone: '
    b'open it as http://127.0.0.1 or http://localhost."}',
)


def _is_own(headers: list[tuple[bytes, bytes]]) -> bool:
    host = next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
    return _OWN_NAME.fullmatch(re.sub(r":[0-9]*$", "", host)) is not None
