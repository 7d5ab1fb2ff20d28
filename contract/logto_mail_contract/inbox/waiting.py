"""Waiting for a signal, in a thread and in an event loop: all of the inbox that knows event loops is here."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

    import trio


class Alarm(Protocol):
    """A call in the future, as ``threading.Timer`` and the handles of asyncio are."""

    def cancel(self) -> object:
        """Do not call any more."""


SetAlarm = Callable[[float, Callable[[], None]], Alarm]
"""Has a function called after some seconds, in any thread."""


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


class LoopSignal:
    """Wakes a task of the event loop that runs, asyncio's or trio's; set from any thread.

    Args:
        set_alarm: Ends each wait in time. When None it is a thread, which needs no clock of the loop.

    Raises:
        RuntimeError: Neither asyncio nor trio runs here.
    """

    def __init__(self, set_alarm: SetAlarm | None = None) -> None:
        self._event, self._call_soon = _find_loop()
        self._set_alarm = set_alarm or start_timer

    def set(self) -> None:
        """Wake the waiter, or let its next wait return at once."""
        with suppress(RuntimeError):  # the loop has ended under a waiter that was not cancelled
            self._call_soon(lambda: self._event.set())

    async def wait(self, seconds: float) -> None:
        """Wait until the signal is set, for some seconds at most; infinity is allowed."""
        alarm = self._set_alarm(min(seconds, threading.TIMEOUT_MAX), self.set)
        try:
            await self._event.wait()
        finally:
            alarm.cancel()
        # A new one: the event of trio cannot be cleared.
        self._event = type(self._event)()


def require_seconds(name: str, value: float) -> None:
    """Refuse what is no time to wait.

    Args:
        name: The name of the argument.
        value: The argument: seconds, from 0; infinity is allowed.

    Raises:
        TypeError: It is no number.
        ValueError: It is negative or NaN.
    """
    __tracebackhide__ = True
    problem = f"{name} is a number of seconds from 0; it was {value!r:.80}."
    try:
        is_time = value >= 0
    except TypeError:
        raise TypeError(problem) from None
    if not is_time:
        raise ValueError(problem)


def start_timer(seconds: float, function: Callable[[], None]) -> Alarm:
    """Have a function called after some seconds, in a thread that does not outlive the process."""
    timer = threading.Timer(seconds, function)
    timer.daemon = True
    timer.start()
    return timer


def _find_loop() -> tuple[asyncio.Event | trio.Event, Callable[[Callable[[], object]], object]]:
    """Return a new event of the running loop, and what calls a function in that loop from any thread."""
    # What runs is loaded. Nobody needs to install or load the other one.
    with suppress(RuntimeError):
        if "asyncio" in sys.modules:
            import asyncio

            # Not get_running_loop: trio can run inside a loop of asyncio, as its guest.
            if asyncio.current_task() is not None:
                return asyncio.Event(), asyncio.get_running_loop().call_soon_threadsafe
    with suppress(RuntimeError):
        if "trio" in sys.modules:
            import trio

            return trio.Event(), trio.lowlevel.current_trio_token().run_sync_soon
    raise RuntimeError(
        "wait_for_async and assert_empty_async need asyncio or trio, and neither runs here. In another loop, "
        "call wait_for or assert_empty in a thread."
    )
