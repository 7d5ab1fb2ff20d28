"""How long a turn of the event loop may take with what clients sent; the rest waits for the next turns."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from ..clock import read_monotonic

if TYPE_CHECKING:
    from collections.abc import Callable


class Turns:
    """The turns of the running event loop, and the work that waits for one.

    Args:
        seconds: How long the work of one turn may take, but for its last piece.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._small: deque[Callable[[], None]] = deque()
        self._large: deque[Callable[[], None]] = deque()
        self._end: float | None = None

    def is_over(self) -> bool:
        """Return whether this turn has no time for more; the first call of a turn begins it."""
        # The loop's own time may stand still within a turn.
        now = read_monotonic()
        if self._end is None:
            self._end = now + self._seconds
            asyncio.get_running_loop().call_soon(self._begin_next)
        return now >= self._end

    def add(self, work: Callable[[], None], *, is_small: bool = False) -> None:
        """Have some work done in a later turn, after what waits already.

        Args:
            work: One short piece of it.
            is_small: Whether it goes before all that is not, for example one message of a usual size.
        """
        (self._small if is_small else self._large).append(work)
        self.is_over()

    def _begin_next(self) -> None:
        self._end = None
        # What this turn's work puts off is for the next one.
        small, large = len(self._small), len(self._large)
        try:
            while small and not self.is_over():
                small -= 1
                self._small.popleft()()
            # One of each at least: neither waits for ever.
            if small:
                self._small.popleft()()
            while large:
                large -= 1
                self._large.popleft()()
                if self.is_over():
                    break
        finally:
            if self._small or self._large:
                self.is_over()
