"""One request on its way through the ASGI application, and the response on its way back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ..wire.replies import status_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..wire.requests import Request
    from .api_request import Scope
    from .app import StandingApp
    from .writer import ResponseWriter


# What Python takes for a header line, as text and for ASGI.
_LINE_BYTES = 500


class Exchange:
    """One request and its response.

    Args:
        request: The request, whole.
        writer: What the response is written to.
        date: The value of ``Date``.
        close: Whether the response is the last one of the connection.

    Attributes:
        scope: The ASGI scope; its state holds the request and the writer.
        size: How many bytes the request takes in memory, about.
        is_complete: Whether the response is written to its end.
        is_held: Whether the application waits for the client to leave, and not only works on its response.
        began: The loop time at which the client could begin to read a response that is not held; else None.
    """

    def __init__(self, request: Request, writer: ResponseWriter, date: bytes, *, close: bool) -> None:
        path, query = split_target(request.target)
        self.scope: Scope = {
            "type": "http",
            "method": request.method,
            "path": path,
            "query_string": query.encode("latin-1"),
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in request.headers
            ],
            "state": {"request": request, "writer": writer},
        }
        self.size = len(request.body) + _LINE_BYTES * len(request.headers)
        self.is_complete = False
        self.is_held = False
        self.began: float | None = None
        self._writer = writer
        self._lines = [b"Date: %s" % date, *([b"Connection: close"] if close else [])]
        self._has_begun = False
        self._chunked = False
        self._disconnected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, app: StandingApp, on_ended: Callable[[Exchange], None]) -> None:
        """Hand the request to the application.

        Args:
            app: The application.
            on_ended: Called when it has returned.
        """
        self._task = asyncio.create_task(app(self.scope, self.receive, self.send))
        self._task.add_done_callback(lambda _: on_ended(self))

    def disconnect(self) -> None:
        """Have the application know that the client has left."""
        self._disconnected.set()

    async def receive(self) -> dict[str, Any]:
        """Wait until the client has left; the body is in the request already."""
        self.is_held, self.began = True, None
        try:
            await self._disconnected.wait()
        finally:
            self.is_held = False
            self._note_begin()
        return {"type": "http.disconnect"}

    def _note_begin(self) -> None:
        if self._has_begun and not self.is_held:
            self.began = asyncio.get_running_loop().time()

    async def send(self, message: Any) -> None:
        """Send the next part of the response; parts after the client has left are discarded.

        Raises:
            RuntimeError: A second response is begun.
        """
        await self._writer.wait_until_writable()
        if self._disconnected.is_set():
            return
        if message["type"] == "http.response.start":
            self._write_head(message["status"], message["headers"])
            return
        body, more = message["body"], message.get("more_body", False)
        if self._chunked:
            body = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
            body += b"" if more else b"0\r\n\r\n"
        if body:
            self._writer.write(body)
        self.is_complete = not more

    def _write_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        if self._has_begun:
            raise RuntimeError("the response has begun")
        self._has_begun = True
        self._note_begin()
        lines = [status_line(status).encode(), *self._lines, *(b"%s: %s" % pair for pair in headers)]
        has_length = any(name == b"content-length" for name, _ in headers)
        self._chunked = not has_length and self.scope["method"] != "HEAD"
        if self._chunked:
            lines.append(b"transfer-encoding: chunked")
        self._writer.write(b"\r\n".join([*lines, b"", b""]))


def split_target(target: str) -> tuple[str, str]:
    """Return path and query of a request target, the path percent-decoded; ``/`` when it is no URL.

    The absolute form is a target too (RFC 9112, 3.2.2).
    """
    if not target.startswith("/"):
        _, scheme, rest = target.partition("://")
        try:
            if not scheme or urlsplit(target).port == 0:
                return "/", ""
        except ValueError:
            return "/", ""
        target = f"/{rest.partition('/')[2]}"
    path, _, query = target.partition("#")[0].partition("?")
    return unquote(path) if "%" in path else path, query
