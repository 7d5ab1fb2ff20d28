"""The standing endpoint as an ASGI application: deliveries, the inbox API, and the inbox page."""

from __future__ import annotations

import re
import traceback
from contextlib import suppress
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from .exchange import Request
from .inbox_api import Content, InboxApi, gone, respond
from .standing_wire import StandingWire
from .store import StoreProblem

if TYPE_CHECKING:
    from .exchange import Verdict
    from .inbox_api import Receive, Scope, Send
    from .replies import Reply
    from .standing_endpoint import StandingEndpoint

LARGEST_BODY = 2 * 1024 * 1024
"""Bytes of a body that are kept; Logto's own API takes about 1 MB."""

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
_NO_PAGE = Content(404, "text/plain; charset=utf-8", b"This path takes POST from Logto; the inbox is at /\n")
_NOT_KEPT = (
    b'{"accepted":false,"reason":"The delivery could not be kept; see the log of mail-contract serve"}'
)
_OWN_FAULT = Content(500, "application/json", b'{"error": "A fault of mail-contract; its log tells more."}')
# What nobody can register in the public DNS, so that no site of a stranger can have such a name.
_OWN_NAME = re.compile(
    r"[^.:]+|[0-9.]+|\[[0-9a-f:.]+\]|(?:.+\.)?(?:localhost|local|internal|test|example|invalid|home\.arpa)",
    re.IGNORECASE,
)


class StandingApp:
    """The ASGI application; it runs on the server of ``standing_server`` alone, which adds what ASGI hides.

    Args:
        endpoint: Judges and records.
        guard_host: Whether the inbox is refused to requests for a public host name. To an endpoint that
            listens on loopback alone, only a page of a stranger comes so, whose name leads here (DNS
            rebinding).
    """

    def __init__(self, endpoint: StandingEndpoint, *, guard_host: bool) -> None:
        self._endpoint = endpoint
        self._guard_host = guard_host
        self._api = InboxApi(endpoint)
        folder = files("logto_mail_contract") / "inbox_page"
        self._page = {
            path: Content(200, type, folder.joinpath(name).read_bytes(), _PAGE_HEADERS)
            for path, (name, type) in _PAGE.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; a fault of our own is told, and ends that request alone."""
        try:
            await self._answer(scope, receive, send)
        except Exception:  # noqa: BLE001 - the last line of defence: the inbox must not be lost
            self._endpoint.log.problem(
                f"a fault of mail-contract, please report it: {traceback.format_exc()}"
            )
            with suppress(RuntimeError):  # the answer has begun
                await respond(send, _OWN_FAULT)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        api = path.startswith("/api/") or path in ("/api", "/healthz")
        if not api and scope["method"] not in _READING:
            await self._deliver(scope, receive, send)
        elif self._guard_host and path != "/healthz" and not _is_own(scope["headers"]):
            await respond(send, _FOREIGN)
        elif api:
            await self._api(scope, receive, send)
        else:
            await respond(send, self._page.get(path, _NO_PAGE), head_only=scope["method"] == "HEAD")

    async def _deliver(self, scope: Scope, receive: Receive, send: Send) -> None:
        part = await receive()
        body = part.get("body", b"")
        framing = None
        if part.get("more_body") or part["type"] == "http.disconnect":
            body, framing = await _rest(body, part, receive)
        request = request_of(scope, body, framing or scope["state"].get("framing"))
        try:
            verdict, reply = await self._endpoint.deliver(request)
        except StoreProblem:
            await respond(send, Content(503, "application/json", _NOT_KEPT))
            return
        if reply is not None:
            await self._perform(reply, scope["state"]["transport"], receive)
        else:
            start, end = _told(verdict)
            await send(start)
            await send(end)

    async def _perform(self, reply: Reply, transport: Any, receive: Receive) -> None:
        wire = StandingWire(transport)
        wire.start(reply)
        with self._endpoint.listening(lambda event: wire.let_go() if event is None else None):
            await gone(receive)
        wire.let_go()

    # What the server calls.

    async def broken(self, scope: Scope, problem: str) -> Verdict:
        """Record a request that is broken HTTP, and return its verdict.

        Args:
            scope: Its scope.
            problem: What is wrong with it.

        Raises:
            StoreProblem: It cannot be recorded.
        """
        return (await self._endpoint.deliver(request_of(scope, b"", problem)))[0]

    def stray(self, problem: str) -> None:
        """Tell of what came on a connection and is no request."""
        self._endpoint.log.problem(f"a connection was ended: {problem}")

    def stop(self) -> None:
        """Let go of everyone who waits."""
        self._endpoint.stop()


def request_of(scope: Scope, body: bytes, framing: str | None) -> Request:
    """Return the request of a scope, as it came on the wire.

    Args:
        scope: The scope, with the header lines and the target that the server put in its state.
        body: The body as far as it came.
        framing: What was wrong with the framing.
    """
    state = scope["state"]
    headers = tuple(map(_header, state["headers"]))
    return Request(scope["method"], state["target"].decode("latin-1"), headers, body, framing)


# Senders repeat their header lines: decoded once, and kept once.
@lru_cache(maxsize=1024)
def _header(line: tuple[bytes, bytes]) -> tuple[str, str]:
    return line[0].decode("latin-1"), line[1].decode("latin-1")


async def _rest(body: bytes, part: Any, receive: Receive) -> tuple[bytes, str | None]:
    """Return the body as far as it is kept, and what is wrong with it; what is too much is read, not kept."""
    parts, length = [body], len(body)
    while part.get("more_body"):
        part = await receive()
        came = part.get("body", b"")
        length += len(came)
        if length <= LARGEST_BODY:
            parts.append(came)
    if length > LARGEST_BODY:
        return b"", f"a body of {length} bytes, of which at most {LARGEST_BODY} are read"
    if part["type"] == "http.disconnect":
        return b"".join(parts), f"a connection that ended after {length} bytes of the body"
    return b"".join(parts), None


def _told(verdict: Verdict) -> tuple[dict[str, Any], dict[str, Any]]:
    # The two messages of the same verdict are made once: nearly every one is the same.
    made = _ANSWERS.get(verdict.answer) if verdict.status == 200 else None
    if made is None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(verdict.answer)),
        ]
        if verdict.status == 405:
            headers.append((b"allow", b"POST"))
        if verdict.status == 401:
            headers.append((b"www-authenticate", b"Custom"))
        made = (
            {"type": "http.response.start", "status": verdict.status, "headers": headers},
            {"type": "http.response.body", "body": verdict.answer},
        )
        if verdict.status == 200:
            _ANSWERS[verdict.answer] = made
    return made


_ANSWERS: dict[bytes, tuple[dict[str, Any], dict[str, Any]]] = {}
_FOREIGN = Content(
    403,
    "application/json",
    b'{"error": "The inbox is not shown under a public host name while the server listens on loopback alone: '
    b'open it as http://127.0.0.1 or http://localhost."}',
)


def _is_own(headers: list[tuple[bytes, bytes]]) -> bool:
    host = next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
    return _OWN_NAME.fullmatch(re.sub(r":[0-9]*$", "", host)) is not None
