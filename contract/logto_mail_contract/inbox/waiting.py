"""Waiting for a signal, in a thread and in an event loop: all of the inbox that knows asyncio is here."""

from __future__ import annotations

import threading
from contextlib import suppress


class ThreadSignal:
    """Wakes a thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Wake the waiter, or let its next wait return at once."""
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Wait until the signal is set, for some seconds at most; infinity is allowed."""
        self._event.wait(min(seconds, threading.TIMEOUT_MAX))
        self._event.clear()


class AsyncioSignal:
    """Wakes a task of the running asyncio loop; set from any thread."""

    def __init__(self) -> None:
        # Here, not at the top: the plugin's users who do not wait in a loop need not load it.
        import asyncio

        self._timeout = asyncio.timeout
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def set(self) -> None:
        """Wake the waiter, or let its next wait return at once."""
        with suppress(RuntimeError):  # the loop was closed under a waiter that was not cancelled
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, seconds: float) -> None:
        """Wait until the signal is set, for some seconds at most; infinity is allowed."""
        with suppress(TimeoutError):
            async with self._timeout(seconds):
                await self._event.wait()
        self._event.clear()
