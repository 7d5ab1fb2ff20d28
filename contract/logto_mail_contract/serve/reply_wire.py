"""A connection of the standing server as a scripted reply writes to it: below ASGI, from a thread."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..wire.replies import Reply

_NO_LINGER = struct.pack("ii", 1, 0)


class StandingWire:
    """The connection; made in the event loop, used in a thread.

    Args:
        transport: The connection's transport.
    """

    head_only = False
    keep_alive = False

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._call = asyncio.get_running_loop().call_soon_threadsafe
        self._let_go = threading.Event()

    def start(self, reply: Reply) -> None:
        """Begin to send a reply; the connection is closed behind it."""
        threading.Thread(target=self._run, args=(reply,), name="scripted reply", daemon=True).start()

    def let_go(self) -> None:
        """End the reply that is under way."""
        self._let_go.set()

    def _run(self, reply: Reply) -> None:
        with suppress(OSError, RuntimeError):  # the client has gone, or the loop is closed
            try:
                reply.send(self)
            finally:
                self._call(self._transport.close)

    # What a reply calls.

    def send(self, data: bytes) -> None:
        """Send bytes."""
        if self._let_go.is_set():
            raise BrokenPipeError("the client has gone, or the server stops")
        self._call(self._transport.write, data)

    def pause(self, seconds: float) -> bool:
        """Wait, and return False when the reply was let go meanwhile."""
        return not self._let_go.wait(min(seconds, threading.TIMEOUT_MAX))

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self._call(self._reset)

    def _reset(self) -> None:
        if self._transport.is_closing():  # the client was faster
            return
        accepted = self._transport.get_extra_info("socket")
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()
