"""The server of ``serve``: listens, bounds its clients, and drains when it is stopped."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from email.utils import formatdate
from typing import TYPE_CHECKING

from ..clock import read_time
from .connection import Connection, Shared
from .limits import Limits
from .turns import Turns

if sys.platform == "win32":
    from ..clock import new_event_loop

    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
else:
    import resource

    # The loop of the standard library is slower for each request.
    from uvloop import new_event_loop

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from .app import StandingApp

_BACKLOG = 1024
_SWITCH_SECONDS = 0.001
_DRAIN_POLL_SECONDS = 0.02


class StandingServer:
    """The server; ``run`` runs it, the first signal drains it, the second stops it.

    Args:
        app: The application.
        ready: Called when it listens.
        limits: Bounds on a client.

    Attributes:
        force_exit: Whether it was stopped before every response was sent.
        connections: The open connections.
    """

    def __init__(self, app: StandingApp, ready: Callable[[], None], limits: Limits | None = None) -> None:
        self.force_exit = False
        self._app = app
        self._ready = ready
        limits = limits or Limits()
        self._shared = Shared(app, limits, _date(), Turns(limits.turn_seconds), _file_limit())
        self.connections = self._shared.connections
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()
        self._stopped = asyncio.Event()

    def run(self, sockets: list[socket.socket]) -> None:
        """Serve until it is stopped; closes the sockets.

        Args:
            sockets: Those to listen at.
        """
        # While the worker computes, the event loop waits this long for the interpreter, often in a request.
        before = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_SECONDS)
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner, self._signals():
                runner.run(self._serve(sockets))
        finally:
            sys.setswitchinterval(before)

    def stop(self) -> None:
        """Drain; when called again, stop at once. May be called from any thread and in a signal's handler."""
        self.force_exit = self._stopping.is_set()
        self._stopping.set()
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has just ended
                self._loop.call_soon_threadsafe(self._stopped.set)

    async def _serve(self, sockets: list[socket.socket]) -> None:
        loop = self._loop = asyncio.get_running_loop()
        servers = [
            await loop.create_server(lambda: Connection(self._shared), sock=listening, backlog=_BACKLOG)
            for listening in sockets
        ]
        sweeping = asyncio.create_task(self._sweep())
        self._ready()
        if not self._stopping.is_set():
            await self._stopped.wait()
        self._app.stop()
        for server in servers:
            server.close()
        for connection in list(self.connections):
            connection.stop()
        while self.connections and not self.force_exit:
            await asyncio.sleep(_DRAIN_POLL_SECONDS)
        sweeping.cancel()
        self._app.close()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._shared.limits.sweep_seconds)
            self._shared.date = _date()
            now = asyncio.get_running_loop().time()
            for connection in list(self.connections):
                connection.cut_if_slow(now)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # Not the loop's own handlers, which Windows does not have.
        before = {number: signal.signal(number, lambda *_: self.stop()) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _file_limit() -> int | None:
    if sys.platform == "win32":
        return None
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if most == resource.RLIM_INFINITY else most


def _date() -> bytes:
    return formatdate(read_time(), usegmt=True).encode()
