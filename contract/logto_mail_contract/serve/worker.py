"""One thread for work that would keep the event loop from its clients for too long."""

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

MAX_INLINE_BYTES = 8 * 1024
"""Bytes of a body that the event loop judges or shows itself; Logto's own messages are smaller."""


class Worker:
    """One thread, which does one piece of work at a time.

    One is enough: more would only compete with the event loop for the interpreter.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="worker")

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result of a function that is called in the thread, after the work before it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: _call(function, *args, **kwargs))

    def close(self) -> None:
        """Drop the work that has not begun."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    # A collection would stop every thread while it looks at each part of a large message. JSON has no cycles.
    gc.disable()
    try:
        return function(*args, **kwargs)
    finally:
        gc.enable()
