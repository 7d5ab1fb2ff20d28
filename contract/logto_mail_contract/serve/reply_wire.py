"""A connection of the standing server as a scripted reply writes to it: below ASGI, from a thread."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..wire.replies import Reply
    from .writer import ResponseWriter


class StandingWire:
    """The connection; made in the event loop, used in a thread.

    Args:
        writer: What the connection is written to.
    """

    head_only = False
    keep_alive = False

    def __init__(self, writer: ResponseWriter) -> None:
        self._writer = writer
        self._call = asyncio.get_running_loop().call_soon_threadsafe
        self._released = threading.Event()

    def start(self, reply: Reply) -> None:
        """Begin to send a reply; the connection is closed behind it."""
        threading.Thread(target=self._run, args=(reply,), name="scripted reply", daemon=True).start()

    def release(self) -> None:
        """End the reply that is under way."""
        self._released.set()

    def _run(self, reply: Reply) -> None:
        with suppress(OSError, RuntimeError):  # the client has left, or the loop is closed
            try:
                reply.send(self)
            finally:
                self._call(self._writer.close)

    # Called by a reply.

    def send(self, data: bytes) -> None:
        if self._released.is_set():
            raise BrokenPipeError("the client has left, or the server stops")
        self._call(self._writer.write, data)

    def pause(self, seconds: float) -> bool:
        return not self._released.wait(min(seconds, threading.TIMEOUT_MAX))

    def reset(self) -> None:
        self._call(self._writer.reset)
