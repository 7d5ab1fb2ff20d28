"""One connection of the endpoint: it responds to requests in order, and the client is bounded.

A delivery is recorded here and gets its response here. Any other request goes through the ASGI application,
and so does a delivery with a scripted reply. Nothing behind it is read before its response is written.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from ..inbox.store import StoreProblem
from ..judging.requests import NO_REQUEST, response_headers
from ..wire.replies import ScriptedResponse
from ..wire.request_reader import ContinueExpected, Ended, Phase, Received, Refused, RequestReader
from .app import NOT_RECORDED, OWN_FAULT
from .exchange import Exchange
from .writer import ResponseWriter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..judging.requests import Verdict
    from ..wire.request_reader import Event
    from ..wire.requests import Request
    from .app import StandingApp
    from .limits import Limits
    from .turns import Turns


@dataclass(slots=True, eq=False)
class Shared:
    """The state that the connections of a server share.

    Attributes:
        app: The application.
        limits: Bounds on a client.
        date: The value of ``Date``.
        turns: The turns of the event loop.
        file_limit: How many files the process can open; None where that is not known.
        held: How many bytes the connections hold of requests that are not handled yet.
        connections: Those that are open.
    """

    app: StandingApp
    limits: Limits
    date: bytes
    turns: Turns
    file_limit: int | None = None
    held: int = 0
    connections: set[Connection] = field(default_factory=set)


class State(Enum):
    """How far a connection has come."""

    OPEN = auto()
    LAST_REQUEST = auto()
    """The server stops: the request that has begun is the last."""
    FINISHING = auto()
    """Nothing more is read; it closes behind the last response."""
    REFUSING = auto()
    """As before, but the client may still be sending."""
    DRAINING = auto()
    """Every response is sent; later bytes are discarded until the client closes."""
    CLOSED = auto()


TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.OPEN: frozenset({State.LAST_REQUEST, State.FINISHING, State.REFUSING, State.CLOSED}),
    State.LAST_REQUEST: frozenset({State.FINISHING, State.REFUSING, State.CLOSED}),
    State.FINISHING: frozenset({State.CLOSED}),
    State.REFUSING: frozenset({State.FINISHING, State.DRAINING, State.CLOSED}),
    State.DRAINING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}
"""The states that may follow each state."""

_READING = (State.OPEN, State.LAST_REQUEST)
# Logto's own messages are smaller, with their heads.
_SMALL_BYTES = 2048


class Connection(asyncio.Protocol):
    """One connection. Long because its states, timers and turns bear on each other.

    Args:
        shared: What it shares with the others.

    Attributes:
        state: How far it has come.
        is_paused: Whether nothing is read from the client.
    """

    _transport: asyncio.Transport
    _writer: ResponseWriter

    def __init__(self, shared: Shared) -> None:
        self.state = State.OPEN
        self._shared = shared
        self._app = shared.app
        self._limits = shared.limits
        self._reader = RequestReader(shared.limits.read)
        self._time = asyncio.get_running_loop().time
        # Deliveries that are being recorded, or one request in the application.
        self._pending = 0
        self._exchange: Exchange | None = None
        # Requests that came wait for the next turn of the event loop.
        self._is_due = False
        # What came and is read in the next turns of the event loop.
        self._unread = b""
        self._is_yielding = False
        # Bytes of requests that are not handled yet, where they are many.
        self._held = 0
        # The client has ended its side, or the connection is gone.
        self._has_ended = self._is_lost = False
        # Loop times: the request began or was refused, the client stopped reading, the connection fell idle,
        # a byte was discarded.
        self._started: float | None = None
        self._stalled: float | None = None
        self._idle: float | None = None
        self._discarded: float | None = None
        self.is_paused = False

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._writer = ResponseWriter(self._transport)
        self._started = self._time()
        self._shared.connections.add(self)
        if self._shared.file_limit is not None:
            number = self._transport.get_extra_info("socket").fileno()
            if number >= self._shared.file_limit - self._limits.reserved_files:
                self._turn_away(
                    "the process is at its limit of open files. Close some, or raise the limit (ulimit -n)."
                )

    def data_received(self, data: bytes) -> None:
        if self.state in _READING:
            if self._is_yielding or len(data) >= self._limits.turn_bytes:
                self._unread += data
                if not self._is_yielding:
                    self._is_yielding = True
                    self._shared.turns.add(self._read)
                    self._pace()
                return
            self._reader.feed(data)
            if self._exchange is None and not self._is_due:
                if self._shared.turns.is_over():
                    self._put_off(is_small=len(data) <= _SMALL_BYTES)
                else:
                    self._advance()
            # Most requests come whole and are handled at once.
            is_whole = self._exchange is None and not self._is_due and self._reader.phase is Phase.HEAD
            if not is_whole or self.is_paused or self._held:
                self._pace()
        elif self.state is State.DRAINING:
            self._discarded = self._time()

    def eof_received(self) -> bool:
        # A client may end its side and still wait for its response.
        self._reader.end()
        self._has_ended = True
        if self._exchange is not None:
            self._close_if_held_later()
        elif not self._is_due:
            self._handle_rest()
        if self.state is State.REFUSING:
            self._enter(State.FINISHING)
        elif self.state is State.DRAINING:
            self._close()
        return self.state is not State.CLOSED

    def _close_if_held_later(self) -> None:
        # Most clients that end their side have left: one that is held for longer counts as gone.
        asyncio.get_running_loop().call_later(self._limits.half_closed_seconds, self._close_if_held)

    def _close_if_held(self) -> None:
        if self._exchange is not None and self._exchange.is_held:
            self._close()
        elif self.state is not State.CLOSED:
            self._close_if_held_later()

    def connection_lost(self, exc: Exception | None) -> None:
        self._reader.end(f"a connection that broke inside the request: {exc}" if exc else "")
        self._is_lost = True
        self._reader.feed(self._unread)
        self._unread = b""
        if self._exchange is not None:
            self._forget()
        elif not self._is_due:
            self._handle_rest()

    def pause_writing(self) -> None:
        self._stalled = self._time()
        self._writer.pause()
        self._pace()

    def resume_writing(self) -> None:
        self._stalled = None
        self._writer.resume()
        self._pace()

    # Called by the server.

    def cut_if_slow(self, now: float) -> None:
        """End the connection if its client is too slow.

        Args:
            now: The time of the event loop.
        """
        limits, most = self._limits, self._limits.request_seconds
        began = self._exchange.began if self._exchange else None
        if _is_over(self._stalled, most, now) or _is_over(began, limits.response_seconds, now):
            self._writer.abort()
        elif self.state is State.DRAINING:
            if _is_over(self._discarded, limits.drain_seconds, now) or _is_over(self._started, most, now):
                self._close()
        elif self._is_due or self._is_yielding:
            pass  # it is this side that is slow
        elif self.state in _READING and _is_over(self._started, most, now):
            # Browsers open connections for later and send nothing.
            if self._reader.has_begun:
                self._reader.end(f"a request that did not come whole within {most:g} s")
                self._handle_rest()
            else:
                self._close()
        elif _is_over(self._idle, limits.keep_alive_seconds, now):
            self._close()

    def stop(self) -> None:
        """Close, but only after the response to a request that has begun."""
        if self.state is not State.OPEN:
            return
        if self._exchange is not None or self._pending:
            self._enter(State.FINISHING)
        elif self._reader.has_begun or self._unread:
            self._enter(State.LAST_REQUEST)
        else:
            self._close()

    # Requests.

    def _read(self) -> None:
        """Read a piece of what came; a body of known length is only copied, so its piece may be long."""
        most = max(self._limits.turn_bytes, self._reader.lacking)
        piece, self._unread = self._unread[:most], self._unread[most:]
        # Pause even when nothing is left: libuv reads up to 32 times in a turn.
        self._is_yielding = len(piece) >= self._limits.turn_bytes
        self._reader.feed(piece)
        if self._exchange is None and not self._is_due:
            self._advance()
        if self._is_yielding:
            self._shared.turns.add(self._read)
        self._pace()

    def _advance(self) -> None:
        """Handle the requests that have come, up to one that is held, or until others have their turn."""
        self._is_due = False
        handled, turns = 0, self._shared.turns
        while self._exchange is None and self.state in _READING:
            if handled == self._limits.turn_requests or (handled and turns.is_over()):
                self._put_off()
                return
            handled += 1
            event = self._reader.next_event()
            if event is None:
                if self._started is None and self._reader.has_begun:
                    # Not at any byte: empty lines would keep an idle connection open for ever.
                    self._started, self._idle = self._time(), None
                break
            try:
                self._handle(event)
            except Exception:  # noqa: BLE001 - the last line of defence: the inbox must not be lost
                self._fail()
            if self._reader.is_idle:  # nearly always, and cheaper than to ask for an event
                break
        if self._is_lost:
            self._forget()

    def _resume(self) -> None:
        self._advance()
        self._pace()

    def _put_off(self, *, is_small: bool = False) -> None:
        self._is_due = True
        self._shared.turns.add(self._resume, is_small=is_small)

    def _handle_rest(self) -> None:
        """Handle what came before the end of a connection; many may end in one turn."""
        if self._reader.has_begun:
            self._put_off()
        else:
            self._advance()

    def _forget(self) -> None:
        if self._exchange is not None:
            self._exchange.disconnect()
        self._close()
        self._writer.resume()
        self._shared.connections.discard(self)
        self._count_held(0)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Received):
            self._started = self._idle = None
            if not event.keep_alive or self.state is State.LAST_REQUEST:
                self._enter(State.FINISHING)
            if self._app.records_at_once(event.request):
                self._record(event.request)
            else:
                self._start_exchange(event.request)
        elif isinstance(event, Refused):
            self._refuse(event)
        elif isinstance(event, ContinueExpected):
            # Respond to earlier requests first: the client would mistake this for their response.
            self._app.flush()
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        else:
            assert isinstance(event, Ended)
            self._enter(State.FINISHING)
            self._finish()

    def _refuse(self, refused: Refused) -> None:
        # For how long the client may go on sending is counted from here.
        self._started, self._idle = self._time(), None
        # Respond to earlier requests first: their responses do not end the connection.
        self._app.flush()
        self._enter(State.REFUSING)
        if refused.request is None:
            self._app.report_unmatched(refused.problem)
            self._writer.write(_encode(400, NO_REQUEST, self._shared.date, True))
            self._finish()
        elif self._app.records_refused(refused.request):
            self._record(refused.request)
        else:
            self._start_exchange(refused.request)

    def _record(self, request: Request) -> None:
        self._pending += 1
        self._app.record(request, self._respond)

    def _respond(self, verdict: Verdict | StoreProblem, _: object) -> None:
        self._pending -= 1
        self._idle = self._time()
        if self._writer.is_closing():
            return
        if self.state in _READING:
            self._writer.write(_encode_verdict(verdict, self._shared.date, close=False))
        else:
            # Requests that came together may get their responses together: only the last response says close.
            self._writer.write(_encode_verdict(verdict, self._shared.date, close=not self._pending))
            self._finish()

    def _start_exchange(self, request: Request) -> None:
        # Respond to earlier deliveries first.
        self._app.flush()
        is_last = self.state not in _READING
        self._exchange = Exchange(request, self._writer, self._shared.date, close=is_last)
        self._exchange.start(self._app, self._end_exchange)
        self._pace()

    def _end_exchange(self, exchange: Exchange) -> None:
        self._exchange = None
        self._idle = self._time()
        if self.state is State.CLOSED:
            return
        if not exchange.is_complete:
            self._close()
        elif self.state in _READING:
            self._advance()
            self._pace()
        else:
            self._finish()

    def _fail(self) -> None:
        self._app.report_fault()
        # Respond to other recorded deliveries first, but not to the one that raised.
        self._app.flush()
        self._pending = 0
        if self.state in _READING:
            self._enter(State.FINISHING)
        self._writer.write(_encode(OWN_FAULT.status, OWN_FAULT.body, self._shared.date, True))
        self._finish()

    # The end.

    def _finish(self) -> None:
        """Close a connection on which nothing more is read, once every response is sent."""
        if self._pending or self.state in _READING:
            return
        if self.state is State.REFUSING and not self._has_ended and not self._writer.is_closing():
            # Closing with bytes unread resets the connection, and the client might never see its response.
            self._enter(State.DRAINING)
            self._writer.write_eof()
            self._discarded = self._time()
        else:
            self._close()

    def _close(self) -> None:
        if self.state is not State.CLOSED:
            self._enter(State.CLOSED)
        self._writer.close()

    def _pace(self) -> None:
        """Read no more from a client that does not read, or that sends on behind a request that is held.

        Also count what is held of its requests.
        """
        is_held = self._exchange is not None or self._is_due
        is_ahead = is_held and self._reader.buffered > self._limits.unread_bytes
        should_pause = self._stalled is not None or is_ahead or self._is_yielding
        if should_pause != self.is_paused and not self._transport.is_closing():
            self.is_paused = should_pause
            (self._transport.pause_reading if should_pause else self._transport.resume_reading)()
        held = self._reader.held + len(self._unread) + (self._exchange.size if self._exchange else 0)
        is_gone = self._is_lost or self.state is State.CLOSED
        self._count_held(0 if is_gone or held <= self._limits.unread_bytes else held)

    def _count_held(self, held: int) -> None:
        self._shared.held += held - self._held
        self._held = held
        if held and self._shared.held > self._limits.held_bytes:
            most = self._limits.held_bytes
            self._turn_away(
                f"together they sent more than {most} bytes of requests that are not handled yet."
            )
            # At once: else the next client would be turned away as well.
            self._count_held(0)

    def _turn_away(self, why: str) -> None:
        self._app.report_full(len(self._shared.connections), why, self._time())
        if self.state is not State.CLOSED:
            self._enter(State.CLOSED)
        self._writer.abort()

    def _enter(self, state: State) -> None:
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"a connection cannot go from {self.state.name} to {state.name}")
        self.state = state


def _is_over(since: float | None, seconds: float, now: float) -> bool:
    return since is not None and now - since > seconds


def _encode_verdict(verdict: Verdict | StoreProblem, date: bytes, *, close: bool) -> bytes:
    if isinstance(verdict, StoreProblem):
        return _encode(503, NOT_RECORDED, date, close)
    return _encode(verdict.status, verdict.response_body, date, close)


@lru_cache(maxsize=8)  # most responses of half a second are the same
def _encode(status: int, body: bytes, date: bytes, close: bool) -> bytes:
    headers = {"Date": date.decode(), **response_headers(status)}
    return ScriptedResponse(status, body, headers).encode(close=close)
