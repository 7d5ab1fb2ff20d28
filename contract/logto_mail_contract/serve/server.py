"""The server of the standing endpoint: uvicorn, with what it hides and what it does not bound.

uvicorn takes any protocol class. This one keeps the header lines as they came, cuts clients that are slow or
send too much of a head, and has requests recorded that are broken HTTP.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from httptools import HttpParserCallbackError, HttpParserInvalidURLError, HttpRequestParser, parse_url
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..inbox.store import StoreProblem
from ..wire.replies import ScriptedResponse
from ..wire.requests import Request
from .app import NOT_KEPT, READING, further

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from ..judging.requests import Verdict
    from .app import StandingApp

MAX_BODY_BYTES = 2 * 1024 * 1024
"""Bytes of a body that are kept; Logto's own API takes about 1 MB."""

MAX_HEAD_BYTES = 64 * 1024
"""Bytes of a request line and header lines."""

REQUEST_SECONDS = 15.0
"""Seconds in which a request must have come whole, and a client must go on taking what is sent to it."""

_TOO_MUCH = f"a head of more than {MAX_HEAD_BYTES} bytes"
_KEEP_ALIVE_SECONDS = 75
_HALF_CLOSED_SECONDS = 0.5
_DRAIN_SECONDS = 1.0
_SWEEP_SECONDS = 0.5
_MOST_JOINED = 100
_READING = tuple(method.encode() for method in READING)
_KEPT = b'{"accepted":true}'
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nDate: %%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
    % (len(_KEPT), _KEPT)
)


