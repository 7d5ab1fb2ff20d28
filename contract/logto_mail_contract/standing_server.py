"""The server of the standing endpoint: uvicorn, with what it hides and what it does not bound.

uvicorn takes any protocol class. This one keeps the header lines as they came, cuts clients that are slow or
send too much of a head, and has requests recorded that are broken HTTP.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .replies import Answer
from .store import StoreProblem

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from .inbox_api import Scope
    from .standing_app import StandingApp

LARGEST_HEAD = 64 * 1024
"""Bytes of a request line and header lines."""

REQUEST_SECONDS = 15.0
"""Seconds in which a request must have come whole, and a client must go on taking what is sent to it."""

_KEEP_ALIVE_SECONDS = 75
_HALF_CLOSED_SECONDS = 0.5
_SWEEP_SECONDS = 0.5


class _Joining:
    """A transport that joins what is written within one turn of the event loop.

    uvicorn writes head and body apart, and each write wakes the client: that costs more than judging does.

    Args:
        transport: The transport of the connection.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._waiting: list[bytes] = []
        self._call_soon = asyncio.get_running_loop().call_soon
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.abort = transport.abort

    def write(self, data: bytes) -> None:
        if not self._waiting:
            self._call_soon(self._flush)
        self._waiting.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        # The client may have gone since.
        if self._waiting and not self._transport.is_closing():
            self._transport.write(b"".join(self._waiting))
        self._waiting.clear()


class _Connection(HttpToolsProtocol):
    """One connection."""

    _app: StandingApp
    _began: float | None = None
    _stalled: float | None = None
    _head = 0
    _in_head = False
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(cast("asyncio.Transport", _Joining(transport)))
        self._app = self.config.app  # type: ignore[assignment] # the application that StandingServer is given
        self._before: list[RequestResponseCycle] = []
        self._began = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        # uvicorn tells the last request alone, and one before it may be held.
        for cycle in self._before:
            cycle.disconnected = not cycle.response_complete
            cycle.message_event.set()
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:  # type: ignore[override] # as asyncio has it
        # A client may send no more and wait for its answer; one that must wait for longer counts as gone.
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            self.transport.close()  # sends what waits, which the transport does not know of
            return None
        self.cycle.keep_alive = False
        self.loop.call_later(_HALF_CLOSED_SECONDS, self.transport.close)
        return True

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._began is None:
            self._began = self.loop.time()
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > LARGEST_HEAD:
                self._refuse(f"a head of more than {LARGEST_HEAD} bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head = 0
        if self._began is None:
            self._began = self.loop.time()
        # ASGI has the names in lower case, and the target without its escapes.
        self._lines: list[tuple[bytes, bytes]] = []
        self.scope["state"]["headers"] = self._lines
        self.scope["state"]["transport"] = self.transport

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        for line in self._lines:
            name = line[0].lower()
            self.headers.append((name, line[1]))
            if name == b"expect" and line[1].lower() == b"100-continue":
                self.expect_100_continue = True
        self.scope["state"]["target"] = self.url
        if self.cycle is not None and not self.cycle.response_complete:
            self._before = [cycle for cycle in self._before if not cycle.response_complete]
            self._before.append(self.cycle)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._began = None
        super().on_message_complete()

    def pause_writing(self) -> None:
        self._stalled = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stalled = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        # Called by uvicorn while it handles what the parser raised, which says more.
        self._refuse(str(sys.exc_info()[1] or msg))

    def cut_if_slow(self, now: float) -> None:
        """End the connection if its client is too slow."""
        if self._stalled is not None and now - self._stalled > REQUEST_SECONDS:
            self.transport.abort()
        elif self._began is not None and now - self._began > REQUEST_SECONDS and not self._refused:
            self._refuse(f"a request that did not come whole within {REQUEST_SECONDS:g} s")

    def _refuse(self, problem: str) -> None:
        self._refused = True
        self._began = None
        if self.cycle is not None and not self.cycle.response_complete:
            # The application has the request, or waits for the rest of it: it is told, and answers.
            self.cycle.scope["state"]["framing"] = problem
            super().on_message_complete()
            self.shutdown()
        elif self._in_head and self.url:
            task = self.loop.create_task(self._record(problem))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        else:
            self._app.stray(problem)
            self._answer(400, b'{"accepted":false,"reason":"This is no HTTP/1.1 request"}')

    async def _record(self, problem: str) -> None:
        self.scope["method"] = self.parser.get_method().decode("ascii") if self.parser else ""
        self.scope["state"]["target"] = self.url
        try:
            verdict = await self._app.broken(cast("Scope", self.scope), problem)
        except StoreProblem:
            self._answer(503, b"")
        else:
            self._answer(verdict.status, verdict.answer)

    def _answer(self, status: int, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        self.transport.write(Answer(status, body, headers).encode(close=True))
        self.transport.close()


class StandingServer(uvicorn.Server):
    """The server; ``serve`` runs it, the first signal drains it, the second stops it.

    Args:
        app: The application.
        ready: Called when it listens.
    """

    def __init__(self, app: StandingApp, ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Connection,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            )
        )
        self._app = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self._sweeping = asyncio.create_task(self._sweep())
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and wait for what is under way."""
        self._app.stop()
        await super().shutdown(sockets)
        self._sweeping.cancel()
        with suppress(asyncio.CancelledError):
            await self._sweeping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal calls it so
        """Drain at the first signal, stop at the second."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = asyncio.get_running_loop().time()
            connections: Any = list(self.server_state.connections)
            for connection in connections:
                connection.cut_if_slow(now)