class _Joining:
    """A transport that joins what is written within one turn of the event loop.

    uvicorn writes head and body apart, and each write wakes the client: that costs more than judging does.
    An answer that is written at once would have a fast client's next request read before those of others.

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
        if len(self._waiting) > _MOST_JOINED:
            # The transport tells when the client does not take it, of what it knows of.
            self._flush()

    def end(self) -> None:
        """Send nothing more, and close when the client has, or soon.

        Closing with bytes unread resets the connection, and the client might never see its answer.
        """
        self._flush()
        if not self._transport.is_closing():
            self._transport.write_eof()
            asyncio.get_running_loop().call_later(_DRAIN_SECONDS, self._transport.close)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        # The client may have gone since.
        if self._waiting and not self._transport.is_closing():
            self._transport.write(b"".join(self._waiting))
        self._waiting.clear()


class _Connection(HttpToolsProtocol):
    """One connection.

    A delivery is read, recorded and answered here; uvicorn sees it only where it must wait for its turn or
    for a script. A request of any other kind goes on to uvicorn, and so to the application.
    """

    _app: StandingApp
    # Since when a request is coming, the client does not take what is sent, and nothing happens.
    _began: float | None = None
    _stalled: float | None = None
    _idle: float | None = None
    # What has come of the request.
    _target = b""
    _head = 0
    _length = 0
    _chunk = 0
    # What was counted as its head, and may be of the requests before it.
    _slack = 0
    _too_much = False
    # What it waits for.
    _in_head = False
    _collecting = False
    _upgrading = False
    _parsed = 0
    _unanswered = 0
    # It ends with the answer; nothing more is read.
    _closing = False
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        joining = _Joining(transport)
        self._end = joining.end
        super().connection_made(cast("asyncio.Transport", joining))
        self._app = self.config.app  # type: ignore[assignment] # the application that StandingServer is given
        self._before: list[RequestResponseCycle] = []
        self._began = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._collecting:
            self._refuse(self._ended())
        # uvicorn tells the last request alone, and one before it may be held.
        for cycle in self._before:
            cycle.disconnected = not cycle.response_complete
            cycle.message_event.set()
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:  # type: ignore[override] # as asyncio has it
        # A client may send no more and wait for its answer; one that must wait for longer counts as gone.
        if self._collecting:
            self._refuse(self._ended())
        if self._unanswered:
            self._closing = True
            return True
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()  # sends what waits, which the transport does not know of
            return None
        self.cycle.keep_alive = False
        self.loop.call_later(_HALF_CLOSED_SECONDS, self.transport.close)
        return True

    def _ended(self) -> str:
        return f"a connection that ended after {self._length} bytes of the body"

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._idle = None
        self._chunk = len(data)
        if self._began is None:
            self._began = self.loop.time()
        if not self._in_head:
            self._slack = 0
        super().data_received(data)
        while self._upgrading:
            data = data[self._parsed :]
            self._go_on_without_upgrade(data)
        if self._in_head:
            self._head += self._chunk
            if self._head - self._slack > MAX_HEAD_BYTES:
                self._refuse(_TOO_MUCH)

    def _unsupported_upgrade_warning(self) -> None:
        # Called by uvicorn while it handles what the parser raised, which says how far it came.
        problem = sys.exc_info()[1]
        self._parsed = problem.args[0] if problem else 0

    def _go_on_without_upgrade(self, behind: bytes) -> None:
        # A server may ignore the wish for another protocol (RFC 9110, 7.8), and the parser cannot: it has
        # stopped. Java's own client wishes for HTTP/2 with its first request to a host.
        self._upgrading = False
        came = self._lines
        lines = [line for line in came if line[0].lower() != b"upgrade"]
        head = b" ".join([self.parser.get_method(), self._target, b"HTTP/1.1"])
        self.parser = HttpRequestParser(self)
        super().data_received(b"\r\n".join([head, *map(b": ".join, lines), b"", b""]))
        if self._upgrading:  # CONNECT, which is that alone
            self._upgrading = False
            self._refuse("a request for a tunnel")
            return
        # Before the body: with that the request is whole, and is taken.
        self._lines[:] = came
        if behind:
            super().data_received(behind)

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head = self._length = 0
        self._target = b""
        self._body: list[bytes] = []
        self._too_much = False
        # uvicorn has the names in lower case.
        self._lines: list[tuple[bytes, bytes]] = []
        if self._began is None:
            self._began = self.loop.time()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._refused:
            return  # what came in one read with what was refused
        if self.parser.should_upgrade():
            self._upgrading = True
            self.headers = []  # uvicorn looks at them for WebSockets
            return
        self._collecting = self.parser.get_method() not in _READING
        if self._head + self._chunk > MAX_HEAD_BYTES:  # it may be, with what came before and behind it
            self._too_much = sum(len(name) + len(value) for name, value in self._lines) > MAX_HEAD_BYTES
        if self._too_much and not self._collecting:
            self._refuse(_TOO_MUCH)
            return
        if not self._collecting:
            self._hand_over(None)
            return
        for name, value in self._lines:
            if len(name) == 6 and name.lower() == b"expect" and value.lower() == b"100-continue":
                self._go_on()

    def _go_on(self) -> None:
        # Not into an answer that is under way: a client sends its body unasked too (RFC 9110, 10.1.1).
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if self._refused:
            return
        if not self._collecting:
            super().on_body(body)
            return
        self._length += len(body)
        # What is too much is read, so that the client sees the answer, and not kept.
        if self._length <= MAX_BODY_BYTES:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._upgrading or self._refused:
            return
        self._began = None
        # How much of what was read is left for the next, the parser does not say.
        self._slack = self._chunk
        if not self._collecting:
            super().on_message_complete()
        elif self._length > MAX_BODY_BYTES:
            self._take(f"a body of {self._length} bytes, of which at most {MAX_BODY_BYTES} are read")
        else:
            self._take(None)

    # Deliveries.

    def _take(self, framing: str | None) -> None:
        self._collecting = False
        if self._too_much:
            framing = _TOO_MUCH
        request = Request(
            self.parser.get_method().decode("ascii"),
            self._target.decode("latin-1"),
            tuple(map(_line, self._lines)),
            b"" if self._length > MAX_BODY_BYTES else b"".join(self._body),
            framing,
        )
        if framing is not None:
            self._refused = True
        if self._refused or not self.parser.should_keep_alive():
            self._closing = True
        at_once = framing is not None or self._app.takes_at_once()
        if at_once and _is_plain(self._target) and (self.cycle is None or self.cycle.response_complete):
            self._unanswered += 1
            self._app.take(request, self._answer)
        else:
            self._hand_over(request)
            super().on_message_complete()

    def _answer(self, verdict: Verdict | StoreProblem, _: object) -> None:
        self._unanswered -= 1
        self._idle = self.loop.time()
        if self.transport.is_closing():
            return
        date = self.server_state.default_headers[0][1]
        if isinstance(verdict, StoreProblem):
            self._write(503, NOT_KEPT, {})
        elif verdict.status == 200 and not self._closing and verdict.response_body == _KEPT:
            self.transport.write(_ANSWER % date)
        else:
            self._write(verdict.status, verdict.response_body, dict(further(verdict)))

    def _write(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        date = self.server_state.default_headers[0][1].decode()
        headers = {"Date": date, "Content-Type": "application/json", **headers}
        # Those that came in one go may be answered in one go: only the last one ends the connection.
        close = self._closing and not self._unanswered
        self.transport.write(ScriptedResponse(status, body, headers).encode(close=close))
        if close and self._refused:
            self._end()
        elif close:
            self.transport.close()

    def _hand_over(self, request: Request | None) -> None:
        # What was taken before must be answered before.
        self._app.flush()
        super().on_message_begin()
        # uvicorn wants a path. The absolute form (RFC 9112, 3.2.2) may have none, and a port that no URL has.
        self.url = b"/"
        with suppress(HttpParserInvalidURLError):
            if parse_url(self._target).path:
                self.url = self._target
        self.headers += [(name.lower(), value) for name, value in self._lines]
        self.scope["state"]["request"] = request
        self.scope["state"]["transport"] = self.transport
        if self.cycle is not None and not self.cycle.response_complete:
            self._before = [cycle for cycle in self._before if not cycle.response_complete]
            self._before.append(self.cycle)
        super().on_headers_complete()
        if self._closing:
            super().shutdown()

    # What ends it.

    def shutdown(self) -> None:
        if self._in_head or self._collecting or self._unanswered:
            self._closing = True
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        self._stalled = self.loop.time()
        # Whoever does not take the answers asks for no more of them.
        self.flow.pause_reading()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stalled = None
        self.flow.resume_reading()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        # Called by uvicorn while it handles what the parser raised, which says more.
        problem = sys.exc_info()[1]
        if isinstance(problem, HttpParserCallbackError):
            self._app.fault()
            # What raised is not answered; what else was taken is, before this.
            self._app.flush()
            self._unanswered = 0
        self._refuse(str(problem or msg))

    def cut_if_slow(self, now: float) -> None:
        """End the connection if its client is too slow."""
        if self._stalled is not None and now - self._stalled > REQUEST_SECONDS:
            self.transport.abort()
        elif self._began is not None and now - self._began > REQUEST_SECONDS and not self._refused:
            if not (self._in_head or self._collecting):  # opened by a browser for later, say
                self.transport.close()
                return
            self._refuse(f"a request that did not come whole within {REQUEST_SECONDS:g} s")
        elif self._idle is not None and now - self._idle > _KEEP_ALIVE_SECONDS:
            self.transport.close()

    def _refuse(self, problem: str) -> None:
        # What was taken before must be answered before, and does not end the connection.
        self._app.flush()
        self._refused = self._closing = True
        self._began = None
        if self.cycle is not None and not self.cycle.response_complete:
            # It came behind a request that is being answered.
            self._app.stray(problem)
            super().shutdown()
        elif self._collecting or (self._in_head and self._target):
            self._take(problem)
        else:
            self._app.stray(problem)
            self._write(400, b'{"accepted":false,"reason":"This is no HTTP/1.1 request"}', {})


# Senders repeat their header lines: decoded once, and kept once.
@lru_cache(maxsize=1024)
def _line(line: tuple[bytes, bytes]) -> tuple[str, str]:
    return line[0].decode("latin-1"), line[1].decode("latin-1")


def _is_plain(target: bytes) -> bool:
    """Return whether a target is beyond doubt not one of the API."""
    return target[:4] != b"/api" and target[:8] != b"/healthz" and target[:1] == b"/" and b"%" not in target


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
                log_level="critical",
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
